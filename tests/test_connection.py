"""How Kafka is reached: what goes together, and what is said of what does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from monitor import acls
from monitor.connection import BadConnection, Connection
from monitor.settings import Settings
from monitor.stream import topics

SECRET = "hunter2"
SOME = Path("some.pem")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"kafka_certificate_file": SOME, "kafka_protocol": "SSL"}, "KAFKA_KEY_FILE"),
        ({"kafka_key_file": SOME, "kafka_protocol": "SSL"}, "KAFKA_CERTIFICATE_FILE"),
        ({"kafka_ca_file": SOME}, "KAFKA_PROTOCOL"),
        ({"kafka_protocol": "SASL_SSL"}, "KAFKA_USER"),
        ({"kafka_protocol": "SASL_SSL", "kafka_user": "u"}, "KAFKA_PASSWORD_FILE"),
        ({"kafka_user": "u", "kafka_password_file": SOME, "kafka_protocol": "SSL"}, "KAFKA_PROTOCOL"),
        (
            {
                "kafka_user": "u",
                "kafka_password_file": SOME,
                "kafka_protocol": "SASL_PLAINTEXT",
                "kafka_mechanism": "PLAIN",
            },
            "KAFKA_MECHANISM",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Settings(**fields)  # type: ignore[arg-type]


def test_it_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKUP_MONITOR_KAFKA_PROTOCOL", "SASL_SSL")
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "topics"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("setting LOOKUP_MONITOR_KAFKA_PROTOCOL SASL_SSL needs KAFKA_USER")


def test_without_anything_set_nothing_is_encrypted_and_nobody_named() -> None:
    assert Settings().kafka.options() == {"bootstrap_servers": "127.0.0.1:9092", "security_protocol": "PLAINTEXT"}


def test_a_password_is_read_anew_each_time_and_its_lines_end_is_none_of_it(tmp_path: Path) -> None:
    file = tmp_path / "password"
    kafka = Connection("k:1", "SASL_PLAINTEXT", user="u", password_file=file)
    for secret in (SECRET, f" {SECRET} "):
        file.write_text(f"{secret}\r\n")
        assert kafka.options()["sasl_plain_password"] == secret
    assert SECRET not in repr(kafka)
    assert SECRET not in str(Settings(kafka_protocol="SASL_SSL", kafka_user="u", kafka_password_file=file))


@pytest.mark.parametrize("what", ["missing", "empty", "folder"])
def test_a_password_that_cannot_be_read_is_said_with_its_file(tmp_path: Path, what: str) -> None:
    file = tmp_path / what
    if what == "empty":
        file.write_text("\n")
    elif what == "folder":
        file.mkdir()
    with pytest.raises(BadConnection, match=f"KAFKA_PASSWORD_FILE .*{what}"):
        Connection("k:1", "SASL_PLAINTEXT", user="u", password_file=file).options()


@pytest.mark.parametrize("setting", ["ca_file", "certificate_file"])
def test_a_certificate_that_is_none_is_said_with_its_file_and_not_quoted(tmp_path: Path, setting: str) -> None:
    file = tmp_path / "it.pem"
    file.write_text(SECRET)
    kafka = Connection("k:1", "SSL", **{setting: file}, key_file=file if setting == "certificate_file" else None)
    with pytest.raises(BadConnection, match=f"KAFKA_{setting.upper()} .*it.pem") as refused:
        kafka.options()
    assert SECRET not in str(refused.value)


def test_tls_checks_names_and_is_not_old() -> None:
    import ssl

    context = Connection("k:1", "SSL").options()["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_every_topic_is_written_by_some_role() -> None:
    written = {name for role in acls.ROLES.values() for name in role.writes}
    assert written == {topic.name for topic in topics.topics_of(Settings())}
    assert all(name.startswith(acls.PREFIX) for name in written)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor", "acls", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_acls_are_printed_as_kafkas_own_commands() -> None:
    done = run("canary", "topics", "--user", "canary=User:CN=c1")
    assert done.returncode == 0, done.stderr
    begin = "kafka-acls --bootstrap-server 127.0.0.1:9092 --command-config admin.properties --add --allow-principal"
    assert done.stdout.splitlines() == [
        "# canary: `monitor canary`",
        f"{begin} 'User:CN=c1' --operation Read --topic 'lookup.canary.v1'",
        f"{begin} 'User:CN=c1' --operation Write --topic 'lookup.events.v1'",
        "# topics: `monitor topics` and `monitor doctor`",
        f"{begin} 'User:lookup-topics' --operation Create --topic 'lookup.' --resource-pattern-type prefixed",
        f"{begin} 'User:lookup-topics' --operation Describe --topic 'lookup.' --resource-pattern-type prefixed",
        f"{begin} 'User:lookup-topics' --operation DescribeConfigs --topic 'lookup.' --resource-pattern-type prefixed",
        f"{begin} 'User:lookup-topics' --operation Describe --group 'lookup-monitor'",
    ]


@pytest.mark.parametrize("arguments", [["nobody"], ["--user", "nobody=User:x"], ["--user", "rank=x"]])
def test_a_role_that_there_is_not_is_refused(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error:")

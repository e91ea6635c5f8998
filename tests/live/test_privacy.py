"""An identity on real Kafka: asked for, approved by another, shown, and not shown any more; what is in Kafka names nobody."""

from __future__ import annotations

import time
from pathlib import Path

import orjson
import pytest
from conftest import Service, wait_for
from test_pipeline import free_port, page
from typer.testing import CliRunner

from monitor import alerts
from monitor.cli import app
from monitor.commands.ingest import send_reference
from monitor.incidents.model import decode
from monitor.settings import ENV_PREFIX
from monitor.stream.masking import made_key, mask_of
from monitor.stream.topics import ALERTS, INCIDENTS, INCIDENTS_STATE, JOURNAL, UNMASKINGS
from tests.incidents.made import alert
from tests.live.test_feedback import sent

#: Seconds for which an identity is shown: long enough for the commands of this test.
SHOWN_FOR = 6.0


def test_an_identity_is_shown_to_who_asked_after_another_approved_and_for_a_time(service: Service) -> None:
    settings = service.settings
    send_reference(settings, [orjson.dumps({"record": "actor", "id": "o-77777", "unit": "limburg"})])
    send_reference(
        settings,
        [orjson.dumps({"record": "watch", "id": "w", "subjects": ["p-88888"], "from": "2020-01-01T00:00:00Z"})],
    )
    service.start("incidents run", port := free_port())
    mask = mask_of(settings)
    assert mask is not None
    raised = mask.alert(alert("leak", "medium", ("o-77777",), ("p-88888",)))
    wait_for(lambda: page(port, "/readyz")[0] == 200, 60, "readiness")
    sent(service, ALERTS, [(0, alerts.encode(raised))])
    (raw,) = wait_for(lambda: service.read(INCIDENTS, 1), 30, "an incident")
    incident = decode(raw.value)  # type: ignore[attr-defined]
    assert incident.queue == "pager", "the watch is found by the pseudonym"
    assert [each.unit for each in incident.actors] == ["limburg"], "and so is the unit"
    (actor,), (subject,) = raised.actors, raised.subjects

    def run(*arguments: str, key: Path | None = None) -> tuple[int, str]:
        environment = {
            f"{ENV_PREFIX}BOOTSTRAP": settings.bootstrap,
            f"{ENV_PREFIX}PSEUDONYM_KEY_FILE": str(settings.pseudonym_key_file),
            f"{ENV_PREFIX}IDENTITY_KEY_FILE": str(key or settings.identity_key_file),
            f"{ENV_PREFIX}UNMASK_HOURS": str(SHOWN_FOR / 3600),
            "COLUMNS": "240",
        }
        group = [] if arguments[0] == "audit" else ["privacy"]
        done = CliRunner().invoke(app, [*group, *arguments], env=environment)
        return done.exit_code, done.output

    code, said = run(
        "ask", incident.id[:13], actor.upper().replace("-", " ", 1), subject, "--by", "d-1", "--reason", "a tip"
    )
    assert code == 0, said
    request = said.split()[1]
    assert run("show", request, "--by", "d-1")[0] == 1, "not approved"
    assert run("approve", request, "--by", "d-1", "--reason", "my own")[0] == 1, "nobody approves for themselves"
    assert run("approve", request, "--by", "d-2", "--as", "desk", "--reason", "a colleague")[0] == 1, "not their right"
    assert run("requests", key=made_key(service.folder / "other.key"))[1].count("d-1") == 0, "signed by another key"
    assert run("approve", request[:8], "--by", "o-1", "--reason", "right")[0] == 0
    began = time.monotonic()
    code, said = run("show", request, "--by", "d-1")
    assert (code, sorted(said.split())) == (0, sorted([actor, "o-77777", subject, "p-88888"])), said
    assert run("show", request, "--by", "d-3")[0] == 1, "only to who asked"
    listed = run("requests")[1]
    assert "approved" in listed
    assert "77777" not in listed
    wait_for(lambda: run("show", request, "--by", "d-1")[0] == 1, SHOWN_FOR + 10, "its time to be over")
    assert time.monotonic() - began > SHOWN_FOR - 1
    events = [orjson.loads(line) for line in run("audit", "list", "--json")[1].splitlines()]
    assert run("audit", "verify")[0] == 0
    assert [each["what"] for each in events if each.get("done", True)][:3] == [
        "identity-ask",
        "identity-approve",
        "identity-see",
    ]
    assert {each["what"] for each in events if not each.get("done", True)} == {"identity-approve", "identity-see"}
    for topic, count in ((ALERTS, 4), (INCIDENTS, 1), (JOURNAL, 1), (INCIDENTS_STATE, 1), (UNMASKINGS, 1)):
        for record in service.read(topic, count):
            told = (record.key or b"") + (record.value or b"")  # type: ignore[attr-defined]
            assert b"77777" not in told, topic
            assert b"88888" not in told, topic
    logged = "".join(path.read_text() for path in service.folder.glob("*.log"))
    assert "77777" not in logged


@pytest.mark.parametrize("more", [{}, {"PSEUDONYM_KEY_FILE": "key"}])
def test_a_worker_without_keys_says_how_to_make_them_rather_than_name_people(
    tmp_path: Path, more: dict[str, str]
) -> None:
    made_key(tmp_path / "key")
    environment = {"XDG_DATA_HOME": str(tmp_path)} | {
        f"{ENV_PREFIX}{name}": str(tmp_path / file) for name, file in more.items()
    }
    done = CliRunner().invoke(app, ["worker"], env=environment)
    assert done.exit_code == 2
    assert "monitor privacy key FILE" in done.output
    assert "LOOKUP_MONITOR_PSEUDONYMS=off" in done.output

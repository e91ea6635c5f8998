"""The local Kafka without a broker: the lock, the download (from a real mirror on loopback), the refusals."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import local_kafka, local_kafka_config, local_kafka_dist, local_kafka_folder
from monitor.cli_kafka import default_data_dir
from monitor.local_kafka import LocalKafkaError
from monitor.local_kafka_dist import CACHE_ENV, LOCK_FILE, MAVEN_ENV, Jar, Lock, parse_lock

CONTENT = b"not really a jar" * 100
JAR = Jar("org.example:thing:1.0", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
LOCK = Lock("0.0.1", (JAR,))
IN_REPOSITORY = Path("org/example/thing/1.0/thing-1.0.jar")


def no_words(_: str) -> None:
    pass


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a Maven mirror on loopback that has the jar."""
    root = tmp_path / "mirror"
    (root / IN_REPOSITORY).parent.mkdir(parents=True)
    (root / IN_REPOSITORY).write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv(MAVEN_ENV, f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield root
        server.shutdown()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A loopback port on which nobody listens, kept from others."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


# ---- the lock


def test_the_lock_in_the_package_pins_kafka_4() -> None:
    lock = parse_lock(LOCK_FILE.read_bytes())
    assert lock.version.startswith("4.")
    assert f"org.apache.kafka:kafka_2.13:{lock.version}" in [jar.coordinate for jar in lock.jars]
    assert 30 < len(lock.jars) < 80
    assert 30_000_000 < lock.size < 80_000_000


def lock_text(**changes: object) -> bytes:
    jar = {"coordinate": "g:a:1", "sha256": "0" * 64, "size": 1, **changes}
    return json.dumps({"version": "4.1.2", "jars": [jar]}).encode()


def test_a_good_lock_is_read() -> None:
    assert parse_lock(lock_text()) == Lock("4.1.2", (Jar("g:a:1", "0" * 64, 1),))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "not a lock file"),
        (b'{"version": "4.1.2", "jars": []}', "names no jar"),
        (lock_text(sha256="0" * 63), "g:a:1 has no valid SHA-256"),
        (lock_text(sha256="Z" * 64), "no valid SHA-256"),
        (lock_text(coordinate="g:../../evil:1"), "is not group:artifact:version"),
        (lock_text(coordinate="g:a"), "is not group:artifact:version"),
        (lock_text(size="big"), "not a lock file"),
        (lock_text(unknown=1), "not a lock file"),
        (b'{"version": "1", "jars": [%b, %b]}' % ((json.dumps(
            {"coordinate": "g:a:1", "sha256": "0" * 64, "size": 1}).encode(),) * 2), "a-1.jar twice"),
    ],
)  # fmt: skip
def test_a_bad_lock_is_refused_with_its_name(text: bytes, says: str) -> None:
    with pytest.raises(LocalKafkaError, match=says) as refused:
        parse_lock(text, "the/lock.json")
    assert "the/lock.json" in str(refused.value)


# ---- the cache and the download


def test_jars_are_fetched_once_and_then_need_no_network(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    said: list[str] = []
    first = local_kafka_dist.distribution(said.append, tmp_path / "cache", LOCK)
    assert [path.read_bytes() for path in first.jars] == [CONTENT]
    assert len(said) == 1
    assert "1 jar, 1 MB" in said[0]
    monkeypatch.setenv(MAVEN_ENV, f"http://127.0.0.1:{closed_port}")
    assert local_kafka_dist.distribution(said.append, tmp_path / "cache", LOCK) == first
    assert len(said) == 1


def test_a_changed_jar_in_the_cache_is_refused_removed_and_fetched_again(mirror: Path, tmp_path: Path) -> None:
    (jar,) = local_kafka_dist.distribution(no_words, tmp_path, LOCK).jars
    jar.write_bytes(CONTENT + b"!")
    with pytest.raises(LocalKafkaError, match=r"thing-1.0.jar is not the pinned file") as refused:
        local_kafka_dist.distribution(no_words, tmp_path, LOCK)
    assert JAR.sha256 in str(refused.value)
    assert not jar.exists()
    assert local_kafka_dist.distribution(no_words, tmp_path, LOCK).jars == (jar,)
    assert jar.read_bytes() == CONTENT


def test_a_mirror_that_delivers_something_else_gets_nothing_into_the_cache(mirror: Path, tmp_path: Path) -> None:
    (mirror / IN_REPOSITORY).write_bytes(b"evil")
    with pytest.raises(LocalKafkaError, match="is not the pinned file"):
        local_kafka_dist.distribution(no_words, tmp_path / "cache", LOCK)
    assert [path.name for path in (tmp_path / "cache").rglob("*.jar")] == []


def test_what_a_killed_download_left_does_not_matter(mirror: Path, tmp_path: Path) -> None:
    left = tmp_path / "kafka-0.0.1" / "incoming" / IN_REPOSITORY
    left.parent.mkdir(parents=True)
    left.write_bytes(CONTENT[:10])
    (jar,) = local_kafka_dist.distribution(no_words, tmp_path, LOCK).jars
    assert jar.read_bytes() == CONTENT


def test_a_jar_the_mirror_does_not_have_is_named(mirror: Path, tmp_path: Path) -> None:
    (mirror / IN_REPOSITORY).unlink()
    with pytest.raises(LocalKafkaError, match=r"thing-1.0.jar could not be fetched"):
        local_kafka_dist.distribution(no_words, tmp_path / "cache", LOCK)


def test_without_a_network_the_first_start_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv(MAVEN_ENV, f"http://me:secret@127.0.0.1:{closed_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(CACHE_ENV, str(tmp_path / "cache"))
    with pytest.raises(LocalKafkaError) as refused:
        local_kafka.start(tmp_path / "data")
    text = str(refused.value)
    for part in ("Apache Kafka 4.", "46 jars, 44 MB", "HTTPS_PROXY", MAVEN_ENV, f"127.0.0.1:{closed_port}"):
        assert part in text
    assert "secret" not in text


def test_the_cache_folder() -> None:
    assert local_kafka_dist.cache_dir({CACHE_ENV: "/c", "XDG_CACHE_HOME": "/x"}) == Path("/c")
    assert local_kafka_dist.cache_dir({"XDG_CACHE_HOME": "/x"}) == Path("/x/lookup-monitor")
    assert local_kafka_dist.cache_dir({"XDG_CACHE_HOME": "x"}) == Path.home() / ".cache/lookup-monitor"


def test_the_default_data_folder() -> None:
    assert default_data_dir({"XDG_DATA_HOME": "/x"}) == Path("/x/lookup-monitor/kafka")
    assert default_data_dir({}) == Path.home() / ".local/share/lookup-monitor/kafka"


def test_a_cache_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(LocalKafkaError, match=CACHE_ENV):
        local_kafka_dist.distribution(no_words, tmp_path / "cache", LOCK)


def test_a_lock_file_held_by_another_is_waited_for_only_so_long(tmp_path: Path) -> None:
    with (
        local_kafka_dist.file_lock(tmp_path / "l", 1),
        pytest.raises(LocalKafkaError, match="Another start"),
        local_kafka_dist.file_lock(tmp_path / "l", 0.1),
    ):
        pytest.fail("two held the lock")


# ---- the data folder


def test_too_little_free_space_is_refused_with_the_folder(tmp_path: Path) -> None:
    with pytest.raises(LocalKafkaError, match="nearly full") as refused:
        local_kafka.start(tmp_path / "data", min_free_bytes=1 << 60)
    assert str(tmp_path / "data") in str(refused.value)


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(LocalKafkaError, match="cannot be used"):
        local_kafka.start(tmp_path / "data")


def test_a_heap_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalKafkaError, match="at least 128 MB"):
        local_kafka.start(tmp_path, heap_mb=64)


def test_topics_without_their_meta_properties_are_not_wiped(tmp_path: Path) -> None:
    log = tmp_path / "data" / "lookup.events.v1-0" / "00000000000000000000.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"lookups")
    kafka = local_kafka_dist.Distribution("4", Path("java"), ())
    with pytest.raises(LocalKafkaError, match="holds topics"):
        local_kafka_folder.formatted(tmp_path, kafka, 0)
    assert log.read_bytes() == b"lookups"


@pytest.mark.parametrize("state", ['{"pid": %d, "port": 1, "controller_port": 2, "version": "4"}', "{", ""])
def test_a_pid_that_is_another_process_now_is_not_taken_for_kafka(tmp_path: Path, state: str) -> None:
    (tmp_path / "state.json").write_text(state % os.getpid() if "%d" in state else state)
    (tmp_path / local_kafka_config.SERVER_FILE).touch()
    assert local_kafka.status(tmp_path).running is False
    assert local_kafka.stop(tmp_path) is False


def test_the_status_of_a_folder_that_does_not_exist_makes_no_folder(tmp_path: Path) -> None:
    found = local_kafka.status(tmp_path / "none")
    assert (found.running, found.pid, found.data_bytes) == (False, None, 0)
    assert not (tmp_path / "none").exists()


# ---- ports


def test_a_taken_port_is_named_with_the_process_that_has_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(LocalKafkaError, match=rf"Port {port} is taken by process {os.getpid()}"):
            local_kafka_folder.choose_ports(tmp_path, port)


def test_the_last_ports_are_used_again_only_when_they_are_free(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        free = sum(local_kafka_folder.choose_ports(tmp_path, None)[:1])
        local_kafka_folder.write_state(tmp_path, local_kafka_folder.State(1, taken, free, "4"))
        port, controller = local_kafka_folder.choose_ports(tmp_path, None)
        assert port not in (taken, controller)
        assert controller == free
    assert local_kafka_folder.choose_ports(tmp_path, None) == (taken, free)


def test_a_number_that_is_no_port_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalKafkaError, match="70000 is not a port"):
        local_kafka_folder.choose_ports(tmp_path, 70000)


# ---- settings, answers, reasons


def test_the_broker_listens_on_loopback_only_and_makes_no_topics_by_itself() -> None:
    lines = local_kafka_config.server_properties(1001, 1002).splitlines()
    assert "listeners=PLAINTEXT://127.0.0.1:1001,CONTROLLER://127.0.0.1:1002" in lines
    assert "auto.create.topics.enable=false" in lines
    assert "group.initial.rebalance.delay.ms=0" in lines


@pytest.mark.parametrize(
    ("text", "id_"), [("#x\ncluster.id=abc\nversion=1\n", "abc"), ("", None), ("cluster.id=\n", None)]
)
def test_the_cluster_id_is_read(text: str, id_: str | None) -> None:
    assert local_kafka_config.cluster_id_of(text) == id_


def answer(brokers: list[tuple[str, int, str | None]]) -> bytes:
    parts = [struct.pack(">ii", 1, len(brokers))]
    for host, port, rack in brokers:
        parts.append(struct.pack(">ih", 1, len(host.encode())) + host.encode() + struct.pack(">i", port))
        parts.append(struct.pack(">h", -1) if rack is None else struct.pack(">h", len(rack)) + rack.encode())
    return b"".join(parts)


BROKERS = st.lists(
    st.tuples(st.text(max_size=20), st.integers(1, 65535), st.none() | st.text("ab", max_size=5)), max_size=4
)


@given(BROKERS)
def test_the_brokers_of_a_metadata_answer_are_read(brokers: list[tuple[str, int, str | None]]) -> None:
    assert local_kafka_config.brokers_in(answer(brokers)) == [(host, port) for host, port, _ in brokers]


@given(st.binary(max_size=60))
def test_bytes_that_are_no_answer_raise_value_error_or_name_brokers(noise: bytes) -> None:
    try:
        found = local_kafka_config.brokers_in(noise)
    except ValueError:
        return
    assert isinstance(found, list)


def test_an_answer_to_another_request_is_refused() -> None:
    with pytest.raises(ValueError, match="not an answer"):
        local_kafka_config.brokers_in(struct.pack(">ii", 2, 0))


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("java.io.IOException: No space left on device", "The disk of /d is full"),
        ("java.net.BindException: Address already in use", "Another process took its port"),
        ("Terminating due to java.lang.OutOfMemoryError: Java heap space", "128 MB of heap did not do"),
        ("KafkaException: Failed to acquire lock on file .lock in /d", "Another Kafka uses /d"),
        ("RuntimeException: Stored node id 7 doesn't match previous node id 1", "node.id in its meta.properties"),
        ("something else", "/d/kafka.log"),
        ("", "it wrote nothing"),
    ],
)
def test_a_failed_start_is_explained_with_what_it_wrote(output: str, says: str) -> None:
    text = local_kafka_config.explain_failure(f"first\n{output}" if output else "", "/d", 128)
    assert says in text
    assert output in text


TRACE = "".join(f"\tat org.apache.kafka.Some$.place{number}(Some.scala:{number})\n" for number in range(30))
STORY = f"""2026-11-24T21:59:09,206 INFO  Log4jControllerRegistration$ Registered MBean
2026-11-24T21:59:09,300 INFO  KafkaConfig log.error.level = ERRORS
[2026-11-24 21:59:09,486] ERROR Exiting Kafka due to fatal exception (kafka.Kafka$)
org.apache.kafka.common.KafkaException: the outermost: with its message
{TRACE}Caused by: java.io.IOException: in the middle
{TRACE}Caused by: java.lang.IllegalStateException: at the root
{TRACE}2026-11-24T21:59:09,490 FATAL Kafka$ the last word
"""


def test_the_causes_are_shown_not_the_places_in_the_stack_traces() -> None:
    causes = local_kafka_config.cause_lines(STORY)
    assert causes == [
        "[2026-11-24 21:59:09,486] ERROR Exiting Kafka due to fatal exception (kafka.Kafka$)",
        "org.apache.kafka.common.KafkaException: the outermost: with its message",
        "Caused by: java.io.IOException: in the middle",
        "Caused by: java.lang.IllegalStateException: at the root",
        "2026-11-24T21:59:09,490 FATAL Kafka$ the last word",
    ]
    text = local_kafka_config.explain_failure(STORY, "/d", 128)
    assert all(cause in text for cause in causes)
    assert "place7" not in text
    assert "Its last lines" not in text


def test_without_a_cause_the_last_lines_are_shown_and_causes_are_bounded() -> None:
    text = local_kafka_config.explain_failure("\n".join(f"line {number}" for number in range(50)), "/d", 128)
    assert "Its last lines" in text
    assert "line 49" in text
    assert "line 5\n" not in text
    many = "\n".join(f"Caused by: number {number}" for number in range(500))
    assert 1 < len(local_kafka_config.cause_lines(many)) < 20

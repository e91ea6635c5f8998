"""The commands against real Kafka, as a user runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from conftest import Service, wait_for
from test_pipeline import alerts_of, free_port, page

from monitor import alerts, local_kafka
from monitor.commands import demo
from monitor.settings import Settings
from monitor.simulate import Settings as ForceSettings
from monitor.simulate import simulate
from monitor.stream.masking import pseudonyms_of, with_local_keys
from monitor.stream.topics import EVENTS, REFERENCE, topics_of
from tests.samples import GOOD


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A Kafka without any topic."""
    folder = tmp_path_factory.mktemp("commands")
    with local_kafka.start(folder / "kafka") as kafka:
        yield Service(with_local_keys(Settings(bootstrap=kafka.bootstrap), folder / "lookup-monitor" / "keys"), folder)


@pytest.fixture(scope="module")
def kafka(bare: Service) -> Service:
    """The same, once `monitor topics` has made them."""
    missing = bare.monitor("topics", "--check")
    assert missing.returncode == 1
    assert missing.stderr.count("does not exist (run `monitor topics`)") == len(topics_of(Settings()))
    made = bare.monitor("topics")
    assert made.returncode == 0, made.stderr
    assert made.stdout.count("created lookup.") == len(topics_of(Settings()))
    return bare


def lookups(count: int, first: int = 0, **fields: Any) -> list[bytes]:
    return [
        orjson.dumps({**GOOD, "id": f"x-{number}", "actor": {"id": f"o-{number % 50}"}, **fields})
        for number in range(first, first + count)
    ]


def ids(service: Service, since: list[int]) -> list[str]:
    values: list[Any] = [record.value for record in service.read(EVENTS, since=since)]  # type: ignore[attr-defined]
    return [orjson.loads(value)["id"] for value in values]


def test_topics_again_changes_nothing_and_a_wrong_one_is_reported(
    kafka: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = kafka.monitor("topics")
    assert again.returncode == 0
    assert "created" not in again.stdout
    assert f"{len(topics_of(kafka.settings))} topics are as they should be" in again.stdout
    monkeypatch.setenv("LOOKUP_MONITOR_RETENTION_DAYS", "3")
    config = kafka.monitor("topics")
    assert config.returncode == 1
    assert "lookup.events.v1: retention.ms is 2592000000, not 259200000" in config.stderr
    assert "kafka-configs --alter" in config.stderr
    monkeypatch.delenv("LOOKUP_MONITOR_RETENTION_DAYS")
    kafka.settings = kafka.settings.model_copy(update={"partitions": 6})
    try:
        count = kafka.monitor("topics")
        worker = kafka.monitor("worker")
    finally:
        kafka.settings = kafka.settings.model_copy(update={"partitions": 4})
    assert count.returncode == 1
    assert "lookup.keyed.v1: has 4 partitions, not 6 (set LOOKUP_MONITOR_PARTITIONS=4" in count.stderr
    assert worker.returncode == 2
    assert "has 4 partitions, not 6" in worker.stderr


def test_ingest_goes_on_where_it_stopped(kafka: Service) -> None:
    file, since = kafka.folder / "some.jsonl", kafka.ends(EVENTS)
    file.write_bytes(b"\n".join(lookups(5000)) + b"\n")
    assert "5,000 lookups sent (5,000 in all)" in kafka.monitor("ingest", str(file)).stdout
    assert "0 lookups sent (5,000 in all)" in kafka.monitor("ingest", str(file)).stdout
    with file.open("ab") as more:
        more.write(b"\n".join(lookups(10, first=5000)) + b"\n\n")
    assert "10 lookups sent (5,010 in all)" in kafka.monitor("ingest", str(file)).stdout
    assert sorted(ids(kafka, since)) == sorted(f"x-{number}" for number in range(5010))
    assert "5,010 lookups sent (5,010 in all)" in kafka.monitor("ingest", str(file), "--restart").stdout


def test_an_ingest_that_is_killed_loses_nothing(kafka: Service) -> None:
    file, since = kafka.folder / "large.jsonl", kafka.ends(EVENTS)
    raws = [orjson.dumps({**GOOD, "id": f"k-{number}", "query": {"text": "y" * 300}}) for number in range(60_000)]
    file.write_bytes(b"\n".join(raws) + b"\n")
    environment = {
        **os.environ,
        "LOOKUP_MONITOR_BOOTSTRAP": kafka.settings.bootstrap,
        "XDG_DATA_HOME": str(kafka.folder),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor", "ingest", str(file)], env=environment, stdout=subprocess.DEVNULL
    )
    folder = kafka.folder / "lookup-monitor" / "ingest"

    known = set(folder.glob("*.json"))
    wait_for(lambda: set(folder.glob("*.json")) - known, 30, "the first chunk to be remembered")
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    (mark,) = set(folder.glob("*.json")) - known
    assert 0 < orjson.loads(mark.read_bytes())["sent"] < 60_000
    done = kafka.monitor("ingest", str(file))
    assert "going on after them" in done.stdout
    assert "(60,000 in all)" in done.stdout
    found = ids(kafka, since)
    assert len(set(found)) == 60_000
    assert len(found) <= 62_000, "at most the chunk that was under way is sent twice"


CSV = '''﻿LOG_ID,WHEN,APP,WHAT,USER,KEY,N
"c-1",2026-11-20T09:15:02+01:00,bvi,read,o-1,"AB
""1""",3
c-2,2026-11-20T09:15:03+01:00,bvi,read,o-2,,
'''
MAPPING = "id: LOG_ID\ntime: WHEN\nsystem: APP\naction: WHAT\nactor.id: USER\nsubject.id: KEY\nresults: N\n"


def test_a_csv_file_is_read_with_a_mapping(kafka: Service) -> None:
    file, mapping = kafka.folder / "log.csv", kafka.folder / "mapping.yml"
    since = kafka.ends(EVENTS)
    file.write_text(CSV)
    mapping.write_text(MAPPING)
    done = kafka.monitor("ingest", str(file), "--mapping", str(mapping))
    assert done.returncode == 0, done.stderr
    assert "2 lookups sent" in done.stdout
    values = [orjson.loads(record.value) for record in kafka.read(EVENTS, since=since)]  # type: ignore[attr-defined]
    sent = {value["id"]: value for value in values}
    assert sent["c-1"]["subject"] == {"id": 'AB\n"1"'}
    assert sent["c-1"]["results"] == 3
    assert sent["c-2"]["actor"] == {"id": "o-2"}
    assert "subject" not in sent["c-2"]
    file.write_text("LOG_ID;WHEN;APP;WHAT;USER;KEY;N\nc-3;2026-11-20T09:15:03+01:00;bvi;read;o-3;;\n")
    semicolons = kafka.monitor("ingest", str(file), "--mapping", str(mapping))
    assert "1 lookups sent (1 in all)" in semicolons.stdout, "another content of the file is another file"
    mapping.write_text(MAPPING.replace("USER", "WHO"))
    wrong = kafka.monitor("ingest", str(file), "--restart", "--mapping", str(mapping))
    assert wrong.returncode == 2
    assert "has no column WHO; it has LOG_ID, WHEN" in wrong.stderr
    mapping.write_text("id: LOG_ID\n")
    unmapped = kafka.monitor("ingest", str(file), "--restart", "--mapping", str(mapping))
    assert unmapped.returncode == 2
    assert "has no column for action, actor.id, system, time" in unmapped.stderr


def test_lookups_of_an_actor_share_a_partition_and_what_is_no_lookup_is_sent_too(kafka: Service) -> None:
    lines = [*lookups(40, first=90_000), b"{not json", b'{"id": "s-1"}']
    since = kafka.ends(EVENTS)
    done = kafka.monitor("ingest", "-", stdin=b"\n".join(lines) + b"\n")
    assert "42 lookups sent" in done.stdout
    mine: list[Any] = kafka.read(EVENTS, since=since)
    assert sorted(record.value for record in mine) == sorted(lines)
    places: dict[bytes, set[int]] = {}
    for record in mine:
        if record.key is not None:
            places.setdefault(record.key, set()).add(record.partition)
    assert len(places) == 40
    assert all(len(found) == 1 for found in places.values())


def test_reference_load_reports_a_bad_line_and_loads_the_others(kafka: Service) -> None:
    file = kafka.folder / "reference.jsonl"
    file.write_bytes(b'{"record":"unit","id":"u-1"}\n{"record":"unit"}\n{"record":"unit","id":"u-2"}\n')
    done = kafka.monitor("reference", "load", str(file))
    assert done.returncode == 1
    assert f"{file}:2: " in done.stderr
    assert "2 reference records loaded, 1 refused" in done.stdout
    keys = [record.key for record in kafka.read(REFERENCE, 1)]  # type: ignore[attr-defined]
    assert keys == [b"unit/u-1", b"unit/u-2"]
    piped = kafka.monitor("reference", "load", "-", stdin=b'{"record":"unit","id":"u-3"}\n')
    assert piped.returncode == 0, piped.stderr


def test_simulate_straight_to_kafka(kafka: Service) -> None:
    before = sum(kafka.ends(EVENTS))
    done = kafka.monitor("simulate", "--kafka", "--days", "1", "--actors", "20")
    assert done.returncode == 0, done.stderr
    found = re.search(r"([\d,]+) lookups", done.stdout)
    assert found is not None
    assert sum(kafka.ends(EVENTS)) - before == int(found[1].replace(",", ""))


def test_the_doctor_and_a_worker_and_new_reference_data_while_it_runs(kafka: Service) -> None:
    alone = kafka.monitor("doctor")
    assert alone.returncode == 1
    assert "no worker has read some partitions" in alone.stdout
    assert "start `monitor worker`" in alone.stdout
    port = free_port()
    worker = kafka.start_worker(port)
    try:
        wait_for(lambda: page(port, "/readyz")[0] == 200, 60, "readiness")
        wait_for(lambda: kafka.monitor("doctor").returncode == 0, 90, "the doctor to be content")
        token = b'{"record":"subject","id":"p-new-token","tags":["honeytoken"]}'
        kafka.monitor("reference", "load", "-", stdin=token)
        (raw,) = lookups(1, first=99_999, subject={"kind": "person", "id": "p-new-token"})
        tries = iter(range(1000))
        pseudonyms = pseudonyms_of(kafka.settings)
        assert pseudonyms is not None
        token_name = pseudonyms.of("subject", "p-new-token")

        def alerted() -> bool:
            one = orjson.loads(raw)
            kafka.monitor("ingest", "-", stdin=orjson.dumps({**one, "id": f"t-{next(tries)}"}) + b"\n")
            found = map(alerts.decode, alerts_of(kafka).values())
            return any(alert.subjects == [token_name] for alert in found)

        wait_for(alerted, 60, "the alert about a subject that was not in the reference data before")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    finally:
        worker.kill()
    log = "".join(path.read_text() for path in kafka.folder.glob("worker-*.log"))
    assert not re.search(r"\bo-\d+\b|p-new-token|x-\d+", log), "a log line names a person, a subject or a lookup"


@pytest.mark.parametrize("rate", [400, 2000])
def test_the_demo_shows_alerts_and_says_how_it_went(rate: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "demo", "--seconds", "8", "--rate", str(rate), "--plain"],
        env={**os.environ, "COLUMNS": "200", "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/metrics" in done.stdout
    assert "recall by typology" in done.stdout
    summary = re.search(
        r"([\d,]+) lookups · ([\d,]+) alerts .*· (\d+) repeats · first alert ([\d.]+) s after the start",
        " ".join(done.stdout.split()),
    )
    assert summary is not None
    size = re.search(r"(\d+) actors", done.stdout)
    assert size is not None
    actors, days = demo._size_of(8 * rate)
    assert int(size[1]) == actors
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
    force = simulate(ForceSettings(seed=1, days=days, actors=actors, start=start))
    assert int(summary[1].replace(",", "")) == min(8 * rate, sum(1 for _ in force.events()))
    shown = len(re.findall(r"^\d{4}-\d\d-\d\dT\S+ (?:informational|low|medium|high|critical) ", done.stdout, re.M))
    assert shown == int(summary[2]) > 0
    assert summary[3] == "0"
    assert float(summary[4]) < 30
    assert [
        process for process in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(process.info["cmdline"])
    ] == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("lookup-monitor-demo")]


def children(pid: int, word: str) -> list[psutil.Process]:
    try:
        return [one for one in psutil.Process(pid).children() if word in one.cmdline()]
    except psutil.NoSuchProcess:
        return []


def test_up_starts_a_worker_again_and_stops_everything(tmp_path: Path) -> None:
    port = free_port()
    up = subprocess.Popen(
        [sys.executable, "-m", "monitor", "up", "--data", str(tmp_path / "kafka")],
        env={**os.environ, "LOOKUP_MONITOR_METRICS_PORT": str(port), "XDG_DATA_HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: page(port, "/readyz")[0] == 200, 60, "readiness")
        # What other terminals need stands in a file for their shells.
        told = subprocess.run(
            ["bash", "-c", ". lookup-monitor/up.env && exec python -m monitor topics"],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        assert told.returncode == 0, told.stdout
        (worker,) = children(up.pid, "worker")
        worker.kill()
        wait_for(lambda: [one for one in children(up.pid, "worker") if one.pid != worker.pid], 30, "another worker")
        wait_for(lambda: page(port, "/readyz")[0] == 200, 60, "readiness again")
        up.send_signal(signal.SIGTERM)
        assert up.wait(40) == 0
        assert not (tmp_path / "lookup-monitor" / "up.env").exists()
        keys = sorted((tmp_path / "lookup-monitor" / "keys").iterdir())
        assert [path.name for path in keys] == ["identity.key", "pseudonym.key"]
        assert all(path.stat().st_mode & 0o077 == 0 for path in keys), "for this user alone"
    finally:
        up.kill()
        local_kafka.stop(tmp_path / "kafka", timeout=5)
    assert page(port, "/healthz")[0] == 0
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and local_kafka.status(tmp_path / "kafka").running:
        time.sleep(0.1)
    assert not local_kafka.status(tmp_path / "kafka").running

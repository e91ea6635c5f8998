"""Models of a running service return to an earlier day, on real Kafka, with signed state: no lookup is lost, and a replay agrees."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import orjson
from conftest import Service, wait_for
from test_pipeline import alerts_of, backtest_of, page

from monitor.commands.ingest import send_chunks, send_events, send_reference
from monitor.local_kafka_folder import free_port
from monitor.model.versions import day_of, named
from monitor.stream.batches import Out
from monitor.stream.topics import SCORE_STATE
from monitor.when import parse_when
from tests.test_compare import RULE, lookups


def counted(port: int) -> float:
    lines = [line.split() for line in page(port, "/metrics")[1].splitlines()]
    return sum(float(line[-1]) for line in lines if line[0].startswith("lookup_monitor_events_total"))


def told(port: int) -> str | None:
    text = page(port, "/metrics")[1]
    is_back = "lookup_monitor_model_rollbacks_total 0.0" not in text
    return text if is_back and 'lookup_monitor_model_score{peers="officer"' in text else None


def of_versions(service: Service, day: str, more: dict[str, str]) -> CompletedProcess[str] | None:
    done = service.monitor("model", "versions", more=more)
    return done if done.returncode or day in done.stdout else None


def test_a_running_service_returns_to_an_earlier_day_and_loses_no_lookup(service: Service, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a key of the tests, and of nothing else")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rule.yml").write_text(RULE)
    wanted: dict[str, Any] = {
        "quantile": 0.9,
        # While the control record is written nothing is sent; a source that fell asleep then, to a worker or to the replay, would lose its
        # place in the one order.
        "idle_after": 600.0,
        "state_key_file": tmp_path / "keys",
        "rules": tmp_path / "rules",
    }
    settings = service.settings = service.settings.model_copy(update=wanted)
    more = {f"LOOKUP_MONITOR_{name.upper()}": str(value) for name, value in wanted.items()}
    records = [orjson.dumps({"record": "actor", "id": f"a-{n}", "peer_group": "officer"}) for n in range(12)]
    # Under names that give every partition some: one without lookups would hold the others back.
    raws = [
        orjson.dumps(each).replace(b'"o-', b'"a-')
        for each in lookups(datetime.now(UTC).replace(hour=7, minute=0) - timedelta(days=57))
    ]
    half = int(len(raws) * 0.96)
    today = parse_when(orjson.loads(raws[half])["time"], 0) // 86_400_000
    back = named(today - 2)
    expected = backtest_of(service, records, raws[:half], day_of(back), raws[half:])
    assert expected != backtest_of(service, records, raws[:half], None, raws[half:]), "it makes a difference"
    send_reference(settings, records)
    send_events(settings, raws[:half])
    port = free_port()
    first = service.start_worker(port)
    wait_for(lambda: counted(port) >= half, 120, "the first lookups to be counted")

    # Models are saved once a second; what has not been learned yet cannot be returned to.
    listed = wait_for(lambda: of_versions(service, back, more), 60, "the versions")
    assert listed.returncode == 0, listed.stderr
    assert service.monitor("model", "rollback", "2001-01-01", more=more).returncode == 2
    # A version that somebody else wrote, without the key: it is left out, and the right one counts.
    forged = [record for record in service.read(SCORE_STATE) if record.key.startswith(b"\x00versions/")][-1]  # type: ignore[attr-defined]
    out = Out(SCORE_STATE, forged.partition, forged.key, (2**40).to_bytes(8, "big") + b"\x94\x01\x09\x00\x90", None)  # type: ignore[attr-defined]
    assert sum(send_chunks(settings, [out])) == 1

    done = service.monitor("model", "rollback", back, "--wait=0", more=more)
    assert done.returncode == 1, "its last place in the order is only reached with the lookups that follow"
    assert "it stands in the log" in done.stderr
    assert "1 records of" in done.stderr
    send_events(settings, raws[half:])
    said = wait_for(lambda: told(port), 60, "metrics of the models")
    assert 'lookup_monitor_model_score{peers="officer",quantile="threshold"}' in said
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    # Nothing comes any more: now they may.
    service.settings = settings.model_copy(update={"idle_after": 2.0})
    service.start_worker()
    wait_for(lambda: len(alerts_of(service)) >= len(expected), 120, f"{len(expected)} alerts")
    assert alerts_of(service) == expected
    replayed = service.monitor("replay", "--from=90d", "--wait=60", more=more)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    apart = service.monitor("model", "compare", "now", f"{back}@0.99", "--from=14d", more=more)
    assert apart.returncode == 1, apart.stdout + apart.stderr
    assert "officer" in apart.stdout
    logs = "".join(path.read_text() for path in tmp_path.glob("worker-*.log"))
    assert not [actor for actor in range(12) if f"a-{actor}" in logs], "a log line names somebody"

"""The monitor says when it is blind: canaries through real workers, sources that lose lookups."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime

import orjson
import pytest
from conftest import Service, encoded, wait_for
from test_pipeline import free_port, page, wait_until_equal

from monitor import alerts
from monitor.backtest import Backtest
from monitor.commands.ingest import send_events
from monitor.gaps import GAP_RULE
from monitor.reference import Reference
from monitor.rules import load_texts, read_dir
from monitor.stream.topics import ALERTS, CANARIES, partition_of
from tests.samples import GOOD


def value_of(port: int, series: str) -> float | None:
    """A series' value on a metrics page; ``None`` when it is not there."""
    for line in page(port, "/metrics")[1].splitlines():
        if line.startswith(f"{series} "):
            return float(line.split()[-1])
    return None


def test_a_canary_goes_the_whole_way_and_a_stopped_worker_is_seen(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKUP_MONITOR_CANARY_SLO", "4")
    service.settings = service.settings.model_copy(update={"canary_slo": 4.0, "canary_every": 1.0})
    worker = service.start_worker(port := free_port())
    wait_for(lambda: page(port, "/readyz")[0] == 200, 60, "readiness")
    wait_for(lambda: service.monitor("canary", "--once").returncode == 0, 30, "the first canary")
    arrived = service.monitor("canary", "--once")
    assert arrived.returncode == 0
    assert "4 canaries have gone the whole way" in arrived.stdout
    watcher = service.start("canary", at := free_port())
    wait_for(lambda: page(at, "/readyz")[0] == 200, 30, "the canary's readiness")
    last = value_of(at, "lookup_monitor_canary_last_success_timestamp_seconds") or 0
    assert time.time() - 30 < last <= time.time()

    worker.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        missed = service.monitor("canary", "--once")
        assert missed.returncode == 1
        assert time.monotonic() - began < 20
        assert "not answered within 4 s: detect/0, score/0, detect/1" in missed.stdout
        wait_for(lambda: page(at, "/readyz")[0] == 503, 20, "the canary to be not ready")
        assert "no answer in time from detect/0" in page(at, "/readyz")[1]
        assert (value_of(at, 'lookup_monitor_canary_missing_total{partition="0",stage="score"}') or 0) >= 1
    finally:
        worker.send_signal(signal.SIGCONT)
    wait_for(lambda: page(at, "/readyz")[0] == 200, 60, "canaries to arrive again")
    assert watcher.poll() is None
    # Nobody but the canary has heard of canaries.
    assert service.read(ALERTS) == []
    assert service.read(CANARIES, 1)
    assert 'lookup_monitor_events_total{fate="counted"} 0.0' in page(port, "/metrics")[1]
    watcher.terminate()
    assert watcher.wait(20) == 0


def test_without_kafka_a_canary_is_exit_code_2(service: Service) -> None:
    service.settings = service.settings.model_copy(update={"bootstrap": f"127.0.0.1:{free_port()}"})
    assert service.monitor("canary", "--once").returncode == 2


def numbered_log(now: float) -> list[bytes]:
    """Lookups of a register that numbers them: two are missing, and two more that only a heartbeat tells of."""
    made = []
    for number in range(200):
        if number not in (70, 71):
            made.append(lookup(now - 600 + number, f"o-{number % 40}", number))
    made.append(orjson.dumps({"kind": "heartbeat", "system": "bvi", "seq": 201, "time": text(now - 399)}))
    for ago in (300, 180):  # of another register, in all partitions: so that event time goes on
        made += [lookup(now - ago, f"o-{number}", None, system="rdw") for number in range(40)]
    return made


def text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def lookup(seconds: float, actor: str, number: int | None, system: str = "bvi") -> bytes:
    return orjson.dumps(
        {**GOOD, "id": f"{system}-{seconds}-{actor}", "system": system, "time": text(seconds), "actor": {"id": actor}, "seq": number}
    )  # fmt: skip


def test_lookups_that_never_came_are_an_alert_live_as_in_a_backtest(service: Service) -> None:
    service.settings = service.settings.model_copy(update={"gap_after": 30.0})
    settings = service.settings
    raws = numbered_log(time.time())
    run = Backtest(
        load_texts(read_dir(settings.rules)).rules, Reference([]), settings.partitions,
        lambda name: partition_of(name, settings.partitions), settings.quantile, gap_after_ms=30_000,
    )  # fmt: skip
    expected = encoded(settings, run.run(raws, int(time.time() * 1000)))
    gaps = [alerts.decode(raw) for raw in expected.values() if alerts.decode(raw).rule == GAP_RULE]
    assert [alert.reasons for alert in gaps] == [
        ["bvi: 2 lookups never came, numbers 70 to 71"],
        ["bvi: 2 lookups never came, numbers 200 to 201"],
    ]
    service.start("watch", port := free_port())
    service.start_worker()
    service.start_worker()
    send_events(settings, raws)
    wait_until_equal(service, expected, 60)
    wait_for(lambda: value_of(port, 'lookup_monitor_source_gaps_total{register="bvi"}') == 2, 10, "the metric")
    assert value_of(port, 'lookup_monitor_source_lost_total{register="bvi"}') == 4
    assert value_of(port, 'lookup_monitor_source_seen{register="bvi"}') == 198
    # The last minute may not be over.
    assert value_of(port, 'lookup_monitor_source_seen{register="rdw"}') in (40, 80)
    assert value_of(port, 'lookup_monitor_source_silent{register="bvi"}') == 0
    assert page(port, "/readyz")[0] == 200
    log = (service.folder / "watch.log").read_text()
    assert "lookups are missing from the log" in log
    assert not [actor for actor in ("o-1", "o-20") if actor in log], "a log line names somebody"

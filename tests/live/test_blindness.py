"""The monitor says when it is blind: canaries through real workers, sources that lose lookups."""

from __future__ import annotations

import signal
import time

import pytest
from conftest import Service, wait_for
from test_pipeline import free_port, page

from monitor.stream.topics import ALERTS, CANARIES


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

"""The self-check: every series is there from the start, what it finds is counted, and what breaks it does not end it."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from monitor import selfcheck
from monitor.agree import Agreement, Difference, How
from monitor.evidence import Unusable
from monitor.evidence.check import Checked
from monitor.http import serve
from monitor.selfcheck import ReplayMetrics, SelfCheck
from monitor.settings import Settings


def difference(how: How) -> Difference:
    return Difference("2026-11-24T09:00:00+01:00", "id-1", how, "A rule", "actor", "0/7")


def samples(metrics: ReplayMetrics) -> dict[tuple[str, ...], float]:
    server = serve(Settings(metrics_port=0), metrics, lambda: None)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=5) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
    finally:
        server.shutdown()
        server.server_close()
    return {
        (s.name.removeprefix("lookup_monitor_replay_"), *s.labels.values()): s.value
        for f in families
        for s in f.samples
    }


def test_every_series_is_there_before_anything_happens() -> None:
    found = samples(ReplayMetrics())
    for how in ("only-live", "only-replay", "differs", "unreadable"):
        assert found["mismatch_total", how] == 0
    for result in ("equal", "differs", "broken"):
        assert found["runs_total", result] == 0
    for gauge in ("compared_alerts", "left_out_alerts", "duration_seconds", "last_success_timestamp_seconds"):
        assert found[gauge,] == 0
    assert not any("/" in label or "o-" in label for name in found for label in name[1:])


def test_what_is_found_is_counted() -> None:
    results = [
        Agreement(equal=5, left_out={"A": 2, "B": 1}),
        Agreement(equal=4, differences=[difference("only-live"), difference("only-live"), difference("differs")]),
    ]
    checks = SelfCheck(lambda: Checked(results.pop(0), 10, 0), 60)
    assert checks.why_not_ready is not None
    assert checks.once()
    assert checks.why_not_ready is None
    found = samples(checks.metrics)
    assert (found["compared_alerts",], found["left_out_alerts",], found["runs_total", "equal"]) == (5, 3, 1)
    assert found["last_success_timestamp_seconds",] > 1e9
    with capture_logs() as logs:
        assert checks.once()
    found = samples(checks.metrics)
    assert (found["mismatch_total", "only-live"], found["mismatch_total", "differs"]) == (2, 1)
    assert (found["compared_alerts",], found["left_out_alerts",], found["runs_total", "differs"]) == (7, 0, 1)
    assert [each["place"] for each in logs if each["event"] == "alert differs"] == ["0/7"] * 3


@pytest.mark.parametrize(
    ("error", "why"),
    [(Unusable("the workers are 3 messages behind"), "3 messages behind"), (KeyError("o-secret"), "KeyError")],
)
def test_what_breaks_is_said_without_naming_anybody(error: Exception, why: str) -> None:
    def act() -> Checked:
        raise error

    checks = SelfCheck(act, 60)
    with capture_logs() as logs:
        assert not checks.once()
    assert why in str(checks.why_not_ready)
    assert "o-secret" not in f"{checks.why_not_ready}{logs}"
    found = samples(checks.metrics)
    assert (found["runs_total", "broken"], found["last_success_timestamp_seconds",]) == (1, 0)


class Paused(threading.Event):
    """Notes how long is waited instead of waiting, and stops after some times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._times = times

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0)
        if len(self.waits) >= self._times:
            self.set()
        return self.is_set()


def test_it_goes_on_and_comes_back_sooner_after_it_broke() -> None:
    results: list[bool] = [True, False, True]

    def act() -> Checked:
        if not results.pop(0):
            raise OSError
        return Checked(Agreement(), 0, 0)

    stop = Paused(3)
    SelfCheck(act, 86_400).run(stop)
    assert not results
    first, second, third = stop.waits
    assert first > 86_000
    assert 200 < second <= 300
    assert third > 86_000


def test_it_has_its_pages_and_ends_when_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[int, float]] = []
    stop = threading.Event()

    def recheck(settings: Settings, span_ms: int, wait: float) -> Checked:
        port = capsys.readouterr().out.rsplit(":", 1)[1].partition("/")[0]
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5)
        assert answer.value.code == 503
        seen.append((span_ms, wait))
        stop.set()
        return Checked(Agreement(), 0, 0)

    monkeypatch.setattr(selfcheck, "recheck", recheck)
    selfcheck.serve_checks(Settings(metrics_port=0), 60_000, 7_000, 5.0, stop)
    assert seen == [(7_000, 5.0)]

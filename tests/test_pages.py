"""Metrics, pages and settings of a worker."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

from monitor.events import REASONS
from monitor.http import serve
from monitor.metrics import FATES, STAGES, CanaryMetrics, Metrics
from monitor.settings import Settings, pack_dir

LABELS = {
    "fate",
    "rule",
    "level",
    "reason",
    "stage",
    "partition",
    "le",
    "version",
    "above",
    "peers",
    "quantile",
    "feature",
}


class Page:
    """A running server, and what it is told about readiness."""

    def __init__(self) -> None:
        self.why: str | None = "starting"
        self.metrics = Metrics([("rule-1", "high")], partitions=2)
        self.server = serve(Settings(metrics_port=0), self.metrics, lambda: self.why)

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.server.server_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture
def page() -> Iterator[Page]:
    running = Page()
    yield running
    running.server.shutdown()
    running.server.server_close()


def test_the_pages(page: Page) -> None:
    assert page.get("/healthz") == (200, "ok\n")
    assert page.get("/readyz") == (503, "starting\n")
    page.why = None
    assert page.get("/readyz") == (200, "ready\n")
    assert page.get("/secret")[0] == 404


def test_every_series_is_there_before_anything_happens(page: Page) -> None:
    families = {family.name: family for family in text_string_to_metric_families(page.get("/metrics")[1])}
    assert all(name.startswith("lookup_monitor_") for name in families)
    samples = {(s.name, *sorted(s.labels.values())): s.value for f in families.values() for s in f.samples}
    for fate in FATES:
        assert samples["lookup_monitor_events_total", fate] == 0
    for reason in REASONS:
        assert samples["lookup_monitor_dlq_total", reason] == 0
    assert samples["lookup_monitor_alerts_total", "high", "rule-1"] == 0
    for stage in STAGES:
        for partition in "01":
            assert samples["lookup_monitor_lag", partition, stage] == 0
            assert samples["lookup_monitor_last_progress_timestamp_seconds", partition, stage] == 0
    for histogram in ("lateness", "end_to_end", "rule", "model"):
        assert samples[f"lookup_monitor_{histogram}_seconds_count",] == 0
    assert {label for f in families.values() for s in f.samples for label in s.labels} <= LABELS


def test_the_canarys_series_are_there_before_anything_happens() -> None:
    samples = [sample for family in CanaryMetrics(partitions=2).registry.collect() for sample in family.samples]
    missing = {(s.labels["stage"], s.labels["partition"]) for s in samples if s.name.endswith("canary_missing_total")}
    assert missing == {(stage, partition) for stage in ("detect", "score") for partition in "01"}
    assert {label for sample in samples for label in sample.labels} <= LABELS


def test_a_taken_port_is_an_error_not_a_second_server(page: Page) -> None:
    with pytest.raises(OSError, match="in use"):
        serve(Settings(metrics_port=page.server.server_port), page.metrics, lambda: None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("PARTITIONS", "0"), ("PARTITIONS", "many"), ("QUANTILE", "1"), ("METRICS_PORT", "70000"), ("LOG_LEVEL", "LOUD")],
)
def test_a_wrong_setting_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"LOOKUP_MONITOR_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


def test_a_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKUP_MONITOR_BOOTSTRAP", "kafka-1:9092,kafka-2:9092")
    monkeypatch.setenv("LOOKUP_MONITOR_RULES", "/some/rules")
    assert Settings().bootstrap == "kafka-1:9092,kafka-2:9092"
    assert Settings().rules == Path("/some/rules")


def test_the_pack_is_found() -> None:
    assert list(pack_dir().rglob("*.yml"))

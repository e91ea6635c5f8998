"""A short torture: real Kafka and workers under every kind of fault end where one undisturbed backtest ends."""

from __future__ import annotations

from pathlib import Path

from tests.torture.run import torture


def test_under_faults_the_service_ends_where_the_backtest_ends(tmp_path: Path) -> None:
    report = torture(seed=1, minutes=0.35, folder=tmp_path)
    assert report.differences == [], "\n".join([*report.differences[:50], *report.log, report.summary()])
    # How many fit depends on the machine; a longer run by hand has every kind.
    assert report.faults.total() >= 1
    assert report.alerts
    assert report.refused >= report.poison > 0

"""The measurements that need a broker, at tiny sizes: each peer does the whole job, and a wrong count is no measurement."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.peers.contender import Broken
from bench.recovery import measure_at, states_of
from bench.suites import count, latency, turns, whole
from monitor import local_kafka

#: They are of what measures, not of what is measured.
pytestmark = pytest.mark.skipif(
    "LOOKUP_MONITOR_LONG_TESTS" not in os.environ, reason="a minute and a half; set LOOKUP_MONITOR_LONG_TESTS"
)


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with local_kafka.start(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka.bootstrap


def test_peers_count_as_we_do_and_a_wrong_count_is_broken(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    size = count.Size(8_000, 1, bootstrap=bootstrap)
    peers = {one.name: one for one in count.CONTENDERS}
    found = count.run(size, print, tuple(peers[name] for name in ("aiokafka-loop", "streams-count", "ours-count")))
    assert len(found.rows) == 3
    assert all(row[6] for row in found.rows), "every one tells its processor time"
    right = turns.expected_alerts
    monkeypatch.setattr(turns, "expected_alerts", lambda counted: right(counted) + 1)
    with pytest.raises(Broken, match="confluent-loop raised"):
        count.run(size, print, (peers["confluent-loop"],))


def test_the_whole_pipeline(bootstrap: str) -> None:
    found = whole.run(whole.Size(8_000, 1, bootstrap=bootstrap), print, (2,), ())
    assert [row[0] for row in found.rows] == ["ours-whole-2"]


def test_recovery(bootstrap: str, tmp_path: Path) -> None:
    found = measure_at(bootstrap, states_of(20, 2), 300, str(tmp_path))
    assert [(one.store, one.keys) for one in found] == [("memory", 300), ("rocksdb", 300)]


def test_latency() -> None:
    found = latency.run(latency.Size(heap=2_000, seconds=2.0, warm=0.5, tokens=100, workers=1, rate=200.0), print)
    (row,) = found.rows
    assert row[3] == 6, "400 lookups, one in 50 alerts, the first two in the warm-up"
    assert row[4] <= row[6] <= row[7]

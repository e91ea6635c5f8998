"""The measurement of incidents counts each actor once, at the most urgent of their incidents."""

from __future__ import annotations

from pathlib import Path

import orjson

from bench.incidents import measure
from monitor.alerts import encode
from tests.incidents.made import T0, alert


def test_who_is_told_of_whom(tmp_path: Path) -> None:
    made = [
        alert("a", "high", ("o-1",)),
        alert("b", "low", ("o-2",), ts=T0 + 1),
        alert("c", "high", ("o-1", "o-3"), ("p-7",), ts=T0 + 2),
        alert("d", "medium", ("o-4",), ("p-8",), ts=T0 + 3),
    ]
    (tmp_path / "alerts.jsonl").write_bytes(b"\n".join(map(encode, reversed(made))) + b"\n")
    labels = [{"actors": ["o-1"]}, {"actors": ["o-4", "o-5"]}]
    (tmp_path / "labels.jsonl").write_bytes(b"\n".join(map(orjson.dumps, labels)) + b"\n")
    _, pager, desk, supervisor, none, missing, pages = measure(tmp_path)
    assert [line.split() for line in (pager, desk, supervisor, none)] == [
        ["pager", "misusers", "1", "innocents", "1"],
        ["desk", "misusers", "1", "innocents", "0"],
        ["supervisor", "misusers", "0", "innocents", "1"],
        ["none", "misusers", "0", "innocents", "0"],
    ]
    assert "1 of 3" in missing
    assert pages.split()[:2] == ["pages", "2,"]

"""The gate: a slow-down and other alerts are caught, the same tree passes. By processor time, with limits far from the noise."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import orjson
import pytest

from bench import gate
from bench.gate import Compared, Ratio, code_of, compare, differences, one_round, ratio_of
from bench.peers.contender import ROOT, Broken
from bench.report import MET, MISSED
from bench.tree import Log, Tree, write_log

SLOW = """

_at_once = enrich


def enrich(*given, **named):
    sum(range(20_000))
    return _at_once(*given, **named)
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return write_log(tmp_path_factory.mktemp("log"), 400, 20)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout that is like this one."""
    for name in ("monitor", "rules"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_same_tree_passes(log: Log) -> None:
    found = compare(ROOT, ROOT, log, limit=0.5, rounds=3, most=6, turns=1)
    assert found.differences == []
    assert code_of(found, 0.5) == MET


def test_a_slow_down_is_caught(log: Log, copy: Path) -> None:
    with (copy / "monitor" / "enrich.py").open("a") as file:
        file.write(SLOW)
    found = compare(ROOT, copy, log, limit=0.1, rounds=3, most=6, turns=1)
    assert found.differences == [], "it is slower, not different"
    assert code_of(found, 0.1) == MISSED
    assert found.ratio.low > 1.1


def test_other_alerts_are_caught_and_named(log: Log, copy: Path, tmp_path: Path) -> None:
    with Tree(ROOT, log) as tree:
        tree.ready()
        assert tree.run(tmp_path / "a").alerts > 0
    rule = orjson.loads((tmp_path / "a").read_bytes().splitlines()[0])["rule"]["id"]
    (file,) = [path for path in (copy / "rules").rglob("*.yml") if f"\nid: {rule}" in path.read_text()]
    text = file.read_text()
    file.write_text(text.replace("\ntitle: ", "\ntitle: Now ").replace("title: ", "title: Now ", 1))
    ratio, differing = one_round(ROOT, copy, log, 1, tmp_path, 0)
    assert differing
    assert rule in " ".join(differing)
    assert code_of(Compared(Ratio(ratio, 0.0, math.inf), 1, differing), 0.05) == MISSED


def test_the_ratio_and_its_interval() -> None:
    found = ratio_of([1.0, 2.0, 4.0])
    assert found.value == pytest.approx(2.0)
    # Student's t with two degrees of freedom is 4.303; the logarithms spread by ln 2.
    assert found.high == pytest.approx(2 * math.exp(4.303 * math.log(2) / math.sqrt(3)), rel=1e-3)
    assert found.low * found.high == pytest.approx(4.0)
    with pytest.raises(ValueError, match="two rounds"):
        ratio_of([1.0])


@pytest.mark.parametrize(
    ("low", "high", "code"), [(1.06, 1.2, MISSED), (0.9, 1.05, MET), (0.98, 1.2, None), (1.01, 1.04, MET)]
)
def test_it_is_slower_only_when_that_is_sure(low: float, high: float, code: int | None) -> None:
    assert code_of(Compared(Ratio(1.0, low, high), 6, []), 0.05) == code


def test_differences_are_named() -> None:
    def line(name: str, score: float) -> bytes:
        return orjson.dumps({"id": name, "rule": {"id": "r"}, "score": score}) + b"\n"

    base = line("a", 1) + line("b", 1) + line("c", 1)
    assert differences(base, base) == []
    assert differences(base, line("a", 1) + line("b", 2) + line("d", 1)) == [
        "1 lost: c (r)",
        "1 added: d (r)",
        "1 changed: b (r)",
    ]
    assert differences(base, line("b", 1) + line("a", 1) + line("c", 1)) == ["the same alerts in another order"]


def test_a_tree_that_cannot_be_measured_is_no_verdict(log: Log, tmp_path: Path) -> None:
    with Tree(tmp_path, log) as tree, pytest.raises(Broken, match="exit code 1"):
        tree.ready()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_the_base_is_checked_out_apart_and_removed() -> None:
    with gate.checkout("HEAD") as tree:
        assert (tree / "monitor" / "detector.py").is_file()
        assert tree != ROOT
    assert not tree.exists()
    assert str(tree) not in gate.git("worktree", "list")

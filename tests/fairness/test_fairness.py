"""Whom alerts fall upon: true disparities are found, none are not, and figures of few are nobody's."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from math import inf
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from monitor import events
from monitor.alerts import encode
from monitor.cli import app
from monitor.fairness.assess import FEWEST_ACTORS, POOLED, assess, pool, shifts
from monitor.fairness.counts import Cell, History, shift_of
from monitor.fairness.intervals import adjusted, garwood, two_sided, wilson
from monitor.feedback.disposition import Disposition
from monitor.feedback.disposition import encode as encode_disposition
from monitor.reference import Reference
from tests.fairness.made import T0, alert, biased, cells, event, poisson, thinned

DAY = 86_400_000


def test_wilson_is_as_published() -> None:
    """R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    for hits, total, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = wilson(hits, total)
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert wilson(0, 0) == (0.0, 1.0)


def test_garwood_is_as_published() -> None:
    """F. Garwood, Biometrika 28 (1936): the limits of a Poisson count."""
    for count, low, high in ((0, 0.0, 3.69), (1, 0.03, 5.57), (10, 4.80, 18.39), (20, 12.22, 30.89)):
        found = garwood(count, 1.0)
        assert (round(found.low, 2), round(found.high, 2)) == (low, high)
    assert garwood(3, 0.0) == (0.0, inf)
    wide, narrow = garwood(20, 10.0, 4.0), garwood(20, 10.0)
    assert wide.low < narrow.low < 2.0 < narrow.high < wide.high


def test_garwood_covers_what_it_says() -> None:
    chance = random.Random(1)
    for mean in (0.7, 4.0, 15.0):
        hits = sum(low <= mean <= high for low, high in (garwood(poisson(chance, mean), 1.0) for _ in range(2_000)))
        assert hits >= 0.945 * 2_000


def test_probabilities_of_students_t() -> None:
    assert round(two_sided(2.228, 10), 3) == 0.05
    assert round(two_sided(-1.96, 1e9), 3) == 0.05


def test_adjusted_is_as_published() -> None:
    """Y. Benjamini, Y. Hochberg, J. R. Statist. Soc. B 57 (1995), section 3.2: four of fifteen are found at 0.05."""
    values = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1.0,
    ]
    assert sum(each < 0.05 for each in adjusted(values)) == 4


@given(st.lists(st.floats(0, 1), max_size=30))
def test_adjusting_keeps_the_order_and_lowers_nothing(values: list[float]) -> None:
    made = adjusted(values)
    assert all(before <= after + 1e-12 <= 1 + 1e-9 for before, after in zip(values, made, strict=True))
    order = sorted(range(len(values)), key=lambda at: values[at])
    assert all(made[one] <= made[two] for one, two in pairwise(order))


def test_a_true_disparity_of_two_is_found_and_in_the_right_group() -> None:
    found = [
        [(row.dimension, row.group) for row in assess(cells(seed, factor=2.0)) if row.is_found] for seed in range(20)
    ]
    assert sum(("unit", "u3") in each for each in found) >= 18


@pytest.mark.parametrize("heavy", [1e6, 1.0])
def test_where_there_is_none_it_does_not_cry(heavy: float) -> None:
    """At most one report in twenty should; 60 reports with more than seven have a probability of less than 0.02 then."""
    cried = sum(any(row.is_found for row in assess(cells(seed, 240, heavy=heavy))) for seed in range(60))
    assert cried <= 7


def test_actors_that_differ_among_themselves_are_no_disparity_of_their_unit() -> None:
    """One actor with a hundred alerts: an interval and a test that took alerts as independent would find their unit."""
    made = cells(3)
    for group in made.values():
        if "a3" in group:
            group["a3"].episodes += 100
    assert not [row.group for row in assess(made) if row.is_found]
    (row,) = [row for row in assess(made) if row.group == "u3"]
    assert row.per_week > 1.2
    assert row.per_week_interval.low < 0.5


def test_other_verdicts_in_one_group_are_found() -> None:
    made = cells(4)
    for cell in made["unit", "u3"].values():
        cell.confirmed = 0
    assert [row.group for row in assess(made) if row.by_verdicts.is_found] == ["u3"]


def test_figures_of_few_are_pooled_or_left_out() -> None:
    made = cells(5)
    for number in range(4):
        made["unit", f"tiny-{number % 2}"] = {f"x{number}": Cell(100, 4, 50, 50, 50)}
    made["site", "alone"] = {"x9": Cell(100, 4, 50, 50, 50)}
    assert not {group for group in pool(made) if group[1].startswith(("tiny", "alone"))}
    assert ("unit", POOLED) not in pool(made)  # two of one actor each are too few together
    for number in range(6):
        made["unit", f"small-{number}"] = {f"y{number}": Cell(100, 4, 1)}
    together = pool(made)["unit", POOLED]
    assert len(together) == 8
    assert all(len(actors) >= FEWEST_ACTORS for actors in pool(made).values())


def test_a_shift_towards_or_away_from_a_group_is_found() -> None:
    halved = [shifts(old := cells(seed), thinned(old, seed, 0.8, "u3", 0.4)) for seed in range(20)]
    assert sum(any(each.group == "u3" and each.test.is_found for each in one) for one in halved) >= 18
    ratios = [each.test.ratio or 0 for one in halved for each in one if each.group == "u3"]
    assert 0.3 < sum(ratios) / len(ratios) < 0.7


def test_fewer_alerts_for_all_alike_are_no_shift() -> None:
    alike = [shifts(old := cells(seed, heavy=1.0), thinned(old, seed, 0.7)) for seed in range(40)]
    assert sum(any(each.test.is_found for each in one) for one in alike) <= 4
    old = cells(1)
    assert not any(each.test.is_found for each in shifts(old, old))


def history_of(log: list[bytes], evidence: set[str], reference: Reference | None = None) -> History:
    history = History(reference or Reference(), evidence)
    for raw in log:
        history.see(events.decode(raw, received_ms=1 << 50))
    return history


def test_what_is_counted_where() -> None:
    log = [
        event(1, "o-1", T0 + 8 * 3_600_000),
        event(2, "o-1", T0 + DAY + 23 * 3_600_000, site=None),
        event(3, "o-1", T0 + 8 * DAY + 16 * 3_600_000),
        event(4, "o-2", T0 + 9 * 3_600_000, "u2"),
    ]
    raised = [
        alert("one", ["o-1"], ["e-1"]),
        alert("two", ["o-1"], ["e-1", "e-2"], T0 + 1),  # the same rule and week: the same episode
        alert("three", ["o-1", "o-2"], ["e-1", "e-3", "e-4"], T0 + 8 * DAY),
        alert("nobody", ["o-9"], ["e-9"]),
    ]
    said = {"one": "benign", "two": "true-misuse", "three": "unsure"}
    made = history_of(log, {"e-1", "e-2", "e-3", "e-4", "e-9"}).count(raised, said)
    assert made["unit", "u1"] == {"o-1": Cell(3, 2, 2, 1, 1)}
    assert made["unit", "u2"] == {"o-2": Cell(1, 1, 1, 0, 0)}
    assert made["shift", "day"] == {"o-1": Cell(1, 1, 1, 1, 1), "o-2": Cell(1, 1, 1, 0, 0)}
    assert made["shift", "late"] == {"o-1": Cell(1, 1, 1, 0, 0)}
    assert made["shift", "night"] == {"o-1": Cell(1, 1, 0)}
    assert made["site", "unknown"] == {"o-1": Cell(1, 1, 0)}
    assert made["role", "officer"]["o-1"].lookups == 3


def test_the_order_of_lookups_and_alerts_changes_no_digit() -> None:
    log, raised = biased(5, 1.5)
    evidence = {event for each in raised for event in each.events}
    rows = assess(history_of(log, evidence).count(raised, {}))
    chance = random.Random(1)
    again = assess(history_of(chance.sample(log, len(log)), evidence).count(chance.sample(raised, len(raised)), {}))
    assert again == rows


def test_the_unit_is_the_references_not_the_query_systems() -> None:
    from monitor.reference import decode

    known = Reference([decode(b'{"record": "actor", "id": "o-1", "unit": "real", "role": "clerk"}')])
    made = history_of([event(1, "o-1", T0, "claimed")], set(), known).count([], {})
    assert ("unit", "real") in made
    assert ("role", "clerk") in made
    assert ("unit", "claimed") not in made


@pytest.mark.parametrize(
    ("hour", "shift"), [(0, "night"), (6, "night"), (7, "day"), (14, "day"), (15, "late"), (22, "late"), (23, "night")]
)
def test_shifts(hour: int, shift: str) -> None:
    assert shift_of(hour) == shift


def written(folder: Path, factor: float, name: str = "alerts", seed: int = 3) -> Path:
    log, raised = biased(seed, factor)
    folder.mkdir(exist_ok=True)
    (folder / "events.jsonl").write_bytes(b"\n".join(log))
    (folder / "reference.jsonl").write_bytes(b"")
    (folder / f"{name}.jsonl").write_bytes(b"\n".join(map(encode, raised)))
    said = [Disposition(verdict="benign", by="d", time="2026-09-01T00:00:00Z", alert=each.id) for each in raised[::2]]
    (folder / "dispositions.jsonl").write_bytes(b"\n".join(map(encode_disposition, said)))
    return folder


def run(folder: Path, *more: str) -> tuple[int, str]:
    files = [f"--{name}={folder / name}.jsonl" for name in ("events", "reference", "alerts", "dispositions")]
    done = CliRunner().invoke(app, ["report", "fairness", *files, *more], env={"COLUMNS": "240"})
    return done.exit_code, done.output


def test_the_command_finds_a_disparity_and_none(tmp_path: Path) -> None:
    code, said = run(written(tmp_path / "biased", 2.5))
    assert code == 1
    assert any("u3" in line and "◀" in line for line in said.splitlines())
    code, said = run(written(tmp_path / "fair", 1.0), "--format", "json")
    assert code == 0, said
    rows = {row["group"]: row for row in orjson.loads(said)["groups"]}
    assert rows["u3"]["actors"] == 30
    assert rows["u3"]["judged"] > 10
    assert rows["u3"]["per_week_interval"][0] < rows["u3"]["per_week"] < rows["u3"]["per_week_interval"][1]


def test_the_command_finds_what_other_rules_shift_and_writes_metrics(tmp_path: Path) -> None:
    fair, biased_ = written(tmp_path / "fair", 1.0), written(tmp_path / "biased", 3.0)
    page = tmp_path / "fairness.prom"
    code, said = run(fair, f"--against={biased_ / 'alerts.jsonl'}", f"--textfile={page}")
    assert code == 1, said
    assert re.search(r'^lookup_monitor_fairness_shifts{dimension="unit"} [1-9]', page.read_text(), re.M)
    assert 'lookup_monitor_fairness_disparities{dimension="unit"} 0.0' in page.read_text()
    assert "o-1" not in page.read_text()
    code, _ = run(fair, f"--against={fair / 'alerts.jsonl'}")
    assert code == 0


def test_a_command_used_wrongly_is_exit_code_2(tmp_path: Path) -> None:
    folder = written(tmp_path / "fair", 1.0)
    assert CliRunner().invoke(app, ["report", "fairness", f"--events={folder / 'events.jsonl'}"]).exit_code == 2
    (folder / "alerts.jsonl").write_bytes(b"{}\n")
    code, said = run(folder)
    assert code == 2
    assert "alerts.jsonl:1: not an alert" in said

"""The fit finds the law that points were made by, says how sure it is, and its pictures are always the same."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.fit import fit
from bench.plot import svg
from bench.suites.outcome import Goal

SIZES = [10.0, 30.0, 100.0, 300.0, 1000.0]
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "performance"


@given(st.floats(-2, 3), st.floats(0.01, 1000))
def test_an_exact_law_is_found_exactly(exponent: float, factor: float) -> None:
    law = fit(SIZES, [factor * size**exponent for size in SIZES])
    assert law.exponent == pytest.approx(exponent, abs=1e-6)
    assert law.factor == pytest.approx(factor, rel=1e-5)
    assert law.low <= law.exponent <= law.high
    assert law.high - law.low < 1e-4
    assert law.at(50.0) == pytest.approx(factor * 50**exponent, rel=1e-5)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    chance = random.Random(3)
    held = 0
    for _ in range(400):
        law = fit(SIZES, [5 * size**0.5 * chance.lognormvariate(0, 0.2) for size in SIZES])
        held += law.low <= 0.5 <= law.high
    assert 0.92 <= held / 400 <= 0.98


def test_other_units_change_no_exponent() -> None:
    costs = [3.0, 4.0, 9.0, 20.0, 21.0]
    one, other = fit(SIZES, costs), fit([size * 60 for size in SIZES], [cost / 1e6 for cost in costs])
    assert other[:3] == pytest.approx(one[:3])


def test_a_cost_that_grows_with_the_square_misses_the_goal_of_a_line() -> None:
    law = fit(SIZES, [size**2 for size in SIZES])
    assert not Goal("exponent", law.exponent, 1.1).met
    assert Goal("exponent", fit(SIZES, SIZES).exponent, 1.1).met


@pytest.mark.parametrize(
    ("sizes", "costs"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, 2.0, 3.0], [1.0, 2.0]),
        ([2.0] * 3, [1.0] * 3),
        ([1.0, 2.0, 3.0], [0.0, 1.0, 2.0]),
    ],
)
def test_what_no_law_can_be_put_through(sizes: list[float], costs: list[float]) -> None:
    with pytest.raises(ValueError, match=r"sizes|points"):
        fit(sizes, costs)


@given(st.dictionaries(st.integers(0, 20), st.floats(0.01, 1e6), min_size=3, max_size=8))
def test_a_picture_holds_all_points_and_is_the_same_again(points: dict[int, float]) -> None:
    sizes, costs = [2.0**power for power in points], list(points.values())
    law = fit(sizes, costs)
    made = svg("a < b & c", "actors", "µs", sizes, costs, law)
    assert made == svg("a < b & c", "actors", "µs", sizes, costs, law)
    root = ET.fromstring(made)
    dots = root.findall("{http://www.w3.org/2000/svg}circle")
    assert len(dots) == len(points)
    for dot in dots:
        assert 60 <= float(dot.attrib["cx"]) <= 428
        assert 30 <= float(dot.attrib["cy"]) <= 258


def test_every_picture_that_is_kept_is_shown() -> None:
    text = (FOLDER.parent / "performance.md").read_text()
    pictures = sorted(FOLDER.glob("*.svg"))
    assert len(pictures) >= 6
    for picture in pictures:
        ET.fromstring(picture.read_text())
        assert f"performance/{picture.name}" in text

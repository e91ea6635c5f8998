"""What is made of two looks at workers, and of turns; the measurement itself is run by hand."""

from __future__ import annotations

import pytest

from bench.scale import Look, Turn, ratio_of, turn_of


def test_a_turn_is_what_happened_between_two_looks() -> None:
    first, last = Look(200, 10.0, 5.0, 1.0), Look(900, 12.0, 6.4, 1.07)
    assert turn_of(2, first, last) == pytest.approx((2, 350.0, 2000.0, 100.0))


def test_a_turn_in_which_nothing_was_counted_says_nothing() -> None:
    with pytest.raises(ValueError, match="nothing was counted"):
        turn_of(1, Look(5, 1.0, 0.0, 0.0), Look(5, 2.0, 1.0, 0.0))


def test_the_ratio_is_that_of_the_medians() -> None:
    turns = [
        Turn(count, rate, 0.0, 0.0) for count, rate in ((1, 100), (2, 150), (1, 200), (2, 360), (1, 900), (2, 300))
    ]
    assert ratio_of(turns) == 1.5

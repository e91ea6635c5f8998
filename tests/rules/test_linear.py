"""No lookup makes matching take longer than in proportion to its length.

Each test compares the time of an input with that of one 16 times as long: in proportion it is 16 times as long, by the square
256 times. The bound lies between, three times what is in proportion, since what is longer may not fit in the processor's caches;
nothing depends on how fast the machine is.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from time import thread_time
from typing import Any

import pytest

from monitor.detector import KeyState
from monitor.rules.kinds import KINDS
from monitor.rules.kinds.chance import chance_of
from monitor.rules.kinds.sequence import numbers_in
from monitor.rules.state import Entry
from monitor.rules.values import number_of, time_of
from tests.rules.samples import correlation, detection, rules
from tests.samples import lookup

TIMES = 16
BOUND = 48.0
SIZE = 1_500
TRIES = 8


def growth(run: Callable[[int], Callable[[], Any]], size: int = SIZE) -> float:
    """How many times longer it takes for a size 16 times as large; the least of several tries, against noise.

    Noise makes single measurements longer, and :func:`fastest` takes the least of several: what grows by the square does not
    come under the bound by trying again, and the first try under the bound is enough.
    """
    small, large = run(size), run(TIMES * size)
    least = float("inf")
    for _ in range(TRIES):
        least = min(least, fastest(large) / fastest(small))
        if least < BOUND:
            break
    return least


@pytest.fixture(autouse=True)
def no_collections() -> Iterator[None]:
    """A garbage collection in the middle costs by what else is in memory, and not by the input."""
    gc.disable()
    yield
    gc.enable()


def fastest(run: Callable[[], Any]) -> float:
    """Seconds of one run: the least of several measurements of so many runs that a clock can tell."""
    times = 1
    while True:
        spent = []
        for _ in range(3):
            began = thread_time()
            for _ in range(times):
                run()
            spent.append(thread_time() - began)
        if min(spent) > 0.002:
            return min(spent) / times
        times *= 4


def test_the_measurement_tells_the_square_from_the_line() -> None:
    assert growth(lambda size: lambda: sum(range(size))) < BOUND
    assert growth(lambda size: lambda: [sum(range(size)) for _ in range(0, size, 100)], 250) > BOUND


def asked(selection: Any) -> Callable[[dict[str, Any]], Callable[[], Any]]:
    ruleset = rules(detection(selection))
    return lambda fields: lambda: ruleset.matches({**lookup(), **fields})


TEXTS: list[tuple[Any, Callable[[int], dict[str, Any]]]] = [
    ({"x": "*a*a*a*a*a*a*a*b*"}, lambda n: {"x": "a" * n}),
    ({"x": "*ab*ab*ab*ab*ab*c"}, lambda n: {"x": "ab" * n + "d"}),
    ({"x": "a" * 40 + "*" + "a" * 40 + "*b"}, lambda n: {"x": "a" * n}),
    ({"x": "*" + "a" * 60 + "b*" + "a" * 60 + "c*"}, lambda n: {"x": "a" * n}),
    ({"x": "*a?a?a?a?a?a?b*"}, lambda n: {"x": "a" * n}),
    ({"x": "??*??*??*b"}, lambda n: {"x": "a" * n}),
    ({"x|contains": "aab"}, lambda n: {"x": "a" * n}),
    ({"x|re": "(a+)+b$"}, lambda n: {"x": "a" * n + "c"}),
    ({"x|re": "(a|aa|a?)*(a|b)*c"}, lambda n: {"x": "a" * n}),
    ({"x|re": "(.*)(.*)(.*)(.*)x$"}, lambda n: {"x": "a" * n}),
    ({"x|re|i|m|s": "^(([a-z])+.)+[A-Z]([a-z])+$"}, lambda n: {"x": "a" * n}),
    ({"x|cidr": "10.0.0.0/8"}, lambda n: {"x": "1." * n}),
    ({"x|cidr": "fd00::/8"}, lambda n: {"x": ":" * n}),
    ({"x|gt": 5}, lambda n: {"x": "1" * n}),
    ({"x|hour": 5}, lambda n: {"x": "2026-11-24T" + "0" * n}),
    ({"x": [f"v{k}" for k in range(1000)]}, lambda n: {"x": ["a"] * n}),
    ({"x|contains": [f"v{k}" for k in range(1000)]}, lambda n: {"x": "v" * n}),
    ({"x|startswith": [f"v{k}" for k in range(20)]}, lambda n: {"x": ["v"] * n}),
    ({"x|contains|all": ["ab", "ba"]}, lambda n: {"x": ["ab"] * n}),
    ([f"needle{k}" for k in range(500)], lambda n: {"x": "needle" * n}),
    (["a" * k + "b" for k in range(1, 50)], lambda n: {"x": "a" * n}),
    ({"|re": ["(n+)+e$"]}, lambda n: {"x": "n" * n}),
    ({"x|neq": ["a", "b"]}, lambda n: {"x": ["c"] * n}),
]


@pytest.mark.parametrize(("selection", "fields"), TEXTS, ids=lambda part: "text" if callable(part) else str(part)[:40])
def test_a_long_value(selection: Any, fields: Callable[[int], dict[str, Any]]) -> None:
    run = asked(selection)
    assert growth(lambda size: run(fields(size))) < BOUND


@pytest.mark.parametrize("how", ["", "|startswith", "|endswith", "|contains", "|neq"])
@pytest.mark.parametrize("same", ["nothing in common", "much in common"])
def test_long_lists_on_both_sides_of_a_field_reference(how: str, same: str) -> None:
    run = asked({f"x|fieldref{how}": "y"})
    stem = "" if same.startswith("nothing") else "a" * 20

    def fields(size: int) -> dict[str, Any]:
        return {"x": [f"{stem}x{k}{stem}" for k in range(size)], "y": [f"{stem}y{k}{stem}" for k in range(size)]}

    assert growth(lambda size: run(fields(size)), 500) < BOUND


def test_long_texts_on_both_sides_of_a_field_reference() -> None:
    run = asked({"x|fieldref|contains": "y"})
    assert growth(lambda size: run({"x": "a" * size, "y": "a" * (size // 2) + "b"})) < BOUND


@pytest.mark.parametrize("digit", ["1", "1_", "1e", ".", "-", "٣"])
def test_a_long_text_is_no_number_and_no_time(digit: str) -> None:
    assert growth(lambda size: lambda: number_of(digit * size)) < BOUND
    assert growth(lambda size: lambda: time_of(digit * size)) < BOUND
    assert number_of(digit * 1000) is None
    assert time_of(digit * 1000) is None


def test_a_lookup_with_many_fields() -> None:
    run = asked(["needle", "pin", {"x": "a"}])
    assert growth(lambda size: run({f"f{k}": "hay" for k in range(size)}), 250) < BOUND


# Correlations: what they look at in one lookup

BASE = detection({"action": "read"})
LOOKED_AT: list[tuple[dict[str, Any], Callable[[int], Any]]] = [
    ({"type": "value_count", "condition": {"field": "x", "gte": 9}}, lambda n: ["a"] * n),
    ({"type": "value_count", "condition": {"field": "x", "gte": 9}}, lambda n: "É" * n),
    ({"type": "new_value", "condition": {"field": "x"}}, lambda n: [f"v{k}" for k in range(n)]),
    ({"type": "value_sum", "condition": {"field": "x", "gte": 9}}, lambda n: ["1.5"] * n),
    ({"type": "value_median", "condition": {"field": "x", "gte": 9}}, lambda n: list(range(n))),
    ({"type": "value_percentile", "timespan": "90d", "condition": {"field": "x", "gte": 9}}, lambda n: ["1_0"] * n),
    ({"type": "sequence_run", "condition": {"field": "x", "gte": 9}}, lambda n: "1" * n),
    ({"type": "sequence_run", "condition": {"field": "x", "gte": 9}}, lambda n: "1 " * n),
    ({"type": "event_count", "group_by": ["actor.id", "x"]}, lambda n: ["a|b"] * n),
    ({"type": "event_count", "group_by": ["x"], "grace": "1h"}, lambda n: "|%" * n),
]


@pytest.mark.parametrize(("body", "value"), LOOKED_AT, ids=lambda part: "value" if callable(part) else str(part)[:60])
def test_a_correlation_looks_at_a_long_value(body: dict[str, Any], value: Callable[[int], Any]) -> None:
    ruleset = rules(BASE, correlation(**body))

    def run(size: int) -> Callable[[], Any]:
        one = {**lookup(), "x": value(size)}
        keys = ["actor/o-1", *ruleset.partition_keys(one)]
        return lambda: [ruleset.evaluate(key, one, KeyState()) for key in keys]

    assert growth(run) < BOUND


@pytest.mark.parametrize("digits", ["1" * 200, "1 2 3 4 5 " * 20, "a1" * 100, "9" * 18 + "a" * 182])
def test_numbers_in_a_row_are_looked_for_in_time_that_grows_with_the_lookups(digits: str) -> None:
    """Not with their pairs, whatever the digits."""
    kind = KINDS["sequence_run"]
    (rule,) = rules(BASE, correlation(type="sequence_run", condition={"field": "x", "gte": 9})).correlations

    def run(size: int) -> Callable[[], Any]:
        texts = [f"{digits[: 190 - len(str(k))]}{k}" for k in range(size)]
        inside = [Entry(k, "x", "o-1", None, text) for k, text in enumerate(texts)]

        def measure() -> float:
            numbers_in.cache_clear()
            return kind.measure(rule, inside)  # type: ignore[attr-defined]

        return measure

    assert growth(run, 500) < BOUND


def test_asking_about_a_rate_takes_no_longer_for_large_counts() -> None:
    assert growth(lambda size: lambda: chance_of(size, [size] * 8)) < 3.0

"""Every type of correlation fires exactly when the naive evaluator says so: in order, out of order, with repeats, with saves."""

from __future__ import annotations

import itertools
import random
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.driver import by_engine, by_naive, differences, told
from tests.rules.naive import DAY, HOUR, MINUTE, Lookup, Spec, iso

START = 1_790_000_000_000
A, B, C = (Spec(name, "detection") for name in "abc")


def bounds(**ops: float) -> tuple[tuple[str, float], ...]:
    return tuple(ops.items())


NUMBER = st.integers(1, 6)
BOUND = st.one_of(
    st.builds(lambda n: (("gte", n),), NUMBER),
    st.builds(lambda n: (("gt", n),), NUMBER),
    st.builds(lambda n: (("eq", n),), NUMBER),
    st.builds(lambda n: (("lte", n),), NUMBER),
    st.builds(lambda n, m: (("gte", n), ("lt", n + m)), NUMBER, NUMBER),
    st.builds(lambda n: (("neq", n), ("gt", 1)), NUMBER),
)
SPAN = st.sampled_from([10 * MINUTE, HOUR, 5 * HOUR, 30 * HOUR, 10 * DAY])
WINDOW = st.sampled_from(["sliding", "sliding", "tumbling", "session"])
GROUP = st.sampled_from([("actor.id",), ("actor.id", "subject.id"), ("subject.id",), ("actor.unit", "subject.id"), ()])


@st.composite
def windows(draw: Any) -> dict[str, Any]:
    """How a window is asked about: span, kind, quiet time, groups."""
    span = draw(SPAN)
    window = draw(WINDOW)
    return {
        "span": span,
        "window": window,
        "gap": draw(st.sampled_from([span // 8, span // 3])) // 1000 * 1000 if window == "session" else 0,
        "suppress": draw(st.sampled_from([0, 0, span // 2, 3 * span])) // 1000 * 1000,
        "group_by": draw(GROUP),
    }


SLOTTED = st.fixed_dictionaries(
    {
        "span": st.sampled_from([32 * DAY, 90 * DAY, 365 * DAY]),
        "suppress": st.sampled_from([0, 0, 10 * DAY, 500 * DAY]),
        "group_by": st.sampled_from([("actor.id",), ("subject.id",)]),
    }
)
TWO, THREE = ("a", "b"), ("a", "b", "c")
CONDITIONS = [
    "a and b",
    "a or b",
    "a and not b",
    "not a and b",
    "a and (b or c)",
    "(a or b) and c",
    "(a and b) or (b and c)",
    "not (a and b) and c",
    "a and not (b or c)",
    "a and b and c",
    "not not a and not b",
]
TEMPORAL: Any = st.one_of(
    st.fixed_dictionaries({"rules": st.sampled_from([("a",), TWO, ("b", "a"), THREE, ("c", "a", "b")])}),
    st.fixed_dictionaries(
        {
            "rules": st.sampled_from([TWO, THREE]),
            "bounds": st.sampled_from([bounds(gte=2), bounds(eq=1), bounds(gt=1), bounds(lt=2)]),
        }
    ),
    st.sampled_from(CONDITIONS).map(
        lambda text: {"condition": text, "rules": tuple(name for name in "abc" if name in text.replace("and", ""))}
    ),
)
FIELD = st.sampled_from([("x",), ("subject.id",), ("x", "subject.id"), ("list",)])
KINDS: dict[str, Any] = {
    "event_count": st.tuples(st.fixed_dictionaries({"bounds": BOUND}), windows() | SLOTTED),
    "value_count": st.tuples(st.fixed_dictionaries({"bounds": BOUND, "fields": FIELD}), windows() | SLOTTED),
    "value_sum": st.tuples(st.fixed_dictionaries({"bounds": BOUND, "fields": st.just(("n",))}), windows() | SLOTTED),
    "value_avg": st.tuples(st.fixed_dictionaries({"bounds": BOUND, "fields": st.just(("n",))}), windows() | SLOTTED),
    "value_percentile": st.tuples(
        st.fixed_dictionaries(
            {
                "bounds": BOUND,
                "fields": st.just(("n",)),
                "options": st.sampled_from([(), *((("percentile", p),) for p in (1, 33.3, 50, 90, 100))]),
            }
        ),
        windows() | SLOTTED,
    ),
    "value_median": st.tuples(st.fixed_dictionaries({"bounds": BOUND, "fields": st.just(("n",))}), windows() | SLOTTED),
    "temporal": st.tuples(TEMPORAL, windows()),
    "temporal_ordered": st.tuples(TEMPORAL, windows()),
    "sequence_run": st.tuples(
        st.fixed_dictionaries(
            {"bounds": st.sampled_from([bounds(gte=2), bounds(gte=3), bounds(gt=1, lt=4), bounds(eq=1)]),
             "fields": st.just(("plate",)), "options": st.sampled_from([(), (("gap", 2),)])}
        ),
        windows(),
    ),
    "new_value": st.tuples(
        st.fixed_dictionaries(
            {"fields": FIELD, "options": st.sampled_from([(), (("learning", HOUR),), (("learning", 40 * DAY),)])}
        ),
        st.fixed_dictionaries({"span": SPAN, "suppress": st.sampled_from([0, HOUR, 20 * DAY]), "group_by": GROUP}),
    ),
    "rate_change": st.tuples(
        st.fixed_dictionaries(
            {
                "options": st.tuples(
                    st.sampled_from([("factor", 1.0), ("factor", 2.0), ("p", 0.2), ("p", 0.05)]),
                    st.sampled_from([("minimum", 1), ("minimum", 3)]),
                    st.sampled_from([("baseline", 1), ("baseline", 4), ("baseline", 8)]),
                )
            }
        ),
        st.fixed_dictionaries(
            {"span": st.sampled_from([10 * MINUTE, HOUR, 12 * HOUR, DAY, 7 * DAY]), "suppress": st.sampled_from([0, 3 * DAY]), "group_by": GROUP}
        ),
    ),
    "share": st.tuples(
        st.fixed_dictionaries(
            {
                "rules": st.just(("b", "a")),
                "bounds": st.sampled_from([bounds(gte=0.5), bounds(gt=0.3, lt=0.9), bounds(eq=1), bounds(lte=0.25)]),
                "options": st.sampled_from([(), (("minimum", 4),)]),
            }
        ),
        st.fixed_dictionaries(
            {"span": st.sampled_from([HOUR, 5 * HOUR, 20 * DAY, 100 * DAY]), "suppress": st.sampled_from([0, 3 * DAY]), "group_by": GROUP}
        ),
    ),
    "absence": st.tuples(
        st.fixed_dictionaries({"rules": st.sampled_from([TWO, THREE])}),
        st.fixed_dictionaries({"span": SPAN, "suppress": st.sampled_from([0, HOUR, 20 * DAY]), "group_by": GROUP}),
    ),
    "peer_deviation": st.tuples(
        st.fixed_dictionaries(
            {
                "peer": st.just("actor.unit"),
                "options": st.sampled_from(
                    [(("factor", 2.0),), (("deviations", 1.0),), (("factor", 1.5), ("deviations", 1.5), ("minimum", 2))]
                ),
            }
        ),
        st.fixed_dictionaries(
            {"span": st.sampled_from([HOUR, DAY]), "suppress": st.sampled_from([0, 3 * DAY]),
             "group_by": st.sampled_from([("actor.id",), ("actor.id", "subject.id"), ("x",)])}
        ),
    ),
}  # fmt: skip


def spec_of(kind: str, parts: tuple[dict[str, Any], dict[str, Any]], **more: Any) -> Spec:
    return Spec("it", kind, **{**parts[0], **parts[1], **more})


PLATES = [
    "AB-1-C",
    "ab-2-c",
    "AB-3-C",
    "AB-5-C",
    "x 7 y 1",
    "x 7 y 2",
    "x 8 y 2",
    4,
    5,
    "none",
    None,
    ["AB-4-C"],
    "9" * 19 + "1",
]
#: What a lookup may say, each as likely as the others.
EACH: dict[str, list[Any]] = {
    "m": [["a"], ["a"], ["b"], ["a", "b"], ["c"], ["a", "c"], []],
    "actor.id": ["o-1", "o-1", "o-1", "o-2"],
    "subject.id": ["p-1", "p-1", "p-2", None],
    "x": ["u", "U", "v", "w", 1, None],
    "list": [["q"], ["q", "r"], [], None],
    "n": [1, 2, 2.5, "3", 5, -1, "many", True, [1, "2", None], [], None, 0.125],
    "plate": PLATES,
}


def stream_of(seed: int, size: int, unit: int, order: str, repeats: bool = True) -> list[Lookup]:
    """Lookups at multiples of a unit of time (give or take a millisecond), in one of several orders; some come twice."""
    chance = random.Random(seed)
    made = []
    for number in range(size):
        ts = START + chance.randrange(26) * unit + chance.choice([0, 0, 0, -1, 1])
        one = {"id": f"x-{number}", "system": "bvi", "action": "read", "time": iso(ts), "ts": ts, "actor.unit": "u-1"}
        said = {name: chance.choice(values) for name, values in EACH.items()}
        made.append(one | {name: value for name, value in said.items() if value is not None})
    if order == "in order":
        made.sort(key=lambda one: one["ts"])
    if order == "a little late":
        made.sort(key=lambda one: one["ts"] + (int(one["id"][2:]) * 7919 % 5) * 10 * MINUTE)
    for _ in range(chance.randrange(4) if repeats and made else 0):
        number = chance.randrange(len(made))
        made.insert(min(len(made), number + chance.randrange(1, 9)), made[number])
    return made


ORDER = st.sampled_from(["in order", "in order", "a little late", "any"])
SEED, SIZE = st.integers(0, 2**32), st.sampled_from([60, 40, 25, 10, 4])
SAVED = st.sets(st.integers(0, 60), max_size=6)
#: Types whose evidence may hold less than the window: what decides nothing any more is dropped at some time or other.
LOOSE = ("value_count", "temporal", "temporal_ordered")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_fires_when_the_naive_evaluator_says_so(kind: str) -> None:
    @settings(max_examples=150, deadline=None)
    @given(KINDS[kind], SEED, SIZE, st.sampled_from([3, 7, 20]), ORDER, SAVED)
    def compare(parts: Any, seed: int, size: int, divisor: int, order: str, saved: set[int]) -> None:
        spec = spec_of(kind, parts)
        lookups = stream_of(seed, size, max(1, spec.span // divisor), order)
        if kind == "peer_deviation":
            for one in lookups:
                one["actor.id"] = one["x"] = f"o-{int(one['id'][2:]) * 5 % 7}"
        specs = (A, B, C, spec)
        naive = by_naive(specs, lookups)
        assert differences(by_engine(specs, lookups, saved=saved), naive, exact=kind not in LOOSE) == []

    compare()


# Rules made of rules, alerts that wait, exceptions, folded lookups


#: Groups of rules that may be made of each other: all with the actor's lookups, or each by no more than what it is made of.
GROUPS: list[list[tuple[str, ...]]] = [
    [("actor.id",), ("actor.id", "subject.id")],
    [("actor.id", "subject.id"), ("subject.id",), ()],
    [("actor.unit", "subject.id"), ("subject.id",)],
    [("actor.id", "who"), ("who",)],
]


@st.composite
def packs(draw: Any) -> tuple[tuple[Spec, ...], int]:
    """Detections and up to three levels of correlations over them, grouped alike; and the unit of time of the lookups."""
    unit = draw(st.sampled_from([7 * MINUTE, HOUR, 9 * HOUR, 2 * DAY, 9 * DAY]))
    groups = draw(st.sampled_from(GROUPS))
    times = st.sampled_from([0, 0, 0, unit, 4 * unit])
    grace = st.sampled_from([0, 0, unit, 5 * unit]).map(lambda ms: min(ms, 31 * DAY))
    expires = st.sampled_from([None, START + 5 * unit, START + 15 * unit])
    specs = [
        Spec(
            name,
            "detection",
            suppress=draw(times),
            # A detection that waits does so for all that is made of it: tests/rules/test_waiting.py.
            grace=0,
            filters=((draw(st.sampled_from(["v", "w"])), draw(expires)),) if draw(st.booleans()) else (),
        )
        for name in "abc"
    ]
    names = ["a", "b", "c"]
    for number in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(sorted(KINDS.keys() - {"peer_deviation"})))
        parts = draw(KINDS[kind])
        group = draw(st.sampled_from(groups))
        groups = groups[groups.index(group) :] if "actor.id" not in groups[-1] else groups
        body = {**parts[0], **parts[1], "group_by": group}
        body["span"] = draw(st.sampled_from([unit, 3 * unit, 8 * unit]))
        body["suppress"], body["gap"] = draw(times), unit if body.get("window") == "session" else 0
        if body.get("window", "sliding") != "sliding" or kind in ("temporal", "temporal_ordered", "sequence_run"):
            body["span"] = min(body["span"], 31 * DAY)
        many = len(body.get("rules", ("a",)))
        if "condition" not in body:
            chosen = draw(st.lists(st.sampled_from(names), min_size=many, max_size=max(many, 2), unique=True))
            if kind == "share":
                chosen = ["b", "a"]
            body["rules"] = tuple(chosen if kind not in ("share", "absence") or len(chosen) >= 2 else ("a", "b"))
        if kind == "rate_change" or (body["span"] > 31 * DAY and kind not in ("share", "absence")):
            body["rules"] = body["rules"][:1]  # what waits is alone where a lookup could count twice
        aliases = [(alias, rule, name) for alias, rule, name in ALIASES if rule in body["rules"] and "who" in group]
        body |= {"aliases": tuple(aliases), "generate": draw(st.booleans()), "grace": draw(grace)}
        specs.append(Spec(f"k{number}", kind, **body))
        names = [f"k{number}", *names] if kind != "share" or not body["grace"] else names
    return tuple(specs), unit


ALIASES = [("who", "a", "subject.id"), ("who", "b", "subject.id"), ("who", "c", "subject.id")] + [
    ("who", f"k{number}", "subject.id") for number in range(3)
]


def paperwork(actor: str, subject: str | None, ts: int, until: int) -> bool:
    """Some lookups are explained, by paperwork that began some time after them."""
    mark = zlib.crc32(f"{actor} {subject} {ts}".encode())
    return mark % 5 < 2 and ts + mark % 7 * HOUR <= until


def untidy(lookups: list[Lookup], seed: int) -> list[Lookup]:
    """Some lookups are folded into others, some are about subjects who are observed."""
    chance = random.Random(seed)
    return [
        one
        | ({"act.folded": True} if chance.random() < 0.08 else {})
        | ({"subject.watched": True} if chance.random() < 0.05 else {})
        for one in lookups
    ]


@settings(max_examples=400, deadline=None)
@given(packs(), SEED, SIZE, ORDER, SAVED)
def test_rules_made_of_rules_and_alerts_that_wait(
    made: tuple[tuple[Spec, ...], int], seed: int, size: int, order: str, saved: set[int]
) -> None:
    specs, unit = made
    lookups = untidy(stream_of(seed, size, unit, order), seed)
    naive = by_naive(specs, lookups, paperwork)
    assert differences(by_engine(specs, lookups, paperwork, saved), naive, exact=False) == []


@settings(max_examples=150, deadline=None)
@given(KINDS["peer_deviation"], st.sampled_from([HOUR, 30 * HOUR]), SEED, SIZE, ORDER, SAVED)
def test_peers_whose_alerts_wait(parts: Any, grace: int, seed: int, size: int, order: str, saved: set[int]) -> None:
    spec = spec_of("peer_deviation", parts, grace=grace)
    lookups = untidy(stream_of(seed, size, spec.span // 4, order), seed)
    for one in lookups:
        one["actor.id"] = one["x"] = f"o-{int(one['id'][2:]) * 5 % 7}"
    specs = (A, B, C, spec)
    naive = by_naive(specs, lookups, paperwork)
    assert differences(by_engine(specs, lookups, paperwork, saved), naive, exact=False) == []


@settings(max_examples=100, deadline=None)
@given(packs(), SEED, SIZE, ORDER)
def test_how_often_event_time_is_told_changes_nothing(made: Any, seed: int, size: int, order: str) -> None:
    """Only when something is raised: what waits is decided in the order it is due, whether a lookup or a tick comes first."""
    specs, unit = made
    lookups = untidy(stream_of(seed, size, unit, order), seed)
    with_ticks, without = (
        sorted(map(told, itertools.chain(*by_engine(specs, lookups, paperwork, ticks=ticks))), key=repr)
        for ticks in (True, False)
    )
    assert with_ticks == without


KEPT: dict[str, Any] = {
    "event_count": st.builds(
        lambda op, n: {"bounds": ((op, n),)}, st.sampled_from(["gte", "gt", "eq", "lte"]), st.integers(17, 32)
    ),
    "value_count": st.builds(
        lambda op, n: {"bounds": ((op, n),), "fields": ("v",)},
        st.sampled_from(["gte", "gt", "eq", "lte"]),
        st.integers(17, 32),
    ),
    "temporal": TEMPORAL,
    "temporal_ordered": TEMPORAL,
}


@pytest.mark.parametrize("kind", sorted(KEPT))
def test_what_is_kept_of_older_lookups_decides_as_all_of_them_would(kind: str) -> None:
    """Windows of ten days, and far more lookups in them than are kept; every lookup is asked about."""

    @settings(max_examples=40, deadline=None)
    @given(KEPT[kind], SEED, st.sampled_from([150, 220]), st.sampled_from(["in order", "a little late"]))
    def compare(body: dict[str, Any], seed: int, size: int, order: str) -> None:
        spec = Spec("it", kind, span=10 * DAY, suppress=1000, **body)
        chance = random.Random(seed)
        lookups = stream_of(seed, size, 11 * HOUR, order, repeats=False)
        rare = chance.choice(["a", "b", "c", "abc"])
        for one in lookups:
            one["actor.id"], one["v"] = "o-1", f"v{chance.randrange(45)}"
            one["m"] = (
                [letter for letter in one["m"] if letter in rare or chance.random() < 0.1]
                if kind in LOOSE[1:]
                else ["a"]
            )
        specs = (A, B, C, spec)
        assert differences(by_engine(specs, lookups), by_naive(specs, lookups), exact=kind == "event_count") == []

    compare()

"""Checks of one correlation: its bounds, its window, what it is grouped by, and how long it waits and keeps quiet."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

from monitor.documents import KeyPath
from monitor.rules import tree
from monitor.rules.kinds import KINDS
from monitor.rules.kinds.kind import number, span_words
from monitor.rules.lint.known import is_single
from monitor.rules.lint.logic import feasible, met_by_all
from monitor.rules.lint.pack import Pack, Written
from monitor.rules.lint.registry import CORRELATION, RULES, Note, check
from monitor.rules.model import DAY_MS, LEVELS, Correlation, Detection
from monitor.rules.windows import LONG_MS, MAX_ENTRIES

_AT: Final = "correlation"
_CONDITION: Final[KeyPath] = (_AT, "condition")
_ACTOR: Final = "actor.id"
#: Types that have bounds although they do not need them.
_OPTIONAL_BOUNDS: Final = ("temporal", "temporal_ordered")
_WEEK_MS: Final = 7 * DAY_MS
_MONTH_MS: Final = 31 * DAY_MS
_NUMBERS: Final = {
    "results": (0.0, math.inf),
    "hour": (0.0, 23.0),
    "weekday": (0.0, 6.0),
    "ts": (0.0, math.inf),
    "off_shift_hours": (0.0, math.inf),
}


class Range(NamedTuple):
    """The numbers a correlation may count to."""

    least: float
    most: float
    whole: bool


def range_of(rule: Correlation, pack: Pack) -> Range:
    """From where to where the number that a correlation's bounds are about can go."""
    most = math.inf if rule.span_ms > LONG_MS else float(MAX_ENTRIES)
    match rule.type:
        case "temporal":
            return Range(1, len(rule.rules), True)
        case "temporal_ordered":
            return Range(0, len(rule.rules), True)
        case "share":
            return Range(1e-6, 1, False)
        case "value_count":
            values = [pack.values_of(field) for field in rule.fields]
            possible = math.prod(len(each) for each in values if each) if all(values) else math.inf
            return Range(1, min(most, possible) if all(map(is_single, rule.fields)) else most, True)
        case "event_count" | "sequence_run":
            return Range(1, most, True)
        case "value_avg" | "value_percentile" | "value_median" if rule.fields and rule.fields[0] in _NUMBERS:
            return Range(*_NUMBERS[rule.fields[0]], False)
    return Range(-math.inf, math.inf, False)


def _loaded(rule: Written) -> Correlation | None:
    return rule.rule if isinstance(rule.rule, Correlation) else None


def _has_bounds(rule: Correlation) -> bool:
    return KINDS[rule.type].needs_bound or rule.type in _OPTIONAL_BOUNDS


def _bound_place(rule: Written) -> KeyPath:
    condition = rule.body.get("condition")
    names = [name for name in condition if name in ("lt", "lte", "gt", "gte", "eq", "neq")] if condition else []
    return (*_CONDITION, names[-1]) if names and isinstance(condition, dict) else _CONDITION


@check("LM301", "error", "bounds of a correlation that exclude each other", CORRELATION)
def count_bounds_exclude(rule: Written, pack: Pack) -> Iterator[Note]:
    """It can never fire."""
    made = _loaded(rule)
    if made is not None and made.bounds and not feasible(made.bounds):
        yield Note("no number is within these bounds", "", _bound_place(rule))


@check("LM302", "error", "a bound that can never be met", CORRELATION)
def bound_never_met(rule: Written, pack: Pack) -> Iterator[Note]:
    """It can never fire: the number does not go so far up or down."""
    made = _loaded(rule)
    if made is None or not _has_bounds(made) or not feasible(made.bounds):
        return
    least, most, whole = range_of(made, pack)
    if not feasible(made.bounds, least, most, whole):
        reach = f"{number(least)} to {number(most)}" if math.isfinite(most) else f"{number(least)} up"
        hint = f"it goes from {reach}" + (" in whole numbers" if whole else "") if math.isfinite(least) else ""
        yield Note(f"the number of {KINDS[made.type].noun} never meets this", hint, _bound_place(rule))


@check("LM303", "warning", "a bound that is always met", CORRELATION)
def bound_always_met(rule: Written, pack: Pack) -> Iterator[Note]:
    """It fires at the first lookup, so that the rules it is made of say the same without it, unless it keeps quiet after."""
    made = _loaded(rule)
    if made is None or not _has_bounds(made):
        return
    if not made.bounds:
        if made.expression is None and len(made.rules) == 1:
            yield Note("one rule alone always matches with itself", "name another", (_AT, "rules"))
    elif not made.suppress_ms and met_by_all(made.bounds, *range_of(made, pack)):
        yield Note("the first lookup meets this already", "ask for more", _bound_place(rule))


@check("LM304", "warning", "a bound that the type leaves out", CORRELATION)
def bound_ignored(rule: Written, pack: Pack) -> Iterator[Note]:
    """The type fires by its own options, whatever the bound says."""
    made = _loaded(rule)
    if made is not None and made.bounds and not _has_bounds(made):
        options = ", ".join(KINDS[made.type].options) or "none"
        yield Note(f"{made.type} does not look at bounds", f"its options: {options}", _bound_place(rule))


@check("LM305", "warning", "a field that the type leaves out", CORRELATION)
def field_ignored(rule: Written, pack: Pack) -> Iterator[Note]:
    """The type counts lookups, whatever the field says."""
    made = _loaded(rule)
    if made is not None and made.fields and not KINDS[made.type].needs_field:
        hint = "value_count counts different values" if made.type == "event_count" else "take it out"
        yield Note(f"{made.type} looks at no field", hint, (*_CONDITION, "field"))


@check("LM306", "error", "a field that the correlation is grouped by", CORRELATION)
def counts_its_group(rule: Written, pack: Pack) -> Iterator[Note]:
    """Within a group it has only one value, so there is nothing to count."""
    made = _loaded(rule)
    # A new value of its own group is the first lookup of the group in a long time: an account that wakes up.
    if made is None or made.type not in ("value_count", "sequence_run"):
        return
    if made.fields and {*made.fields} <= {*made.group_by}:
        noun = " and ".join(made.fields)
        yield Note(f"it is grouped by {noun}, so there is one value only", "", (*_CONDITION, "field"))


@check("LM307", "warning", "a change or share without a minimum", CORRELATION)
def no_minimum(rule: Written, pack: Pack) -> Iterator[Note]:
    """One lookup is many times none, and all of one: it fires at the first."""
    made = _loaded(rule)
    if made is not None and made.type in ("rate_change", "peer_deviation", "share") and "minimum" not in made.options:
        yield Note(f"{made.type} has no minimum", "the least count that can fire, such as `minimum: 10`", _CONDITION)


@check("LM308", "warning", "a factor that is no change", CORRELATION)
def factor_is_no_change(rule: Written, pack: Pack) -> Iterator[Note]:
    """As many as usual, or fewer, is what the factor asks for."""
    made = _loaded(rule)
    if made is not None and made.options.get("factor", 2) <= 1:
        yield Note(f"{number(made.options['factor'])} times the usual is usual", "above 1", (*_CONDITION, "factor"))


@check("LM310", "warning", "a session whose gap is as long as its timespan", CORRELATION)
def gap_too_long(rule: Written, pack: Pack) -> Iterator[Note]:
    """Lookups within the timespan are never so far apart, so that it is a sliding window."""
    made = _loaded(rule)
    if made is not None and made.window == "session" and made.gap_ms >= made.span_ms:
        yield Note(f"no gap within {span_words(made.span_ms)} is so long", "a shorter one", (_AT, "gap"))


@check("LM311", "info", "tumbling windows that do not begin where people expect", CORRELATION)
def tumbling_start(rule: Written, pack: Pack) -> Iterator[Note]:
    """They follow each other from 1 January 1970, 00:00 UTC, a Thursday; only those that divide a day keep its hours."""
    made = _loaded(rule)
    if made is not None and made.window == "tumbling" and DAY_MS % made.span_ms:
        said = "begin on Thursdays" if made.span_ms == _WEEK_MS else "begin at other hours or days every time"
        yield Note(
            f"tumbling windows of {span_words(made.span_ms)} {said}", "sliding ones have no edges", (_AT, "window")
        )


@check("LM312", "warning", "a long timespan for a type that keeps every lookup", CORRELATION)
def timespan_too_long(rule: Written, pack: Pack) -> Iterator[Note]:
    """Counts and sums over more than 31 days are kept in slots; what needs the lookups themselves keeps them all."""
    made = _loaded(rule)
    if made is not None and made.type in _OPTIONAL_BOUNDS and made.span_ms > LONG_MS:
        yield Note(f"{made.type} keeps the lookups of {span_words(made.span_ms)}", "at most 31d", (_AT, "timespan"))


@check("LM313", "info", "a count over a long timespan, which is kept in slots", CORRELATION)
def approximate(rule: Written, pack: Pack) -> Iterator[Note]:
    """Over more than 31 days the window moves in 64 steps, and many different values are estimated."""
    made = _loaded(rule)
    if made is not None and made.type != "share" and KINDS[made.type].needs_bound and made.span_ms > LONG_MS:
        yield Note(f"over {span_words(made.span_ms)} it is counted in slots", "", (_AT, "timespan"))


@check("LM320", "warning", "a correlation that counts all actors together", CORRELATION)
def no_actor_in_group(rule: Written, pack: Pack) -> Iterator[Note]:
    """Without actor.id in group-by it says what many did, not what one did, and its lookups are copied to another key."""
    made = _loaded(rule)
    if made is None or made.peer is not None or made.type == "value_count":
        return
    aliased = {field for alias in made.aliases.values() for field in alias.values()}
    if _ACTOR not in {*made.group_by, *made.fields, *aliased}:
        hint = "add actor.id, or count the actors by value_count"
        yield Note("the lookups of all actors are counted together", hint, _group_place(rule))


@check("LM321", "warning", "a field that group-by names twice", CORRELATION)
def grouped_twice(rule: Written, pack: Pack) -> Iterator[Note]:
    """Once is enough."""
    group = rule.listed(_AT, "group-by")
    for place, name in enumerate(group):
        if name in group[:place]:
            yield Note(f"group-by names {name} twice", "", (_AT, "group-by", place))


@check("LM322", "warning", "an alias that group-by does not use", CORRELATION)
def unused_alias(rule: Written, pack: Pack) -> Iterator[Note]:
    """It has no effect."""
    made = _loaded(rule)
    for alias in made.aliases if made is not None else ():
        if made is not None and alias not in made.group_by:
            yield Note(f"group-by does not name the alias {alias}", "add it there", (_AT, "aliases", alias))


@check("LM323", "warning", "an alias that leaves a rule out", CORRELATION)
def alias_without_rule(rule: Written, pack: Pack) -> Iterator[Note]:
    """Matches of that rule have no such field, so they are in no group and never counted."""
    made = _loaded(rule)
    for alias, mapping in made.aliases.items() if made is not None else ():
        left = [part.called for part in pack.parts(rule) if part.rule is not None and part.rule.id not in mapping]
        if left and made is not None and alias in made.group_by:
            yield Note(f"{alias} is nothing for {' and '.join(left)}", "say its field", (_AT, "aliases", alias))


@check("LM330", "info", "a suppress shorter than the timespan", CORRELATION)
def suppress_too_short(rule: Written, pack: Pack) -> Iterator[Note]:
    """Without it a group that fired is quiet for the timespan; with a shorter one the same lookups alert again."""
    made = _loaded(rule)
    if made is not None and 0 < made.suppress_ms < made.span_ms:
        hint = f"at least {span_words(made.span_ms)}, or leave it out"
        yield Note("the same lookups alert again after so short a suppress", hint, ("suppress",))


@check("LM331", "info", "a suppress of more than a month", RULES)
def suppress_too_long(rule: Written, pack: Pack) -> Iterator[Note]:
    """For so long nobody hears whether it goes on, but for the count in the next alert."""
    if rule.rule is not None and rule.rule.suppress_ms > _MONTH_MS:
        yield Note(f"nothing is heard of it for {span_words(rule.rule.suppress_ms)}", "", ("suppress",))


@check("LM332", "warning", "suppress on a rule that is only a part", RULES)
def waits_as_part(rule: Written, pack: Pack) -> Iterator[Note]:
    """It is about alerts, and this one does not alert by itself."""
    if isinstance(rule.rule, Detection) and not rule.rule.alerts and rule.data.get("suppress") is not None:
        yield Note("suppress has no effect here", "move it to the rule that alerts", ("suppress",))


@check("LM333", "warning", "grace on a type that does not wait for it", CORRELATION)
def grace_has_no_effect(rule: Written, pack: Pack) -> Iterator[Note]:
    """An absence has waited already, and an anomaly is decided by the model alone."""
    made = _loaded(rule)
    if made is not None and made.grace_ms and made.type in ("absence", "anomaly"):
        yield Note(f"{made.type} does not wait for grace", "take it out", ("grace",))


@check("LM334", "warning", "grace on a rule that does not look at explanations", RULES)
def grace_without_explanation(rule: Written, pack: Pack) -> Iterator[Note]:
    """It waits for paperwork that explains the lookup, though an explained one is just as wrong here."""
    if rule.rule is not None and rule.rule.grace_ms and not _looks_at_explanations(rule, pack, 0):
        yield Note("the rule does not ask whether a lookup is explained", "take it out", ("grace",))


@check("LM335", "info", "a critical alert that waits", RULES)
def critical_waits(rule: Written, pack: Pack) -> Iterator[Note]:
    """What is critical is usually wanted at once."""
    if rule.alerts and rule.rule is not None and rule.rule.grace_ms and rule.rank == LEVELS.index("critical"):
        yield Note(f"a critical alert waits for {span_words(rule.rule.grace_ms)}", "", ("grace",))


def _looks_at_explanations(rule: Written, pack: Pack, depth: int) -> bool:
    wanted = {"explanation", "explanation.kind", "purpose.status"}
    if rule.node is not None and wanted & {found.field for found in tree.walk(rule.node)}:
        return True
    return depth < 10 and any(_looks_at_explanations(part, pack, depth + 1) for part in pack.parts(rule))


def _group_place(rule: Written) -> KeyPath:
    return (_AT, "group-by") if "group-by" in rule.body else (_AT,)

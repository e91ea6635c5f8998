"""From a document with a ``correlation`` to a rule: types, groups, windows and conditions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from monitor.documents import Wrong, expect, nearest
from monitor.rules.common import about, fingerprint, span_of
from monitor.rules.kinds import KINDS, Kind
from monitor.rules.kinds.absence import SLACK_MS
from monitor.rules.kinds.baseline import MAX_BASELINE
from monitor.rules.kinds.kind import span_words
from monitor.rules.kinds.slots import MAX_COUNTED, LongLog
from monitor.rules.kinds.temporal import ways
from monitor.rules.model import Correlation, Rule
from monitor.rules.plan import ACTOR
from monitor.rules.values import COMPARE
from monitor.rules.windows import LONG_MS, MAX_ENTRIES

WINDOWS: Final = ("sliding", "tumbling", "session")
_BODY: Final = frozenset(
    {
        "type",
        "rules",
        "group-by",
        "timespan",
        "condition",
        "aliases",
        "generate",
        "window",
        "gap",
        "peer",
    }
)
_AT: Final = "correlation"
#: Options of conditions that are spans of time.
_SPANS: Final = ("learning",)
_TOKEN: Final = re.compile(r"\s*(?:([()])|([\w.-]+))")


def make_correlation(data: Mapping[str, Any], path: str, known: Mapping[str, Rule]) -> Correlation:
    """The rule of a document; ``known`` are the rules it may name, by id and by name. Raises :class:`Wrong`."""
    body = data["correlation"]
    if not isinstance(body, dict):
        raise Wrong("correlation must be a mapping", "type, rules, group-by, timespan, condition", (_AT,))
    kind_name = body.get("type")
    if not isinstance(kind_name, str) or kind_name not in KINDS:
        hint = nearest(str(kind_name), KINDS)
        raise Wrong(f"correlation type {kind_name} is not supported", hint, (_AT, "type"))
    for name in body:
        if name not in _BODY:
            raise Wrong(f"correlation has no {name}", nearest(name, sorted(_BODY)), (_AT, name))
    kind = KINDS[kind_name]
    expression = _expression(body, kind_name)
    rules, names = _rules(body, kind, known, expression)
    fixed = about(data, path)
    made = {
        "type": kind_name,
        "rules": rules,
        "group_by": _group_by(body),
        "aliases": _aliases(body, known, rules),
        "span_ms": span_of(body.get("timespan"), (_AT, "timespan")),
        "peer": _peer(body, kind_name),
        **_window(body, kind_name, kind),
        **({} if isinstance(body.get("condition"), str) else _condition(body, kind_name, kind)),
        "expression": None if expression is None else _positions(expression, names, rules),
    }
    _check_span(made, kind, kind_name)
    _check_options(made, kind_name)
    _check_bounds(made, kind_name)
    _check_parts(made, [known[rule] for rule in rules], kind_name)
    prints = [known[rule].fingerprint for rule in rules]
    marks = fingerprint(fixed["id"], made, prints, fixed["suppress_ms"], fixed["grace_ms"])
    delay = max(_delay(known[rule]) for rule in rules)
    return Correlation(**fixed, **made, delay_ms=delay, fingerprint=marks)


def _delay(part: Rule) -> int:
    """How long after its lookup a match of a part may be told."""
    if not isinstance(part, Correlation):
        return part.grace_ms
    waits = max(part.grace_ms, part.span_ms + SLACK_MS if part.type == "absence" else 0)
    return part.delay_ms + waits


def _rules(
    body: Mapping[str, Any], kind: Kind, known: Mapping[str, Rule], expression: Any
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The ids of the rules it names, in order, each once; and the names they were called by."""
    given = body.get("rules")
    named = [given] if isinstance(given, str) else given
    if named is None and expression is not None:
        named = _names_in(expression)
    if not isinstance(named, list) or not named:
        raise Wrong("rules is missing", "name the rules that are counted", (_AT, "rules"))
    found: dict[str, str] = {}
    for number, name in enumerate(named):
        if not isinstance(name, str) or name not in known:
            hint = nearest(str(name), sorted(known))
            raise Wrong(f"there is no rule {name}", hint, (_AT, "rules", number) if given is named else (_AT, "rules"))
        found.setdefault(known[name].id, name)
    for name in _names_in(expression) if expression is not None else ():
        if name not in known or known[name].id not in found:
            raise Wrong(f"the condition names {name}, which is not in rules", nearest(name, named), (_AT, "condition"))
    least, most = kind.rules
    if not least <= len(found) <= most:
        wanted = str(least) if least == most else f"{least} or more"
        raise Wrong(f"it takes {wanted} rules, not {len(found)}", "", (_AT, "rules"))
    return tuple(found), {name: known[name].id for name in known}


def _group_by(body: Mapping[str, Any]) -> tuple[str, ...]:
    group = body.get("group-by", [])
    group = [group] if isinstance(group, str) else group
    if not isinstance(group, list) or not all(isinstance(name, str) and name for name in group):
        raise Wrong("group-by is not a list of fields", "for instance [actor.id]", (_AT, "group-by"))
    return tuple(dict.fromkeys(group))


def _aliases(body: Mapping[str, Any], known: Mapping[str, Rule], rules: tuple[str, ...]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for alias, mapping in expect(body, "aliases", dict, {}, (_AT,)).items():
        if alias == ACTOR:
            raise Wrong(f"{ACTOR} is who looked, in every rule", "give the alias another name", (_AT, "aliases", alias))
        if not isinstance(mapping, dict):
            raise Wrong("an alias is not a mapping", "rule: field", (_AT, "aliases", alias))
        for name, field in mapping.items():
            if name not in known or known[name].id not in rules or not isinstance(field, str):
                hint = f"the rules are {', '.join(str(known[rule].name or rule) for rule in rules)}"
                raise Wrong(f"{name} is no rule of this correlation", hint, (_AT, "aliases", alias, name))
            found.setdefault(alias, {})[known[name].id] = field
    return found


def _peer(body: Mapping[str, Any], kind_name: str) -> str | None:
    peer = body.get("peer")
    if kind_name == "peer_deviation":
        if not isinstance(peer, str) or peer == "actor.id":
            raise Wrong(
                "peer is missing", "the field that peers share, such as actor.unit or actor.peer_group", (_AT, "peer")
            )
        return peer
    if peer is not None:
        raise Wrong("peer is only for peer_deviation", "", (_AT, "peer"))
    return None


def _window(body: Mapping[str, Any], kind_name: str, kind: Kind) -> dict[str, Any]:
    window = body.get("window", "sliding")
    if window not in WINDOWS:
        raise Wrong(f"window {window} is none", nearest(str(window), WINDOWS), (_AT, "window"))
    if window not in kind.windows:
        raise Wrong(f"{kind_name} has no {window} window", f"there is {', '.join(kind.windows)}", (_AT, "window"))
    if window == "session":
        if "gap" not in body:
            raise Wrong("a session needs a gap", "how long a pause ends it, such as gap: 10m", (_AT, "window"))
        return {"window": window, "gap_ms": span_of(body["gap"], (_AT, "gap"))}
    if "gap" in body:
        raise Wrong("gap is only for sessions", "add `window: session`", (_AT, "gap"))
    return {"window": window}


def _condition(body: Mapping[str, Any], kind_name: str, kind: Kind) -> dict[str, Any]:
    at = (_AT, "condition")
    condition = body.get("condition", {} if not kind.needs_bound and not kind.needs_field else None)
    if not isinstance(condition, dict):
        raise Wrong("condition is missing", "for instance `condition: {gte: 10}`", at)
    bounds, options = {}, {}
    for name, value in condition.items():
        if name == "field":
            continue
        if name in kind.options:
            options[name] = _option(name, value, kind.options[name], (*at, name))
        elif name in COMPARE:
            bounds[name] = _number(name, value, (*at, name))
        else:
            allowed = (*COMPARE, *(("field",) if kind.needs_field else ()), *kind.options)
            raise Wrong(f"condition {name} is none", nearest(name, allowed), (*at, name))
    if kind.needs_bound and not bounds:
        raise Wrong("condition has no bound", "for instance `gte: 10`", at)
    return {"bounds": tuple(sorted(bounds.items())), "options": options, "fields": _fields(condition, kind_name, kind)}


def _fields(condition: Mapping[str, Any], kind_name: str, kind: Kind) -> tuple[str, ...]:
    at, field = (_AT, "condition", "field"), condition.get("field")
    fields = [field] if isinstance(field, str) else field
    if fields is None:
        if kind.needs_field:
            raise Wrong(
                f"condition has no field, which {kind_name} looks at: {kind.noun}",
                "for instance `field: subject.id`",
                at[:2],
            )
        return ()
    if not isinstance(fields, list) or not fields or not all(isinstance(name, str) and name for name in fields):
        raise Wrong("field is not the name of a field", "for instance subject.id", at)
    return tuple(fields)


def _number(name: str, value: Any, at: tuple[str, ...]) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value - value != 0:
        raise Wrong(f"condition {name} is not a number", "for instance 10", at)
    return float(value)


def _option(name: str, value: Any, kind: type, at: tuple[str, ...]) -> float:
    if name in _SPANS:
        return span_of(value, at)
    number = _number(name, value, at)
    if number <= 0 or (kind is int and number % 1):
        raise Wrong(f"condition {name} is not a {'whole ' if kind is int else ''}number above 0", "", at)
    limits = {"percentile": 100, "p": 1, "quantile": 1, "baseline": MAX_BASELINE}
    if number > limits.get(name, float("inf")):
        raise Wrong(f"condition {name} is above {limits[name]}", "", at)
    return number


def _check_span(made: Mapping[str, Any], kind: Kind, kind_name: str) -> None:
    longest = LONG_MS if made["window"] != "sliding" else kind.longest
    if longest is not None and made["span_ms"] > longest:
        what = kind_name if made["window"] == "sliding" else f"a {made['window']} window"
        raise Wrong(f"timespan is too long for {what}", f"at most {span_words(longest)}", (_AT, "timespan"))
    if kind_name == "sequence_run" or len(made.get("fields", ())) <= 1 or kind_name in ("value_count", "new_value"):
        return
    raise Wrong(f"{kind_name} looks at one field", "name one", (_AT, "condition", "field"))


def _check_options(made: Mapping[str, Any], kind_name: str) -> None:
    either = {"rate_change": ("factor", "p"), "peer_deviation": ("factor", "deviations")}.get(kind_name)
    if either is not None and not {*either} & {*made.get("options", {})}:
        raise Wrong(
            f"condition has neither {' nor '.join(either)}", f"for instance `{either[0]}: 3`", (_AT, "condition")
        )


def _check_bounds(made: Mapping[str, Any], kind_name: str) -> None:
    """A bound that no window reaches would never fire."""
    kept_whole = made["window"] != "sliding" or kind_name == "sequence_run"
    for name, bound in made.get("bounds", ()):
        if kept_whole and kind_name in ("event_count", "value_count", "sequence_run") and bound > MAX_ENTRIES:
            raise Wrong(
                f"condition {name} is above {MAX_ENTRIES:,}, of which no window keeps more",
                "a sliding window counts any number",
                (_AT, "condition", name),
            )
    if made["type"] == "temporal_ordered" and made["expression"] is not None:
        try:
            ways(made["expression"])
        except ValueError as error:
            raise Wrong(str(error), "split it into several rules", (_AT, "condition")) from None


def _check_parts(made: Mapping[str, Any], parts: Sequence[Rule], kind_name: str) -> None:
    for number, part in enumerate(parts):
        if not isinstance(part, Correlation):
            continue
        at = (_AT, "rules", number)
        if part.type == "anomaly":
            raise Wrong(f"{part.name or part.id} is told by the model, later, and is part of no other rule", "", at)
        if kind_name == "share" and _delay(part):
            raise Wrong(f"{part.name or part.id} waits, and share asks about one lookup at once", "", at)
        if _delay(part) and len(parts) > 1 and _counts_without_names(made):
            raise Wrong(
                f"{part.name or part.id} waits, and a lookup that others match too would count twice",
                "make it the only one, or the timespan shorter",
                at,
            )


def _counts_without_names(made: Mapping[str, Any]) -> bool:
    """Whether it keeps numbers rather than lookups, so that it cannot tell which of them it has counted."""
    if made["type"] in ("rate_change", "peer_deviation"):
        return True
    many = made["type"] == "event_count" and any(bound >= MAX_COUNTED for _, bound in made.get("bounds", ()))
    return many or (made["span_ms"] > LONG_MS and isinstance(KINDS[made["type"]], LongLog))


def _expression(body: Mapping[str, Any], kind_name: str) -> Any:
    """An extended condition as nested lists over the names of rules. Raises :class:`Wrong`."""
    text = body.get("condition")
    if not isinstance(text, str):
        return None
    if kind_name not in ("temporal", "temporal_ordered"):
        hint = "temporal and temporal_ordered have them; here write for instance `condition: {gte: 10}`"
        raise Wrong(f"{kind_name} has no extended condition", hint, (_AT, "condition"))
    tokens = [found[1] or found[2] for found in _TOKEN.finditer(text)]
    if "".join(tokens) != re.sub(r"\s", "", text) or not tokens or len(tokens) > 200:
        raise _unreadable(text)
    try:
        made, rest = _either(tokens, text)
    except RecursionError:
        raise _unreadable(text) from None
    if rest:
        raise _unreadable(text)
    return made


def _unreadable(text: str) -> Wrong:
    return Wrong(f"the condition {text} cannot be read", "names of rules, and, or, not, ( )", (_AT, "condition"))


def _either(tokens: list[str], text: str) -> tuple[Any, list[str]]:
    parts, rest = _several("or", _both, tokens, text)
    return (["or", *parts] if len(parts) > 1 else parts[0]), rest


def _both(tokens: list[str], text: str) -> tuple[Any, list[str]]:
    parts, rest = _several("and", _single, tokens, text)
    return (["and", *parts] if len(parts) > 1 else parts[0]), rest


def _several(word: str, of: Any, tokens: list[str], text: str) -> tuple[list[Any], list[str]]:
    part, rest = of(tokens, text)
    parts = [part]
    while rest[:1] == [word]:
        part, rest = of(rest[1:], text)
        parts.append(part)
    return parts, rest


def _single(tokens: list[str], text: str) -> tuple[Any, list[str]]:
    match tokens:
        case ["not", *rest]:
            part, rest = _single(rest, text)
            return ["not", part], rest
        case ["(", *rest]:
            part, rest = _either(rest, text)
            if rest[:1] != [")"]:
                raise _unreadable(text)
            return part, rest[1:]
        case [str(name), *rest] if name not in (")", "and", "or"):
            return name, rest
    raise _unreadable(text)


def _names_in(expression: Any) -> list[str]:
    if isinstance(expression, str):
        return [expression]
    return list(dict.fromkeys(name for part in expression[1:] for name in _names_in(part)))


def _positions(expression: Any, names: Mapping[str, str], rules: tuple[str, ...]) -> Any:
    if isinstance(expression, str):
        return rules.index(names[expression])
    return (expression[0], *(_positions(part, names, rules) for part in expression[1:]))

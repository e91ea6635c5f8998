"""The tests that rules carry: lookups in, alerts expected, through the real core (decode, enrich, detect).

A rule's ``tests`` are a list of mappings: ``name``; ``reference``, records as in ``lookup.reference.v1``; ``events``, lookups
with nested or dotted names; ``then``, by how much event time moves on after the last; and ``alerts``, how many of this rule
are expected, or one mapping for each. What the monitor itself would find (``explanation``, ``on_shift``, …) may be given with
an event; it then holds, and ``null`` means that it is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import orjson

from monitor import events
from monitor.alerts import Alert
from monitor.documents import Document, KeyPath, RuleProblem, Wrong, expect, nearest, parse_text
from monitor.enrich import enrich
from monitor.explanations import NONE, RECORD, Explanations
from monitor.reference import BadRecord, Reference, decode
from monitor.replay import Counting
from monitor.rules import Correlation, Rule, RuleSet

#: When every test begins: a Monday morning.
START: Final = datetime.fromisoformat("2026-03-02T09:00:00+01:00")
#: What an event is unless it says otherwise.
DEFAULTS: Final = {"system": "bvi", "action": "read", "actor.id": "o-1"}
#: How many lookups a test may have.
MAX_EVENTS: Final = 20_000
_START_MS: Final = int(START.timestamp()) * 1000
_SECOND: Final = 1000
_UNITS: Final = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000}
_OFFSET: Final = re.compile(r"(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?")
_TEST: Final = ("name", "reference", "events", "then", "alerts")
_EXPECTED: Final = ("at", "entity", "count", "events", "reason")
#: What an event may not give, as ``at`` decides it.
_NOT_GIVEN: Final = ("ts", "@")
_FOREVER: Final = 2**60
#: What a text with a list in its reference data has in it.
_LISTED: Final = re.compile(r"""record["']?\s*:\s*["']?list""")


class Failure(msgspec.Struct):
    """A test that failed, where and how; ``details`` are lines. It is ``broken`` when it could not be run."""

    problem: RuleProblem
    details: list[str] = []
    broken: bool = False


class Expected(msgspec.Struct):
    """An alert that should come; what is ``None`` does not matter. ``at`` is the trigger's offset from the start."""

    at: int | None = None
    entity: str | None = None
    count: int | None = None
    events: set[str] | None = None
    reason: str | None = None

    def fits(self, alert: Alert) -> bool:
        """Whether the alert is what was expected."""
        return (
            self.at in (None, alert.ts - _START_MS)
            and self.entity in (None, alert.entity.id)
            and self.count in (None, len(alert.events))
            and self.events in (None, set(alert.events))
            and (self.reason is None or any(self.reason in reason for reason in alert.reasons))
        )

    def __str__(self) -> str:
        said = {
            "at": None if self.at is None else offset_words(self.at),
            "entity": self.entity,
            "count": self.count,
            "events": None if self.events is None else " ".join(sorted(self.events)),
            "reason": self.reason,
        }
        return ", ".join(f"{name} {value}" for name, value in said.items() if value is not None) or "any alert"


class Case(msgspec.Struct):
    """One test of a rule, at position ``number`` of its document's ``tests``; not yet read."""

    rule: Rule | None
    rule_name: str
    name: str
    number: int
    document: Document
    rules: RuleSet
    #: The lists that the rules were loaded with, besides those of their files: those of a test's reference data.
    lists: dict[str, tuple[str, ...]]

    @property
    def place(self) -> RuleProblem:
        """Where the test stands."""
        return self.document.problem(Wrong("", "", ("tests", self.number)))

    def run(self) -> Failure | None:
        """Run it; what is wrong, if something is."""
        try:
            if self.rule is None:
                raise Wrong("the rule was not loaded, so its tests cannot run", "see what is said of it", ("tests",))
            if not self.rule.alerts:
                hint = "move them to the rule that is made of it, or write `generate: true` there"
                raise Wrong("the rule does not alert by itself, so its tests would say nothing", hint, ("tests",))
            if isinstance(self.rule, Correlation) and self.rule.type == "anomaly":
                raise Wrong("the model does not run in tests", "test the rules it is made of", ("tests",))
            return self._compared(self.rule)
        except Wrong as wrong:
            return Failure(self.document.problem(wrong), broken=True)

    def _compared(self, rule: Rule) -> Failure | None:
        at: KeyPath = ("tests", self.number)
        tests = self.document.data["tests"]
        if not isinstance(tests, list):
            raise Wrong("tests is not a list", "each has a name, events and alerts", ("tests",))
        test = tests[self.number]
        _check_names(test, _TEST, "a test", at)
        expected = _expected(test, at)
        reference = reference_of(expect(test, "reference", list, [], at), (*at, "reference"))
        unknown = dict(self.lists)
        self.lists.update(reference.lists)
        try:
            came = [alert for alert in alerts_of(test, self.rules, reference, at) if alert.rule.id == rule.id]
        finally:
            self.lists.update(unknown)
        return self._failure(expected, came, (*at, "alerts"))

    def _failure(self, expected: int | list[Expected], came: list[Alert], at: KeyPath) -> Failure | None:
        if isinstance(expected, int):
            if len(came) == expected:
                return None
            count, details = expected, [f"came: {alert_words(alert)}" for alert in came]
        else:
            missing, left = _unmatched(expected, came)
            if not missing and not left:
                return None
            count, at = len(expected), (*at, *missing[:1])
            details = [f"expected: {expected[number]}" for number in missing]
            details += [f"came too: {alert_words(alert)}" for alert in left]
        message = f"{self.rule_name}: {self.name}: {_alerts(count)} expected, {len(came) or 'none'} came"
        return Failure(self.document.problem(Wrong(message, "", at)), details)


def cases_of(path: str, text: str, rules: RuleSet, lists: dict[str, tuple[str, ...]] | None = None) -> list[Case]:
    """The tests in a text of rules, all of which (and those they name) are in ``rules``, loaded with :func:`lists_of`."""
    found = []
    for document in parse_text(path, text, []):
        if "tests" not in document.data:
            continue
        data, tests = document.data, document.data["tests"]
        rule = rules.by_id.get(str(data.get("id")))
        name = str(data.get("name") or data.get("title") or path)
        for number, test in enumerate(tests if isinstance(tests, list) else [None]):
            called = test.get("name") if isinstance(test, dict) else None
            called = str(called or f"test {number + 1}")
            found.append(Case(rule, name, called, number, document, rules, {} if lists is None else lists))
    return found


def lists_of(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The lists in the tests' reference data, empty: rules that need them are to be loaded with these, and each test fills
    in its own."""
    names = set()
    for text in texts:
        for document in parse_text("", text, []) if _LISTED.search(text) else ():
            tests = document.data.get("tests")
            for test in tests if isinstance(tests, list) else ():
                records = test.get("reference") if isinstance(test, dict) else None
                for record in records if isinstance(records, list) else ():
                    if isinstance(record, dict) and record.get("record") == "list":
                        names.add(str(record.get("id")))
    return dict.fromkeys(names, ())


def alerts_of(test: Mapping[str, Any], rules: RuleSet, reference: Reference, at: KeyPath = ()) -> list[Alert]:
    """Every alert of a test's events, in the order they come. Raises :class:`Wrong` for what cannot be read."""
    lookups = _lookups(expect(test, "events", list, [], at), reference, rules.explanations, (*at, "events"))
    counting, found, reached = Counting(rules, reference), list[Alert](), 0
    for off, lookup in enumerate(lookups):
        reached = max(reached, lookup["ts"])
        found += counting.step((reached, 0, off), lookup)
    if "then" in test:
        # What is due by then is decided, also what is due just then.
        reached = (reached or _START_MS) + offset_of(test["then"], (*at, "then")) + 1
    return [*found, *counting.end([reached], reached)]


def reference_of(records: Sequence[Any], at: KeyPath = ()) -> Reference:
    """Reference data of a test. Raises :class:`Wrong`."""
    reference = Reference()
    for number, record in enumerate(records):
        try:
            reference.put(decode(orjson.dumps(record)))
        except (BadRecord, TypeError) as error:
            raise Wrong(f"not a reference record: {error}", "see `monitor schema reference`", (*at, number)) from None
    return reference


def _lookups(given: list[Any], reference: Reference, explanations: Explanations, at: KeyPath) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    offset = -_SECOND
    for number, event in enumerate(given):
        here = (*at, number)
        if not isinstance(event, dict):
            raise Wrong("an event is not a mapping", "names of fields and their values", here)
        if "at" in event and "time" in event:
            raise Wrong("an event has both at and time", "at is the time since the start", (*here, "at"))
        fields = {name: value for name, value in event.items() if name not in ("at", "repeat", "every")}
        offset = offset_of(event["at"], (*here, "at")) if "at" in event else offset + _SECOND
        repeat = expect(event, "repeat", int, 1, here)
        every = offset_of(event["every"], (*here, "every")) if "every" in event else _SECOND
        if not 0 < repeat <= MAX_EVENTS - len(found):
            hint = f"a test has {MAX_EVENTS:,} events at most"
            raise Wrong(f"repeat is not 1 to {MAX_EVENTS - len(found):,}", hint, (*here, "repeat"))
        for copy in range(repeat):
            fixed = {"id": str(number + 1), "time": _time_at(offset), **DEFAULTS}
            lookup = lookup_of(fields, reference, fixed, here, explanations)
            offset = lookup["ts"] - _START_MS
            if copy:
                lookup["id"] += f"-{copy + 1}"
            found.append(lookup)
            if copy < repeat - 1:
                offset += every
                fields["time"] = _time_at(offset)
    return found


def _time_at(offset: int) -> str:
    return (START + timedelta(milliseconds=offset)).isoformat()


def lookup_of(
    fields: Mapping[str, Any],
    reference: Reference,
    defaults: Mapping[str, Any] | None = None,
    at: KeyPath = (),
    explanations: Explanations | None = None,
) -> dict[str, Any]:
    """An event as the rules see it: decoded and enriched, and what the monitor would find as given. Raises :class:`Wrong`."""
    given: dict[str, Any] = {}
    _spread(fields, "", given, at)
    for name in _NOT_GIVEN:
        if name in given:
            raise Wrong(f"{name} is made by the monitor", "say when with `at` or `time`", at)
    ours = {name: given.pop(name) for name in events.OURS if name in given}
    message = _nested({**(defaults or {}), **given}, at)
    try:
        decoded = events.decode(orjson.dumps(message), received_ms=_FOREVER)
        lookup = enrich(decoded, reference, explanations or Explanations.default())
    except (events.BadEvent, events.Notice, TypeError) as error:
        raise Wrong(f"not a lookup: {getattr(error, 'detail', error)}", "see `monitor schema event`", at) from None
    if "explanation" in ours and "explanation.kind" not in ours:
        ours["explanation.kind"] = _kind_of(ours["explanation"])
    lookup.update(ours)
    return {name: value for name, value in lookup.items() if name not in ours or value is not None}


def _kind_of(explanation: Any) -> str | None:
    """What an explanation that a test gives amounts to, unless the test says so itself: nothing is taken for plausible."""
    if explanation is None:
        return None
    return NONE if NONE in (explanation if isinstance(explanation, list) else [explanation]) else RECORD


def _spread(fields: Mapping[str, Any], prefix: str, into: dict[str, Any], at: KeyPath) -> None:
    """Nested and dotted names alike as dotted ones."""
    for key, value in fields.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            _spread(value, f"{name}.", into, at)
        elif name in into:
            raise Wrong(f"{name} is there twice", "once nested, once dotted?", at)
        else:
            into[name] = value


def _nested(fields: Mapping[str, Any], at: KeyPath) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in fields.items():
        *parents, last = name.split(".")
        inner = made
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise Wrong(f"{name} is in {parent}, which is no object", "", at)
        if last in inner:
            raise Wrong(f"{name} is an object and a value", "", at)
        inner[last] = value
    return made


def _expected(test: Mapping[str, Any], at: KeyPath) -> int | list[Expected]:
    given, at = test.get("alerts"), (*at, "alerts")
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    if not isinstance(given, list):
        raise Wrong(
            "alerts is missing" if given is None else "alerts is neither a number nor a list", "for instance 0", at
        )
    found = []
    for number, each in enumerate(given):
        here = (*at, number)
        _check_names(each, _EXPECTED, "an expected alert", here)
        ids = expect(each, "events", list, None, here)
        found.append(
            Expected(
                offset_of(each["at"], (*here, "at")) if "at" in each else None,
                str(each["entity"]) if "entity" in each else None,
                expect(each, "count", int, None, here),
                None if ids is None else set(map(str, ids)),
                expect(each, "reason", str, None, here),
            )
        )
    return found


def _check_names(given: Any, allowed: Sequence[str], what: str, at: KeyPath) -> None:
    if not isinstance(given, dict):
        raise Wrong(f"{what} is not a mapping", f"it has {', '.join(allowed)}", at)
    for name in given:
        if name not in allowed:
            raise Wrong(f"{what} has no {name}", nearest(name, allowed), (*at, name))


def _unmatched(expected: list[Expected], came: list[Alert]) -> tuple[list[int], list[Alert]]:
    """What of both is left when as many as can be are paired, whatever their order (augmenting paths; H. W. Kuhn, 1955)."""
    pair: dict[int, int] = {}  # alert → what was expected

    def place(wanted: int, tried: set[int]) -> bool:
        for number, alert in enumerate(came):
            if number not in tried and expected[wanted].fits(alert):
                tried.add(number)
                if number not in pair or place(pair[number], tried):
                    pair[number] = wanted
                    return True
        return False

    missing = [number for number in range(len(expected)) if not place(number, set())]
    return missing, [alert for number, alert in enumerate(came) if number not in pair]


def offset_of(text: Any, at: KeyPath) -> int:
    """A time since the start such as ``90m`` or ``1d2h``, or 0, in milliseconds. Raises :class:`Wrong`."""
    found = _OFFSET.fullmatch(str(text))
    if str(text) == "0":
        return 0
    if found is None or not any(found.groups()):
        raise Wrong(f"{at[-1]} {text} is no time", "numbers and w, d, h, m, s, such as 90m or 1d2h", at)
    return sum(int(number or 0) * size for number, size in zip(found.groups(), _UNITS.values(), strict=True))


def offset_words(ms: int) -> str:
    """An offset as :func:`offset_of` reads it."""
    words, left = [], abs(ms)
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        words += [f"{count}{unit}"] if count else []
    return ("-" if ms < 0 else "") + ("".join(words) + (f" {left}ms" if left else "") if words or left else "0")


def alert_words(alert: Alert) -> str:
    """An alert in the words a test would ask for it."""
    shown = " ".join(alert.events[:8]) + (" …" if len(alert.events) > 8 else "")
    return (
        f"at {offset_words(alert.ts - _START_MS)}, entity {alert.entity.id}, count {len(alert.events)}, "
        f"events {shown}: {'; '.join(alert.reasons)}"
    )


def _alerts(count: int) -> str:
    return f"{count or 'no'} alert{'' if count == 1 else 's'}"

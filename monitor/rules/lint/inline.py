"""Checks of the tests that rules carry: that they can be read, and that a rule has tests of both kinds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from monitor.documents import KeyPath
from monitor.rules.lint.known import FIELDS, is_known, near
from monitor.rules.lint.pack import Pack, Written
from monitor.rules.lint.registry import RULES, Note, check

TEST_KEYS: Final = ("name", "reference", "events", "then", "alerts")
#: Keys of an event that are not the lookup's.
EVENT_KEYS: Final = ("at", "repeat", "every")
ALERT_KEYS: Final = ("at", "entity", "count", "events", "reason")
#: A span of time; unlike a rule's it may be none.
OFFSET: Final = r"[0-9]{1,9}[smhdwMy]"


def tests_of(rule: Written) -> list[tuple[dict[str, Any], KeyPath]]:
    """The tests that are mappings, with their paths."""
    return [(test, ("tests", number)) for number, test in enumerate(rule.listed("tests")) if isinstance(test, dict)]


def is_positive(test: Mapping[str, Any]) -> bool | None:
    """Whether a test expects an alert; ``None`` when it does not say."""
    alerts = test.get("alerts")
    if isinstance(alerts, list):
        return bool(alerts)
    return None if isinstance(alerts, bool) or not isinstance(alerts, int) else alerts > 0


@check("LM370", "info", "an alerting rule without tests", RULES)
def no_tests(rule: Written, pack: Pack) -> Iterator[Note]:
    """Nobody notices when it stops finding what it is for, or finds what it should not."""
    if rule.alerts and "tests" not in rule.data:
        yield Note("there are no tests", "one with an alert and one without; `monitor rules new` shows how", ("title",))


@check("LM371", "warning", "tests of which none expects an alert", RULES)
def no_positive_test(rule: Written, pack: Pack) -> Iterator[Note]:
    """They pass even if the rule finds nothing at all."""
    if "tests" in rule.data and not any(is_positive(test) for test, _ in tests_of(rule)):
        yield Note("no test expects an alert", "add one", ("tests",))


@check("LM372", "warning", "tests of which none expects quiet", RULES)
def no_negative_test(rule: Written, pack: Pack) -> Iterator[Note]:
    """They pass even if the rule matches everything."""
    if "tests" in rule.data and not any(is_positive(test) is False for test, _ in tests_of(rule)):
        yield Note("no test expects that nothing happens", "add one with `alerts: 0`", ("tests",))


@check("LM373", "error", "tests that cannot be read", RULES)
def unreadable_test(rule: Written, pack: Pack) -> Iterator[Note]:
    """They cannot be run."""
    tests = rule.data.get("tests")
    if tests is None:
        return
    if not isinstance(tests, list):
        yield Note("tests is not a list", "begin each test with `- name:`", ("tests",))
        return
    for number, test in enumerate(tests):
        yield from _wrong_test(test, ("tests", number))


def _wrong_test(test: Any, at: KeyPath) -> Iterator[Note]:
    if not isinstance(test, dict):
        yield Note("a test is a mapping", f"with {', '.join(TEST_KEYS)}", at)
        return
    yield from _unknown_keys(test, TEST_KEYS, "a test", at)
    yield from _wrong_span(test, "then", at)
    events, reference = test.get("events"), test.get("reference", [])
    if not isinstance(events, list) or not events:
        yield Note("the test has no events", "a list of lookups", (*at, "events") if "events" in test else at)
    for number, event in enumerate(events if isinstance(events, list) else ()):
        yield from _wrong_event(event, (*at, "events", number))
    if not isinstance(reference, list) or not all(isinstance(each, dict) and "record" in each for each in reference):
        hint = "for instance `- {record: actor, id: o-1}`"
        yield Note("reference is not a list of reference records", hint, (*at, "reference"))
    yield from _wrong_alerts(test, at)


def _wrong_event(event: Any, at: KeyPath) -> Iterator[Note]:
    if not isinstance(event, dict):
        yield Note("an event is a mapping", "fields of a lookup, and at, repeat and every", at)
        return
    for name in ("at", "every"):
        yield from _wrong_span(event, name, at)
    repeat = event.get("repeat", 1)
    if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1:
        yield Note("repeat is not a number from 1", "", (*at, "repeat"))
    if "every" in event and "repeat" not in event:
        yield Note("every is only for what is repeated", "add `repeat:`", (*at, "every"))


def _wrong_alerts(test: Mapping[str, Any], at: KeyPath) -> Iterator[Note]:
    alerts, place = test.get("alerts"), (*at, "alerts") if "alerts" in test else at
    if isinstance(alerts, list):
        for number, alert in enumerate(alerts):
            if isinstance(alert, dict):
                yield from _unknown_keys(alert, ALERT_KEYS, "an alert", (*place, number))
                yield from _wrong_span(alert, "at", (*place, number))
            else:
                yield Note("an expected alert is a mapping", f"with {', '.join(ALERT_KEYS)}", (*place, number))
    elif is_positive(test) is None or alerts < 0:  # type: ignore[operator]
        yield Note("alerts is neither a count nor a list", "how many are expected; 0 for none", place)


def _unknown_keys(data: Mapping[str, Any], allowed: tuple[str, ...], noun: str, at: KeyPath) -> Iterator[Note]:
    for name in data:
        if name not in allowed:
            yield Note(f"{noun} has no {name}", near(name, allowed, f"there are {', '.join(allowed)}"), (*at, name))


def _wrong_span(data: Mapping[str, Any], name: str, at: KeyPath) -> Iterator[Note]:
    if name in data and re.fullmatch(OFFSET, str(data[name])) is None:
        yield Note(
            f"{name} {data[name]} is no span of time", "a number and s, m, h, d, w, M or y, such as 10m", (*at, name)
        )


@check("LM374", "warning", "a test without a name of its own", RULES)
def test_without_name(rule: Written, pack: Pack) -> Iterator[Note]:
    """A test that fails is reported by its name."""
    seen: set[str] = set()
    for test, at in tests_of(rule):
        name = test.get("name")
        if not isinstance(name, str) or not name.strip():
            yield Note("the test has no name", "what it shows", at)
        elif name in seen:
            yield Note(f"another test is called {name} too", "", (*at, "name"))
        seen.add(str(name))


@check("LM375", "warning", "a test's event with a field that no lookup is known to have", RULES)
def unknown_test_field(rule: Written, pack: Pack) -> Iterator[Note]:
    """A misspelt field leaves the event without it, so that the test does not show what it says."""
    for test, at in tests_of(rule):
        for number, event in enumerate(test["events"] if isinstance(test.get("events"), list) else ()):
            for field, place in _fields_of(event if isinstance(event, dict) else {}, "", (*at, "events", number)):
                if not is_known(field, pack.fields):
                    hint = near(field, FIELDS, "name it with --field if it is one of your own systems'")
                    yield Note(f"no lookup is known to have a field {field}", hint, place)


def _fields_of(data: Mapping[str, Any], prefix: str, at: KeyPath) -> Iterator[tuple[str, KeyPath]]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _fields_of(value, f"{prefix}{name}.", (*at, name))
        elif prefix or name not in EVENT_KEYS:
            yield f"{prefix}{name}", (*at, name)

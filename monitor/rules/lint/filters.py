"""Checks of filters: exceptions are how misuse hides, so each says for which rules, until when, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from monitor.documents import Wrong
from monitor.rules import tree
from monitor.rules.lint.pack import Pack, Written, plain_words
from monitor.rules.lint.registry import FILTER, Note, check
from monitor.rules.model import LEVELS
from monitor.rules.parse import parse_detection

#: An exception that holds for longer than this should be a change of the rule.
_LONG: Final = timedelta(days=366)
_EPOCH: Final = date(1970, 1, 1)


@check("LM350", "warning", "a filter without an expiry", FILTER)
def filter_without_expiry(rule: Written, pack: Pack) -> Iterator[Note]:
    """An exception that nobody has to renew is forgotten, and hides what it was not meant for."""
    if rule.data.get("expires") is None:
        yield Note("the exception never ends", "add `expires:` and a date", ("filter",))


@check("LM351", "warning", "a filter that has expired", FILTER)
def filter_expired(rule: Written, pack: Pack) -> Iterator[Note]:
    """It no longer has any effect."""
    day = _last_day(rule)
    if day is not None and day < pack.today:
        yield Note(f"it expired on {day}", "take it out, or renew it", ("expires",))


@check("LM352", "info", "a filter that holds for more than a year", FILTER)
def filter_expires_late(rule: Written, pack: Pack) -> Iterator[Note]:
    """What is always an exception belongs into the rule."""
    day = _last_day(rule)
    if day is not None and day - pack.today > _LONG:
        yield Note(f"it holds until {day}", "change the rule, or renew it every year", ("expires",))


@check("LM353", "warning", "a filter for all rules", FILTER)
def filter_on_everything(rule: Written, pack: Pack) -> Iterator[Note]:
    """It hides from rules that nobody has written yet."""
    if rule.exception is not None and rule.exception.rules is None:
        yield Note("it is an exception to every rule there will ever be", "name the rules", ("filter", "rules"))


@check("LM354", "info", "a filter that names a rule by its title", FILTER)
def filter_by_title(rule: Written, pack: Pack) -> Iterator[Note]:
    """Titles are improved, and then the filter is refused."""
    for number, name in enumerate(rule.exception.rules or () if rule.exception is not None else ()):
        if pack.found(name) is None and pack.titles.get(plain_words(name)) is not None:
            yield Note(f"{name} is the title of a rule", "write its name or id", ("filter", "rules", number))


@check("LM355", "warning", "a filter whose condition begins with not", FILTER)
def filter_with_not(rule: Written, pack: Pack) -> Iterator[Note]:
    """pySigma's filters say what to leave in, the specification's what to leave out; the not before it is taken off."""
    if rule.exception is None:
        return
    body = {name: part for name, part in rule.data["filter"].items() if name != "rules"}
    try:
        node = parse_detection(body, "filter")
    except Wrong:
        return
    if isinstance(node, tree.Not):
        yield Note("the not before the condition is taken off", "write it without", ("filter", "condition"))


@check("LM356", "info", "a filter for a critical rule", FILTER)
def filter_on_critical(rule: Written, pack: Pack) -> Iterator[Note]:
    """What is critical is wrong whoever does it; somebody should look twice."""
    for number, name in enumerate(rule.exception.rules or () if rule.exception is not None else ()):
        found = pack.found(name)
        if found is not None and found.rank == LEVELS.index("critical"):
            yield Note(f"{found.called} is critical", "", ("filter", "rules", number))


def _last_day(rule: Written) -> date | None:
    """The last day on which the exception holds."""
    until = rule.exception.expires_ms if rule.exception is not None else None
    return None if until is None else _EPOCH + timedelta(days=(until - 1) // 86_400_000)

"""Checks of rules beside each other: duplicates, parts that are none, and levels that do not fit together."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.rules.lint.pack import Pack, Written
from monitor.rules.lint.registry import CORRELATION, RULES, Note, check


@check("LM340", "warning", "a rule that says the same as another", RULES)
def same_as_another(rule: Written, pack: Pack) -> Iterator[Note]:
    """Both match the same lookups, at twice the cost; one of the two will be forgotten when the other is changed."""
    said = pack.said(rule)
    first = pack.first_to_say[said] if said is not None else rule
    if first is not rule:
        at = ("correlation",) if rule.kind == "correlation" else ("detection",)
        yield Note(f"{first.called} in {first.path} says the same", "leave one out, or name it instead", at)


@check("LM341", "warning", "an informational rule that alerts", RULES)
def informational_alone(rule: Written, pack: Pack) -> Iterator[Note]:
    """No correlation is made of it, so every match is an alert. A part that has lost its whole?"""
    if rule.alerts and rule.rank == 0 and not pack.above(rule):
        yield Note(
            "nothing is made of it, so each match alerts", "name it in a correlation, or raise its level", ("level",)
        )


@check("LM342", "warning", "a part of a higher level than its whole", RULES)
def part_above_whole(rule: Written, pack: Pack) -> Iterator[Note]:
    """It does not alert by itself, so that its level is never seen."""
    above = pack.above(rule)
    if not rule.alerts and above and all(each.rank < rule.rank for each in above):
        hint = "lower it, or add `generate: true` to the correlation"
        yield Note(
            f"{above[0].called}, which is made of it, is only {above[0].text('level') or 'medium'}", hint, ("level",)
        )


@check("LM343", "warning", "a correlation of a rule that alerts at its level or above", CORRELATION)
def adds_nothing(rule: Written, pack: Pack) -> Iterator[Note]:
    """With `generate` the part alerts first, and the correlation says later what the desk knows already."""
    if not rule.alerts or rule.body.get("generate") is not True:
        return
    for part in pack.parts(rule):
        if part.alerts and part.rank >= rule.rank:
            yield Note(f"{part.called} alerts by itself at this level already", "raise the level", ("level",))
            return


@check("LM344", "warning", "a rule that a correlation names twice", CORRELATION)
def rule_named_twice(rule: Written, pack: Pack) -> Iterator[Note]:
    """It is counted once."""
    seen: set[str] = set()
    for number, name in enumerate(rule.listed("correlation", "rules")):
        part = pack.found(name) if isinstance(name, str) else None
        key = part.text("id") if part is not None else str(name)
        if key in seen:
            yield Note(f"{name} is named twice", "", ("correlation", "rules", number))
        seen.add(key)

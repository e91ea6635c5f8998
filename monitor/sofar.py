"""How far a correlation has come with a lookup: it is run over what came before, and asked again with a bound that all meet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, NamedTuple

from monitor.acts import Acts
from monitor.detector import JOINED, KeyState, load_state, save_state
from monitor.reference import Reference
from monitor.replay import Counting
from monitor.rules import Correlation, Firing, Rule, RuleSet
from monitor.rules.kinds import KINDS
from monitor.rules.kinds.kind import counted, number, span_words
from monitor.rules.state import Log, Peers

#: Bounds that every number meets.
_ALL: Final = (("gte", -1e15), ("lte", 1e15))


class Found(NamedTuple):
    """What a run says of one correlation: whether it fired at the lookup and why, or would have if it had not shortly before;
    the number it is about, in words, and what it still asks for."""

    fired: bool
    reason: str | None
    quiet: bool
    so_far: str | None
    missing: list[str]


class Run:
    """A correlation, and all it is made of, over the lookups ``earlier`` and then ``lookup``."""

    def __init__(
        self,
        rule: Correlation,
        rules: RuleSet,
        lookup: dict[str, Any],
        reference: Reference,
        earlier: Iterable[dict[str, Any]],
    ) -> None:
        self._rules = _alone(rule, rules)
        self._lookup = lookup
        self._counting = Counting(self._rules, reference)
        acts, reached, off = Acts(), 0, 0
        for each in earlier:
            reached, off = max(reached, each["ts"]), off + 1
            self._counting.step((reached, 0, off), acts.fold(each, reference, reached))
        self._place = (max(reached, lookup["ts"]), 0, off + 1)
        acts.fold(lookup, reference, self._place[0])
        self._before = {key: save_state(self._counting.state(key)) for key in self._keys()}
        self._fired = self._last()

    def _keys(self) -> list[str]:
        return [f"actor/{self._lookup['actor.id']}", *self._rules.partition_keys(self._lookup)]

    def _last(self) -> dict[str, str]:
        """What fires at the lookup, also once time for paperwork has passed: rule id → why."""
        grace = max(rule.grace_ms for rule in self._rules.by_id.values())
        found = self._counting.step(self._place, self._lookup)
        if grace:
            reached = self._place[0] + grace + 1
            found += self._counting.end([reached], reached)
        here = self._lookup["ts"]
        return {alert.rule.id: alert.reasons[0] for alert in found if alert.ts == here}

    def of(self, rule: Correlation) -> Found:
        """What came of one of the correlations."""
        if self._lookup.get("act.folded"):
            first = self._lookup["act.id"]
            return Found(False, None, False, None, [f"it is one act with the lookup {first}, which is counted instead"])
        if rule.type in ("absence", "anomaly"):
            return Found(rule.id in self._fired, self._fired.get(rule.id), False, None, [_awaited(rule)])
        fired = rule.id in self._fired
        bare = replace(rule, grace_ms=0, alerts=True)
        free = replace(bare, bounds=_ALL, options={"learning": 0}, expression=None, suppress_ms=0)
        awake, _ = self._asked_again(bare)
        firing, matched = self._asked_again(free)
        if fired or awake is not None:
            missing: list[str] = []
        else:
            missing = _missing(rule, firing, matched, self._rules)
        quiet = awake is not None and not fired
        return Found(fired, self._fired.get(rule.id), quiet, None if firing is None else _words(rule, firing), missing)

    def _asked_again(self, rule: Correlation) -> tuple[Firing | None, set[int]]:
        """The firing at the lookup of the rule as it is given here, had it not fired before; the positions that have matched."""
        rules = RuleSet(
            [replace(each, grace_ms=0) for each in self._rules.detections],
            [rule if each.id == rule.id else each for each in self._rules.correlations],
            explanations=self._rules.explanations,
        )
        for key, saved in self._before.items():
            state = load_state(saved)
            _wake(state, rule)
            firings, _ = rules.evaluate(key, self._lookup, state, 0 if key.startswith("actor/") else JOINED)
            for firing in firings:
                if firing.rule.id == rule.id:
                    return firing, _positions(rule, state, self._lookup["ts"])
        return None, set()


def _alone(rule: Correlation, rules: RuleSet) -> RuleSet:
    """The rule and all it is made of, where each correlation says when it fires."""
    wanted: set[str] = set()
    waiting = [rule.id]
    while waiting:
        name = waiting.pop()
        wanted.add(name)
        waiting += [each for each in getattr(rules.by_id[name], "rules", ()) if each not in wanted]
    return RuleSet(
        [each for each in rules.detections if each.id in wanted],
        [replace(each, alerts=True) for each in rules.correlations if each.id in wanted],
        rules.version,
        rules.explanations,
    )


def _wake(state: KeyState, rule: Rule) -> None:
    """Forget that the rule has fired, so that it does not keep quiet."""
    for name, window in state.windows.items():
        if name.partition("\x1f")[0] == rule.fingerprint:
            if isinstance(window, Peers):
                window.fired_by.clear()
            else:
                window.fired = []


def _positions(rule: Correlation, state: KeyState, ts: int) -> set[int]:
    """Which of the rules have matched within the span before ``ts``, for the types that ask for different ones."""
    found: set[int] = set()
    for name, window in state.windows.items():
        if (
            rule.type.startswith("temporal")
            and name.partition("\x1f")[0] == rule.fingerprint
            and isinstance(window, Log)
        ):
            for entry in window.entries:
                found.update(entry.value if ts - rule.span_ms < entry.ts <= ts else ())
    return found


def _words(rule: Correlation, firing: Firing) -> str:
    kind = KINDS[rule.type]
    return counted(rule, kind.noun, firing.count) if kind.needs_bound and rule.type != "share" else firing.reasons[0]


def _missing(rule: Correlation, firing: Firing | None, matched: set[int], rules: RuleSet) -> list[str]:
    """What the condition still asks for; ``firing`` is what it would say without a bound."""
    if firing is not None and rule.bounds:
        more = [bound - firing.count for name, bound in rule.bounds if name == "gte" and firing.count < bound]
        if more:
            return [f"{number(more[0])} more {KINDS[rule.type].noun}"]
    elif firing is not None and rule.type.startswith("temporal") and rule.expression is None:
        names = [rules.by_id[name] for position, name in enumerate(rule.rules) if position not in matched]
        if names:
            return [each.name or each.title for each in names]
    return [asked_words(rule, rules)]


def _awaited(rule: Correlation) -> str:
    if rule.type == "anomaly":
        return "the model's score of the lookup"
    return f"that nothing follows within {span_words(rule.span_ms)}"


def window_words(rule: Correlation) -> str:
    """The window in words."""
    gap = f", ended by a pause of {span_words(rule.gap_ms)}" if rule.gap_ms else ""
    return f"{rule.window}, {span_words(rule.span_ms)}{gap}"


def asked_words(rule: Correlation, rules: RuleSet) -> str:
    """What the rule's condition asks for, in words."""
    kind = KINDS[rule.type]
    said = []
    if rule.bounds:
        of = f" of {' and '.join(rule.fields)}" if rule.fields else ""
        said.append(f"{counted(rule, kind.noun, 0).partition('asks for ')[2].removesuffix(')')} {kind.noun}{of}")
    elif rule.fields:
        said.append(f"{kind.noun} of {' and '.join(rule.fields)}")
    for name, value in rule.options.items():
        said.append(f"{name} {span_words(int(value)) if name == 'learning' else number(value)}")
    if rule.expression is not None:
        said.append(_expression_words(rule.expression, rule, rules))
    return ", ".join(said) or ("all of the rules" if rule.type.startswith("temporal") else kind.noun)


def _expression_words(expression: Any, rule: Correlation, rules: RuleSet) -> str:
    match expression:
        case int():
            each = rules.by_id[rule.rules[expression]]
            return each.name or each.title
        case ["not", part]:
            return f"not {_expression_words(part, rule, rules)}"
        case [word, *parts]:
            return f"({f' {word} '.join(_expression_words(part, rule, rules) for part in parts)})"
    raise TypeError(f"{expression!r} is not an extended condition")

"""All loaded rules together: what matches a lookup, what fires, and which partition keys a lookup needs."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, Final, Protocol

from monitor.explanations import Explanations
from monitor.rules.budget import keep_within
from monitor.rules.firing import make_firing, of_detection
from monitor.rules.index import WitnessIndex
from monitor.rules.kinds import KINDS, Hit
from monitor.rules.kinds.absence import Absence
from monitor.rules.kinds.kind import MAX_RECENT, entry_of
from monitor.rules.model import Correlation, Detection, Firing, Group, Lookup, Rule
from monitor.rules.plan import ACTOR, ACTOR_FIELDS, Plan, fields_of, group_values, key_is_of, plans, text_of_group
from monitor.rules.state import Entry, Hush, State, Waiting
from monitor.rules.values import MAX_VALUE, brief
from monitor.rules.windows import Window, is_quiet, note_fired

#: Alerts and absences of one key that may wait at once. Beyond that an alert does not wait, and an absence is not noted.
MAX_WAITING: Final = 200
#: Alerts of one group that may wait at once although the first to be raised will keep the others quiet; beyond that the
#: newest takes the place of the last one.
MAX_WAITING_EACH: Final = 20
#: What is kept of a lookup whose alert waits, besides what rules group by.
_KEPT: Final = ("id", "time", "ts", "system", "actor.id", "subject.id", "subject.watched", "act.folded")
#: Where it keeps which detections matched, when it is they that wait.
_NAMES: Final = "\x00"


class Windows(Protocol):
    """The part of a key's state that rules use."""

    windows: dict[str, State]
    waiting: list[Waiting]


#: (actor, subject, time of the lookup, until) → whether paperwork that began until then explains it.
Explained = Callable[[str, str | None, int, int], bool]


class RuleSet:
    """An unchanging set of rules. ``version`` names all they were loaded from.

    ``explanations`` are those that the pack declares: what explains a lookup is judged by the rules' own.
    """

    def __init__(
        self,
        detections: Sequence[Detection] = (),
        correlations: Sequence[Correlation] = (),
        version: str = "",
        explanations: Explanations | None = None,
    ) -> None:
        self.detections = tuple(detections)
        self.correlations = tuple(correlations)
        self.version = version
        self.explanations = Explanations.default() if explanations is None else explanations
        self.by_id: Mapping[str, Rule] = {rule.id: rule for rule in (*self.detections, *self.correlations)}
        self._index = WitnessIndex(self.detections)
        made = plans(self.correlations)
        self._of_actor = made.pop(ACTOR_FIELDS, Plan(ACTOR_FIELDS, ()))
        self._joined = tuple(made[fields] for fields in sorted(made))
        # Only what joins several actors decides which copies a lookup needs, and runs on them.
        feeding = {name for plan in self._joined for name in plan.above}
        self._joining = WitnessIndex([rule for rule in self.detections if rule.id in feeding])
        self._by_print: Mapping[str, Rule] = {rule.fingerprint: rule for rule in self.by_id.values()}
        self._kept = frozenset(_KEPT) | {
            name
            for rule in self.correlations
            for name in (*rule.group_by, *rule.fields, *(f for alias in rule.aliases.values() for f in alias.values()))
        }

    def matches(self, lookup: Lookup) -> list[Detection]:
        """The detections that match one lookup."""
        return self._index.matches(lookup)

    def partition_keys(self, lookup: Lookup) -> list[str]:
        """The keys, other than the actor's, under which rules need this lookup: ``subject/<id>`` and the like."""
        if not self._joined or lookup.get("act.folded"):
            return []
        matched = self._joining.matches(lookup)
        if not matched:
            return []
        keys = {
            plan.key_of(plan.steps[number].rule, match.id, lookup)
            for plan in self._joined
            for match in matched
            for number in plan.above.get(match.id, ())
        }
        return sorted(key for key in keys if key is not None)

    def evaluate(self, key: str, lookup: Lookup, state: Windows, src: int = 0) -> tuple[list[Firing], list[str]]:
        """Run the rules that belong to ``key`` on one lookup; ``state``, the key's own, is changed in place.

        ``src`` is the source partition whose event time decides what waits (any number for keys that join actors). Returns
        the firings, and the ids of the ``anomaly`` rules that wait for the model's score of this lookup.
        """
        is_actor = key.startswith("actor/")
        matches = self.matches(lookup) if is_actor else self._joining.matches(lookup)
        if not matches:
            return [], []
        slow = [rule for rule in matches if rule.grace_ms]
        if slow and self._must_wait(lookup, state):
            kept = {**self._slim(lookup), _NAMES: [rule.fingerprint for rule in slow]}
            due = lookup["ts"] + max(rule.grace_ms for rule in slow)
            state.waiting.append(Waiting(due, src, "", [], kept, version=self.version))
            matches = [rule for rule in matches if not rule.grace_ms]
        return self._matched(key, matches, lookup, state, src)

    def _matched(
        self, key: str, matches: Sequence[Detection], lookup: Lookup, state: Windows, src: int
    ) -> tuple[list[Firing], list[str]]:
        """What follows from the detections that match a lookup, now or after they have waited."""
        is_actor, firings, anomalies = key.startswith("actor/"), list[Firing](), list[str]()
        if is_actor:
            for rule in matches:
                if rule.alerts:
                    firings += _alone(rule, lookup, state)
        if lookup.get("act.folded"):
            return firings, []
        names = tuple([match.id for match in matches])
        for plan in (self._of_actor,) if is_actor else self._joined:
            firings += self._run(plan, key, names, lookup, state, src, anomalies)
        keep_within(state.windows, state.waiting, self._by_print, lookup)
        return firings, anomalies

    def evaluate_late(self, lookup: Lookup) -> list[Firing]:
        """Run only the rules that need no window, for a lookup too late for any."""
        return [of_detection(rule, lookup) for rule in self.matches(lookup) if rule.alerts]

    def decide(self, key: str, state: Windows, src: int, reached: int, explained: Explained) -> list[Firing]:
        """Decide what has waited under these rules until the event time ``reached`` of the source partition ``src``.

        It is decided in the order it is due, and what is due at once in the order in which it began to wait.
        """
        firings: list[Firing] = []
        while (waiting := first_due(state, src, reached, (self.version,))) is not None:
            firings += self.settle(key, state, waiting, src, explained)
        return firings

    def settle(self, key: str, state: Windows, waiting: Waiting, src: int, explained: Explained) -> list[Firing]:
        """Decide one thing that has waited in ``state`` under these rules."""
        state.waiting = [each for each in state.waiting if each is not waiting]
        return self._decide_one(key, state, waiting, src, explained)

    def _run(
        self,
        plan: Plan,
        key: str,
        matched: tuple[str, ...],
        lookup: Lookup,
        state: Windows,
        src: int,
        anomalies: list[str],
    ) -> list[Firing]:
        """Feed what matched to the steps above it, and what fires of those to the steps above them."""
        queue, hits = plan.fed_by(matched)
        at, firings = 0, []
        while at < len(queue):
            step, (names, targets) = plan.steps[queue[at]], hits[queue[at]]
            at += 1
            if step.rule.type == "anomaly":
                anomalies.append(step.rule.id)
                continue
            if targets is None:
                targets = plan.windows_of(step, key, names, lookup)
            for base, window, positions in targets:
                firing = self._observe(step.rule, base, window, positions, lookup, state, src)
                if firing is None:
                    continue
                if step.is_told:
                    firings.append(firing)
                feeds = plan.above.get(step.rule.id)
                if feeds:
                    queue, hits = queue.copy(), hits.copy()
                    for number in feeds:
                        if number not in hits:
                            insort(queue, number, lo=at)
                        hits[number] = ((*hits[number][0], step.rule.id) if number in hits else (step.rule.id,)), None
        return firings

    def _observe(
        self,
        rule: Correlation,
        base: str,
        name: str,
        positions: tuple[int, ...],
        lookup: Lookup,
        state: Windows,
        src: int,
    ) -> Firing | None:
        """Count a lookup in the window of a name; ``base`` is a rule that matched, by which the window's group is told."""
        kind, window = KINDS[rule.type], state.windows.get(name)
        if window is None:
            window = state.windows[name] = kind.start(rule)
        begins = kind.waits and 0 in positions
        if begins and len(state.waiting) >= MAX_WAITING:
            positions, begins = positions[1:], False  # it may still follow another
        hit = kind.observe(rule, window, lookup, positions)
        if hit is None:
            if begins:
                self._await_end(rule, group_values(rule, lookup, base) or (), lookup, state, src, name)
            return None
        group = group_values(rule, lookup, base) or ()
        if hit.quiet:
            if rule.suppress_ms:
                kind.hush(rule, window, group)
        elif rule.grace_ms and self._must_wait(lookup, state):
            self._wait(rule, group, lookup, state, src, name, hit)
        else:
            return make_firing(rule, group, lookup, hit, kind.fire(rule, window, group, hit.end))
        return None

    def _await_end(self, rule: Correlation, group: Group, lookup: Lookup, state: Windows, src: int, name: str) -> None:
        due, slim, ts = Absence.due(rule, lookup), self._slim(lookup), lookup["ts"]
        state.waiting.append(Waiting(due, src, name, list(group), slim, [], 1, ts, "", self.version))

    @staticmethod
    def _must_wait(lookup: Lookup, state: Windows) -> bool:
        """Rules may wait for paperwork: not about subjects who are being observed, and not in a flood."""
        return not lookup.get("subject.watched") and len(state.waiting) < MAX_WAITING

    def _wait(self, rule: Rule, group: Group, lookup: Lookup, state: Windows, src: int, name: str, hit: Hit) -> None:
        if rule.suppress_ms or (isinstance(rule, Correlation) and not KINDS[rule.type].single):
            same = [each for each in state.waiting if each.name == name and tuple(each.group) == group]
            if len(same) >= MAX_WAITING_EACH:
                state.waiting = [each for each in state.waiting if each is not same[-1]]
        entries, due = list(hit.inside[-MAX_RECENT:]), lookup["ts"] + rule.grace_ms
        slim, amount = self._slim(lookup), float(hit.amount)
        state.waiting.append(
            Waiting(due, src, name, list(group), slim, entries, amount, hit.end, hit.reason, self.version)
        )

    def _slim(self, lookup: Lookup) -> dict[str, Any]:
        return {name: _short(lookup[name]) for name in self._kept if name in lookup}

    def _decide_one(self, key: str, state: Windows, waiting: Waiting, src: int, explained: Explained) -> list[Firing]:
        if not waiting.name:
            return self._decide_matches(key, state, waiting, src, explained)
        rule = self._by_print.get(waiting.name.partition("\x1f")[0])
        lookup = waiting.lookup

        def gone(entry: Entry) -> bool:
            return explained(entry.actor, entry.subject, entry.ts, lookup["ts"] + rule.grace_ms)  # type: ignore[union-attr]

        if not isinstance(rule, Correlation):
            return []  # the rule has changed or gone since
        firing = _decide_correlation(rule, state, waiting, gone)
        if firing is None:
            return []
        above = [
            each
            for plan in ((self._of_actor,) if key.startswith("actor/") else self._joined)
            for each in self._run(plan, key, (rule.id,), lookup, state, src, [])
        ]
        return [firing, *above] if rule.alerts and key_is_of(fields_of(rule), key) else above

    def _decide_matches(
        self, key: str, state: Windows, waiting: Waiting, src: int, explained: Explained
    ) -> list[Firing]:
        """The detections that matched a lookup for which no paperwork came, as if they matched now."""
        lookup = {name: value for name, value in waiting.lookup.items() if name != _NAMES}
        ts, subject = lookup["ts"], lookup.get("subject.id")
        matches = []
        for mark in waiting.lookup[_NAMES]:
            rule = self._by_print.get(mark)
            if isinstance(rule, Detection) and not explained(lookup[ACTOR], subject, ts, ts + rule.grace_ms):
                matches.append(rule)
        return self._matched(key, matches, lookup, state, src)[0] if matches else []


def first_due(state: Windows, src: int, reached: int, versions: Container[str]) -> Waiting | None:
    """What is to be decided next of what waits under ``versions``: the first due, and of those that which waited first."""
    due = [each for each in state.waiting if is_due(each, src, reached) and each.version in versions]
    return min(due, key=lambda each: each.due, default=None)


def is_due(waiting: Waiting, src: int, reached: int) -> bool:
    """Whether what waits can be decided."""
    return waiting.src == src and waiting.due < reached


def is_any_due(state: Windows, src: int, reached: int) -> bool:
    """Whether anything that waits can be decided."""
    for waiting in state.waiting:  # noqa: SIM110 (a generator would cost twice the time)
        if waiting.due < reached and waiting.src == src:
            return True
    return False


def _alone(rule: Detection, lookup: Lookup, state: Windows) -> list[Firing]:
    """The alert of a detection by itself, unless one about the same actor keeps it quiet."""
    if not rule.suppress_ms:
        return [of_detection(rule, lookup)]
    hush = _hush_of(rule, state)
    if is_quiet(rule, hush.fired, Window(lookup["ts"], lookup["ts"], 0, 0)):
        hush.hushed += 1
        return []
    return [of_detection(rule, lookup, _note(rule, hush, lookup["ts"]))]


def _hush_of(rule: Detection, state: Windows) -> Hush:
    hush = state.windows.setdefault(rule.fingerprint, Hush())
    assert isinstance(hush, Hush)
    return hush


def _note(rule: Detection, hush: Hush, ts: int) -> int:
    note_fired(rule, hush.fired, ts)
    suppressed, hush.hushed = hush.hushed, 0
    return suppressed


def _decide_correlation(
    rule: Correlation, state: Windows, waiting: Waiting, gone: Callable[[Entry], bool]
) -> Firing | None:
    kind, window, lookup = KINDS[rule.type], state.windows.get(waiting.name), waiting.lookup
    if window is None:
        return None
    group = tuple((name, value) for name, value in waiting.group)
    if not isinstance(kind, Absence) and kind.quiet(rule, window, waiting):
        if rule.suppress_ms:
            kind.hush(rule, window, group)
        return None
    explained = [entry for entry in kind.asked(rule, window, waiting) if gone(entry)]
    if explained:
        for each in (waiting, *(other for other in state.waiting if other.name == waiting.name)):
            kind.strike(rule, window, each, explained)
    hit = kind.again(rule, window, waiting, explained)
    if hit is None:
        return None
    if isinstance(kind, Absence) and kind.quiet(rule, window, waiting):
        kind.hush(rule, window, group)
        return None
    hit = hit if hit.inside else hit._replace(inside=[entry_of(lookup, None)])
    return make_firing(rule, group, lookup, hit, kind.fire(rule, window, group, hit.end))


def _short(value: Any) -> Any:
    """A value as it is kept while an alert waits; what it groups by and counts as stays the same."""
    if type(value) is str:
        return brief(value)
    if type(value) is list and (len(value) > 20 or any(type(item) is str and len(item) > MAX_VALUE for item in value)):
        return text_of_group(value)
    return value

"""All loaded rules together: what matches a lookup, what fires, and which partition keys a lookup needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from monitor.rules.correlate import group_values, observe
from monitor.rules.index import WitnessIndex
from monitor.rules.model import Correlation, Detection, Firing, Lookup, Window

_ACTOR = "actor.id"


class RuleSet:
    """An unchanging set of rules. ``version`` is the SHA-256 of what they were loaded from."""

    def __init__(
        self, detections: Sequence[Detection] = (), correlations: Sequence[Correlation] = (), version: str = ""
    ) -> None:
        self.detections = tuple(detections)
        self.correlations = tuple(correlations)
        self.version = version
        self._index = WitnessIndex(self.detections)
        self._of_actor: defaultdict[str, list[Correlation]] = defaultdict(list)
        self._joined: defaultdict[str, list[Correlation]] = defaultdict(list)
        for rule in self.correlations:
            for base in rule.rules:
                (self._of_actor if _ACTOR in rule.group_by else self._joined)[base].append(rule)
        # Only what joins several actors decides which copies a lookup needs, and runs on them.
        self._joining = WitnessIndex([rule for rule in self.detections if rule.id in self._joined])

    def matches(self, lookup: Lookup) -> list[Detection]:
        """The detections that match one lookup."""
        return self._index.matches(lookup)

    def partition_keys(self, lookup: Lookup) -> list[str]:
        """The keys, other than the actor's, under which rules need this lookup: ``subject/<id>`` and the like."""
        if not self._joined:
            return []
        keys = {
            partition_key(group)
            for rule in _once(self._joined, self._joining.matches(lookup))
            if (group := group_values(rule, lookup)) is not None
        }
        return sorted(keys)

    def evaluate(self, key: str, lookup: Lookup, windows: dict[str, Window]) -> list[Firing]:
        """Run the rules that belong to ``key`` on one lookup; ``windows``, the key's own, is changed in place."""
        is_actor = key.startswith("actor/")
        matches = self.matches(lookup) if is_actor else self._joining.matches(lookup)
        if not matches:
            return []
        firings = [_stateless(rule, lookup) for rule in matches if rule.alerts] if is_actor else []
        for rule in _once(self._of_actor if is_actor else self._joined, matches):
            group = group_values(rule, lookup)
            if group is None or (not is_actor and partition_key(group) != key):
                continue
            rest = "\x1f".join(value for field, value in group if field != _ACTOR) if is_actor else ""
            name = f"{rule.id}\x1f{rest}" if rest else rule.id
            window = windows.get(name)
            if window is None:
                window = windows[name] = Window()
            firing = observe(rule, group, window, lookup)
            if firing is not None:
                firings.append(firing)
        _forget(windows)
        return firings

    def evaluate_late(self, lookup: Lookup) -> list[Firing]:
        """Run only the rules that need no window, for a lookup too late for any."""
        return [_stateless(rule, lookup) for rule in self.matches(lookup) if rule.alerts]


def _once(by_base: dict[str, list[Correlation]], matches: Sequence[Detection]) -> list[Correlation]:
    """The correlations over any of the matches, each once however many of its detections match."""
    found = {rule.id: rule for match in matches for rule in by_base.get(match.id, ())}
    return [found[name] for name in sorted(found)]


def partition_key(group: Sequence[tuple[str, str]]) -> str:
    """The partition key of a group that is not an actor's."""
    kind = ",".join(field.removesuffix(".id") for field, _ in group)
    return f"{kind}/{'|'.join(value for _, value in group)}"


#: Windows a key may have before those longest without a lookup are dropped.
_MAX_WINDOWS = 400


def _forget(windows: dict[str, Window]) -> None:
    """Keep the number of groups under one key bounded: an actor meets ever new subjects."""
    if len(windows) > _MAX_WINDOWS:
        newest = sorted(windows, key=lambda name: (windows[name].entries[-1].ts, name))
        for name in newest[: len(windows) // 4]:
            del windows[name]


def _stateless(rule: Detection, lookup: Lookup) -> Firing:
    subject = lookup.get("subject.id")
    return Firing(
        rule=rule,
        group=((_ACTOR, lookup[_ACTOR]),),
        trigger=f"{lookup['system']}/{lookup['id']}",
        ts=lookup["ts"],
        time=lookup["time"],
        actors=[lookup[_ACTOR]],
        subjects=[subject] if subject is not None else [],
        events=[lookup["id"]],
        count=1,
        reasons=[rule.title, *([rule.description] if rule.description else [])],
    )

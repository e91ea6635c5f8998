"""What rules mean, written down a second time: by brute force over the whole history at every lookup.

Nothing of the engine is used here. It is written from what the docstrings of the kinds, ``docs/correlations.md`` and the Sigma
specification 2.1 promise, so that where engine and this differ, one of them breaks a promise. Nothing is ever dropped
here, except where the promise says what is left out.

Detections are as simple as can be: a rule ``a`` matches a lookup that has ``a`` in its list ``m``.
"""

from __future__ import annotations

import ast
import itertools
import math
import re
import statistics
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from tests.rules.samples import rule_id

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LONG = 31 * DAY
Lookup = dict[str, Any]
Group = tuple[tuple[str, str], ...]
Explained = Callable[[str, "str | None", int, int], bool]
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "lt": lambda one, other: one < other,
    "lte": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "gte": lambda one, other: one >= other,
    "eq": lambda one, other: one == other,
    "neq": lambda one, other: one != other,
}
IN_SLOTS = ("event_count", "value_count", "value_sum", "value_avg", "value_percentile", "value_median")


@dataclass(frozen=True)
class Spec:
    """A rule: what a document says of it. ``type`` is ``detection``, or that of a correlation. All times in milliseconds."""

    name: str
    type: str = "event_count"
    rules: tuple[str, ...] = ("a",)
    group_by: tuple[str, ...] = ("actor.id",)
    span: int = HOUR
    bounds: tuple[tuple[str, float], ...] = ()
    fields: tuple[str, ...] = ()
    options: tuple[tuple[str, float], ...] = ()
    window: str = "sliding"
    gap: int = 0
    suppress: int = 0
    grace: int = 0
    peer: str | None = None
    aliases: tuple[tuple[str, str, str], ...] = ()
    condition: str | None = None
    generate: bool = False
    #: Exceptions of a detection: (value of the field x, when it expires).
    filters: tuple[tuple[str, int | None], ...] = ()

    def texts(self) -> Iterator[str]:
        """The documents of the rule."""
        beside = {at: f"{ms // 1000}s" for at, ms in (("suppress", self.suppress), ("grace", self.grace)) if ms}
        about = {"title": self.name, "id": rule_id(self.name), "name": self.name, **beside}
        if self.type == "detection":
            body: Any = {"s": {"m": self.name}, "condition": "s"}
            yield orjson.dumps({**about, "logsource": {"category": "lookup"}, "detection": body}).decode()
            for number, (value, expires) in enumerate(self.filters):
                made = {"title": f"{self.name} but {number}", "id": rule_id(f"{self.name} but {number}")}
                when = {} if expires is None else {"expires": iso(expires)}
                but = {"rules": [self.name], "s": {"x": value}, "condition": "s"}
                yield orjson.dumps({**made, **when, "logsource": {"category": "lookup"}, "filter": but}).decode()
            return
        aliases: dict[str, dict[str, str]] = {}
        for alias, rule, name in self.aliases:
            aliases.setdefault(alias, {})[rule] = name
        spans = {name: f"{int(value) // 1000}s" if name == "learning" else value for name, value in self.options}
        fields = {"field": list(self.fields)} if self.fields else {}
        optional = {
            "peer": self.peer,
            "aliases": aliases or None,
            "window": None if self.window == "sliding" else self.window,
            "gap": f"{self.gap // 1000}s" if self.gap else None,
        }
        body = {
            "type": self.type,
            "rules": list(self.rules),
            "group-by": list(self.group_by),
            "timespan": f"{self.span // 1000}s",
            "condition": self.condition or {**dict(self.bounds), **spans, **fields},
            "generate": self.generate,
            **{name: value for name, value in optional.items() if value is not None},
        }
        yield orjson.dumps({**about, "correlation": body}).decode()

    def option(self, name: str, default: float) -> float:
        """An option of the condition."""
        return dict(self.options).get(name, default)

    @property
    def needed(self) -> int:
        """So many of something are all the same to the bounds; at least 20."""
        return max(20, int(max((bound for _, bound in self.bounds), default=0)) + 1)

    @property
    def in_slots(self) -> bool:
        """Whether it is counted in 64 slots."""
        if self.type not in IN_SLOTS:
            return False
        many = self.type in ("event_count", "value_count") and self.window == "sliding" and self.needed > 1000
        return self.span > LONG or many


def iso(ms: int) -> str:
    """A time as RFC 3339."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


@dataclass
class Feed:
    """A lookup that matched parts of a correlation, as one group of it sees it."""

    order: int
    lookup: Lookup
    hits: tuple[int, ...]
    value: Any = None
    forgotten: bool = False

    @property
    def ts(self) -> int:
        """Event time."""
        return int(self.lookup["ts"])


@dataclass
class Found:
    """A window for which a condition holds. ``least`` are the ids its evidence has at least, ``most`` at most."""

    end: int
    number: float
    inside: list[Feed]
    start: int = 0
    stop: int = 0
    quiet: bool = False
    #: What an alert shows of it, when that is not all.
    shown: list[Feed] | None = None


@dataclass
class Fired:
    """An alert: what is compared with the engine's."""

    rule: str
    group: Group
    trigger: str
    number: float
    inside: list[str]
    shown: list[str]
    suppressed: int


@dataclass
class GroupHistory:
    """All that ever happened to one group of a correlation, and to one detection with ``suppress``."""

    feeds: list[Feed] = field(default_factory=list)
    fired: list[int] = field(default_factory=list)
    hushed: int = 0
    #: Event time of the newest lookup that was counted.
    newest: int | None = None

    def kept(self) -> list[Feed]:
        """What was counted and not forgotten since, by time; what is of one moment, as it came."""
        return sorted((feed for feed in self.feeds if not feed.forgotten), key=lambda feed: (feed.ts, feed.order))


@dataclass
class Pending:
    """What waits."""

    due: int
    rule: Spec
    group: Group
    lookup: Lookup
    found: Found | None = None
    evidence: list[Feed] = field(default_factory=list)


class Naive:
    """All rules over one stream; :meth:`step` takes the lookups of one key, as the detector does."""

    def __init__(self, specs: Sequence[Spec], explained: Explained = lambda *_: False) -> None:
        self.specs = {spec.name: spec for spec in specs}
        self.explained = explained
        self.groups: dict[tuple[str, str, Group], GroupHistory] = {}
        self.pending: dict[str, list[Pending]] = {}
        self.newest: dict[str, int] = {}
        self.known: dict[str, list[tuple[str, str]]] = {}
        self.offsets: dict[str, int] = {}
        self.order = 0
        parts = {part for spec in specs if spec.type != "detection" and not spec.generate for part in spec.rules}
        self.silent = parts

    # The detector

    def step(self, key: str, lookup: Lookup, off: int, reached: int) -> list[Fired]:
        """What is raised when this lookup comes to a key."""
        if off <= self.offsets.get(key, -1):
            return []
        due = self.advance(key, reached)
        self.offsets[key] = off
        known, name = self.known.setdefault(key, []), (lookup["system"], lookup["id"])
        if name in known:
            return due
        self.known[key] = [*known, name][-256:]
        if lookup["ts"] < self.newest.get(key, 0) - DAY:
            names = self.matched(lookup) if key.startswith("actor/") else []
            return due + [self.raised_alone(name, lookup, 0) for name in names if name not in self.silent]
        self.newest[key] = max(lookup["ts"], self.newest.get(key, 0))
        return due + self.count(key, lookup)

    def keys(self, lookup: Lookup) -> list[str]:
        """The keys other than the actor's under which correlations are counted."""
        found = set()
        if not lookup.get("act.folded"):
            for top in self.tops():
                fields = self.fields_of(top)
                if fields != ("actor.id",):
                    for spec in self.whole(top):
                        for part in spec.rules:
                            if part in self.matched(lookup):
                                found.add(self.key(fields, spec, part, lookup))
        return sorted(key for key in found if key is not None)

    def matched(self, lookup: Lookup) -> list[str]:
        """The detections that match."""

        def excepted(spec: Spec) -> bool:
            return any(
                lookup.get("x") == value and (until is None or lookup["ts"] < until) for value, until in spec.filters
            )

        return [
            spec.name
            for spec in self.specs.values()
            if spec.type == "detection" and spec.name in lookup.get("m", ()) and not excepted(spec)
        ]

    # Where correlations are counted

    def tops(self) -> list[Spec]:
        """The correlations that alert."""
        return [spec for spec in self.specs.values() if spec.type != "detection" and spec.name not in self.silent]

    def whole(self, top: Spec) -> list[Spec]:
        """A correlation and those it is made of, those first."""
        made: dict[str, Spec] = {}
        for part in top.rules:
            if self.specs[part].type != "detection":
                made.update({spec.name: spec for spec in self.whole(self.specs[part])})
        return [*made.values(), top]

    @staticmethod
    def fields_of(spec: Spec) -> tuple[str, ...]:
        """The fields of the key."""
        if spec.peer is not None:
            return (spec.peer,)
        return ("actor.id",) if "actor.id" in spec.group_by else spec.group_by

    @staticmethod
    def stands_for(spec: Spec, name: str, part: str) -> str:
        """The field that a name in group-by stands for in lookups of a part."""
        return next((real for alias, rule, real in spec.aliases if (alias, rule) == (name, part)), name)

    def group(self, spec: Spec, part: str, lookup: Lookup) -> Group | None:
        """The group of a lookup that matched a part."""
        values = [(name, lookup.get(self.stands_for(spec, name, part))) for name in spec.group_by]
        if any(value is None for _, value in values):
            return None
        return tuple((name, "|".join(value) if isinstance(value, list) else str(value)) for name, value in values)

    def key(self, fields: tuple[str, ...], spec: Spec, part: str, lookup: Lookup) -> str | None:
        """The key."""
        values = [lookup.get(self.stands_for(spec, name, part)) for name in fields]
        if any(value is None for value in values):
            return None
        if len(values) > 1:
            values = [str(value).replace("%", "%25").replace("|", "%7C") for value in values]
        return (
            ",".join(name.removesuffix(".id") for name in fields) + "/" + "|".join(map(str, values))
            if fields
            else "all/"
        )

    # One lookup

    def count(self, key: str, lookup: Lookup) -> list[Fired]:
        """Run everything that belongs to the key."""
        names = self.matched(lookup)
        found: list[Fired] = []
        if key.startswith("actor/"):
            for name in names:
                if name not in self.silent:
                    found += self.alone(key, self.specs[name], lookup)
        if lookup.get("act.folded"):
            return found
        return found + self.run(key, names, lookup)

    def run(self, key: str, names: Iterable[str], lookup: Lookup) -> list[Fired]:
        """Feed matches to correlations, and what fires of them to those above."""
        matched, found = list(names), []
        steps = []
        for top in self.tops():
            if key.split("/")[0] == self.key_kind(top):
                steps += [(top, spec) for spec in self.whole(top)]
        done = set()
        for top, spec in steps:
            if spec.name in done:
                continue
            done.add(spec.name)
            by_group: dict[Group, set[int]] = {}
            for number, part in enumerate(spec.rules):
                if part in matched and self.key(self.fields_of(top), spec, part, lookup) == key:
                    group = self.group(spec, part, lookup)
                    if group is not None:
                        by_group.setdefault(group, set()).add(number)
            for group, hits in by_group.items():
                fired = self.observe(key, spec, group, tuple(sorted(hits)), lookup)
                if fired is not None:
                    matched.append(spec.name)
                    if spec.name not in self.silent and self.key_kind(spec) == key.split("/")[0]:
                        found.append(fired)
        return found

    def key_kind(self, spec: Spec) -> str:
        """What keys of the rule begin with."""
        return ",".join(name.removesuffix(".id") for name in self.fields_of(spec)) or "all"

    # Detections by themselves

    def raised_alone(self, name: str, lookup: Lookup, suppressed: int) -> Fired:
        """The alert of a detection."""
        ids = [lookup["id"]]
        return Fired(name, (("actor.id", lookup["actor.id"]),), lookup["id"], 1, ids, ids, suppressed)

    def alone(self, key: str, spec: Spec, lookup: Lookup) -> list[Fired]:
        """A detection that matches and alerts by itself."""
        history = self.groups.setdefault((key, spec.name, ()), GroupHistory())
        if spec.suppress and any(abs(lookup["ts"] - end) < spec.suppress for end in history.fired):
            history.hushed += 1
            return []
        if self.must_wait(key, spec, lookup):
            self.wait(key, spec, (), lookup, Found(lookup["ts"], 1, []))
            return []
        return [self.raised_alone(spec.name, lookup, self.note(history, lookup["ts"]))]

    @staticmethod
    def note(history: GroupHistory, end: int) -> int:
        """Note that it fired."""
        history.fired.append(end)
        suppressed, history.hushed = history.hushed, 0
        return suppressed

    # Waiting

    def must_wait(self, key: str, spec: Spec, lookup: Lookup) -> bool:
        """Whether an alert waits."""
        return spec.grace > 0 and not lookup.get("subject.watched") and len(self.pending.get(key, ())) < 200

    def wait(self, key: str, spec: Spec, group: Group, lookup: Lookup, found: Found) -> None:
        """Let an alert wait."""
        pending = self.pending.setdefault(key, [])
        if spec.suppress or spec.type not in ("detection", "new_value"):
            same = [each for each in pending if (each.rule, each.group) == (spec, group)]
            if len(same) >= 20:
                pending.remove(same[-1])
        shown = found.inside if found.shown is None else found.shown
        pending.append(Pending(lookup["ts"] + spec.grace, spec, group, lookup, found, shown[-12:]))

    def advance(self, key: str, reached: float) -> list[Fired]:
        """Decide what was due."""
        found: list[Fired] = []
        while True:
            due = [each for each in self.pending.get(key, ()) if each.due < reached]
            if not due:
                return found
            first = min(due, key=lambda each: each.due)
            self.pending[key].remove(first)
            found += self.decide(key, first)

    def decide(self, key: str, waiting: Pending) -> list[Fired]:
        """Raise it or not."""
        spec, lookup = waiting.rule, waiting.lookup
        history = self.groups.setdefault((key, spec.name, waiting.group), GroupHistory())

        def gone(one: Lookup) -> bool:
            return self.explained(one["actor.id"], one.get("subject.id"), one["ts"], lookup["ts"] + spec.grace)

        if spec.type == "detection":
            if spec.suppress and any(abs(lookup["ts"] - end) < spec.suppress for end in history.fired):
                history.hushed += 1
                return []
            return [] if gone(lookup) else [self.raised_alone(spec.name, lookup, self.note(history, lookup["ts"]))]
        fired = self.decide_correlation(key, waiting, history, gone)
        if fired is None:
            return []
        above = self.run(key, [spec.name], lookup)
        own = spec.name not in self.silent and self.key_kind(spec) == key.split("/")[0]
        return [fired, *above] if own else above

    def decide_correlation(
        self, key: str, waiting: Pending, history: GroupHistory, gone: Callable[[Lookup], bool]
    ) -> Fired | None:
        """Ask about a window again when its alert has waited."""
        spec, lookup = waiting.rule, waiting.lookup
        if spec.type == "absence":
            return self.decide_absence(waiting, history, gone)
        assert waiting.found is not None
        kind = KINDS[spec.type](self, spec, history, key, waiting.group)
        found = waiting.found
        if spec.type == "new_value":
            end = lookup["ts"]
            if spec.suppress and any(abs(end - one) < spec.suppress for one in history.fired):
                history.hushed += 1
                return None
            again = None if gone(lookup) else found
        else:
            now = kind.at(found.end)
            start, stop = (found.end - spec.span + 1, found.end) if now is None else (now.start, now.stop)
            if kind.near(found.end, start, stop):
                if spec.suppress:
                    history.hushed += 1
                return None
            asked = kind.asked(waiting, now)
            for feed in asked:
                if gone(feed.lookup):
                    feed.forgotten = True
            known = {feed.value for feed in waiting.evidence}
            waiting.evidence = [feed for feed in waiting.evidence if not feed.forgotten]
            again = kind.at(found.end)
            if spec.in_slots and spec.type == "value_count":  # its own number, less the values that are explained
                gone_values = known - {feed.value for feed in waiting.evidence}
                again = replace(found, number=found.number - len(gone_values)) if waiting.evidence else None
            again = again if again is not None and kind.holds(again) else None
            if again is not None and not isinstance(kind, OfLookups):
                again.shown = waiting.evidence
            if spec.type == "peer_deviation" and not waiting.evidence:
                again = None
        if again is None:
            return None
        return self.raise_(spec, waiting.group, lookup, again, history)

    def decide_absence(self, waiting: Pending, history: GroupHistory, gone: Callable[[Lookup], bool]) -> Fired | None:
        """Whether nothing has followed."""
        spec, lookup = waiting.rule, waiting.lookup
        first = next(feed for feed in history.feeds if feed.lookup is lookup and 0 in feed.hits)
        followed = any(
            feed.lookup is not lookup and any(feed.hits) and first.ts <= feed.ts <= first.ts + spec.span
            for feed in history.feeds
        )
        if followed or (spec.grace and gone(lookup)):
            return None
        if spec.suppress and any(abs(lookup["ts"] - end) < spec.suppress for end in history.fired):
            history.hushed += 1
            return None
        return self.raise_(spec, waiting.group, lookup, Found(lookup["ts"], 1, [first]), history)

    def raise_(self, spec: Spec, group: Group, lookup: Lookup, found: Found, history: GroupHistory) -> Fired:
        """The alert of a window."""
        suppressed = self.note(history, found.end)
        inside = [feed.lookup["id"] for feed in found.inside]
        if found.shown == []:
            inside.append(lookup["id"])
        shown = inside if found.shown is None else [feed.lookup["id"] for feed in found.shown]
        return Fired(spec.name, group, lookup["id"], found.number, inside, shown, suppressed)

    # Correlations

    def delay(self, spec: Spec) -> int:
        """How long after its lookup a match of a part may be told."""
        found = 0
        for part in (self.specs[name] for name in spec.rules):
            if part.type != "detection":
                waits = part.span + HOUR if part.type == "absence" else 0
                found = max(found, self.delay(part) + max(part.grace, waits))
        return found

    def lateness(self, spec: Spec) -> int:
        """How late a lookup may be."""
        return min(DAY, max(HOUR, spec.span)) + self.delay(spec)

    def observe(self, key: str, spec: Spec, group: Group, hits: tuple[int, ...], lookup: Lookup) -> Fired | None:
        """Count a lookup for one group; what fires."""
        history = self.groups.setdefault((key, spec.name, group), GroupHistory())
        self.order += 1
        if spec.type == "absence":
            if history.newest is None or lookup["ts"] >= history.newest - self.lateness(spec):
                history.newest = max(lookup["ts"], history.newest or 0)
                history.feeds.append(Feed(self.order, lookup, hits))
                if 0 in hits and len(self.pending.get(key, ())) < 200:
                    due = lookup["ts"] + max(spec.span + HOUR + self.delay(spec), spec.grace)
                    self.pending.setdefault(key, []).append(Pending(due, spec, group, lookup))
            return None
        kind = KINDS[spec.type](self, spec, history, key, group)
        hushed = False
        for found in kind.take(Feed(self.order, lookup, hits)):
            if kind.near(found.end, found.start, found.stop):
                hushed = True
                continue
            if self.must_wait(key, spec, lookup):
                self.wait(key, spec, group, lookup, found)
                return None
            return self.raise_(spec, group, lookup, found, history)
        if hushed and spec.suppress:
            history.hushed += 1
        return None


class Kind:
    """A type of correlation over the history of one group."""

    def __init__(self, naive: Naive, spec: Spec, history: GroupHistory, key: str, group: Group) -> None:
        self.naive, self.spec, self.history, self.key, self.group = naive, spec, history, key, group

    def take(self, feed: Feed) -> Iterator[Found]:
        """Count a lookup; the windows for which the condition holds."""
        raise NotImplementedError

    def near(self, end: int, start: int, stop: int) -> bool:
        """Whether one near a window has fired."""
        if self.spec.suppress:
            return any(abs(end - one) < self.spec.suppress for one in self.history.fired)
        if self.spec.window == "sliding":
            return any(abs(end - one) < self.spec.span for one in self.history.fired)
        return any(start <= one <= stop for one in self.history.fired)

    def at(self, end: int) -> Found | None:
        """The window with that end as it is now."""
        raise NotImplementedError

    def asked(self, waiting: Pending, now: Found | None) -> list[Feed]:
        """The lookups that may be explained."""
        return waiting.evidence

    def holds(self, found: Found) -> bool:
        """Whether the condition holds."""
        return all(OPERATORS[name](found.number, bound) for name, bound in self.spec.bounds)


class OfLookups(Kind):
    """Types that look at the lookups of a window."""

    def value(self, feed: Feed) -> Any:
        """What is looked at; ``None``: it is not counted."""
        return True

    def number(self, inside: list[Feed]) -> float:
        """The number that the condition is about."""
        raise NotImplementedError

    def take(self, feed: Feed) -> Iterator[Found]:
        feed.value = self.value(feed)
        kept = self.history.kept()
        if feed.value is None:
            return
        for known in kept:
            if known.lookup is feed.lookup:  # one lookup counts once, also when a part of the rule tells of it later
                if not isinstance(self, Temporal):
                    return
                known.forgotten = True
                feed.hits = feed.value = tuple(sorted({*known.hits, *feed.hits}))
                kept = self.history.kept()
        if kept and feed.ts < kept[-1].ts - self.naive.lateness(self.spec):
            return
        self.history.feeds.append(feed)
        kept = self.history.kept()
        if self.spec.window == "tumbling":
            ends = [feed.ts - feed.ts % self.spec.span + self.spec.span - 1]
        else:
            ends = sorted({each.ts for each in kept if feed.ts <= each.ts < feed.ts + self.spec.span})[:200]
        for end in ends:
            found = self.at(end)
            if found is not None and feed in found.inside and self.holds(found):
                yield found

    def at(self, end: int) -> Found | None:
        spec, kept = self.spec, self.history.kept()
        start, stop = end - spec.span + 1, end
        inside = [feed for feed in kept if start <= feed.ts <= end]
        if not inside:
            return None
        if spec.window == "session":
            at = len(inside) - 1
            while at > 0 and inside[at].ts - inside[at - 1].ts <= spec.gap:
                at -= 1
            inside = inside[at:]
            start = inside[0].ts
            for feed in kept:
                if end < feed.ts < end + spec.span and feed.ts - stop <= spec.gap:
                    stop = feed.ts
        shown = self.shown(kept, inside) if spec.window == "sliding" and not spec.grace else inside
        number = self.number(inside if isinstance(self, Temporal) else shown)
        return Found(end, number, inside, start, stop, shown=shown)

    def shown(self, kept: list[Feed], inside: list[Feed]) -> list[Feed]:
        """What an alert shows: of lookups that are older than any that may still come, only what decides."""
        return inside

    def old(self, kept: list[Feed]) -> list[Feed]:
        """The lookups that are older than any that may still come."""
        return [feed for feed in kept if feed.ts <= kept[-1].ts - self.naive.lateness(self.spec)]

    def asked(self, waiting: Pending, now: Found | None) -> list[Feed]:
        return [] if now is None else now.inside[-1000:]


class EventCount(OfLookups):
    """Lookups."""

    def number(self, inside: list[Feed]) -> float:
        return len(inside)

    def shown(self, kept: list[Feed], inside: list[Feed]) -> list[Feed]:
        gone = self.old(kept)[: -self.spec.needed]
        return [feed for feed in inside if not any(feed is each for each in gone)]


def values_of(spec: Spec, lookup: Lookup) -> Any:
    """The values of the fields, without case."""
    values = [lookup.get(name) for name in spec.fields]
    if any(value is None for value in values):
        return None
    return tuple("|".join(value).lower() if isinstance(value, list) else str(value).lower() for value in values)


class ValueCount(OfLookups):
    """Different values."""

    def value(self, feed: Feed) -> Any:
        return values_of(self.spec, feed.lookup)

    def number(self, inside: list[Feed]) -> float:
        return len({feed.value for feed in inside})

    def shown(self, kept: list[Feed], inside: list[Feed]) -> list[Feed]:
        old = self.old(kept)
        newest: dict[Any, Feed] = {feed.value: feed for feed in old}
        known = sorted(newest.values(), key=lambda feed: (feed.ts, feed.order))[-self.spec.needed :]
        return [feed for feed in inside if feed in known or feed not in old]


class OfNumbers(OfLookups):
    """Numbers in a field."""

    def value(self, feed: Feed) -> Any:
        found = feed.lookup.get(self.spec.fields[0])
        each = [number(one) for one in (found if isinstance(found, list) else [found])]
        known = [one for one in each if one is not None]
        return math.fsum(known) if known else None


def number(found: Any) -> float | None:
    """A number, or a text that is one."""
    if isinstance(found, str):
        return float(found) if re.fullmatch(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?", found) else None
    return found if isinstance(found, (int, float)) and not isinstance(found, bool) else None


class ValueSum(OfNumbers):
    """The sum."""

    def number(self, inside: list[Feed]) -> float:
        return math.fsum(feed.value for feed in inside)


class ValueAverage(OfNumbers):
    """The mean."""

    def number(self, inside: list[Feed]) -> float:
        return math.fsum(feed.value for feed in inside) / len(inside)


class ValuePercentile(OfNumbers):
    """The least number that so many per cent of the numbers do not exceed."""

    def number(self, inside: list[Feed]) -> float:
        share = self.spec.option("percentile", 50)
        ordered = sorted(feed.value for feed in inside)
        return next(
            one for one in ordered if 100 * sum(other <= one for other in ordered) >= share * len(ordered) - 1e-6
        )


class ValueMedian(OfNumbers):
    """The median."""

    def number(self, inside: list[Feed]) -> float:
        return float(statistics.median(feed.value for feed in inside))


class Temporal(OfLookups):
    """Different rules."""

    def value(self, feed: Feed) -> Any:
        return feed.hits

    def number(self, inside: list[Feed]) -> float:
        return len({hit for feed in inside for hit in feed.hits})

    def holds(self, found: Found) -> bool:
        matched = {self.spec.rules[hit] for feed in found.inside for hit in feed.hits}
        if self.spec.condition is not None:
            return truth(self.spec.condition, matched, matched)
        return super().holds(found) if self.spec.bounds else found.number == len(self.spec.rules)

    def shown(self, kept: list[Feed], inside: list[Feed]) -> list[Feed]:
        old = self.old(kept)
        newest = {hit: feed for feed in old for hit in feed.hits}
        return [feed for feed in inside if feed not in old or any(feed is each for each in newest.values())]


class TemporalOrdered(Temporal):
    """Different rules, in the order given."""

    def number(self, inside: list[Feed]) -> float:
        if self.spec.condition is not None:
            return super().number(inside)
        every = range(len(self.spec.rules))
        return max(
            (
                len(chain)
                for length in every
                for chain in itertools.combinations(every, length + 1)
                if in_order(inside, chain)
            ),
            default=0,
        )

    def holds(self, found: Found) -> bool:
        if self.spec.condition is None:
            return super().holds(found)
        names = self.spec.rules
        matched = {names[hit] for feed in found.inside for hit in feed.hits}
        return any(
            truth(self.spec.condition, {names[hit] for hit in chain}, matched)
            for length in range(len(names) + 1)
            for chain in itertools.combinations(range(len(names)), length)
            if in_order(found.inside, chain)
        )


def in_order(inside: list[Feed], chain: tuple[int, ...]) -> bool:
    """Whether there are different lookups, one after the other, that match the rules of a chain: the first of each will do."""
    at = 0
    for wanted in chain:
        found = next((number for number in range(at, len(inside)) if wanted in inside[number].hits), None)
        if found is None:
            return False
        at = found + 1
    return True


def truth(condition: str, chosen: set[str], matched: set[str]) -> bool:
    """An extended condition; what stands under a ``not`` is asked of all that matched."""

    def of(node: ast.expr, under_not: bool) -> bool:
        match node:
            case ast.BoolOp(op=ast.And(), values=parts):
                return all(of(part, under_not) for part in parts)
            case ast.BoolOp(op=ast.Or(), values=parts):
                return any(of(part, under_not) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return not of(part, not under_not)
            case ast.Name(id=name):
                return name in (matched if under_not else chosen)
        raise AssertionError(ast.dump(node))

    return of(ast.parse(condition, mode="eval").body, False)


class SequenceRun(OfLookups):
    """Numbers in a row."""

    def value(self, feed: Feed) -> Any:
        found = feed.lookup.get(self.spec.fields[0])
        if found is None or isinstance(found, list) or not re.search("[0-9]", str(found)):
            return None
        return str(found).lower()

    def number(self, inside: list[Feed]) -> float:
        gap, longest = self.spec.option("gap", 1), 0
        shapes: dict[tuple[str, str], set[int]] = {}
        for text in {feed.value for feed in inside}:
            for one in list(re.finditer("[0-9]{1,18}", text))[:4]:
                shapes.setdefault((text[: one.start()], text[one.end() :]), set()).add(int(one[0]))
        for numbers in shapes.values():
            for first in numbers:
                at, length = first, 1
                while after := [each for each in numbers if at < each <= at + gap]:
                    at, length = min(after), length + 1
                longest = max(longest, length)
        return longest


class InSlots(Kind):
    """Long spans: the slot of the newest lookup and the 63 before it."""

    slots = 64

    def slot(self, ts: int) -> int:
        """The slot of a time."""
        return ts // math.ceil(self.spec.span / self.slots)

    def take(self, feed: Feed) -> Iterator[Found]:
        feed.value = KINDS_OF_LOOKUPS[self.spec.type](self.naive, self.spec, self.history, self.key, self.group).value(
            feed
        )
        newest = self.history.newest
        if feed.value is None or (newest is not None and self.slot(feed.ts) <= self.slot(newest) - self.slots):
            return
        self.history.newest = feed.ts if newest is None else max(newest, feed.ts)
        self.history.feeds.append(feed)
        found = self.at(self.history.newest)
        if found is not None and self.holds(found):
            yield found

    def at(self, end: int) -> Found | None:
        last = self.slot(end)
        kept = self.history.kept()
        inside = [feed for feed in kept if last - self.slots < self.slot(feed.ts) <= last]
        if not inside:
            return None
        shown = [feed for feed in kept[-12:] if any(feed is each for each in inside)]
        return Found(end, self.number(inside), inside, end, end, shown=shown)

    def number(self, inside: list[Feed]) -> float:
        """The number, as over a short span, but of what is kept of each slot."""
        kind = KINDS_OF_LOOKUPS[self.spec.type](self.naive, self.spec, self.history, self.key, self.group)
        if self.spec.type == "value_count":
            return min(kind.number(inside), self.spec.needed)
        if self.spec.type in ("value_percentile", "value_median"):
            by_slot: dict[int, list[Feed]] = {}
            for feed in inside:
                by_slot.setdefault(self.slot(feed.ts), []).append(feed)
            inside = [
                feed
                for feeds in by_slot.values()
                for feed in sorted(feeds, key=lambda feed: (zlib.crc32(feed.lookup["id"].encode()), feed.value))[:4]
            ]
        return kind.number(inside)


class Share(InSlots):
    """A part of a whole, in 32 slots."""

    slots = 32

    def take(self, feed: Feed) -> Iterator[Found]:
        newest = self.history.newest
        if 1 not in feed.hits or (newest is not None and self.slot(feed.ts) <= self.slot(newest) - self.slots):
            return
        self.history.newest = feed.ts if newest is None else max(newest, feed.ts)
        self.history.feeds.append(feed)
        found = self.at(self.history.newest)
        if 0 in feed.hits and found is not None and self.holds(found):
            yield found

    def at(self, end: int) -> Found | None:
        last = self.slot(end)
        every = [feed for feed in self.history.feeds if last - self.slots < self.slot(feed.ts) <= last]
        part = [feed for feed in self.history.kept() if 0 in feed.hits]
        inside = [feed for feed in part if last - self.slots < self.slot(feed.ts) <= last]
        if not every or len(every) < self.spec.option("minimum", 1):
            return None
        shown = [feed for feed in part[-12:] if any(feed is each for each in inside)]
        return Found(end, len(inside) / len(every), inside, end, end, shown=shown)


class NewValue(Kind):
    """A value not seen for the span before."""

    def take(self, feed: Feed) -> Iterator[Found]:
        feed.value = values_of(self.spec, feed.lookup)
        if feed.value is None:
            return
        before = [each.ts for each in self.history.feeds if each.value == feed.value]
        self.history.feeds.append(feed)
        first = min(each.ts for each in self.history.feeds)
        known_for = feed.ts - first
        if known_for < self.spec.option("learning", 14 * DAY):
            return
        if not any(feed.ts - ts <= self.spec.span for ts in before):
            yield Found(feed.ts, 1, [feed], feed.ts, feed.ts)

    def near(self, end: int, start: int, stop: int) -> bool:
        return bool(self.spec.suppress) and super().near(end, start, stop)


class InPeriods(Kind):
    """Periods of one span, aligned to the epoch."""

    def late(self) -> int:
        """By how many periods a lookup may be late."""
        return min(64, math.ceil(self.naive.lateness(self.spec) / self.spec.span))

    def enough(self, found: Found) -> bool:
        """Whether it is at least ``minimum``."""
        return found.number >= max(1, self.spec.option("minimum", 1))

    def period_of(self, end: int) -> int:
        """The period with that end."""
        return end // self.spec.span


class RateChange(InPeriods):
    """A period against those before it."""

    def take(self, feed: Feed) -> Iterator[Found]:
        period, newest = feed.ts // self.spec.span, self.history.newest
        if newest is not None and period < newest // self.spec.span - self.late():
            return
        self.history.newest = feed.ts if newest is None else max(newest, feed.ts)
        self.history.feeds.append(feed)
        found = self.at((period + 1) * self.spec.span - 1)
        if found is not None and self.holds(found):
            yield found

    def at(self, end: int) -> Found | None:
        period = self.period_of(end)
        kept = self.history.kept()
        inside = [feed for feed in kept if feed.ts // self.spec.span == period]
        shown = [feed for feed in kept[-12:] if any(feed is each for each in inside)]
        return Found(end, len(inside), inside, end - self.spec.span + 1, end, shown=shown)

    def holds(self, found: Found) -> bool:
        period, length = self.period_of(found.end), int(self.spec.option("baseline", 8))
        first = min(feed.ts // self.spec.span for feed in self.history.feeds)
        whole = [each for each in range(period - length, period) if each > first]
        before = [sum(feed.ts // self.spec.span == each for feed in self.history.kept()) for each in whole]
        if len(before) < min(3, length) or not self.enough(found):
            return False
        factor, p = self.spec.option("factor", 0), self.spec.option("p", 2)
        return found.number >= factor * sum(before) / len(before) and chance(int(found.number), before) < p


def chance(count: int, before: list[int]) -> float:
    """The probability of at least so many: the sum of a negative binomial distribution's terms."""
    size, stay = sum(before) + 0.5, len(before) / (len(before) + 1)
    below, term = 0.0, stay**size
    for value in range(count):
        below += term
        term *= (value + size) / (value + 1) * (1 - stay)
    return 1 - below


class PeerDeviation(InPeriods):
    """A period against the period before of the others."""

    def everyone(self) -> dict[Group, GroupHistory]:
        """The history of every member of the peer group."""
        return {
            group: history
            for (key, name, group), history in self.naive.groups.items()
            if key == self.key and name == self.spec.name
        }

    def take(self, feed: Feed) -> Iterator[Found]:
        newest = max((each.ts for history in self.everyone().values() for each in history.feeds), default=feed.ts)
        period = feed.ts // self.spec.span
        if period < newest // self.spec.span - self.late():
            return
        self.history.feeds.append(feed)
        found = self.at((period + 1) * self.spec.span - 1)
        if found is not None and self.holds(found):
            found.inside = found.shown = [feed]
            yield found

    def at(self, end: int) -> Found | None:
        period = self.period_of(end)
        inside = [feed for feed in self.history.kept() if feed.ts // self.spec.span == period]
        return Found(end, len(inside), inside, end - self.spec.span + 1, end)

    def holds(self, found: Found) -> bool:
        period = self.period_of(found.end)
        others = []
        for group, history in self.everyone().items():
            periods = [feed.ts // self.spec.span for feed in history.kept()]
            if group != self.group and any(period - 8 <= each < period for each in periods):
                others.append(sum(each == period - 1 for each in periods))
        if len(others) < 5 or not self.enough(found):
            return False
        usual = statistics.median(others)
        spread = max(1.0, 1.4826 * statistics.median(abs(each - usual) for each in others))
        far = found.number - usual >= self.spec.option("deviations", -math.inf) * spread
        return far and found.number >= self.spec.option("factor", 0) * max(usual, 1)

    def near(self, end: int, start: int, stop: int) -> bool:
        if self.spec.suppress:
            return any(abs(end - one) < self.spec.suppress for one in self.history.fired)
        return any(start <= one <= end for one in self.history.fired)


KINDS_OF_LOOKUPS: dict[str, type[OfLookups]] = {
    "event_count": EventCount,
    "value_count": ValueCount,
    "value_sum": ValueSum,
    "value_avg": ValueAverage,
    "value_percentile": ValuePercentile,
    "value_median": ValueMedian,
    "temporal": Temporal,
    "temporal_ordered": TemporalOrdered,
    "sequence_run": SequenceRun,
}


def _made(name: str) -> Callable[[Naive, Spec, GroupHistory, str, Group], Kind]:
    def make(naive: Naive, spec: Spec, history: GroupHistory, key: str, group: Group) -> Kind:
        return (InSlots if spec.in_slots else KINDS_OF_LOOKUPS[name])(naive, spec, history, key, group)

    return make


KINDS: dict[str, Callable[[Naive, Spec, GroupHistory, str, Group], Kind]] = {
    **{name: _made(name) for name in KINDS_OF_LOOKUPS},
    "share": Share,
    "new_value": NewValue,
    "rate_change": RateChange,
    "peer_deviation": PeerDeviation,
}

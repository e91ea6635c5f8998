"""Where correlations run: under the key of the actor, or of what they are grouped by instead; and what feeds what.

A rule grouped by a set of fields that includes ``actor.id`` runs with the actor's state, where all of the actor's lookups are.
Any other runs under a key made of its own fields (``subject/<id>``), and a lookup that can matter to it is copied there. A
rule made of other correlations takes them with it: they run under its key too, so each of them must be grouped by at least
the fields of that key, or it would not see all of its lookups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from monitor.rules.model import Correlation, Group, Lookup
from monitor.rules.values import brief, text_of

ACTOR: Final = "actor.id"
Fields = tuple[str, ...]
ACTOR_FIELDS: Final[Fields] = (ACTOR,)
#: How deep correlations of correlations may go.
MAX_DEPTH: Final = 8
#: Of so many sets of rules that matched together a plan remembers which steps they feed.
_MAX_FED: Final = 4096


class NotTogether(Exception):
    """A rule cannot be part of another, as its lookups are not all under the other's key."""


#: A window that matches count in: the rule that tells the group, the window's name, and the positions that matched.
Target = tuple[str, str, tuple[int, ...]]
#: The rules that feed a step, and the windows they count in where those are known without the lookup.
Fed = tuple[tuple[str, ...], list[Target] | None]


class Step:
    """One correlation as it runs under keys of certain fields, with all that depends on the rule alone."""

    __slots__ = ("is_told", "name", "others", "positions", "rule")

    def __init__(self, rule: Correlation, fields: Fields) -> None:
        self.rule = rule
        #: Positions in ``rules`` that matter to it, by the id of what matched.
        self.positions: Mapping[str, int] = {name: n for n, name in enumerate(rule.rules)}
        #: What its windows' names begin with, and the fields that the key does not say already.
        self.name = rule.fingerprint
        self.others = () if rule.peer is not None else tuple(name for name in rule.group_by if name not in fields)
        #: Whether it alerts under these keys; under others it is only a part.
        self.is_told = rule.alerts and fields_of(rule) == fields

    def window_of(self, lookup: Lookup) -> str | None:
        """The name of the window that a match belongs to, for a rule without aliases; ``None`` when a field is missing."""
        for name in self.rule.group_by:
            if lookup.get(name) is None:
                return None
        return self.named([text_of_group(lookup[name]) for name in self.others]) if self.others else self.name

    def named(self, values: list[str]) -> str:
        """The name of a window from the values of the group's fields that are not in the key."""
        if len(values) > 1:
            values = [value.replace("\x1a", "\x1a\x1a").replace("\x1f", "\x1as") for value in values]
        return "\x1f".join((self.name, *values))


class Plan:
    """The correlations that run under keys of the same fields, those that feed others first."""

    def __init__(self, fields: Fields, rules: Sequence[Correlation]) -> None:
        self.fields = fields
        self.steps = tuple(Step(rule, fields) for rule in rules)
        above: defaultdict[str, list[int]] = defaultdict(list)
        for number, step in enumerate(self.steps):
            for name in step.positions:
                above[name].append(number)
        #: Which steps a match of a rule feeds, by the rule's id.
        self.above = dict(above)
        self._fed: dict[tuple[str, ...], tuple[list[int], dict[int, Fed]]] = {}

    def fed_by(self, matched: tuple[str, ...]) -> tuple[list[int], dict[int, Fed]]:
        """The steps that rules which matched together feed, in order, and by which of the rules. Not to be changed.

        It is kept, as the same few rules match together again and again.
        """
        known = self._fed.get(matched)
        if known is None:
            found: defaultdict[int, list[str]] = defaultdict(list)
            for name in matched:
                for number in self.above.get(name, ()):
                    found[number].append(name)
            if len(self._fed) >= _MAX_FED:
                self._fed.clear()
            hits = {number: (tuple(names), self._always(self.steps[number], names)) for number, names in found.items()}
            known = self._fed[matched] = sorted(found), hits
        return known

    def _always(self, step: Step, names: Sequence[str]) -> list[Target] | None:
        """Where matches count whatever the lookup is: every lookup of an actor's key has the actor's id."""
        if self.fields == step.rule.group_by == ACTOR_FIELDS and not step.rule.aliases and step.rule.peer is None:
            return [(names[0], step.name, _positions(step.positions, names))]
        return None

    def windows_of(self, step: Step, key: str, names: Sequence[str], lookup: Lookup) -> list[Target]:
        """The windows that matches of rules belong to: one, unless aliases tell them apart."""
        is_of_actor, rule, positions = self.fields == ACTOR_FIELDS, step.rule, step.positions
        if not rule.aliases:
            window = step.window_of(lookup)
            if window is None or not (is_of_actor or self.key_of(rule, names[0], lookup) == key):
                return []
            return [(names[0], window, _positions(positions, names))]
        found: dict[Group, list[str]] = {}
        for name in names:
            if is_of_actor or self.key_of(rule, name, lookup) == key:
                group = group_values(rule, lookup, name)
                if group is not None:
                    found.setdefault(group, []).append(name)
        return [
            (of[0], step.named([value for name, value in group if name in step.others]), _positions(positions, of))
            for group, of in found.items()
        ]

    def key_of(self, rule: Correlation, base: str, lookup: Lookup) -> str | None:
        """The key under which a match of ``base`` matters to ``rule``; ``None`` when the lookup lacks a field of it."""
        values = []
        for name in self.fields:
            value = lookup.get(field_of(rule, name, base))
            if value is None:
                return None
            values.append(text_of_group(value))
        return key_of(self.fields, values)


def _positions(positions: Mapping[str, int], names: Sequence[str]) -> tuple[int, ...]:
    return tuple(sorted({positions[name] for name in names}))


def key_of(fields: Fields, values: Sequence[str]) -> str:
    """A partition key: ``subject/p-1``; ``all/`` for rules that are not grouped at all."""
    if len(values) > 1:
        values = [value.replace("%", "%25").replace("|", "%7C") for value in values]
    return f"{prefix_of(fields)}/{'|'.join(values)}"


def prefix_of(fields: Fields) -> str:
    """What partition keys of these fields begin with."""
    return ",".join(name.removesuffix(".id") for name in fields) or "all"


def key_is_of(fields: Fields, key: str) -> bool:
    """Whether a partition key is one of these fields."""
    return key.startswith(f"{prefix_of(fields)}/")


def field_of(rule: Correlation, name: str, base: str) -> str:
    """The field that a name in ``group-by`` stands for in matches of the rule ``base``."""
    alias = rule.aliases.get(name)
    return name if alias is None else alias.get(base, name)


def text_of_group(value: object) -> str:
    """A value as it names a group. A list counts as one value, joined by |; of a long text a hash stands for it."""
    return brief("|".join(map(text_of, value)) if type(value) is list else text_of(value))


def group_values(rule: Correlation, lookup: Lookup, base: str) -> Group | None:
    """The group a match of ``base`` belongs to, or ``None`` when the lookup lacks one of the fields."""
    group = []
    for name in rule.group_by:
        value = lookup.get(field_of(rule, name, base) if rule.aliases else name)
        if value is None:
            return None
        group.append((name, text_of_group(value)))
    return tuple(group)


def fields_of(rule: Correlation) -> Fields:
    """The fields of the key under which a rule runs."""
    if rule.peer is not None:
        return (rule.peer,)
    return ACTOR_FIELDS if ACTOR in rule.group_by else rule.group_by


def parts_of(rule: Correlation, known: Mapping[str, Correlation]) -> list[Correlation]:
    """The rule and all correlations it is made of, those that feed others first.

    Raises :class:`NotTogether` when one of them could not see all of its lookups under the rule's key, or they go in circles.
    """
    fields = fields_of(rule)
    found: dict[str, Correlation] = {}
    heights: dict[str, int] = {}

    def visit(each: Correlation, depth: int) -> int:
        parts = [known[name] for name in each.rules if name in known and depth <= MAX_DEPTH]
        for part in parts:
            _check_part(each, part, fields)
        below = [heights[part.id] if part.id in heights else visit(part, depth + 1) for part in parts]
        heights[each.id] = height = 1 + max(below, default=0)
        if max(height, depth) > MAX_DEPTH:
            raise NotTogether(f"correlations of correlations go deeper than {MAX_DEPTH}, or in a circle")
        found[each.id] = each
        return height

    visit(rule, 1)
    return list(found.values())


def _check_part(rule: Correlation, part: Correlation, fields: Fields) -> None:
    """Raises :class:`NotTogether` when not all lookups of a group of the part are under one key of these fields."""
    if part.peer is not None:
        if fields != (part.peer,):
            raise NotTogether(
                f"{part.name or part.id} compares peers, so this rule must be grouped by {part.peer} alone"
            )
        return
    missing = ", ".join(name for name in fields if name not in part.group_by)
    if missing:
        raise NotTogether(f"{part.name or part.id} must be grouped by {missing} too, as this rule is")
    for name in fields:
        if {field_of(part, name, base) for base in part.rules} != {field_of(rule, name, part.id)}:
            raise NotTogether(f"{name} stands for another field in {part.name or part.id} than in this rule")


def plans(correlations: Sequence[Correlation]) -> dict[Fields, Plan]:
    """The plan of every kind of key that the alerting rules need. What :func:`parts_of` refuses is left out."""
    known = {rule.id: rule for rule in correlations}
    together: defaultdict[Fields, dict[str, Correlation]] = defaultdict(dict)
    for rule in sorted(correlations, key=lambda each: each.id):
        if rule.alerts:
            try:
                parts = parts_of(rule, known)
            except NotTogether:
                continue
            together[fields_of(rule)].update({part.id: part for part in parts})
    return {fields: Plan(fields, _in_order(found, known)) for fields, found in together.items()}


def _in_order(found: Mapping[str, Correlation], known: Mapping[str, Correlation]) -> list[Correlation]:
    """Each after what it is made of."""
    ordered: dict[str, Correlation] = {}

    def visit(rule: Correlation) -> None:
        for name in rule.rules:
            if name in found and name not in ordered:
                visit(known[name])
        ordered[rule.id] = rule

    for name in sorted(found):
        if name not in ordered:
            visit(found[name])
    return list(ordered.values())

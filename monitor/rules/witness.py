"""Witnesses: by what in a lookup the index finds the few conditions worth asking.

A *clause* says something of one field that is looked up at once: it has a value, contains a text, or is there. A *witness* is a
set of clauses of which at least one holds for every lookup that a condition matches. A condition may have several, each of
which must be met; one that is met by rarer lookups is worth more.

The shares are those of ordinary work in a register; where they are wrong, matching takes longer and finds the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from monitor.rules import tree
from monitor.rules.model import Clause, Witness
from monitor.rules.patterns import fold
from monitor.rules.values import exact_of

#: What the monitor makes of a lookup's time; keywords are not looked for in it.
OF_TIME: Final = frozenset({"ts", "hour", "weekday"})
#: The share of lookups that have one certain value in a field, for values of which nothing is known.
_OTHER: Final = 0.01
_SHARES: Final = {
    "action": 0.2,
    "system": 0.2,
    "outcome": 0.9,
    "explanation": 0.2,
    "explanation.kind": 0.05,
    "purpose.status": 0.1,
    "purpose.code": 0.05,
    "relation": 0.02,
    "subject.kind": 0.2,
    "subject.area": 0.2,
    "subject.tags": 0.005,
    "actor.role": 0.3,
    "actor.peer_group": 0.2,
    "actor.areas": 0.3,
    "actor.unit": 0.05,
    "client.area": 0.2,
    "query.fields": 0.1,
    "hour": 0.06,
    "weekday": 0.2,
    "results": 0.2,
    "query.text": 0.001,
    "client.ip": 0.005,
    "client.terminal": 0.005,
}
#: Values that are rarer, or commoner, than others of their field.
_CERTAIN: Final = {
    ("relation", "none"): 0.9,
    ("explanation", "none"): 0.1,
    ("explanation.kind", "record"): 0.8,
    ("purpose.status", "explained"): 0.8,
    ("in_area", "false"): 0.03,
    ("on_shift", "false"): 0.03,
    ("subject.watched", "true"): 0.01,
    ("actor.on_leave", "true"): 0.001,
    ("actor.has_left", "true"): 0.001,
    ("results", "1"): 0.7,
}
_IDENTITY: Final = 0.0005
_TRUTH: Final = frozenset({"true", "false"})
#: The field is there.
_PRESENT: Final = 0.7
#: A value contains a text of so many characters; to look for it takes time too.
_INSIDE: Final = (1.0, 0.3, 0.1, 0.03, 0.01)
#: All values must be read for a keyword.
_ANYWHERE: Final = 0.4


def witnesses_of(node: tree.Node) -> list[frozenset[Clause]]:
    """All witnesses of a condition; none for one that may match a lookup that has nothing."""
    match node:
        case tree.Named():
            return witnesses_of(node.part)
        case tree.All():
            return [witness for part in node.parts for witness in witnesses_of(part)]
        case tree.AnyOf():
            each = [rarest(witnesses_of(part)) for part in node.parts]
            known = [witness for witness in each if witness is not None]
            return [frozenset().union(*known)] if known and len(known) == len(each) else []
        case tree.Is():
            clause = _clause(node)
            return [] if clause is None else [frozenset({clause})]
    return []


def rarest(witnesses: Iterable[frozenset[Clause]]) -> Witness:
    """The witness that is met by the fewest lookups, if there is one."""
    return min(witnesses, key=cost_of, default=None)


def _clause(found: tree.Is) -> Clause | None:
    test, field = found.test, found.field or ""
    if isinstance(test, tree.Null) or test == tree.Exists(False):
        return None
    exact = exact_of(test)
    if exact is not None and field:
        return field, "=", exact
    if isinstance(test, tree.Text) and not any(isinstance(part, tree.Listed) for part in test.parts):
        texts = [fold(part) for part in test.parts if isinstance(part, str)]
        if len(texts) == len(test.parts) and field:
            return field, "=", "".join(texts)
        longest = max(texts, key=len, default="")
        if longest:
            return field, "~", longest
    return (field, "?", "") if field else None


def share_of(clause: Clause) -> float:
    """The share of lookups for which a clause holds, about."""
    field, kind, text = clause
    if kind == "?":
        return _PRESENT
    if kind == "~":
        return _INSIDE[min(len(text), 4)] + (_ANYWHERE if field == "" else 0.0)
    certain = _CERTAIN.get((field, text))
    if certain is not None:
        return certain
    if text in _TRUTH:
        return _PRESENT
    return _SHARES.get(field, _IDENTITY if field == "id" or field.endswith(".id") else _OTHER)


def cost_of(witness: frozenset[Clause]) -> tuple[float, list[Clause]]:
    """What a witness costs: how many lookups it lets through; of equals, always the same one."""
    return sum(map(share_of, sorted(witness))), sorted(witness)

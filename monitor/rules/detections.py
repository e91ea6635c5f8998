"""From a document with a ``detection`` to a rule that can be asked; filters, which are exceptions to such rules."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Final

from monitor.documents import Wrong, expect
from monitor.events import BadEvent, parse_ms
from monitor.rules import tree
from monitor.rules.common import about, fingerprint
from monitor.rules.compile import Compiled, both, compile_tree
from monitor.rules.model import Clause, Detection, Lookup, Predicate
from monitor.rules.values import CannotCompile, Lists
from monitor.rules.witness import cost_of, witnesses_of

CATEGORY: Final = "lookup"
Witnesses = tuple[frozenset[Clause], ...]


def parse_detection(body: dict[str, Any], at: str = "detection") -> tree.Node:
    """As :func:`monitor.rules.parse.parse_detection`; pySigma is imported only when there is something to parse."""
    from monitor.rules.parse import parse_detection as parse

    return parse(body, at)


def make_detection(data: Mapping[str, Any], path: str, node: tree.Node | None, lists: Lists) -> Detection:
    """The rule of a document. ``node`` is its tree when it is known (from a cache). Raises :class:`Wrong`."""
    source = data.get("logsource")
    if not isinstance(source, dict) or source.get("category") != CATEGORY:
        raise Wrong("logsource is not that of lookups", f"write `logsource: {{category: {CATEGORY}}}`", ("logsource",))
    return _made(about(data, path), data, node, lists)


def make_foreign(
    data: Mapping[str, Any], path: str, node: tree.Node | None, lists: Lists, known: Witnesses | None = None
) -> Detection:
    """The rule of a document from anywhere: whatever its log source, and with a name made up if it has no id.

    ``known`` is that of :func:`witnesses_if_it_compiles`, if it is known: then the rule is compiled when it is first asked, as
    there may be thousands, of which a log needs few.
    """
    title = str(data.get("title", path))
    fixed = {
        "id": str(data.get("id") or uuid.uuid5(uuid.NAMESPACE_OID, title)),
        "name": data.get("name"),
        "title": title,
        "level": str(data.get("level", "medium")),
        "typology": None,
        "path": path,
    }
    return _made(fixed, data, node, lists, known)


def _made(
    fixed: dict[str, Any],
    data: Mapping[str, Any],
    node: tree.Node | None,
    lists: Lists,
    known: Witnesses | None = None,
) -> Detection:
    node = tree_of(data) if node is None else node
    for name in sorted(tree.lists_of(node)):
        if name not in lists:
            hint = f"add lists/{name}.txt to the rules, or a `list` record {name} to the reference data"
            raise Wrong(f"there is no list {name}", hint, ("detection",))
    predicate = compiled(node, data, lists, "detection")[0] if known is None else _Later(node, lists)
    every = _rarest_first(node) if known is None else known
    marks = fingerprint(fixed["id"], tree.to_plain(node), fixed.get("suppress_ms", 0), fixed.get("grace_ms", 0))
    witness = every[0] if every else None
    return Detection(**fixed, tree=node, predicate=predicate, witness=witness, witnesses=every, fingerprint=marks)


class _Later:
    """A predicate that is compiled when it is first asked."""

    __slots__ = ("_compiled", "_lists", "_node")

    def __init__(self, node: tree.Node, lists: Lists) -> None:
        self._node, self._lists = node, lists
        self._compiled: Predicate | None = None

    def __call__(self, lookup: Lookup) -> bool:
        if self._compiled is None:
            self._compiled = compile_tree(self._node, self._lists)[0]
        return self._compiled(lookup)


def witnesses_if_it_compiles(node: tree.Node) -> Witnesses | None:
    """The witnesses of a tree, the rarest first; ``None`` when it cannot be compiled. Lists do not matter to that."""
    try:
        compile_tree(node, _AnyList())
    except (CannotCompile, ValueError, RecursionError):
        return None
    return _rarest_first(node)


def _rarest_first(node: tree.Node) -> Witnesses:
    return tuple(sorted(witnesses_of(node), key=cost_of))


def tree_of(data: Mapping[str, Any], at: str = "detection") -> tree.Node:
    """The tree of a document's condition. Raises :class:`Wrong`."""
    body = data.get(at)
    if not isinstance(body, dict):
        raise Wrong(f"{at} with a condition is missing", "name selections and combine them in `condition`", (at,))
    return parse_detection(body, at)


def compiled(node: tree.Node, data: Mapping[str, Any], lists: Lists, at: str) -> Compiled:
    """The closure and witness of a tree. Raises :class:`Wrong`, placed at the item that cannot be compiled."""
    try:
        return compile_tree(node, lists)
    except (CannotCompile, ValueError, RecursionError) as error:
        raise Wrong(str(error) or "nested too deep", "see the Sigma specification 2.1", _culprit(data, at)) from None


def _culprit(data: Mapping[str, Any], at: str) -> tuple[str | int, ...]:
    for name, selection in data[at].items():
        for key in selection if isinstance(selection, dict) else ():
            try:
                compile_tree(parse_detection({"x": {key: selection[key]}, "condition": "x"}), _AnyList())
            except (CannotCompile, Wrong, ValueError):
                return at, name, key
    return (at,)


class _AnyList(dict[str, tuple[str, ...]]):
    def __missing__(self, name: str) -> tuple[str, ...]:
        return ()


class Filter:
    """An exception: what matches it is no match of the rules it names. ``rules`` is ``None`` when it names all."""

    def __init__(self, data: Mapping[str, Any], lists: Lists) -> None:
        source = data.get("logsource")
        if not isinstance(source, dict) or source.get("category", CATEGORY) != CATEGORY:
            raise Wrong(
                "logsource is not that of lookups", f"write `logsource: {{category: {CATEGORY}}}`", ("logsource",)
            )
        body = expect(data, "filter", dict, None)
        if body is None:
            raise Wrong("filter must be a mapping", "rules, selections and a condition", ("filter",))
        self.rules = _named(body)
        self.node = _exception(
            parse_detection({name: part for name, part in body.items() if name != "rules"}, "filter")
        )
        self.expires_ms = _expiry(data)
        matches, _ = compiled(self.node, data, lists, "filter")
        self._matches = matches

    def apply(self, rule: Detection) -> Detection:
        """The rule with this exception."""
        matches, expires = self._matches, self.expires_ms

        def passes(lookup: Lookup) -> bool:
            return (expires is not None and lookup.get("ts", 0) >= expires) or not matches(lookup)

        predicate, witness = both((rule.predicate, rule.witness), (passes, None))
        marks = fingerprint(rule.fingerprint, tree.to_plain(self.node), expires)
        return replace(rule, predicate=predicate, witness=witness, fingerprint=marks)


def _named(body: Mapping[str, Any]) -> tuple[str, ...] | None:
    rules = body.get("rules")
    if rules == "any" or rules == []:
        return None
    names = [rules] if isinstance(rules, str) else rules
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Wrong("rules is not a list of rules", "names or ids, or `any`", ("filter", "rules"))
    return tuple(names)


def _exception(node: tree.Node) -> tree.Node:
    """The specification's filters name what to leave out; pySigma's name what to leave in, by a ``not`` before it.

    Both mean an exception, so a ``not`` that stands before all of a filter's condition is taken off.
    """
    return node.part if isinstance(node, tree.Not) else node  # type: ignore[no-any-return]


def _expiry(data: Mapping[str, Any]) -> int | None:
    """Until when the exception holds (event time): the end of that day in UTC, or a moment."""
    text = data.get("expires")
    if text is None:
        return None
    try:
        return parse_ms(str(text))
    except BadEvent:
        pass
    try:
        day = date.fromisoformat(str(text))
    except ValueError:
        hint = "a date such as 2027-06-30, or a time such as 2027-06-30T12:00:00Z"
        raise Wrong(f"expires {text} is no date", hint, ("expires",)) from None
    return (day.toordinal() + 1 - date(1970, 1, 1).toordinal()) * 86_400_000

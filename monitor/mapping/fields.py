"""One of our fields, made of the parts of a line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import re2
import yaml

from monitor.events import ACTIONS
from monitor.mapping.nodes import BadMapping, check_names, entries, mapping_node, pattern_of, scalar

_FIELD: Final = frozenset({"part", "constant", "template", "hash", "match", "values", "otherwise", "format", "zone"})
_SOURCES: Final = ("part", "constant", "template", "hash")
_SKIP: Final = "skip"
_TEMPLATE: Final = re2.compile(r"\{([^{}]+)\}")

Parts = dict[str, str]


class Skipped(Exception):
    """The mapping says that this line is no lookup."""


class Field(NamedTuple):
    """How one of our fields is made."""

    name: str
    make: Callable[[Parts], str | None]
    parts: frozenset[str]


def field_of(name: str, node: Any) -> Field:
    if isinstance(node, yaml.ScalarNode):
        part = str(node.value)
        return Field(name, lambda parts: parts.get(part) or None, frozenset({part}))
    found = entries(mapping_node(node))
    check_names(node, _FIELD)
    sources = [each for each in _SOURCES if each in found]
    if len(sources) != 1:
        raise BadMapping(node.start_mark, f"{name} needs one of {', '.join(_SOURCES)}")
    make, parts = _source(sources[0], found[sources[0]])
    if "match" in found:
        make = _matched(make, found["match"])
    if "values" in found:
        make = _valued(name, make, found)
    elif "otherwise" in found:
        raise BadMapping(found["otherwise"].start_mark, "`otherwise` goes with `values`")
    if "format" in found or "zone" in found:
        make = _timed(make, found)
    return Field(name, make, parts)


def _source(kind: str, node: Any) -> tuple[Callable[[Parts], str | None], frozenset[str]]:
    if kind == "hash":
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise BadMapping(node.start_mark, "hash must be a list of parts")
        names = [scalar(each) for each in node.value]
        return (lambda parts: _hash(parts.get(name, "") for name in names)), frozenset(names)
    text = scalar(node)
    if kind == "constant":
        return (lambda parts: text), frozenset()
    if kind == "part":
        return (lambda parts: parts.get(text) or None), frozenset({text})
    names = _TEMPLATE.findall(text)
    if not names:
        raise BadMapping(node.start_mark, "a template has parts in braces, such as {session}-{number}")

    def fill(parts: Parts) -> str | None:
        if any(not parts.get(each) for each in names):
            return None
        made = text
        pieces = _TEMPLATE.split(made)
        return "".join(parts[each] if at % 2 else each for at, each in enumerate(pieces))

    return fill, frozenset(names)


def _hash(values: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(values).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _matched(make: Callable[[Parts], str | None], node: Any) -> Callable[[Parts], str | None]:
    pattern = pattern_of(node, named=False)
    if pattern.groups != 1:
        raise BadMapping(node.start_mark, "match needs one group: what of it is taken")

    def match(parts: Parts) -> str | None:
        value = make(parts)
        found = None if value is None else pattern.search(value)
        return None if found is None else found.group(1)

    return match


def _valued(name: str, make: Callable[[Parts], str | None], found: dict[str, Any]) -> Callable[[Parts], str | None]:
    table = {key: (scalar(node), node) for key, node in entries(mapping_node(found["values"])).items()}
    otherwise = scalar(found["otherwise"]) if "otherwise" in found else None
    for value, node in [*table.values(), *([(otherwise, found["otherwise"])] if otherwise else [])]:
        if name == "action" and value not in ACTIONS | {_SKIP}:
            raise BadMapping(node.start_mark, f"{value} is no action; there are {', '.join(sorted(ACTIONS))}, and skip")
    values = {key: value for key, (value, _) in table.items()}

    def valued(parts: Parts) -> str | None:
        value = make(parts)
        said = otherwise if value is None or value not in values else values[value]
        if said == _SKIP:
            raise Skipped
        return value if said is None else said

    return valued


def _timed(make: Callable[[Parts], str | None], found: dict[str, Any]) -> Callable[[Parts], str | None]:
    form = scalar(found["format"]) if "format" in found else None
    zone: ZoneInfo | None = None
    if "zone" in found:
        try:
            zone = ZoneInfo(scalar(found["zone"]))
        except (OSError, ValueError, KeyError):
            raise BadMapping(found["zone"].start_mark, "there is no such time zone") from None
    elif form is not None and "%z" not in form:
        raise BadMapping(
            found["format"].start_mark,
            "this time has no offset: name the clock's zone, such as `zone: Europe/Amsterdam`",
        )

    def timed(parts: Parts) -> str | None:
        value = make(parts)
        if value is None:
            return None
        try:
            at = datetime.fromisoformat(value) if form is None else datetime.strptime(value, form)
        except ValueError:
            return value  # intake refuses it, with the reason
        if at.tzinfo is None:
            if zone is None:
                return value
            at = at.replace(tzinfo=zone)
        return at.isoformat(timespec="milliseconds")

    return timed

"""What takes a line, or a part of one, apart."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from monitor.mapping.fields import Parts
from monitor.mapping.nodes import BadMapping, check_names, choice, columns_of, entries, mapping_node, pattern_of, scalar

_WITHIN: Final = frozenset({"part", "pattern", "format", "columns", "delimiter"})


class Unmade(Exception):
    """A line of which no lookup can be made."""


def matcher(pattern: Any) -> Callable[[str], Parts]:
    def take(text: str) -> Parts:
        found = pattern.search(text)
        if found is None:
            raise Unmade("the line does not fit the pattern")
        return {name: value for name, value in found.groupdict().items() if value is not None}

    return take


def of_json(text: str) -> Parts:
    try:
        document = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        raise Unmade("no JSON") from None
    if not isinstance(document, dict):
        raise Unmade("no object")
    found: Parts = {}
    _flatten("", document, found)
    return found


def _flatten(prefix: str, document: Mapping[str, Any], into: Parts) -> None:
    for name, value in document.items():
        if isinstance(value, dict):
            _flatten(f"{prefix}{name}.", value, into)
        elif value is not None:
            into[f"{prefix}{name}"] = value if isinstance(value, str) else orjson.dumps(value).decode()


def row_of(columns: tuple[str, ...], delimiter: str) -> Callable[[str], Parts]:
    def take(text: str) -> Parts:
        row = next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
        return dict(zip(columns, row, strict=False))

    return take


def within_of(node: Any) -> tuple[Callable[[Parts], Parts], frozenset[str]]:
    """What takes one part further apart, and the names of what it makes."""
    if node is None:
        return (lambda parts: parts), frozenset()
    check_names(mapping_node(node), _WITHIN)
    found = entries(node)
    if "part" not in found:
        raise BadMapping(node.start_mark, "`within` needs `part`: which one is taken apart")
    name = scalar(found["part"])
    takes: list[Callable[[str], Parts]] = []
    made: set[str] = set()
    rest = name
    if "pattern" in found:
        pattern = pattern_of(found["pattern"])
        takes.append(matcher(pattern))
        made |= set(pattern.groupindex)
        rest = "rest" if "rest" in pattern.groupindex else name
    row = None
    if choice(found, "format", ("csv",), "") == "csv":
        columns = columns_of(found.get("columns"))
        if not columns:
            raise BadMapping(node.start_mark, "`format: csv` within a part needs `columns`")
        row = row_of(columns, scalar(found["delimiter"]) if "delimiter" in found else ",")
        made |= set(columns)
    if not takes and row is None:
        raise BadMapping(
            node.start_mark,
            "`within` needs `pattern`, `format: csv`, or both (then the part `rest` of the pattern is CSV)",
        )

    def take(parts: Parts) -> Parts:
        if name not in parts:
            raise Unmade(f"there is no {name}")
        for each in takes:
            parts = parts | each(parts[name])
        return parts if row is None else parts | row(parts[rest])

    return take, frozenset(made)

"""Detections over any JSON, whatever its shape: Sigma's own use, besides the lookups this monitor is for.

A document is looked at as one flat mapping of dotted names. Where two things in it could go by one name, the one with fewer
steps to it wins, so a key ``a.b`` wins over ``b`` in ``a``. What is in the objects of a list counts for the list: ``a.b`` of
``{"a": [{"b": 1}, {"b": 2}]}`` is ``[1, 2]``. A null stays one, as a rule may ask whether a field exists.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson

from monitor.rules import RuleSet

_BOM: Final = b"\xef\xbb\xbf"


class Matched(msgspec.Struct, array_like=True):
    """What a piece of a log led to: lines of output, what is wrong with which lines, and how many lines it had."""

    output: bytes
    problems: list[tuple[int, str]]
    lines: int


class Matcher:
    """The detections of a rule set, ready to be asked about lines of JSON."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._ends = {id(each): b', "rule_id": ' + orjson.dumps(each.id) + b"}\n" for each in rules.detections}

    def run(self, piece: bytes, first: int) -> Matched:
        """Match a piece of a log, whole lines, of which the first has the number ``first`` (the log's first has 1).

        Every match becomes a line of output, in the order of the lines, then of the rules. Empty lines say nothing.
        """
        if first == 1:
            piece = piece.removeprefix(_BOM)
        output: list[bytes] = []
        problems: list[tuple[int, str]] = []
        number = first - 1
        for number, line in enumerate(piece.removesuffix(b"\n").split(b"\n") if piece else (), first):
            try:
                document = orjson.loads(line)
                if type(document) is not dict:
                    problems.append((number, f"not an object, but a {type(document).__name__}"))
                    continue
                found = self._rules.matches(flat(document))
            except (orjson.JSONDecodeError, RecursionError) as error:
                if line.strip():
                    problems.append(
                        (number, "nested too deep" if type(error) is RecursionError else f"not JSON: {error}")
                    )
                continue
            if found:
                start = b'{"line": %d' % number
                output += [start + self._ends[id(each)] for each in found]
        return Matched(b"".join(output), problems, number - first + 1)


def flat(document: dict[str, Any]) -> dict[str, Any]:
    """A document as one mapping of dotted names to values and lists of values; itself when that is what it is.

    An object, and what of a list is one, is there under its own name too, but as nothing: an empty list.
    """
    for value in document.values():
        kind = type(value)
        if kind is dict or (kind is list and any(type(item) is dict or type(item) is list for item in value)):
            return _flattened(document)
    return document


def _flattened(document: dict[str, Any]) -> dict[str, Any]:
    """Level by level, so that what has fewer steps to it comes first and stays."""
    made: dict[str, Any] = {}
    level: list[tuple[str, dict[str, Any]]] = [("", document)]
    while level:
        deeper: list[tuple[str, dict[str, Any]]] = []
        for prefix, inner in level:
            for key, value in inner.items():
                name, kind = prefix + key, type(value)
                if kind is dict:
                    made.setdefault(name, [])
                    deeper.append((name + ".", value))
                elif kind is list:
                    plain, objects = _items(value)
                    made.setdefault(name, plain)
                    if objects:
                        deeper.append((name + ".", _together(objects)))
                else:
                    made.setdefault(name, value)
        level = deeper
    return made


def _items(items: list[Any]) -> tuple[list[Any], list[dict[str, Any]]]:
    """The values and the objects of a list, and of the lists in it."""
    plain: list[Any] = []
    objects: list[dict[str, Any]] = []
    for item in items:
        if type(item) is dict:
            objects.append(item)
        elif type(item) is list:
            more = _items(item)
            plain += more[0]
            objects += more[1]
        else:
            plain.append(item)
    return plain, objects


def _together(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """Objects as one, each of whose names has all of their values."""
    made: dict[str, Any] = {}
    for each in objects:
        for name, value in flat(each).items():
            made.setdefault(name, []).extend(value if type(value) is list else [value])
    return made

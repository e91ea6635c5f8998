"""A condition as data: what pySigma's syntax tree says, in a form that can be compiled, explained and kept.

Everything here is plain and immutable, so a parsed rule can be written to a cache and read back the same.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Listed(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A placeholder ``%name%`` in a text: any value of the list of that name."""

    name: str


#: The parts of a pattern besides texts: ``*`` any characters, ``?`` one character.
STAR = 0
ONE = 1


class Text(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A text with wildcards; ``parts`` are texts, :data:`STAR`, :data:`ONE` and lists."""

    parts: tuple[str | int | Listed, ...]
    cased: bool = False


class Exactly(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A number or a boolean; it equals its text."""

    value: bool | int | float


class Regex(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A regular expression, searched for anywhere; ``flags`` are of ``i``, ``m``, ``s``."""

    pattern: str
    flags: str = ""


class Network(msgspec.Struct, frozen=True, gc=False, tag=True):
    """An IP network in CIDR notation."""

    cidr: str


class Compare(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A bound for a number; ``op`` is ``lt``, ``lte``, ``gt``, ``gte`` or ``neq``. With ``part``, of a part of a time."""

    op: str
    value: float
    part: str | None = None


class SameAs(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The value of another field: equal, or at the start or end (both: anywhere) of this one's."""

    field: str
    starts: bool = False
    ends: bool = False
    cased: bool = False


class Null(msgspec.Struct, frozen=True, gc=False, tag=True):
    """No value, or no such field."""


class Exists(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Whether the field is there, whatever its value."""

    yes: bool


Test = Text | Exactly | Regex | Network | Compare | SameAs | Null | Exists


class Is(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A test of one field; without a field a keyword, looked for in every value."""

    field: str | None
    test: Test


class All(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Every part matches."""

    parts: tuple[Node, ...]


class AnyOf(msgspec.Struct, frozen=True, gc=False, tag=True):
    """At least one part matches."""

    parts: tuple[Node, ...]


class Not(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The part does not match."""

    part: Node


class Named(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A search identifier of the rule, such as ``selection``."""

    name: str
    part: Node


Node = Is | All | AnyOf | Not | Named


def to_plain(node: Node) -> Any:
    """The tree as lists, mappings and scalars, for a cache."""
    return msgspec.to_builtins(node)


def walk(node: Node) -> list[Is]:
    """Every test in the tree, in order."""
    match node:
        case Is():
            return [node]
        case All() | AnyOf():
            return [test for part in node.parts for test in walk(part)]
        case _:
            return walk(node.part)


def lists_of(node: Node) -> set[str]:
    """The names of the lists that the tree's placeholders ask for."""
    return {
        part.name
        for found in walk(node)
        if isinstance(found.test, Text)
        for part in found.test.parts
        if isinstance(part, Listed)
    }

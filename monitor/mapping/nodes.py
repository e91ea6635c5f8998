"""A mapping's YAML, node by node, so that what is wrong is said at its place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import re2
import yaml


class BadMapping(Exception):
    """A mapping that cannot be used: ``line`` and ``column`` (from 1), and what is wrong."""

    def __init__(self, mark: Any, text: str) -> None:
        self.line: int = 1 if mark is None else mark.line + 1
        self.column: int = 1 if mark is None else mark.column + 1
        super().__init__(f"{self.line}:{self.column}: {text}")


def entries(node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise BadMapping(key.start_mark, "a name must be a text")
        if key.value in found:
            raise BadMapping(key.start_mark, f"{key.value} is there twice")
        found[key.value] = value
    return found


def check_names(node: yaml.MappingNode, known: Iterable[str]) -> None:
    for key, _ in node.value:
        if key.value not in known:
            raise BadMapping(key.start_mark, f"there is no `{key.value}` here; there are {', '.join(sorted(known))}")


def mapping_node(node: Any) -> yaml.MappingNode:
    if not isinstance(node, yaml.MappingNode):
        raise BadMapping(node.start_mark, "must be a list of `name: value`")
    return node


def scalar(node: Any) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise BadMapping(node.start_mark, "must be a text")
    return str(node.value)


def choice(top: dict[str, Any], name: str, choices: tuple[str, ...], default: str) -> str:
    if name not in top:
        return default
    found = scalar(top[name])
    if found not in choices:
        raise BadMapping(top[name].start_mark, f"{name} must be one of {', '.join(choices)}")
    return found


def pattern_of(node: Any, named: bool = True) -> Any:
    try:
        made = re2.compile(scalar(node))
    except re2.error as error:
        raise BadMapping(node.start_mark, f"no regular expression (RE2): {error}") from None
    if named and not made.groupindex:
        raise BadMapping(node.start_mark, "the expression names no part: write (?P<name>…)")
    return made


def columns_of(node: Any) -> tuple[str, ...]:
    if node is None:
        return ()
    if not isinstance(node, yaml.SequenceNode):
        raise BadMapping(node.start_mark, "columns must be a list")
    return tuple(scalar(each) for each in node.value)

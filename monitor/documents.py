"""YAML texts as documents whose every key and value has its place, for errors that name line and column."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

import msgspec
import yaml

#: A document larger than this, with more nodes or nested deeper, is no rule: aliases may make a small text endless, and
#: libyaml's composer ends the process when it is nested very deep.
MAX_TEXT: Final = 1 << 20
MAX_NODES: Final = 50_000
MAX_DEPTH: Final = 64
_INTEGERS: Final = range(-(1 << 63), 1 << 64)
_MERGE: Final = "tag:yaml.org,2002:merge"
KeyPath = tuple[str | int, ...]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML reads YAML 1.1, where `no`, `off` and 12:30 are a boolean and a number; here scalars mean what YAML 1.2 says.

    But a whole number that begins with 0 is a text, as it is an id rather than a number.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("timestamp", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "0123456789"),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), ["" if one == "\0" else one for one in _first]
    )
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: _whole(loader.construct_scalar(node), node))
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


def _whole(text: str, node: Any) -> int:
    digits = text.lstrip("+-")
    base = {"0x": 16, "0o": 8}.get(digits[:2], 10)
    if len(digits) > 70 or (number := int(text, base)) not in _INTEGERS:
        raise yaml.constructor.ConstructorError(None, None, "a number of more than 64 bits", node.start_mark)
    return number


class RuleProblem(msgspec.Struct, frozen=True):
    """What is wrong with a rule, where, and what to do. Lines and columns count from 1."""

    path: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" (hint: {self.hint})" if self.hint else ""
        return f"{self.path}:{self.line}:{self.column}: {self.message}{hint}"


class Wrong(Exception):
    """Something in a document is wrong; ``at`` is the path of keys to it."""

    def __init__(self, message: str, hint: str = "", at: KeyPath = ()) -> None:
        super().__init__(message)
        self.message, self.hint, self.at = message, hint, at


class Document:
    """One YAML document: its plain data, and where everything in it stands."""

    def __init__(self, path: str, node: Any, data: dict[str, Any]) -> None:
        self.path = path
        self.data = data
        self._node = node

    def place(self, at: Iterable[str | int]) -> tuple[int, int]:
        """Line and column, from 1, of the deepest part of the path ``at`` that is there: a key, or a list's item."""
        node, mark = self._node, self._node.start_mark
        for name in at:
            found = _step(node, name)
            if found is None:
                break
            mark, node = found
        return mark.line + 1, mark.column + 1

    def problem(self, wrong: Wrong) -> RuleProblem:
        """The problem with its place."""
        return RuleProblem(self.path, *self.place(wrong.at), wrong.message, wrong.hint)


def _step(node: Any, name: str | int) -> tuple[Any, Any] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if getattr(key, "value", None) == name:
                return key.start_mark, value
    if isinstance(node, yaml.SequenceNode) and isinstance(name, int) and 0 <= name < len(node.value):
        return node.value[name].start_mark, node.value[name]
    return None


def parse_text(path: str, text: str, problems: list[RuleProblem]) -> Iterator[Document]:
    """Every document of a text; what is no mapping of names to values is added to ``problems``."""
    if len(text) > MAX_TEXT:
        problems.append(RuleProblem(path, 1, 1, f"the file has more than {MAX_TEXT:,} characters", "split it"))
        return
    try:
        readable, excess = _readable(path, text)
        loader = _Loader(text)
        try:
            while readable > 0 and loader.check_node():
                readable -= 1
                node = loader.get_node()
                document = _document(path, loader, node, problems)
                if document is not None:
                    yield document
        finally:
            loader.dispose()
        problems += excess
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        problems.append(RuleProblem(path, line, column, f"not YAML: {error.problem or error.context}"))
    except Exception as error:  # PyYAML raises anything for a tag whose value is none of its kind, such as `!!bool x`
        problems.append(RuleProblem(path, 1, 1, f"not YAML: {type(error).__name__}: {error}"))


def _readable(path: str, text: str) -> tuple[int, list[RuleProblem]]:
    """How many documents of a text can be read before one that is nested too deep or endless, and what is wrong with it.

    Only events are read here, without recursion, and each alias counts as all it stands for.
    """
    documents = 0
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            wrong = _grown(event, sizes, opened)
            if wrong is not None:
                hint = "what comes after it in this file is not read"
                return documents, [RuleProblem(path, *_place(event.start_mark), f"not YAML: {wrong}", hint)]
            if isinstance(event, yaml.DocumentEndEvent):
                documents += 1
                sizes.clear()
    except yaml.YAMLError:
        pass  # found again, and reported, when the documents are made
    return documents + 1, []


def _place(mark: Any) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


def _grown(event: Any, sizes: dict[str, int], opened: list[tuple[str | None, int]]) -> str | None:
    """Take in an event: ``sizes`` of what has an anchor, and what is still open with its size. What is wrong, or ``None``."""
    size = 1
    if isinstance(event, yaml.CollectionStartEvent):
        opened.append((event.anchor, 1))
        return f"nested deeper than {MAX_DEPTH}" if len(opened) > MAX_DEPTH else None
    if isinstance(event, yaml.CollectionEndEvent):
        anchor, size = opened.pop()
    elif isinstance(event, yaml.ScalarEvent):
        anchor = event.anchor
    elif isinstance(event, yaml.AliasEvent):
        if any(event.anchor == name for name, _ in opened):
            return f"the alias {event.anchor} is inside of itself"
        anchor, size = None, sizes.get(event.anchor or "", 1)
    else:
        return None
    if anchor is not None:
        sizes[anchor] = size
    if opened:
        opened[-1] = opened[-1][0], opened[-1][1] + size
        if opened[-1][1] > MAX_NODES:
            return f"more than {MAX_NODES:,} nodes (aliases that multiply?)"
    return None


def _document(path: str, loader: Any, node: Any, problems: list[RuleProblem]) -> Document | None:
    if isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~"):
        return None
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    if not isinstance(node, yaml.MappingNode):
        problems.append(RuleProblem(path, line, column, "a rule must be a mapping", "begin with `title: …`"))
        return None
    twice = _repeated_key(node)
    if twice is not None:
        mark = twice.start_mark
        hint = "the second would hide the first; give one of them another name"
        problems.append(
            RuleProblem(path, mark.line + 1, mark.column + 1, f"the key {twice.value} is there twice", hint)
        )
        return None
    plain = _Plain().of(loader.construct_document(node))
    return Document(path, node, plain)


def _repeated_key(node: Any) -> Any:
    """The first key that a mapping has twice; aliases are walked once."""
    seen_nodes: set[int] = set()
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if id(here) in seen_nodes:
            continue
        seen_nodes.add(id(here))
        if isinstance(here, yaml.SequenceNode):
            waiting += here.value
        elif isinstance(here, yaml.MappingNode):
            names: set[str] = set()
            for key, value in here.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                    if key.value in names:
                        return key
                    names.add(key.value)
                waiting.append(value)
    return None


class _Plain:
    """Turns what YAML gives into texts, numbers, booleans, nulls, lists and mappings with text keys."""

    def __init__(self) -> None:
        self._left = MAX_NODES

    def of(self, node: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {MAX_NODES:,} nodes (aliases that multiply?)")
        if isinstance(node, dict):
            return {_key(name): self.of(value) for name, value in node.items()}
        if isinstance(node, (list, tuple, set)):
            return [self.of(value) for value in node]
        if node is None or isinstance(node, (bool, str, int, float)):
            return node
        return node.isoformat() if hasattr(node, "isoformat") else str(node)


def _key(name: Any) -> str:
    return str(name).lower() if isinstance(name, bool) else str(name)


def nearest(word: str, allowed: Iterable[str]) -> str:
    """A hint: the allowed word that is most like ``word``, else all of them."""
    words = tuple(allowed)
    near = difflib.get_close_matches(word, words, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(words)}"


def expect(data: Mapping[str, Any], name: str, kind: type, default: Any, at: KeyPath = ()) -> Any:
    """``data[name]`` if it is of the kind, ``default`` if it is not there. Raises :class:`Wrong`."""
    value = data.get(name, default)
    if value is default:
        return default
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        nouns = {str: "a text", bool: "true or false", list: "a list", dict: "a mapping", int: "a whole number"}
        raise Wrong(f"{name} is not {nouns.get(kind, kind.__name__)}", "", (*at, name))
    return value

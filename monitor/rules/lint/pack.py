"""A pack as its authors wrote it, beside what the loader made of it: what checks are asked about."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from monitor.documents import Document, KeyPath, RuleProblem, Wrong, parse_text
from monitor.rules import tree
from monitor.rules.detections import Filter
from monitor.rules.lint.known import CLOSED, EXPLANATIONS
from monitor.rules.lint.logic import signature
from monitor.rules.load import BothLists, lists_in, load_texts
from monitor.rules.model import LEVELS, Correlation, Detection

#: Keys of a ``detection`` or ``filter`` section that are no selections.
NO_SELECTION: Final = frozenset({"condition", "rules"})
#: What decides when a correlation fires.
_DECIDES: Final = (
    "type",
    "rules",
    "group_by",
    "aliases",
    "span_ms",
    "bounds",
    "fields",
    "window",
    "gap_ms",
    "options",
    "peer",
    "expression",
    "suppress_ms",
    "grace_ms",
)
_SUFFIXES: Final = (".yml", ".yaml")


class Item(NamedTuple):
    """One line of a selection: a field with its modifiers and values. A keyword has the field "" and is its own value."""

    selection: str
    field: str
    modifiers: tuple[str, ...]
    #: Each value with the path of keys to it.
    values: tuple[tuple[Any, KeyPath], ...]
    at: KeyPath
    is_list: bool

    @property
    def texts(self) -> tuple[tuple[str, KeyPath], ...]:
        """The values that are texts."""
        return tuple((value, at) for value, at in self.values if isinstance(value, str))


class Written:
    """One document as it was written. ``rule`` is what was loaded of it, ``None`` if it was refused or is no rule."""

    def __init__(self, document: Document) -> None:
        self.path = document.path
        self.document = document
        self.data = document.data
        self.kind = next((kind for kind in ("explanation", "correlation", "filter") if kind in self.data), "detection")
        self.rule: Detection | Correlation | None = None
        #: What was made of a filter; ``None`` if it is wrong or none.
        self.exception: Filter | None = None
        #: The condition: of a filter without the ``not`` before it.
        self.node: tree.Node | None = None

    def text(self, *names: str) -> str:
        """The text under a path of keys; "" when there is none."""
        found: Any = self.data
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, str) else ""

    def listed(self, *names: str) -> list[Any]:
        """The items of the list under a path of keys; none when there is no list."""
        found: Any = self.data
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, list) else []

    @property
    def body(self) -> dict[str, Any]:
        """The ``correlation`` section; empty when it is no mapping."""
        found = self.data.get("correlation")
        return found if isinstance(found, dict) else {}

    @property
    def called(self) -> str:
        """What people call it."""
        return self.text("name") or self.text("title") or self.text("id") or self.path

    @property
    def rank(self) -> int:
        """How high its level is; without one (or with a wrong one) it is medium."""
        level = self.text("level")
        return LEVELS.index(level) if level in LEVELS else LEVELS.index("medium")

    @property
    def alerts(self) -> bool:
        """Whether it runs and alerts by itself."""
        return self.rule is not None and self.rule.alerts

    @property
    def section(self) -> str:
        """The key below which its selections are."""
        return "filter" if self.kind == "filter" else "detection"

    @cached_property
    def selections(self) -> dict[str, Any]:
        """Its selections by name."""
        body = self.data.get(self.section)
        if not isinstance(body, dict):
            return {}
        return {name: part for name, part in body.items() if name not in NO_SELECTION}

    @cached_property
    def conditions(self) -> tuple[tuple[str, KeyPath], ...]:
        """The texts of its condition with the paths to them."""
        body = self.data.get(self.section)
        found = body.get("condition") if isinstance(body, dict) else None
        at: KeyPath = (self.section, "condition")
        texts = [(one, (*at, number)) for number, one in enumerate(found)] if isinstance(found, list) else [(found, at)]
        return tuple((text, place) for text, place in texts if isinstance(text, str))

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Every line of every selection."""
        return tuple(
            item for name, part in self.selections.items() for item in _items(name, part, (self.section, name))
        )

    @cached_property
    def named(self) -> dict[str, tree.Named]:
        """The selections that the condition names, as trees."""
        return {} if self.node is None else {part.name: part for part in _named(self.node)}


def _items(name: str, part: Any, at: KeyPath) -> Iterator[Item]:
    if isinstance(part, dict):
        for key, value in part.items():
            field, *modifiers = key.split("|")
            yield Item(name, field, tuple(modifiers), _values(value, (*at, key)), (*at, key), isinstance(value, list))
    elif isinstance(part, list):
        for number, each in enumerate(part):
            yield from _items(name, each, (*at, number))
    else:
        yield Item(name, "", (), ((part, at),), at, False)


def _values(value: Any, at: KeyPath) -> tuple[tuple[Any, KeyPath], ...]:
    if isinstance(value, list):
        return tuple((each, (*at, number)) for number, each in enumerate(value))
    return ((value, at),)


def _named(node: tree.Node) -> Iterator[tree.Named]:
    match node:
        case tree.Named():
            yield node
        case tree.All() | tree.AnyOf():
            for part in node.parts:
                yield from _named(part)
        case tree.Not():
            yield from _named(node.part)


class File:
    """One file of rules: its text, the documents in it, and what the loader refused of it."""

    def __init__(self, path: str, text: str, documents: list[Written], problems: list[RuleProblem]) -> None:
        self.path, self.text, self.documents, self.problems = path, text, documents, problems
        self.kind = "file"


class Pack:
    """All files together. ``today`` is what expiry dates are judged by.

    ``fields`` are names of fields of the force's own query systems, ``lists`` those of lists that the reference data holds.
    """

    def __init__(
        self, files: Mapping[str, str], today: date, fields: Collection[str] = (), lists: Collection[str] = ()
    ) -> None:
        self.today, self.fields = today, frozenset(fields)
        self.fixed = lists_in(files)
        #: The paths of the lists' files, by name.
        self.list_paths = {Path(path).stem: path for path in files if not path.endswith(_SUFFIXES)}
        live = {name: ("",) for name in lists}
        report = load_texts(files, live)
        self.rules = report.rules
        self.lists = BothLists(self.fixed, live)
        problems: defaultdict[str, list[RuleProblem]] = defaultdict(list)
        for problem in report.problems:
            problems[problem.path].append(problem)
        self.files = tuple(
            File(
                path, files[path], [Written(document) for document in parse_text(path, files[path], [])], problems[path]
            )
            for path in sorted(files)
            if path.endswith(_SUFFIXES)
        )
        self.documents = tuple(written for file in self.files for written in file.documents)
        self._match()

    def _match(self) -> None:
        """Give every document what was loaded of it, and note who is made of whom."""
        free = dict(self.rules.by_id)
        for written in self.documents:
            rule = free.get(written.text("id"))
            if rule is not None and (rule.path, rule.title) == (written.path, written.text("title")):
                del free[rule.id]
                assert isinstance(rule, (Detection, Correlation))
                written.rule = rule
            written.exception = self._exception(written)
            if isinstance(written.rule, Detection):
                written.node = written.rule.tree
            elif written.exception is not None:
                written.node = written.exception.node
        self.by_id = {written.rule.id: written for written in self.documents if written.rule is not None}
        self._above: defaultdict[str, list[Written]] = defaultdict(list)
        for written in self.by_id.values():
            for name in written.rule.rules if isinstance(written.rule, Correlation) else ():
                self._above[name].append(written)

    def _exception(self, written: Written) -> Filter | None:
        if written.kind != "filter":
            return None
        try:
            return Filter(written.data, self.lists)
        except Wrong:
            return None

    def above(self, written: Written) -> list[Written]:
        """The documents of the correlations that are made of a rule."""
        return self._above.get(written.rule.id, []) if written.rule is not None else []

    def parts(self, written: Written) -> list[Written]:
        """The documents of the rules that a correlation is made of, each once."""
        rules = written.rule.rules if isinstance(written.rule, Correlation) else ()
        return [self.by_id[name] for name in rules if name in self.by_id]

    def found(self, key: str) -> Written | None:
        """The document that has ``key`` as its id or name."""
        return self._by_key.get(key)

    @cached_property
    def _by_key(self) -> dict[str, Written]:
        made: dict[str, Written] = {}
        for written in self.documents:
            for key in (written.text("id"), written.text("name")):
                if key:
                    made.setdefault(key, written)
        return made

    @staticmethod
    def said(written: Written) -> str | None:
        """The same text for rules that match the same, and alert or are parts alike; ``None`` for what is no rule that runs."""
        rule = written.rule
        if rule is None:
            return None
        if isinstance(rule, Correlation):
            return repr([getattr(rule, name) for name in _DECIDES])
        # A part may say what an alerting rule says: so the one can alert while the other is counted.
        part = "" if rule.alerts else f"a part that waits {rule.grace_ms} ms "
        return f"{part}{signature(written.node) if written.node is not None else rule.id}"

    @cached_property
    def first_to_say(self) -> dict[str | None, Written]:
        """The first document of those that say the same."""
        made: dict[str | None, Written] = {}
        for written in self.documents:
            made.setdefault(self.said(written), written)
        return made

    @cached_property
    def titles(self) -> dict[str, Written]:
        """The first document with a title, by the title's words."""
        made: dict[str, Written] = {}
        for written in self.documents:
            title = plain_words(written.text("title"))
            if title and written.kind != "explanation":
                made.setdefault(title, written)
        return made

    @cached_property
    def explanations(self) -> tuple[str, ...]:
        """The names of what may explain a lookup, with those that the pack declares itself."""
        declared = {
            name
            for written in self.documents
            if written.kind == "explanation"
            for name in (written.text("explanation"), written.text("explanation", "name"), written.text("name"))
            if name
        }
        return (*EXPLANATIONS, *sorted(declared - {*EXPLANATIONS}))

    def values_of(self, field: str) -> tuple[Any, ...] | None:
        """All values that a field may have, if they are few and known."""
        return self.explanations if field == "explanation" else CLOSED.get(field)


def plain_words(text: str) -> str:
    """A text's words without case and signs, to compare by."""
    return " ".join(re.findall(r"\w+", text.casefold()))

"""From YAML texts to a rule set, with every problem placed and explained. One bad document never stops the others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from monitor.documents import Document, RuleProblem, Wrong, nearest, parse_text
from monitor.explanations import Explanations, is_explanation, parse_explanations
from monitor.rules import tree
from monitor.rules.common import check_common
from monitor.rules.correlations import make_correlation
from monitor.rules.detections import Filter, Witnesses, make_detection, make_foreign, tree_of, witnesses_if_it_compiles
from monitor.rules.model import Correlation, Detection, Rule
from monitor.rules.plan import NotTogether, parts_of
from monitor.rules.ruleset import RuleSet
from monitor.rules.values import Lists

#: What parsing makes of a text; it changes when the parser does, so that an old cache is not read.
PARSER: Final = "2"
LISTS: Final = "lists"
_LIST_NAME: Final = ".txt"


class LoadReport(msgspec.Struct):
    """What was loaded, and what was not."""

    rules: RuleSet
    problems: list[RuleProblem]


class _Kept(msgspec.Struct, array_like=True):
    """A document as it is kept in a cache. ``witnesses`` are its tree's, if that compiles."""

    data: dict[str, Any]
    node: tree.Node | None
    witnesses: Witnesses | None = None


_keep: Final = msgspec.msgpack.Encoder().encode
_unkeep: Final = msgspec.msgpack.Decoder(list[_Kept]).decode


class Parsed(msgspec.Struct):
    """One document: its data, and its tree if it has a detection. It is the one at position ``number`` of its text."""

    path: str
    data: dict[str, Any]
    node: tree.Node | None
    text: str
    number: int
    #: Those of its tree, when they are known and it is known to compile.
    witnesses: Witnesses | None = None
    #: Where everything in it stands; not known when it comes from a cache.
    document: Document | None = None

    def problem(self, wrong: Wrong) -> RuleProblem:
        """The problem with its place, for which the text is read again if need be."""
        document = self.whole
        if document is None:
            return RuleProblem(self.path, 1, 1, wrong.message, wrong.hint)
        return document.problem(wrong)

    @property
    def whole(self) -> Document | None:
        """The document, for which the text is read again if need be; none when the text is no longer what it was."""
        return self.document or next(islice(parse_text(self.path, self.text, []), self.number, None), None)


def as_wrong(error: Exception) -> Wrong:
    """The error as a problem. Any other than a :class:`Wrong` is a fault of ours, and still it stops no other document."""
    return error if isinstance(error, Wrong) else Wrong(f"not understood ({type(error).__name__}: {error})")


class BothLists(Mapping[str, tuple[str, ...]]):
    """The lists of a pack's files, and those that may change while it runs."""

    def __init__(self, fixed: Mapping[str, tuple[str, ...]], live: Mapping[str, tuple[str, ...]]) -> None:
        self._fixed, self._live = fixed, live

    def __getitem__(self, name: str) -> tuple[str, ...]:
        return self._live[name] if name in self._live else self._fixed[name]

    def __iter__(self) -> Iterator[str]:
        return iter({*self._fixed, *self._live})

    def __len__(self) -> int:
        return len({*self._fixed, *self._live})


def read_dir(folder: Path) -> dict[str, str]:
    """Every ``.yml`` and ``.yaml`` file below a folder, and ``lists/*.txt``: path below the folder → text.

    Bytes that are not UTF-8 are shown as such.
    """
    return {
        str(path): path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (path.suffix in (".yml", ".yaml") or _is_list(str(path)))
    }


def _is_list(path: str) -> bool:
    return path.endswith(_LIST_NAME) and Path(path).parent.name == LISTS


def load_texts(
    files: Mapping[str, str],
    lists: Mapping[str, tuple[str, ...]] | None = None,
    cache: MutableMapping[str, bytes] | None = None,
    foreign: bool = False,
) -> LoadReport:
    """Load rules from texts by name. What is wrong is reported and left out; all else runs.

    ``lists`` are the placeholders' values that do not come with the files (they may change while the rules run); ``cache``
    keeps what parsing makes of a text. With ``foreign`` any detection will do, whatever its log source, and nothing else.
    """
    problems: list[RuleProblem] = []
    known_lists = BothLists(lists_in(files), {} if lists is None else lists)
    parsed = [
        each for path in sorted(files) if not _is_list(path) for each in _parse(path, files[path], problems, cache)
    ]
    if foreign:
        return LoadReport(RuleSet(_foreign(parsed, known_lists, problems), (), version_of(files)), problems)
    detections = _detections(parsed, known_lists, problems)
    detections = _filtered(parsed, detections, known_lists, problems)
    correlations, silent = _correlations(parsed, detections, problems)
    detections = [replace(rule, alerts=False) if rule.id in silent else rule for rule in detections]
    correlations = [replace(rule, alerts=False) if rule.id in silent else rule for rule in correlations]
    return LoadReport(RuleSet(detections, correlations, version_of(files), _explanations(parsed, problems)), problems)


def version_of(files: Mapping[str, str]) -> str:
    """What names a pack: 16 hexadecimal digits of a SHA-256 over its texts, whatever the folder they lie in."""
    texts = sorted(text.encode(errors="replace").decode() for text in files.values())
    return hashlib.sha256(msgspec.json.encode(texts)).hexdigest()[:16]


def lists_in(files: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The lists among the files: a value a line; empty lines and those that begin with # are left out."""
    return {
        Path(path).stem: tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
        for path, text in files.items()
        if _is_list(path)
    }


def _parse(path: str, text: str, problems: list[RuleProblem], cache: MutableMapping[str, bytes] | None) -> list[Parsed]:
    key = hashlib.sha256(f"{PARSER}\0{text}".encode(errors="replace")).hexdigest() if cache is not None else ""
    kept = cache.get(key) if cache is not None else None
    if kept is not None:
        try:
            documents = _unkeep(kept)
            if documents:  # a text without documents is read again: that costs nothing, and a damaged cache may say so
                numbered = enumerate(documents)
                return [Parsed(path, one.data, one.node, text, number, one.witnesses) for number, one in numbered]
        except (msgspec.MsgspecError, ValueError):
            pass  # an unreadable cache is no cache
    before = len(problems)
    found: list[Parsed] = []
    for document in parse_text(path, text, problems):
        one = Parsed(path, document.data, None, text, len(found), document=document)
        if "detection" in document.data:
            try:
                one.node = tree_of(document.data)
            except Exception as error:
                problems.append(one.problem(as_wrong(error)))
                continue
        found.append(one)
    if cache is not None and len(problems) == before:
        cache[key] = _keep(
            [
                _Kept(one.data, one.node, None if one.node is None else witnesses_if_it_compiles(one.node))
                for one in found
            ]
        )
    return found


def _detections(parsed: list[Parsed], lists: Lists, problems: list[RuleProblem]) -> list[Detection]:
    detections: list[Detection] = []
    seen: dict[str, str] = {}
    for one in parsed:
        try:
            if "explanation" in one.data:
                continue
            check_common(one.data, seen, one.path)
            if "correlation" not in one.data and "filter" not in one.data:
                detections.append(make_detection(one.data, one.path, one.node, lists))
        except Exception as error:
            problems.append(one.problem(as_wrong(error)))
            one.data["correlation"] = one.data["filter"] = None  # nothing more is made of it
    return detections


def _explanations(parsed: list[Parsed], problems: list[RuleProblem]) -> Explanations:
    """Those that the pack declares; the built-in ones when it declares none."""
    declared = [one.whole for one in parsed if "explanation" in one.data]
    documents = [document for document in declared if document is not None and is_explanation(document)]
    return parse_explanations(documents, problems) if documents else Explanations.default()


def _foreign(parsed: list[Parsed], lists: Lists, problems: list[RuleProblem]) -> list[Detection]:
    found = []
    for one in parsed:
        if one.node is None:
            continue
        try:
            found.append(make_foreign(one.data, one.path, one.node, lists, one.witnesses))
        except Exception as error:
            problems.append(one.problem(as_wrong(error)))
    return found


def _filtered(
    parsed: list[Parsed], detections: list[Detection], lists: Lists, problems: list[RuleProblem]
) -> list[Detection]:
    known = {key: rule.id for rule in detections for key in (rule.id, rule.name, rule.title) if key is not None}
    rules = {rule.id: rule for rule in detections}
    for one in parsed:
        if one.data.get("filter") is None:
            continue
        try:
            made = Filter(one.data, lists)
            for name in made.rules or ():
                if name not in known:
                    raise Wrong(f"there is no detection {name}", nearest(name, sorted(known)), ("filter", "rules"))
        except Exception as error:
            problems.append(one.problem(as_wrong(error)))
            continue
        for rule_id in rules if made.rules is None else sorted({known[name] for name in made.rules}):
            rules[rule_id] = made.apply(rules[rule_id])
    return list(rules.values())


def _correlations(
    parsed: list[Parsed], detections: list[Detection], problems: list[RuleProblem]
) -> tuple[list[Correlation], set[str]]:
    """The correlations, and the ids of the rules that are only parts of them and do not alert by themselves.

    A correlation may name others that stand after it, so they are made in rounds, until a round makes none.
    """
    known: dict[str, Rule] = {key: rule for rule in detections for key in (rule.id, rule.name) if key is not None}
    made: dict[str, Correlation] = {}
    silent: set[str] = set()
    waiting = [one for one in parsed if one.data.get("correlation") is not None]
    names = {str(one.data.get(key)) for one in waiting for key in ("id", "name")}
    while waiting:
        left = []
        for one in waiting:
            try:
                rule = make_correlation(one.data, one.path, known)
                parts_of(rule, {**made, rule.id: rule})
            except NotTogether as error:
                problems.append(one.problem(Wrong(str(error), "or group this rule by less", ("correlation", "rules"))))
                continue
            except Exception as error:
                if _names_one_of(one, names - known.keys()):
                    left.append(one)
                else:
                    problems.append(one.problem(as_wrong(error)))
                continue
            made[rule.id] = rule
            known.update({key: rule for key in (rule.id, rule.name) if key is not None})
            if one.data["correlation"].get("generate") is not True:
                silent.update(rule.rules)
        if len(left) == len(waiting):
            problems += [
                one.problem(
                    Wrong("it is made of rules that are missing, wrong, or made of it", "", ("correlation", "rules"))
                )
                for one in left
            ]
            break
        waiting = left
    return list(made.values()), silent


def _names_one_of(one: Parsed, names: set[str]) -> bool:
    body = one.data["correlation"]
    if not isinstance(body, dict):
        return False
    rules = body.get("rules")
    given = [rules] if isinstance(rules, str) else rules if isinstance(rules, list) else []
    condition = body.get("condition")
    words = condition.split() if isinstance(condition, str) else []
    return any(isinstance(name, str) and name.strip("()") in names for name in (*given, *words))

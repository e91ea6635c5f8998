"""From YAML texts to a rule set, with every problem placed and explained. One bad document never stops the others."""

from __future__ import annotations

import difflib
import hashlib
import io
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from sigma.exceptions import SigmaError
from sigma.modifiers import modifier_mapping
from sigma.rule import SigmaRule

from monitor.rules.compile import CannotCompile, compile_condition
from monitor.rules.correlate import OPERATORS, TYPES
from monitor.rules.model import LEVELS, TYPOLOGIES, Correlation, Detection
from monitor.rules.ruleset import RuleSet

CATEGORY: Final = "lookup"
_SPAN_MS: Final = {
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "M": 2_592_000_000,
    "y": 31_536_000_000,
}


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


class LoadReport(msgspec.Struct):
    """What was loaded, and what was not."""

    rules: RuleSet
    problems: list[RuleProblem]


class _Wrong(Exception):
    def __init__(self, message: str, hint: str = "", at: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.hint, self.at = message, hint, at


class _Document(msgspec.Struct):
    path: str
    tree: CommentedMap
    plain: dict[str, Any]

    def problem(self, wrong: _Wrong) -> RuleProblem:
        """Place a problem at the deepest of its keys that is there."""
        node: Any = self.tree
        line, column = node.lc.line, node.lc.col
        for name in wrong.at:
            if not isinstance(node, CommentedMap) or name not in node:
                break
            line, column = node.lc.key(name)
            node = node[name]
        return RuleProblem(self.path, line + 1, column + 1, wrong.message, wrong.hint)


def read_dir(folder: Path) -> dict[str, str]:
    """Every ``.yml`` and ``.yaml`` file below a folder: path to text. Bytes that are not UTF-8 are shown as such."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".yml", ".yaml") and path.is_file())
    return {str(path): path.read_text(encoding="utf-8", errors="replace") for path in files}


def load_texts(files: Mapping[str, str]) -> LoadReport:
    """Load rules from texts by name. What is wrong is reported and left out; all else runs."""
    problems: list[RuleProblem] = []
    documents = [document for path in sorted(files) for document in _parse(path, files[path], problems)]
    detections: list[Detection] = []
    waiting: list[_Document] = []
    seen: dict[str, str] = {}
    for document in documents:
        try:
            _check_common(document.plain, seen, document.path)
            if "correlation" in document.plain:
                waiting.append(document)
            else:
                detections.append(_detection(document.plain))
        except _Wrong as wrong:
            problems.append(document.problem(wrong))
    correlations, silent = _correlations(waiting, detections, problems)
    detections = [_silenced(rule) if rule.id in silent else rule for rule in detections]
    version = hashlib.sha256(msgspec.json.encode([files[path] for path in sorted(files)])).hexdigest()
    return LoadReport(RuleSet(detections, correlations, version), problems)


def _parse(path: str, text: str, problems: list[RuleProblem]) -> Iterator[_Document]:
    try:
        for tree in YAML().load_all(io.StringIO(text)):
            if tree is None:
                continue
            if not isinstance(tree, CommentedMap):
                problems.append(RuleProblem(path, 1, 1, "a rule must be a mapping", "begin with `title: …`"))
                continue
            yield _Document(path, tree, _plain(tree))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        problems.append(RuleProblem(path, line, column, f"not YAML: {error.problem or error.context}"))
    except YAMLError as error:
        problems.append(RuleProblem(path, 1, 1, f"not YAML: {error}"))


def _plain(node: Any) -> Any:
    if isinstance(node, CommentedMap):
        return {str(name): _plain(value) for name, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (str, int, float):
        if isinstance(node, kind):
            return kind(node)
    return str(node)


def _check_common(rule: dict[str, Any], seen: dict[str, str], path: str) -> None:
    for name in ("title", "id"):
        if not isinstance(rule.get(name), str):
            raise _Wrong(f"{name} is missing", "every rule needs a title and an id (a UUID)", (name,))
    try:
        uuid.UUID(rule["id"])
    except ValueError:
        raise _Wrong(
            f"id {rule['id']} is not a UUID", f"for instance {uuid.uuid5(uuid.NAMESPACE_OID, rule['title'])}", ("id",)
        ) from None
    if not isinstance(rule.get("name", ""), str):
        raise _Wrong("name is not a text", "a short name that correlations can use", ("name",))
    for key in (rule["id"], rule.get("name")):
        if key is not None and key in seen:
            raise _Wrong(f"{key} is used in {seen[key]} already", "ids and names must differ", ("id",))
    seen.update({key: path for key in (rule["id"], rule.get("name")) if key is not None})
    _check_one_of(rule, "typology", TYPOLOGIES)
    _check_one_of(rule, "level", LEVELS)


def _check_one_of(rule: dict[str, Any], name: str, allowed: tuple[str, ...]) -> None:
    value = rule.get(name)
    if value is not None and value not in allowed:
        raise _Wrong(f"{name} {value} is none", _nearest(str(value), allowed), (name,))


def _nearest(word: str, allowed: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, allowed, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(allowed)}"


def _about(rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": rule["id"],
        "name": rule.get("name"),
        "title": rule["title"],
        "level": rule.get("level", "medium"),
        "typology": rule.get("typology"),
        "description": " ".join(str(rule.get("description", "")).split()),
        "playbook": str(rule.get("playbook", "")),
    }


def _detection(rule: dict[str, Any]) -> Detection:
    source = rule.get("logsource")
    if not isinstance(source, dict) or source.get("category") != CATEGORY:
        raise _Wrong("logsource is not that of lookups", f"write `logsource: {{category: {CATEGORY}}}`", ("logsource",))
    detection = rule.get("detection")
    if not isinstance(detection, dict) or "condition" not in detection:
        raise _Wrong(
            "detection with a condition is missing", "name selections and combine them in `condition`", ("detection",)
        )
    known = ("title", "id", "name", "status", "level", "logsource", "detection", "description")
    try:
        parsed = SigmaRule.from_dict({name: rule[name] for name in known if name in rule})
        conditions = parsed.detection.parsed_condition
    except Exception as error:  # pySigma raises anything for a value of a kind it does not expect
        raise _Wrong(*_explain(error, detection)) from None
    if len(conditions) != 1:
        raise _Wrong("there must be one condition", "join them with `or`", ("detection", "condition"))
    try:
        tree = conditions[0].parsed
    except SigmaError as error:
        hint = "names of selections, and, or, not, 1 of name*, all of them"
        raise _Wrong(_first_line(error), hint, ("detection", "condition")) from None
    try:
        predicate, witness = compile_condition(tree)
    except (CannotCompile, re.error) as error:
        raise _Wrong(*_explain(error, detection)) from None
    return Detection(**_about(rule), predicate=predicate, witness=witness)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).split(" in ")[0].splitlines()), type(error).__name__)


def _explain(error: Exception, detection: dict[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    """pySigma's message, and the detection's key it is most likely about."""
    message = _first_line(error)
    for name, selection in detection.items():
        for item in selection if isinstance(selection, dict) else ():
            for modifier in item.split("|")[1:]:
                if modifier in message:
                    return message, _nearest(modifier, tuple(sorted(modifier_mapping))), ("detection", name, item)
    at = ("detection", "condition") if "ondition" in message or "etection" in message else ("detection",)
    return message, "see the Sigma specification 2.1, rules", at


def _correlations(
    waiting: list[_Document], detections: list[Detection], problems: list[RuleProblem]
) -> tuple[list[Correlation], set[str]]:
    """The correlations, and the ids of the detections that are only their parts and do not alert by themselves."""
    known = {key: rule for rule in detections for key in (rule.id, rule.name) if key is not None}
    found: list[Correlation] = []
    silent: set[str] = set()
    for document in waiting:
        try:
            rule = _correlation(document.plain, known)
        except _Wrong as wrong:
            problems.append(document.problem(wrong))
            continue
        found.append(rule)
        if document.plain["correlation"].get("generate") is not True:
            silent.update(rule.rules)
    return found, silent


def _correlation(rule: dict[str, Any], known: dict[str, Detection]) -> Correlation:
    body = rule["correlation"]
    if not isinstance(body, dict):
        raise _Wrong("correlation must be a mapping", "", ("correlation",))
    kind = body.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        raise _Wrong(
            f"correlation type {kind} is not supported", _nearest(str(kind), tuple(TYPES)), ("correlation", "type")
        )
    names = body.get("rules")
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names:
        raise _Wrong("rules is missing", "name the rules that are counted", ("correlation", "rules"))
    for name in names:
        if not isinstance(name, str) or name not in known:
            hint = _nearest(str(name), tuple(sorted(known)))
            raise _Wrong(f"there is no detection {name}", hint, ("correlation", "rules"))
    group = body.get("group-by", ["actor.id"])
    group = [group] if isinstance(group, str) else group
    if not isinstance(group, list) or not group or not all(isinstance(name, str) for name in group):
        raise _Wrong("group-by is not a list of fields", "for instance [actor.id]", ("correlation", "group-by"))
    conditions, field = _condition(body, kind)
    return Correlation(
        **_about(rule),
        type=kind,
        rules=tuple(sorted({known[name].id for name in names})),
        group_by=tuple(group),
        span_ms=_span(body.get("timespan")),
        conditions=conditions,
        field=field,
    )


def _condition(body: dict[str, Any], kind: str) -> tuple[tuple[tuple[str, float], ...], str | None]:
    at = ("correlation", "condition")
    condition = body.get("condition")
    if not isinstance(condition, dict):
        raise _Wrong("condition is missing", "for instance `condition: {gte: 10}`", at)
    bounds = {name: value for name, value in condition.items() if name != "field"}
    for name, value in bounds.items():
        if name not in OPERATORS:
            raise _Wrong(f"condition {name} is none", _nearest(name, tuple(OPERATORS)), (*at, name))
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _Wrong(f"condition {name} is not a number", "", (*at, name))
    if not bounds:
        raise _Wrong("condition has no bound", "for instance `gte: 10`", at)
    field = condition.get("field")
    if field is not None and not isinstance(field, str):
        raise _Wrong("field is not the name of a field", "for instance subject.id", (*at, "field"))
    if kind == "value_count" and field is None:
        raise _Wrong("condition has no field", "value_count counts the different values of a field", at)
    return tuple(sorted((name, float(value)) for name, value in bounds.items())), field


def _span(text: Any) -> int:
    found = re.fullmatch(r"(\d+)([smhdwMy])", str(text))
    if found is None or int(found[1]) == 0:
        raise _Wrong(
            f"timespan {text} is none", "a number and s, m, h, d, w, M or y, such as 10m", ("correlation", "timespan")
        )
    return int(found[1]) * _SPAN_MS[found[2]]


def _silenced(rule: Detection) -> Detection:
    return replace(rule, alerts=False)

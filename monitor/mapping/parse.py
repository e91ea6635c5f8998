"""From a mapping's YAML to what is ready for use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import yaml

from monitor.mapping.fields import Field, Parts, field_of
from monitor.mapping.nodes import BadMapping, check_names, choice, columns_of, entries, mapping_node, pattern_of, scalar
from monitor.mapping.take import matcher, of_json, within_of

REQUIRED: Final = ("id", "time", "system", "action", "actor.id")
_TOP: Final = frozenset({"format", "only", "pattern", "columns", "delimiter", "within", "fields"})


class Mapping_(NamedTuple):
    """A mapping, ready for use. ``columns`` are those of CSV where it has no header of its own."""

    format: str
    only: Any
    take: Callable[[str], Parts] | None
    within: Callable[[Parts], Parts]
    fields: tuple[Field, ...]
    columns: tuple[str, ...]
    delimiter: str | None
    #: The parts that the line itself must have.
    wanted: frozenset[str]

    @property
    def has_header(self) -> bool:
        """Whether a file's first line names its columns."""
        return self.format == "csv" and not self.columns


def parse(text: str) -> Mapping_:
    """The mapping in a YAML text. Raises :class:`BadMapping`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise BadMapping(error.problem_mark, error.problem or "no YAML") from None
    if not isinstance(root, yaml.MappingNode):
        raise BadMapping(root and root.start_mark, "must be a list of `field: column`, such as `actor.id: USER_NAME`")
    top = entries(root)
    if "fields" not in top:
        # The short form.
        fields = tuple(field_of(name, node) for name, node in top.items())
        _check_required(fields, root)
        return Mapping_("csv", None, None, lambda parts: parts, fields, (), None, _wanted(fields, frozenset()))
    check_names(root, _TOP)
    form = choice(top, "format", ("csv", "json", "regex"), "csv")
    if (form == "regex") != ("pattern" in top):
        raise BadMapping(root.start_mark, "`format: regex` and `pattern` go together")
    if form != "csv" and ("columns" in top or "delimiter" in top):
        raise BadMapping(root.start_mark, "`columns` and `delimiter` are of `format: csv`")
    pattern = pattern_of(top["pattern"]) if "pattern" in top else None
    within, made = within_of(top.get("within"))
    fields = tuple(field_of(name, node) for name, node in entries(mapping_node(top["fields"])).items())
    _check_required(fields, top["fields"])
    wanted = _wanted(fields, made) | ({scalar(entries(top["within"])["part"])} if "within" in top else set())
    columns = columns_of(top.get("columns"))
    known = frozenset(columns) if columns else frozenset(pattern.groupindex) if pattern is not None else None
    if known is not None and not wanted <= known | {"line"}:
        raise BadMapping(top["fields"].start_mark, f"there is no part {', '.join(sorted(wanted - known))}")
    only = pattern_of(top["only"], named=False) if "only" in top else None
    delimiter = scalar(top["delimiter"]) if "delimiter" in top else None
    if delimiter is not None and len(delimiter) != 1:
        raise BadMapping(top["delimiter"].start_mark, "a delimiter is one character")
    take = of_json if form == "json" else None if pattern is None else matcher(pattern)
    return Mapping_(form, only, take, within, fields, columns, delimiter, frozenset(wanted))


def _wanted(fields: Iterable[Field], made: frozenset[str]) -> frozenset[str]:
    return frozenset().union(*(each.parts for each in fields)) - made


def _check_required(fields: Iterable[Field], node: Any) -> None:
    missing = set(REQUIRED) - {each.name for each in fields}
    if missing:
        raise BadMapping(node.start_mark, f"has no column for {', '.join(sorted(missing))}")

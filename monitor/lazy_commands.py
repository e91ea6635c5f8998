"""Commands that are imported when they are asked for: what one of them needs must not slow down the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group


class _Commands(Mapping[str, Any]):
    """Commands by name: those of a table, name to ``module:attribute``, and those of a further Typer application."""

    def __init__(self, table: Mapping[str, str], further: str | None) -> None:
        self._table = table
        self._further = further
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _command(name, self._table[name]) if name in self._table else self._others()[name]
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._others(), *self._table)))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _others(self) -> Mapping[str, Any]:
        return {} if self._further is None else get_group(_found(self._further)).commands


def _found(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _command(name: str, place: str) -> Any:
    """The command, or group of commands, of a place."""
    found = _found(place)
    if isinstance(found, typer.Typer):
        group = get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return get_command(alone)


def lazy_group(table: Mapping[str, str], said: str, further: str | None = None) -> typer.Typer:
    """A group of the commands in ``table`` (name to ``module:attribute``) and of those of ``further``, imported when asked for.

    ``said`` is what its help begins with.
    """

    class Group(TyperGroup):
        def __init__(self, **attrs: Any) -> None:
            attrs["commands"] = _Commands(table, further)
            super().__init__(**attrs)

    made = typer.Typer(cls=Group, help=said, no_args_is_help=True, pretty_exceptions_enable=False)
    made.callback()(lambda: None)
    return made

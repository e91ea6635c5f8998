"""Finds the keys that nobody has looked at for so long that what is known of them is forgotten (`forget after`)."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from monitor.detector import BadState, is_forgotten, is_waiting, load_state
from monitor.stream.tables import Table

#: One key is looked at for so many messages, so that it costs little: all of 65,000 keys in two million messages.
MESSAGES_A_KEY: Final = 32


class Sweep:
    """Goes round the keys of a table, a few at a time.

    A key may be removed when whatever comes of it later would find it forgotten (see :func:`monitor.detector.is_forgotten`),
    and when none of its lookups can come again: the offsets that make a repeat count nothing go with it.
    """

    def __init__(self, table: Table, forget_ms: int) -> None:
        """``forget_ms`` is the time after which a key is forgotten, in milliseconds of event time."""
        self._table = table
        self._forget_ms = forget_ms
        self._round: list[str] = []
        self._credit = 0

    def forgotten(self, messages: int, reached: int, committed: int, busy: Container[str]) -> list[str]:
        """The keys to remove, of those whose turn it is after so many ``messages`` more.

        ``reached`` is the event time that every source has reached; no message before the offset ``committed`` comes again;
        ``busy`` are the keys whose state is changing now.
        """
        self._credit += messages
        turns, self._credit = divmod(self._credit, MESSAGES_A_KEY)
        return [key for key in self._next(turns) if key not in busy and self._may_go(key, reached, committed)]

    def _next(self, turns: int) -> list[str]:
        if not self._round:
            self._round = self._table.keys()
        taken = self._round[-turns:] if turns else []
        del self._round[len(self._round) - len(taken) :]
        return taken

    def _may_go(self, key: str, reached: int, committed: int) -> bool:
        data = self._table.get(key)
        if data is None or is_waiting(data) or self._table.position(key) >= committed:
            return False
        try:
            return is_forgotten(load_state(data), reached, self._forget_ms)
        except BadState:
            return False

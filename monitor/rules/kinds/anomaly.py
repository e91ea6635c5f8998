"""``anomaly``: the model's score of a lookup passes a quantile of its peer group."""

from __future__ import annotations

from monitor.rules.kinds.kind import Hit, Kind
from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Hush, State


class Anomaly(Kind):
    """A lookup of one of the rules is scored above the ``quantile`` of its peer group's scores, 0.999 unless given.

    The model lives elsewhere, with all of a peer group (:mod:`monitor.model`), so here nothing is decided: the lookup goes
    there with the names of the rules that wait for its score. An actor is alerted about once in ``timespan``.
    """

    noun = "scores"
    needs_bound = False
    options = {"quantile": float}  # noqa: RUF012 (read only)

    def start(self, rule: Correlation) -> State:
        return Hush()

    def observe(self, rule: Correlation, state: Hush, lookup: Lookup, hits: tuple[int, ...]) -> Hit | None:
        return None

"""Whether the alerts that were raised live are those of a rerun, and which are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from monitor import alerts
from monitor.alerts import Alert
from monitor.rerun import Raised

How = Literal["only-live", "only-replay", "differs", "unreadable"]
#: How a live alert and the rerun's may disagree.
HOWS: Final[tuple[How, ...]] = ("only-live", "only-replay", "differs", "unreadable")


class Live(NamedTuple):
    """A record of ``lookup.alerts.v1``. Not ``settled``: what led to it may lie behind the end of what is run again."""

    partition: int
    offset: int
    value: bytes | None
    settled: bool = True


class Difference(msgspec.Struct, frozen=True, order=True):
    """One alert that is not as it should be. Nothing in it names a person, a subject or a case."""

    time: str
    id: str
    how: How
    rule: str
    kind: str
    #: Where it is in ``lookup.alerts.v1`` (partition/offset), if it is there.
    place: str = ""


class Agreement(msgspec.Struct):
    """What came of comparing. ``left_out`` counts, by the title of the rule, alerts that could not be compared."""

    equal: int = 0
    undecided: int = 0
    differences: list[Difference] = []
    left_out: dict[str, int] = {}

    @property
    def compared(self) -> int:
        """How many alerts were compared."""
        return self.equal + len(self.differences)


class _Known(NamedTuple):
    raw: bytes
    place: str
    settled: bool


class Agree:
    """Takes the alerts of both sides, in any order, and then says how they differ.

    Only alerts whose lookup has a time of ``from_ms <= t < to_ms`` count. ``is_certain`` says whether the rerun knows all that an
    alert follows from, when its log does not go back to the beginning. ``forms`` are those that live alerts may have, by
    one key of pseudonyms or another, and last that without any: an alert of the rerun is compared in the first that is there, so live ones come first.
    """

    def __init__(
        self,
        from_ms: int,
        to_ms: int,
        is_certain: Callable[[Alert], bool] = lambda _: True,
        forms: Sequence[Callable[[Alert], Alert]] = (lambda alert: alert,),
    ) -> None:
        self._forms = forms
        #: Whether live alerts were raised under pseudonyms.
        self.is_masked = False
        self._span = (from_ms, to_ms)
        self._is_certain = is_certain
        self._live: dict[str, _Known] = {}
        self._run: dict[str, tuple[bytes, bool]] = {}
        self._found: list[Difference] = []
        self._left_out: Counter[str] = Counter()

    def is_inside(self, alert: Alert) -> bool:
        """Whether the alert belongs to the span."""
        return self._span[0] <= alert.ts < self._span[1]

    def live(self, record: Live) -> bool:
        """Take in what was raised live; whether it belongs to the span. What cannot be read does, as nobody knows better."""
        place = f"{record.partition}/{record.offset}"
        try:
            alert = alerts.decode(record.value or b"")
        except msgspec.MsgspecError:
            self._found.append(Difference("", "", "unreadable", "", "", place))
            return True
        if not self.is_inside(alert):
            return False
        self.is_masked |= alert.sealed is not msgspec.UNSET
        raw, known = bytes(record.value or b""), self._live.get(alert.id)
        if known is None:
            self._live[alert.id] = _Known(raw, place, record.settled)
        elif known.raw != raw:
            self._note(alert, "differs", place)
        return True

    def raised(self, made: Raised) -> None:
        """Take in an alert of the rerun."""
        if self.is_inside(made.alert):
            forms = [form(made.alert) for form in self._forms]
            # What was not raised is told in the form in which others were; names as they are come last.
            other = forms[-1] if self._live and not self.is_masked else forms[0]
            alert = next((each for each in forms if each.id in self._live), other)
            raw, decided = alerts.encode(alert), made.decided
            known = self._run.get(alert.id)
            self._run[alert.id] = (raw, decided or (known is not None and known[1]))

    def result(self) -> Agreement:
        """How they differ, in the order of time."""
        equal = undecided = 0
        for name, known in self._live.items():
            mine = self._run.get(name)
            if mine is None:
                if known.settled:
                    self._note(alerts.decode(known.raw), "only-live", known.place)
            elif mine[0] != known.raw:
                self._note(alerts.decode(known.raw), "differs", known.place)
            elif self._counts(alerts.decode(known.raw)):
                equal += 1
        for name, (raw, decided) in self._run.items():
            if name not in self._live:
                undecided += not decided
                if decided:
                    self._note(alerts.decode(raw), "only-replay", "")
        return Agreement(equal, undecided, sorted(self._found), dict(sorted(self._left_out.items())))

    def _counts(self, alert: Alert) -> bool:
        if self._is_certain(alert):
            return True
        self._left_out[alert.rule.title] += 1
        return False

    def _note(self, alert: Alert, how: How, place: str) -> None:
        if self._counts(alert):
            about = alert.entity.kind
            self._found.append(Difference(alert.time, alert.id, how, alert.rule.title, about, place))

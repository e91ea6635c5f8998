"""Who is told: a question to the supervisor, the desk, or the pager, whose calls are counted.

A call wakes somebody, so a day has a budget of them. What is critical, or about somebody under observation, is called in any case. A
share of the budget is kept for incidents that are drawn at random: who learns how to use up the rest cannot know which.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from monitor.incidents.model import MONITOR, Incident, Notice, NoticeKind, Response, Step
from monitor.incidents.risk import rank_of
from monitor.review import Sampler
from monitor.when import rfc3339

DAY_MS: Final = 24 * 3600 * 1000
#: So often a page that nobody acknowledged is sent again.
MAX_ESCALATIONS: Final = 2
_BY_LEVEL: Final[dict[str, Response]] = {"medium": "desk", "high": "pager", "critical": "pager"}
_NOTICES: Final[dict[Response, NoticeKind]] = {"supervisor": "question", "desk": "desk", "pager": "page"}
_ORDER: Final[tuple[Response, ...]] = ("none", "supervisor", "desk", "pager")
#: Why an incident was paged, or was not; metric labels.
PAGED: Final = ("must", "budget", "drawn", "asked")


class Policy(msgspec.Struct, frozen=True):
    """What can be set. Times in milliseconds."""

    half_life_ms: int = 14 * DAY_MS
    page_budget: int = 20
    page_share: float = 0.2
    escalate_ms: int = 30 * 60 * 1000
    answer_ms: int = 7 * DAY_MS
    forget_ms: int = 730 * DAY_MS
    forget_cleared_ms: int = 90 * DAY_MS


class Budget(msgspec.Struct):
    """The pages of one day (UTC, by time of receipt): those of the ordinary part, and of the share drawn at random."""

    day: int = 0
    used: int = 0
    drawn: int = 0


def wanted(incident: Incident) -> Response:
    """The response that level and watch ask for. A ring has no one supervisor, so the desk is asked about it."""
    if incident.watched:
        return "pager"
    asks_supervisor = incident.group.kind == "actor"
    return _BY_LEVEL.get(incident.level, "supervisor" if asks_supervisor else "desk")


class Responder:
    """Tells people about incidents, within the day's budget. Changes the incidents it is given."""

    def __init__(self, policy: Policy, sampler: Sampler, budget: Budget) -> None:
        self._policy = policy
        self._sampler = sampler
        self.budget = budget
        #: What was done so far in this process, by name: pages by why, ``held``, ``escalation``.
        self.done: Counter[str] = Counter()
        self._reserve = round(policy.page_budget * policy.page_share)

    def left(self) -> int:
        """How many pages the day has left, the share drawn at random among them."""
        return max(0, self._policy.page_budget - self.budget.used - self.budget.drawn)

    def begin_day(self, now: int) -> None:
        """A new day has a new budget."""
        if now // DAY_MS > self.budget.day:
            self.budget = Budget(now // DAY_MS)

    def respond(self, incident: Incident, now: int, why: str) -> None:
        """Tell those who are to be told, unless they know."""
        want = wanted(incident)
        if incident.muted_by is not None or _ORDER.index(want) < _ORDER.index(incident.response):
            return
        if incident.status == "acknowledged" and not incident.watched and not _rose_since(incident, "acknowledged"):
            return
        if want == "pager" and (incident.response != "pager" or _rose_since(incident, "page")):
            self.page(incident, now, why)
        elif _ORDER.index(want) > _ORDER.index(incident.response):
            self._raise(incident, want, now, why)

    def page(self, incident: Incident, now: int, why: str, asked: bool = False) -> None:
        """Call somebody now, or, when the day's pages have been used up, hold it for the next day and tell the desk."""
        grant = "asked" if asked else self._grant(incident)
        if grant is None and incident.held and incident.due > now:
            return
        if grant is None:
            incident.held, incident.due = True, (now // DAY_MS + 1) * DAY_MS
            self.done["held"] += 1
            step(incident, now, MONITOR, "held", "the day's pages have been used up; the desk is told")
            until = incident.due
            if incident.response in ("none", "supervisor"):
                self._raise(incident, "desk", now, why)
            incident.due = until
            return
        incident.held = False
        self.done[grant] += 1
        self._raise(incident, "pager", now, f"{why} [{grant}]")

    def escalate(self, incident: Incident, now: int, why: str) -> None:
        """Somebody asks for more than the risk does: the desk, or from there the pager, whatever the budget."""
        if incident.response in ("none", "supervisor"):
            self._raise(incident, "desk", now, why)
        else:
            self.page(incident, now, why, asked=True)

    def _raise(self, incident: Incident, to: Response, now: int, why: str) -> None:
        incident.response = to
        incident.queue = f"supervisor/{_unit(incident)}" if to == "supervisor" else to
        if incident.status == "acknowledged":
            incident.status = "open"
        notify(incident, _NOTICES[to], now, why)
        incident.escalations = 0
        self._wait(incident, now)

    def _wait(self, incident: Incident, now: int) -> None:
        wait = {"supervisor": self._policy.answer_ms, "pager": self._policy.escalate_ms}.get(incident.response, 0)
        incident.due = now + wait if wait and incident.status == "open" else 0

    def resume(self, incident: Incident, now: int, why: str) -> None:
        """No other incident is told instead of this any more."""
        self._wait(incident, now)
        self.respond(incident, now, why)

    def due(self, incident: Incident, now: int) -> None:
        """The time has come at which something was to happen to an incident that nobody works on."""
        incident.due = 0
        if incident.held:
            self.page(incident, now, "held since the day before")
        elif incident.response == "supervisor":
            self._raise(incident, "desk", now, "the supervisor has not answered")
        elif incident.response == "pager":
            incident.escalations += 1
            self.done["escalation"] += 1
            notify(incident, "escalation", now, f"nobody has acknowledged it; call {incident.escalations + 1}")
            incident.due = now + self._policy.escalate_ms if incident.escalations < MAX_ESCALATIONS else 0

    def _grant(self, incident: Incident) -> str | None:
        if incident.watched or incident.level == "critical":
            return "must"
        if self.budget.used < self._policy.page_budget - self._reserve:
            self.budget.used += 1
            return "budget"
        if self._sampler.takes(incident.id) and self.budget.drawn < self._reserve:
            self.budget.drawn += 1
            return "drawn"
        return None


def _rose_since(incident: Incident, kind: NoticeKind) -> bool:
    levels = [each.level for each in incident.notices if each.kind == kind]
    return not levels or rank_of([incident.level]) > rank_of(levels[-1:])


def notify(incident: Incident, kind: NoticeKind, now: int, why: str) -> None:
    """Add a notice, and the step that says so."""
    incident.notices.append(Notice(len(incident.notices) + 1, kind, rfc3339(now), incident.level, why))
    if kind not in ("acknowledged", "closed"):
        step(incident, now, MONITOR, kind, why)


def step(incident: Incident, now: int, by: str, what: str, why: str) -> None:
    """Add to the history."""
    incident.history.append(Step(rfc3339(now), by, what, why))


def _unit(incident: Incident) -> str:
    return next((incident.units[each] for each in incident.members if each in incident.units), "unknown")

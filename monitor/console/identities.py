"""What pages show of requests for identities: how each stands, and what somebody may do about it. Decided is it by the desk of identities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from starlette.requests import Request

from monitor.access.roles import Right
from monitor.console.desk import desk_of
from monitor.console.guarding import person_of, sees
from monitor.console.shared_desk import Away
from monitor.incidents.model import Incident
from monitor.privacy import unmasking
from monitor.privacy.unmasking import MAX_NAMES, WAITS_MS, is_same

State = Literal["open", "approved", "refused", "over"]
#: So many requests about one incident are listed, and so many that were answered.
MANY: Final = 50


class Asked(NamedTuple):
    """A request as a page shows it at some time: whether it is the person's ``own``, may be ``answered``, or be taken back."""

    request: unmasking.Request
    state: State
    own: bool

    @property
    def can_show(self) -> bool:
        """Whether its identities may be seen by the person: they asked, another approved, and the time is not over."""
        return self.own and self.state == "approved"


class Section(NamedTuple):
    """Of an incident's page: ``state`` is ``there``, ``no-key`` (of identities, in this process) or ``away`` (Kafka).

    ``names`` are what can be asked for, ``opened`` the identities that were shown for the request ``shown``.
    """

    state: str
    names: Sequence[str]
    requests: Sequence[Asked]
    shown: str
    opened: Mapping[str, str]
    most: int

    @property
    def asked_names(self) -> list[str]:
        """The names of the request that is shown."""
        return next(
            (each.request.names for each in self.requests if each.request.id == self.shown), sorted(self.opened)
        )


def state_of(request: unmasking.Request, now: int) -> State:
    """How a request stands at ``now`` (ms). Kafka's clock decides when it comes to it; this is what a page says."""
    if request.status == "approved":
        return "approved" if now < request.until else "over"
    if request.status == "open":
        return "open" if now <= request.asked + WAITS_MS else "over"
    return "refused"


def asked_of(request: Request, found: Sequence[unmasking.Request]) -> list[Asked]:
    """Requests as who asks for the page sees them."""
    now, name = desk_of(request).now(), person_of(request).name
    return [Asked(each, state_of(each, now), is_same(each.by, name)) for each in found]


def sealed_names(incident: Incident) -> list[str]:
    """The pseudonyms of an incident whose identity is sealed in it: its actors, its subjects, then any others."""
    if not isinstance(incident.sealed, dict):
        return []
    order = dict.fromkeys([*incident.members, *incident.subjects, *sorted(incident.sealed)])
    return [name for name in order if name in incident.sealed]


async def section_of(
    request: Request, incident: Incident, shown: str = "", opened: Mapping[str, str] | None = None
) -> Section | None:
    """What an incident's page has about identities; None for who may not ask for them, and where names stand as they are."""
    if not isinstance(incident.sealed, dict) or not sees(person_of(request), Right.ASK_IDENTITY, incident):
        return None
    desk = desk_of(request)
    state, found = "there", list[unmasking.Request]()
    if desk.identities is None:
        state = "no-key"
    else:
        try:
            found = await desk.identities.do(lambda each: each.requests())
        except Away:
            state = "away"
    about = asked_of(request, [each for each in found if each.incident == incident.id][:MANY])
    return Section(state, sealed_names(incident), about, shown, opened or {}, MAX_NAMES)

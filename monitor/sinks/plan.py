"""Which notices of an incident a sink is still to deliver.

What calls people is told of where an incident stands, not of every step on the way there: after an hour in which a sink was down, it
calls once about an incident, and not at all when somebody has acknowledged or closed it since. What keeps records gets every notice.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from monitor.incidents.model import Incident, Notice

CALLS: Final = frozenset({"question", "desk", "page", "escalation"})
ANSWERS: Final = frozenset({"acknowledged", "closed"})


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """What a sink has done about an incident: the last notice it is done with, and whether it has called since the last answer."""

    number: int = 0
    has_called: bool = False


def pending(incident: Incident, mark: Mark, kinds: Collection[str], is_record: bool) -> list[Notice]:
    """The notices to deliver, in order. ``kinds`` are those the sink is for; ``is_record``: it is to get every one of them."""
    fresh = [each for each in incident.notices if each.number > mark.number and each.kind in kinds]
    if is_record:
        return fresh
    # Whether somebody has answered is told by all notices, also those that this sink is not for.
    after = max((each.number for each in incident.notices if each.kind in ANSWERS), default=0)
    calls = [each for each in fresh if each.kind in CALLS and each.number > after]
    answers = [each for each in fresh if each.kind in ANSWERS]
    # A call after the answer says more than the answer does; an answer to nothing says nothing.
    if calls:
        return calls[-1:]
    return answers[-1:] if mark.has_called else []


def done(mark: Mark, notice: Notice) -> Mark:
    """The mark when ``notice`` was delivered, or was given up."""
    return Mark(max(mark.number, notice.number), notice.kind in CALLS or (mark.has_called and notice.kind != "closed"))

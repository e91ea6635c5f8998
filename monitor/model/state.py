"""What is kept of one actor for the features. The classes stand apart from the code, which may be compiled."""

from __future__ import annotations

from typing import Final

import msgspec

#: How many shares are kept; see :data:`monitor.model.features.SHARES`.
SHARE_COUNT: Final = 13
#: The numbers in :attr:`FeatureState.sums`.
SUM_COUNT: Final = 11
#: Quarters of a day in a week, in blocks of four hours.
WEEK_CELLS: Final = 42
#: The kinds of action, in the order of :attr:`FeatureState.actions`.
ACTIONS: Final[dict[str, int]] = {"search": 0, "read": 1, "list": 2, "export": 3, "print": 4, "follow": 5}


class FeatureState(msgspec.Struct, array_like=True, gc=False):
    """What is kept of one actor: 1 to 2.5 kB, whatever they do.

    ``awaited`` are the subjects (CRC-32) of unexplained lookups without a sequel so far, and ``since`` their times. What
    follows ``since`` was added later: state of before has the defaults. ``sums`` are, in this order, the decayed counts of
    switched subjects (a day), unexplained lookups (a day; 30 days), the mean and the mean square of the gaps in seconds, the
    CUSUM, its baseline (lookups, unexplained ones), all lookups ever, all that led to nothing ever, and the dormancy in days.
    ``seen`` and ``before`` are Bloom filters of the subjects of this and of the last half month, which began at ``turned``;
    ``polled`` are subjects that were looked up without an explanation, with their last times and numbers of occasions;
    ``claimed`` are cases that explained nothing, with numbers of lookups. Until ``held`` the group's model learns nothing of
    the actor. ``began`` is the time of the first lookup; 0 where it is not known any more.
    """

    last: int = 0
    counts: list[float] = msgspec.field(default_factory=lambda: [0.0, 0.0, 0.0, 0.0])
    shares: list[float] = msgspec.field(default_factory=lambda: [0.0] * SHARE_COUNT)
    hours: list[int] = msgspec.field(default_factory=lambda: [0] * 24)
    subjects: list[int] = []
    terminals: list[int] = []
    systems: list[int] = []
    awaited: list[int] = []
    since: list[int] = []
    sums: list[float] = msgspec.field(default_factory=lambda: [0.0] * SUM_COUNT)
    week: list[int] = msgspec.field(default_factory=lambda: [0] * WEEK_CELLS)
    actions: list[int] = msgspec.field(default_factory=lambda: [0] * len(ACTIONS))
    known: list[int] = []
    seen: bytearray = msgspec.field(default_factory=bytearray)
    before: bytearray = msgspec.field(default_factory=bytearray)
    turned: int = 0
    polled: list[int] = []
    polled_at: list[int] = []
    polled_times: list[int] = []
    claimed: list[int] = []
    claimed_times: list[int] = []
    held: int = 0
    began: int = 0


def upgrade(state: FeatureState) -> None:
    """Make state of an earlier version one of now: shares that did not exist then are shares that nothing has moved yet."""
    state.shares += [0.0] * (SHARE_COUNT - len(state.shares))

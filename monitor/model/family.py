"""Which model judges a lookup: that of the actor's peer group, or that of all groups while the group's own is young.

A score partition holds the models of some peer groups, and one of all that are in it. The groups' own differ in what is usual
(to look up strangers all day is a clerk's work), so theirs count as soon as there is enough of them:
:data:`monitor.model.scorer.WARM_UP` lookups by :data:`monitor.model.scorer.FEWEST` actors.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

from monitor.model.scorer import PeerModel, Scored

#: Of the lookups of a group that is not young, the model of all learns one in so many.
SAMPLED: Final = 4


def partition_of_group(group: str, partitions: int) -> int:
    """The partition of ``lookup.features.v1`` that has a peer group's lookups; what is asked of Kafka's own hash elsewhere is here
    the core's, as a backtest must know which groups share a parent."""
    return zlib.crc32(group.encode()) % partitions


def parent_of(partition: int) -> str:
    """The name under which the model of all groups in a partition is kept; no group has such a name."""
    return f"\x00all/{partition}"


def judge_of(own: PeerModel, parent: PeerModel | None) -> PeerModel:
    """The model by which a lookup of the group is judged."""
    return parent if parent is not None and own.is_young else own


def learn(own: PeerModel, parent: PeerModel | None, actor: str, ts: int, values: Sequence[float]) -> Scored:
    """Let both learn a lookup; the answer is that of :func:`judge_of`. Without a ``parent`` (it has learned it already), only ``own``."""
    is_young, is_sampled = own.is_young, own.seen % SAMPLED == 0
    scored = own.learn(actor, ts, values)
    if parent is not None and (is_young or is_sampled):
        of_all = parent.learn(actor, ts, values)
        return of_all if is_young else scored
    return scored

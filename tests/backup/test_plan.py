"""In which order a backup looks at topics, and which must come back at the same offsets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.acls import ROLES
from monitor.backup.plan import Gap, backwards, gap_before, is_compacted, keeps_offsets, split
from monitor.settings import Settings
from monitor.stream.topics import (
    ALERTS,
    DETECT_STATE,
    EVENTS,
    FEATURES,
    HOLDS,
    INCIDENTS,
    JOURNAL,
    KEYED,
    REFERENCE,
    RULES,
    topics_of,
)

TOPICS = {topic.name: topic for topic in topics_of(Settings())}
#: What runs by itself. People write and read the same topics: nothing follows from the one for the other.
PROCESSES = ("worker", "watch", "rank", "incidents", "sinks", "relay")


@pytest.mark.parametrize("name", PROCESSES)
def test_state_is_looked_at_first_then_what_a_process_writes_then_what_it_reads(name: str) -> None:
    order, role = backwards(TOPICS), ROLES[name]
    states = {each for each in role.writes if each.endswith(".state.v1")}
    written = set(role.writes) - set(role.reads) - states
    read = set(role.reads) - set(role.writes) - states
    for one, other in ((states, written), (states, read), (written, read)):
        assert all(order.index(before) < order.index(after) for before in one for after in other)


def test_what_a_worker_hands_on_to_itself_is_looked_at_backwards_too() -> None:
    order = backwards(TOPICS)
    way = [DETECT_STATE, INCIDENTS, JOURNAL, ALERTS, FEATURES, KEYED, EVENTS, REFERENCE]
    assert sorted(way, key=order.index) == way


def test_a_topic_that_is_new_is_taken_for_a_source() -> None:
    assert backwards(["lookup.new.v1", EVENTS, ALERTS, DETECT_STATE]) == [DETECT_STATE, ALERTS, EVENTS, "lookup.new.v1"]
    assert backwards(["lookup.new.v1.dlq", EVENTS, ALERTS]) == ["lookup.new.v1.dlq", ALERTS, EVENTS]


def test_offsets_are_kept_where_somebody_remembers_one() -> None:
    kept = {name for name, topic in TOPICS.items() if keeps_offsets(topic)}
    assert {EVENTS, KEYED, FEATURES, ALERTS, JOURNAL, REFERENCE, HOLDS} <= kept
    assert not {RULES, INCIDENTS, DETECT_STATE} & kept
    assert all(is_compacted(topic) for name, topic in TOPICS.items() if name not in kept)


@given(st.integers(0, 10**4), st.integers(0, 10**4), st.integers(1, 10**4))
def test_a_gap_is_filled_to_its_end_in_pieces_that_are_not_too_large(at: int, offset: int, size: int) -> None:
    gap = gap_before(offset, at)
    if gap is None:
        assert at >= offset
        return
    assert gap == Gap(at, offset)
    pieces = list(split(gap, size))
    assert sum(pieces) == offset - at
    assert 0 < min(pieces) <= max(pieces) <= size

"""Spans answer as a plain list of stretches would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.records import FOREVER
from monitor.spans import Spans

TIME = st.integers(0, 30) | st.sampled_from([-FOREVER, FOREVER])
STRETCHES = st.lists(st.tuples(TIME, TIME, st.booleans()), max_size=20)


@given(STRETCHES, st.integers(-1, 31), st.integers(-1, 31))
def test_as_a_plain_list(stretches: list[tuple[int, int, bool]], ts: int, until: int) -> None:
    spans, plain = Spans(), []
    for start, end, stays in stretches:
        spans.add(start, end)
        plain.append((start, end))
        if not stays:
            gone = plain.pop(len(plain) // 2)
            spans.remove(*gone)
    assert len(spans) == len(plain)
    assert spans.holds(ts) == any(start <= ts < end for start, end in plain)
    apart = [max(0, ts - end) if start <= ts else start - ts for start, end in plain]
    assert spans.away(ts) == min(apart, default=None)
    assert spans.begins(ts, until) == any(ts < start <= until for start, _ in plain)
    again = Spans()
    for start, end in reversed(plain):
        again.add(start, end)
    assert spans == again

"""What nobody has looked at for long is forgotten; whether and when its state is removed makes no difference."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import alerts
from monitor.backtest import Backtest
from monitor.detector import Detector, KeyState, load_state
from monitor.reference import Reference
from monitor.rules import load_texts
from monitor.stream.batches import Out
from monitor.stream.detect import Chunk, Detect
from monitor.stream.sweep import MESSAGES_A_KEY
from monitor.stream.tables import Table
from monitor.stream.topics import DETECT_STATE, TICK
from tests.stream.test_parts import record
from tests.stream.test_seal import KEY, Seal

DAY = 86_400_000
START = 1_790_000_000_000
FORGET = 30 * DAY
COUNTED = """
title: Three lookups in a quarter
id: 6b1f0b52-5c0e-4c3e-9c56-0f0f4f6f7a77
correlation: {type: event_count, rules: [any], group-by: [actor.id], timespan: 90d, condition: {gte: 3}}
level: low
---
title: Any
id: 6b1f0b52-5c0e-4c3e-9c56-0f0f4f6f7a78
name: any
logsource: {category: lookup}
detection: {selection: {action: read}, condition: selection}
"""


def rules() -> Any:
    loaded = load_texts({"one.yml": COUNTED})
    assert not loaded.problems, loaded.problems
    return loaded.rules


RULES = rules()


def keyed(actor: int, day: int, offset: int, reached: int) -> Any:
    at = START + day * DAY
    lookup = {
        "id": f"{offset}", "time": "2026-09-21T14:13:20+00:00", "ts": at, "hour": 9, "system": "bvi", "action": "read",
        "actor.id": f"o-{actor}", "@": (reached, 0, offset, at, RULES.version),
    }  # fmt: skip
    return record(orjson.dumps(lookup), offset, f"actor/o-{actor}".encode())


def tick(reached: int, offset: int) -> Any:
    return record(orjson.dumps((0, reached)), offset, TICK)


def stage(table: Table) -> Detect:
    detector = Detector(RULES, forget_ms=FORGET)
    return Detect(0, 1, table, lambda _: detector, RULES.version, FORGET)


def log_of(steps: list[tuple[int, int]]) -> list[Any]:
    """Lookups of actors, each so many days after the last (or before it: then it is late), and ticks between them."""
    made: list[Any] = []
    day = reached = 0
    for actor, days in steps:
        day += days
        reached = max(reached, START + day * DAY)
        made.append(keyed(actor, day, len(made), reached))
        made += [tick(reached, len(made) + number) for number in range(MESSAGES_A_KEY)]
    return made


def test_a_backtest_forgets_as_the_service_does() -> None:
    raws = [
        orjson.dumps({"id": str(days), "time": f"2026-{month}-01T00:00:00Z", "system": "bvi", "action": "read", "actor": {"id": "o-1"}})
        for days, month in enumerate(("01", "02", "03"))
    ]  # fmt: skip

    def found(forget_ms: int) -> int:
        run = Backtest(RULES, Reference([]), 1, lambda _: 0, 0.999, forget_ms=forget_ms)
        return len(list(run.run(raws, START)))

    assert (found(40 * DAY), found(FORGET)) == (1, 0), "January has 31 days"


def alerts_in(out: list[Out]) -> list[bytes]:
    return [alerts.decode(each.value or b"").id.encode() for each in out if each.topic.endswith("alerts.v1")]


STEPS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0, 1, 5, 20, 31, -3, 70])), max_size=25)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 60), st.booleans())
def test_removal_changes_no_alert(steps: list[tuple[int, int]], size: int, is_signed: bool) -> None:
    """Against the same without removal, which is what a backtest does; and what is restored is what is there."""
    log = log_of(steps)
    seal = Seal((KEY,)) if is_signed else Seal()
    table, kept = Table(DETECT_STATE, 0, seal), Table(DETECT_STATE, 0)
    removing, keeping = stage(table), stage(kept)
    changelog: list[Out] = []
    for at in range(0, len(log), size):
        records = log[at : at + size]
        # All that came before is committed.
        written = removing.process(records, Chunk(None), committed=at)
        changelog += written.state
        assert alerts_in(written.out) == alerts_in(keeping.process(records, Chunk(None)).out)
    restored = Table(DETECT_STATE, 0, seal)
    for out in changelog:
        restored.restore((out.key or b"").decode(), out.value, out.headers)
    assert (restored.values, restored._positions, restored.refused) == (table.values, table._positions, 0)


def test_a_key_is_forgotten_and_its_tombstone_is_written() -> None:
    table = Table(DETECT_STATE, 0)
    running = stage(table)
    running.process([keyed(1, 0, 0, START), keyed(2, 20, 1, START + 20 * DAY)], Chunk(None))
    late = [tick(START + 31 * DAY, 2 + number) for number in range(2 * MESSAGES_A_KEY)]
    assert running.process(late, Chunk(None), committed=1).state == [], "its lookups may come again"
    written = running.process(late, Chunk(None), committed=2)
    assert [(each.key, each.value) for each in written.state] == [(b"actor/o-1", None)]
    assert list(table.values) == ["actor/o-2"]


def test_it_is_forgotten_only_beyond_its_time() -> None:
    for reached, expected in ((START + FORGET, START), (START + FORGET + 1, 0)):
        detector = Detector(RULES, forget_ms=FORGET)
        lookup = orjson.loads(keyed(1, 400, 1, reached).value)
        lookup.pop("@")
        lookup["ts"] = START - 2 * DAY
        fresh = KeyState(newest=START)
        outcome = detector.step("actor/o-1", fresh, lookup, 0, 1, reached)
        assert outcome.fate == ("late" if expected else "counted")


def test_a_tombstone_of_before_removes_nothing_newer() -> None:
    """A worker that was taken for dead may still write one."""
    table = Table(DETECT_STATE, 0)
    (old,) = table.change(3, [("a", b"1")], 0)
    (gone,) = Table(DETECT_STATE, 0).remove(5, ["a"], 0)
    (new,) = table.change(9, [("a", b"2")], 0)
    for order in ([old, gone, new], [old, new, gone]):
        restored = Table(DETECT_STATE, 0)
        for out in order:
            restored.restore("a", out.value, out.headers)
        assert restored.get("a") == b"2"
    restored = Table(DETECT_STATE, 0)
    for out in (gone, old):
        restored.restore("a", out.value, out.headers)
    assert restored.get("a") is None, "an older state does not come back"


def test_a_tombstone_without_a_signature_removes_nothing_where_state_is_signed() -> None:
    seal = Seal((KEY,))
    (out,) = Table(DETECT_STATE, 0, seal).change(3, [("a", b"1")], 0)
    for forged in (Table(DETECT_STATE, 0).remove(5, ["a"], 0)[0].headers, ()):
        table = Table(DETECT_STATE, 0, seal)
        table.restore("a", out.value)
        table.restore("a", None, forged)
        assert (table.get("a"), table.refused) == (b"1", 1)


def test_the_state_of_five_years_ago_is_kept() -> None:
    """By default nothing is forgotten that a rule could still ask for."""
    detector, state = Detector(RULES), KeyState()
    for offset, days in enumerate((0, 1829)):
        lookup = orjson.loads(keyed(1, days, offset, 0).value)
        lookup.pop("@")
        detector.step("actor/o-1", state, lookup, 0, offset, START + days * DAY)
    assert len(state.fingerprints) == 16
    assert timedelta(milliseconds=detector._forget_ms) == timedelta(days=1830)
    assert load_state(None).fingerprints == b""

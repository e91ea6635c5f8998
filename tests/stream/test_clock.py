"""A query system whose clock is ahead: its own lookups count when they were received, and nobody else is silenced."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson

from monitor import alerts, events
from monitor.stream.batches import Out
from monitor.stream.topics import EVENTS, KEYED, TICK, partition_of
from tests.stream.test_crash import PARTITIONS, Log, Process, alerts_in, lookups

HOUR_MS = 3_600_000


def written(raws: list[bytes]) -> Log:
    """The log of a Kafka that received each lookup at the time that ``received`` in it says."""
    log = Log()
    for raw in raws:
        lookup = orjson.loads(raw)
        received = lookup.pop("received")
        actor = lookup["actor"]["id"]
        log.write([Out(EVENTS, partition_of(actor, PARTITIONS), actor.encode(), orjson.dumps(lookup), received)])
    return log


def on_time() -> list[dict[str, Any]]:
    found = [orjson.loads(raw) for raw in lookups()[2]]
    for lookup in found:
        lookup["received"] = events.parse_time(lookup["time"])[0] + 1000
    return sorted(found, key=lambda lookup: int(lookup["received"]))


def ahead(first: int, last: int) -> list[dict[str, Any]]:
    """From the first time of receipt to the last, every half hour, one of each partition's, stamped 23 hours ahead."""
    names = {partition_of(f"o-clock-{number}", PARTITIONS): f"o-clock-{number}" for number in range(30)}
    made = []
    for received in range(first, last, HOUR_MS // 2):
        stamp = (events._EPOCH + timedelta(milliseconds=received + 23 * HOUR_MS)).isoformat()
        for name in names.values():
            made.append(
                {
                    "id": f"{name}-{received}",
                    "time": stamp,
                    "system": "bvi",
                    "action": "read",
                    "actor": {"id": name},
                    "subject": {"kind": "vehicle", "id": f"of-{name}"},
                    "received": received,
                }
            )
    return made


def rule_alerts(raws: list[dict[str, Any]]) -> dict[str, bytes]:
    """What the rules say of all but those whose clocks are ahead."""
    rules, reference, _ = lookups()
    log = written([orjson.dumps(raw) for raw in raws])
    Process(log, reference, rules).run(size=50)
    found = {key: raw for key, raw in alerts_in(log).items() if alerts.decode(raw).kind == "rule"}
    return {key: raw for key, raw in found.items() if not any("o-clock" in one for one in alerts.decode(raw).actors)}


def test_a_clock_that_is_ahead_silences_nobody() -> None:
    good = on_time()
    bad = ahead(good[0]["received"], good[-1]["received"])
    mixed = sorted([*good, *bad], key=lambda lookup: int(lookup["received"]))
    expected = rule_alerts(good)
    assert len(expected) >= 5
    assert rule_alerts(mixed) == expected


def test_event_time_is_at_most_the_skew_ahead_of_the_receipt() -> None:
    rules, reference, _ = lookups()
    bad = ahead(1_790_000_000_000, 1_790_000_000_000 + HOUR_MS)
    log = written([orjson.dumps(raw) for raw in bad])
    process = Process(log, reference, rules)
    process.drain(size=50)
    for source in range(PARTITIONS):
        newest = max(record.timestamp for record in log.records[EVENTS, source])
        assert process.intakes[source].reached == newest + events.MAX_SKEW_MS
        for record in log.records[KEYED, source]:
            if record.key != TICK:
                assert orjson.loads(record.value)["@"][0] <= record.timestamp + events.MAX_SKEW_MS

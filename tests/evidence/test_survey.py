"""What is looked at before a span is run again: what is gone, which rules were in force, what was known, who is behind."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from monitor import alerts
from monitor.cli import app
from monitor.evidence.check import check
from monitor.evidence.facts import Facts, by_receipt
from monitor.evidence.manifest import load
from monitor.evidence.survey import live_of, survey
from monitor.rerun import Fact, Message, version_in
from monitor.stream import topics
from monitor.stream.versions import pack_records
from tests.evidence.fake import DAY, HOUR, NEW, OLD, PARTITIONS, FakeLog, Record, installation, rules_of

OLD_VERSION, NEW_VERSION = rules_of(OLD).version, rules_of(NEW).version


@pytest.fixture
def log() -> FakeLog:
    return deepcopy(_installed())


_installed = cache(installation)


def begin_of(log: FakeLog) -> int:
    """When the force began its work, whatever is left of the log."""
    return _installed().held[topics.EVENTS][0][0].timestamp // DAY * DAY


def span(log: FakeLog, first: float = 1, last: float = 2) -> tuple[int, int]:
    """Days since the beginning."""
    return begin_of(log) + int(first * DAY), begin_of(log) + int(last * DAY)


@pytest.fixture
def monitor(log: FakeLog, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr("monitor.evidence.survey.Log", lambda settings: log)
    monkeypatch.setattr("monitor.commands.evidence._now", lambda: begin_of(log) + 3 * DAY)
    monkeypatch.setenv("LOOKUP_MONITOR_PARTITIONS", str(PARTITIONS))
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


def test_a_whole_log_is_known_from_its_beginning(log: FakeLog) -> None:
    facts = survey(log, *span(log), 0).facts
    assert (facts.known_from_ms, facts.gone, facts.notes, facts.preload) == (None, [], [], False)
    assert facts.starts == [OLD_VERSION] * PARTITIONS
    assert facts.settled == [len(each) for each in log.held[topics.ALERTS]]
    assert facts.idle_ms == 2_500


def cut(log: FakeLog, at: int) -> None:
    """Retention removes what was received before a time."""
    for topic in (topics.EVENTS, topics.KEYED):
        for number, records in enumerate(log.held[topic]):
            count = sum(each.timestamp < at for each in records)
            if count:
                log.drop(topic, number, count)


def test_when_the_beginning_is_gone_what_can_be_compared_is(log: FakeLog) -> None:
    raised = [orjson.loads(each.value or b"") for part in log.held[topics.ALERTS] for each in part]
    near = next(each["ts"] for each in raised if each["rule"]["title"] == "both" and each["ts"] > begin_of(log) + DAY)
    cut(log, near - HOUR)
    model = orjson.loads(log.held[topics.ALERTS][0][-1].value or b"")
    model.update(id="model", kind="model", rule={**model["rule"], "title": "the model"})
    log.put(topics.ALERTS, 0, b"x", orjson.dumps(model), begin_of(log) + 3 * DAY)
    found = survey(log, near - HOUR, begin_of(log) + 3 * DAY, 0)
    since = found.facts.known_from_ms
    assert since is not None
    assert near - HOUR <= since < near
    # What joins actors reaches back three hours.
    agreement = check(found).agreement
    assert agreement.differences == []
    assert agreement.equal > 10
    assert agreement.left_out.keys() == {"both", "the model"}
    assert survey(log, since, since + DAY, 0).facts.gone == []


def test_when_a_part_of_the_span_is_gone_that_is_said(
    log: FakeLog, monitor: Callable[..., Result], tmp_path: Path
) -> None:
    cut(log, begin_of(log) + DAY + HOUR)
    log.drop(topics.ALERTS, 0, len(log.held[topics.ALERTS][0]) - 1)
    facts = survey(log, *span(log), 0).facts
    assert len(facts.gone) == 2
    assert "lookups" in facts.gone[0]
    assert "alerts" in facts.gone[1]
    out = tmp_path / "out"
    done = monitor("export", out, "--from", "48h", "--to", "24h")
    assert done.exit_code == 1
    assert "a part of the span is gone" in done.output
    assert load(out)[0].facts.gone == facts.gone


def test_when_all_of_a_partition_is_gone_that_is_a_beginning_too(log: FakeLog) -> None:
    log.drop(topics.EVENTS, 1, len(log.held[topics.EVENTS][1]))
    facts = survey(log, *span(log), 0).facts
    assert facts.known_from_ms is not None
    assert facts.known_from_ms > begin_of(log) + 3 * DAY
    assert len(facts.gone) == 1


def test_rules_are_those_that_workers_wrote_beside_the_first_lookups(log: FakeLog) -> None:
    """Which pack is the first in the topic says nothing: the old one may have been deployed once more, and compacted."""
    rules = log.held[topics.RULES][0]
    rules.sort(key=lambda each: each.key != NEW_VERSION.encode())
    rules[:] = [each._replace(offset=number) for number, each in enumerate(rules)]
    assert survey(log, *span(log), 0).facts.starts == [OLD_VERSION] * PARTITIONS
    for part in range(PARTITIONS):
        log.held[topics.KEYED][part].clear()
    facts = survey(log, *span(log), 0).facts
    assert facts.starts == [NEW_VERSION] * PARTITIONS
    assert len([note for note in facts.notes if "is not known" in note]) == PARTITIONS


def test_what_workers_wrote_behind_a_change_of_rules_says_nothing_of_before(log: FakeLog) -> None:
    switch = next(each.offset for each in log.held[topics.EVENTS][0] if version_in(each))
    keyed = log.held[topics.KEYED][0]
    keyed[:] = [each for each in keyed if orjson.loads(each.value or b"")["@"][2] > switch]
    assert orjson.loads(keyed[0].value or b"")["@"][4] == NEW_VERSION
    assert survey(log, *span(log), 0).facts.starts[0] == OLD_VERSION


def test_what_no_worker_wrote_beside_the_lookups_is_passed_over(log: FakeLog) -> None:
    for part in range(PARTITIONS):
        keyed = log.held[topics.KEYED][part]
        junk = [keyed[0]._replace(value=value) for value in (None, b"{", b"{}", b'{"@": [1]}', b'{"@": 1}', b"[]")]
        keyed[:] = [each._replace(offset=number) for number, each in enumerate([*junk, *keyed])]
    assert survey(log, *span(log), 0).facts.starts == [OLD_VERSION] * PARTITIONS


def test_ticks_in_between_are_passed_over(log: FakeLog) -> None:
    for part in range(PARTITIONS):
        keyed = log.held[topics.KEYED][part]
        first = keyed[0]
        ticks = [first._replace(key=topics.TICK, value=b"[0,1]"), first._replace(key=topics.SWITCH, value=b"x")]
        keyed[:] = [each._replace(offset=number) for number, each in enumerate([*ticks, *keyed])]
    assert survey(log, *span(log), 0).facts.starts == [OLD_VERSION] * PARTITIONS


def test_where_no_worker_ever_ran_there_is_nothing_to_compare(log: FakeLog, monitor: Callable[..., Result]) -> None:
    log.held[topics.RULES][0].clear()
    done = monitor("replay")
    assert done.exit_code == 2
    assert "start `monitor worker`" in done.output


def test_what_is_no_pack_is_passed_over(log: FakeLog) -> None:
    log.put(topics.RULES, 0, b"feedfeed", b"rubbish", 0)
    log.put(topics.RULES, 0, b"feedfeed", pack_records({"other.yml": OLD["base.yml"]})[1][0].value, 0)
    assert survey(log, *span(log), 0).packs.keys() == {OLD_VERSION, NEW_VERSION}


def compacted(log: FakeLog, at: int) -> None:
    """All reference data is written again, and compaction leaves only the newer records."""
    records = log.held[topics.REFERENCE][0]
    count = len(records)
    records[:] = [each._replace(offset=each.offset + count, timestamp=at) for each in records]
    log.begins[topics.REFERENCE, 0] = 0


def test_reference_data_of_then_that_is_compacted_away_is_replaced_by_what_is_left(log: FakeLog) -> None:
    compacted(log, begin_of(log) + 2 * DAY + HOUR)
    found = survey(log, *span(log), 0)
    assert found.facts.preload
    assert any("compaction" in note for note in found.facts.notes)
    agreement = check(found).agreement
    assert agreement.differences == []
    assert agreement.equal > 20


def test_of_what_is_left_the_oldest_is_what_was_known_before() -> None:
    facts = [Fact(5, 50, b"actor/o-1", b"a"), Fact(6, 60, b"actor/o-2", b"b"), Fact(7, 70, b"actor/o-1", b"c")]
    message = Message(0, 0, 55, None, b"")
    found = [each.value for each in by_receipt([iter([message])], lambda: iter(facts), preload=True)]
    assert found == [b"a", b"b", b"a", b"", b"b", b"c"]


def test_compaction_before_the_log_begins_takes_nothing_away(log: FakeLog) -> None:
    compacted(log, begin_of(log) - HOUR)
    found = survey(log, *span(log), 0)
    assert not found.facts.preload
    assert check(found).agreement.differences == []


def test_lists_are_known_by_name(log: FakeLog) -> None:
    log.put(
        topics.REFERENCE,
        0,
        b"list/famous",
        b'{"record": "list", "id": "famous", "values": ["p-1"]}',
        begin_of(log) + DAY,
    )
    assert survey(log, *span(log), 0).facts.lists == ["famous"]


def test_a_rule_that_asks_for_a_list_that_comes_later_runs(log: FakeLog) -> None:
    from monitor.evidence.check import Packs
    from monitor.reference import Reference
    from tests.rules.samples import detection

    log.put(
        topics.REFERENCE,
        0,
        b"list/famous",
        b'{"record": "list", "id": "famous", "values": ["p-1"]}',
        begin_of(log) + DAY,
    )
    found = survey(log, *span(log), 0)
    found.packs = {"v": {"a.yml": detection({"subject.id|expand": "%famous%"}, name="famous")}}
    assert [rule.title for rule in Packs(found, Reference()).rules("v").detections] == ["famous"]
    found.facts.lists = []
    assert not Packs(found, Reference()).rules("v").detections


def test_an_old_span_does_not_need_the_log_to_its_end(log: FakeLog) -> None:
    """A day for what comes late, and as long as rules wait; what was received after that is left out on both sides."""
    begin = begin_of(log)
    found = survey(log, begin, begin + DAY // 4, 0)
    until = found.facts.received_to_ms
    assert begin + DAY // 4 + DAY + 2 * HOUR <= until < begin + 2 * DAY
    lookups = list(found.lookups())
    assert max(each.received_ms for each in lookups) <= until
    assert len(lookups) < sum(map(len, log.held[topics.EVENTS]))
    assert check(found).agreement.differences == []


def test_an_alert_of_an_old_span_that_came_later_needs_all_of_the_log(log: FakeLog) -> None:
    """Somebody has forged it, or an old log was read in."""
    begin = begin_of(log)
    until = survey(log, begin, begin + DAY // 4, 0).facts.received_to_ms
    known = next(each for each in log.held[topics.ALERTS][0] if alerts.decode(each.value or b"").ts < begin + DAY // 4)
    log.put(topics.ALERTS, 0, b"x", orjson.dumps({**orjson.loads(known.value or b""), "id": "forged"}), until + HOUR)
    found = survey(log, begin, begin + DAY // 4, 0)
    assert found.facts.received_to_ms > until
    (seen,) = check(found).agreement.differences
    assert (seen.how, seen.id) == ("only-live", "forged")


def test_alerts_that_came_after_the_look_at_the_log_are_not_settled(log: FakeLog) -> None:
    facts: Facts = survey(log, *span(log), 0).facts
    past = facts.settled[0]
    assert live_of(0, past - 1, facts.received_to_ms, b"", facts).settled
    assert not live_of(0, past, facts.received_to_ms, b"", facts).settled
    assert not live_of(9, 0, facts.received_to_ms, b"", facts).settled


def test_the_command_says_what_differs_and_names_nobody(log: FakeLog, monitor: Callable[..., Result]) -> None:
    assert monitor("replay", "--from", "72h").exit_code == 0
    part = log.held[topics.ALERTS][0]
    gone = orjson.loads(part[0].value or b"")
    changed = orjson.loads(part[1].value or b"")
    part[1] = part[1]._replace(value=orjson.dumps({**changed, "reasons": []}))
    del part[0]
    log.put(topics.ALERTS, 1, b"x", orjson.dumps({**gone, "id": "forged"}), begin_of(log) + DAY)
    done = monitor("replay", "--from", "72h")
    assert done.exit_code == 1
    rows = [line.split() for line in done.output.splitlines()]
    seen = {(row[0], row[2]) for row in rows if row[0] in ("only-live", "only-replay", "differs")}
    assert seen == {("only-live", "forged"), ("only-replay", gone["id"]), ("differs", changed["id"])}
    assert " 3 differ" in done.output
    for name in (*gone["actors"], *gone["subjects"], *changed["actors"]):
        assert name not in done.output


def test_workers_that_are_behind_make_a_replay_impossible_and_an_export_incomplete(
    log: FakeLog, monitor: Callable[..., Result], tmp_path: Path
) -> None:
    log.left = 12
    done = monitor("replay")
    assert done.exit_code == 2
    assert "12 messages behind" in done.output
    out = tmp_path / "out"
    made = monitor("export", out, "--from", "48h", "--to", "24h")
    assert made.exit_code == 1
    assert "12 messages behind" in made.output
    checked = monitor("verify", out)
    assert "12 messages behind" in checked.output


def test_records_come_in_the_order_of_receipt(log: FakeLog) -> None:
    entries = list(survey(log, *span(log), 0).log())
    assert len(entries) == sum(len(part) for topic in (topics.EVENTS, topics.REFERENCE) for part in log.held[topic])
    newest = 0
    for each in entries:
        assert each.received_ms >= newest
        newest = each.received_ms
    assert isinstance(log.held[topics.EVENTS][0][0], Record)

"""The measurement's pure parts: the load, the right number of alerts, the ratios and the exit code."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import orjson
import pytest

from bench.load import THRESHOLD, WINDOW_MS, Load, expected_alerts, lookups, tells_right_from_wrong
from bench.peers.contender import Broken, check, read_line
from bench.report import BROKEN, MET, MISSED, Result, Target, as_json, exit_code, judge, summarise
from monitor.events import decode

SMALL = Load(messages=300, actors=20)
TARGET = Target("ours", "peer", at_least=3)


def test_only_an_actor_who_reaches_the_threshold_within_one_window_counts() -> None:
    first, second = 0, WINDOW_MS
    counted = [
        *[(b"exactly", first)] * 3,
        *[(b"more", first)] * 7,
        *[(b"less", first)] * 2,
        # three in ten minutes, but on either side of the window's edge
        (b"astride", second - 2), (b"astride", second - 1), (b"astride", second),
        *[(b"twice", first)] * 3, *[(b"twice", second)] * 3,
    ]  # fmt: skip
    assert expected_alerts(counted, threshold=3) == 1 + 1 + 0 + 0 + 2


def test_the_same_load_gives_the_same_bytes_and_another_seed_gives_others() -> None:
    assert list(lookups(SMALL)) == list(lookups(SMALL))
    assert list(lookups(SMALL)) != list(lookups(Load(messages=300, actors=20, seed=2)))


def test_a_larger_load_begins_with_the_smaller_one() -> None:
    assert list(islice(lookups(Load(messages=900, actors=20)), 300)) == list(lookups(SMALL))


def test_key_and_event_time_are_those_of_the_json() -> None:
    before = 0
    for lookup in lookups(SMALL):
        event = orjson.loads(lookup.value)
        assert event["actor"]["id"].encode() == lookup.key
        assert round(datetime.fromisoformat(event["time"]).timestamp() * 1000) == lookup.ts
        assert lookup.ts >= before, "out of order: a window with no grace would refuse it"
        before = lookup.ts


def test_lookups_are_of_the_size_we_say_and_some_windows_pass_the_threshold() -> None:
    made = list(lookups(Load(messages=6_000)))
    assert 320 <= sum(len(lookup.value) for lookup in made) / len(made) <= 345
    alerts = expected_alerts((lookup.key, lookup.ts) for lookup in made)
    assert 0 < alerts < 6_000 / THRESHOLD


def test_only_windows_at_the_edge_tell_a_right_count_from_one_that_is_off_by_one() -> None:
    just_missed, just_passed = [(b"missed", 0)] * (THRESHOLD - 1), [(b"passed", 0)] * THRESHOLD
    assert tells_right_from_wrong(just_missed + just_passed)
    assert not tells_right_from_wrong(just_missed)
    assert not tells_right_from_wrong(just_passed)
    assert not tells_right_from_wrong([(b"far", 0)] * (THRESHOLD + 9))


def test_every_lookup_is_one_the_monitor_accepts() -> None:
    for lookup in lookups(SMALL):
        assert decode(lookup.value, received_ms=lookup.ts)["ts"] == lookup.ts


def _results(**seconds: list[float]) -> list[Result]:
    return [Result(name, 600, one) for name, its in seconds.items() for one in its]


def test_a_summary_is_the_median_and_the_extremes_of_the_rates() -> None:
    (summary,) = summarise(_results(ours=[2.0, 1.0, 6.0]))
    assert (summary.runs, summary.median, summary.least, summary.most) == (3, 300, 100, 600)


@pytest.mark.parametrize(("peer_seconds", "ratio", "code"), [(3.0, 3.0, MET), (4.5, 4.5, MET), (2.9, 2.9, MISSED)])
def test_a_target_is_held_against_ours_divided_by_the_peer(peer_seconds: float, ratio: float, code: int) -> None:
    (verdict,) = verdicts = judge(summarise(_results(ours=[1.0], peer=[peer_seconds])), [TARGET])
    assert verdict.ratio == pytest.approx(ratio)
    assert exit_code(verdicts) == code


def test_one_missed_target_is_enough() -> None:
    summaries = summarise(_results(ours=[1.0], peer=[4.0], other=[2.0]))
    assert exit_code(judge(summaries, [TARGET, Target("ours", "other", at_least=3)])) == MISSED


def test_what_was_not_measured_is_not_met() -> None:
    (verdict,) = verdicts = judge(summarise(_results(peer=[1.0])), [TARGET])
    assert verdict.ratio is None
    assert exit_code(verdicts) == MISSED
    assert exit_code([]) == BROKEN


def test_the_json_can_be_written_and_holds_every_run() -> None:
    results = _results(ours=[1.0, 2.0], peer=[4.0])
    made = orjson.loads(orjson.dumps(as_json({}, {}, results, judge(summarise(results), [TARGET]))))
    assert [run["rate"] for run in made["results"]] == [600, 300, 150]
    assert made["verdicts"][0]["met"] is True


def test_the_last_json_line_is_the_result() -> None:
    result = read_line("it", 'hello\n{"lookups": 10, "seconds": 0.5, "alerts": 2}\nbye\n')
    assert result == Result("it", 10, 0.5, 2)


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        "done\n",
        "{broken\n",
        '{"lookups": 10, "seconds": 0.5}\n',
        '{"lookups": 10, "seconds": 0, "alerts": 2}\n',
    ],
)
def test_a_contender_that_says_nothing_useful_breaks_the_run(stdout: str) -> None:
    with pytest.raises(Broken, match="it "):
        read_line("it", stdout)


@pytest.mark.parametrize(("expect", "alerts"), [(11, 2), (9, 2), (10, 3), (10, 0)])
def test_a_contender_that_counts_wrongly_breaks_the_run(expect: int, alerts: int) -> None:
    with pytest.raises(Broken, match="it "):
        check(Result("it", 10, 0.5, 2), expect, alerts)


def test_a_contender_that_does_not_count_is_not_asked_for_alerts() -> None:
    check(Result("it", 10, 0.5, None), 10, None)

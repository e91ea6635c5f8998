"""The desk's queue: nothing twice whatever the crashes, no rule buried, and an order that gets better."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.alerts import Alert
from monitor.feedback import desk as desks
from monitor.feedback.desk import FLOORS, TOP, Desk, Priority, decode, encode, load_state
from monitor.feedback.disposition import BadDisposition, Disposition
from monitor.feedback.history import WORDS, History, measure
from monitor.feedback.ranker import BadState, Ranker
from monitor.review import Sampler
from tests.feedback.made import RULES, T0, alert, log, verdict, verdicts

SAMPLER = Sampler(0.05, b"k" * 32)


@dataclass
class Written:
    """What was acknowledged: priorities in order by partition of Kafka, and the last state."""

    priorities: list[bytes] = field(default_factory=list)
    state: bytes | None = None

    def desk(self) -> Desk:
        made = Desk({}, SAMPLER, load_state(self.state))
        for raw in self.priorities:
            made.restore(raw)
        made.restored()
        return made

    def last(self) -> dict[str, Priority]:
        """The last priority of each alert; ``learned`` is set aside, as it says when it was written."""
        found = {}
        for raw in self.priorities:
            each = decode(raw)
            found[each.alert] = msgspec.structs.replace(each, learned=0)
        return found


def play(
    alerts: list[tuple[int, int, Alert]], said: list[Disposition], chance: random.Random, crashes: float
) -> Written:
    """Chunks of any size, in any interleaving; at a crash any part of what was being written is there, and not the state."""
    written = Written()
    desk = written.desk()
    steps = 0
    while True:
        parts: dict[int, list[tuple[int, int, Alert]]] = {}
        for each in alerts:
            if each[1] >= desk.alerts.get(each[0], 0):
                parts.setdefault(each[0], []).append(each)
        waiting = said[desk.position :]
        if not parts and not waiting:
            return written
        steps += 1
        out: list[Priority] = []
        for part in parts.values():
            for src, off, one in part[: chance.randrange(0, 12)]:
                placed = desk.take_alert(one, src, off)
                out += [] if placed is None else [placed]
        now = waiting[: chance.choice([0, 0, 1, 3])]
        for disposition in now:
            if not desk.knows(disposition.alert or ""):
                for part in parts.values():  # read up first, as the shell does
                    for src, off, one in part:
                        placed = desk.take_alert(one, src, off)
                        out += [] if placed is None else [placed]
            _, placed = desk.take_verdict(disposition, desk.position)
            out += [] if placed is None else [placed]
        if now:
            out += desk.rerank()
        if steps < 200 and chance.random() < crashes:
            by_partition: dict[int, list[Priority]] = {}
            for priority in out:
                by_partition.setdefault(hash(priority.alert) % 3, []).append(priority)
            for each in by_partition.values():
                written.priorities += map(encode, each[: chance.randrange(len(each) + 1)])
            desk = written.desk()
        else:
            written.priorities += map(encode, out)
            if now or chance.random() < 0.5:
                written.state = desk.save()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_nothing_is_lost_or_learned_twice_whatever_the_crashes(seed: int) -> None:
    alerts = log(seed, 60)
    said = verdicts([one for *_, one in alerts], seed, 40)
    calm = play(alerts, said, random.Random(0), 0.0)
    rough = play(alerts, said, random.Random(seed), 0.4)
    assert rough.last() == calm.last()
    assert rough.desk().ranker.to_bytes() == calm.desk().ranker.to_bytes()
    learned = calm.desk().ranker.learned
    assert 10 < learned < 40
    assert len(calm.last()) == len(alerts)


def test_a_repeat_and_a_verdict_said_again_teach_nothing() -> None:
    desk, one = Desk({}, SAMPLER, load_state(None)), alert("one")
    assert desk.take_alert(one, 0, 0) is not None
    assert desk.take_alert(one, 0, 0) is None
    assert desk.take_alert(one, 0, 1) is None
    assert desk.take_verdict(verdict(one), 0)[0] == "learned"
    assert desk.take_verdict(verdict(one), 0) == ("repeated", None)
    assert desk.take_verdict(verdict(one, "explained"), 1)[0] == "recorded"
    assert desk.take_verdict(verdict(one, "unsure"), 2)[0] == "recorded"
    assert desk.ranker.learned == 1
    fate, now = desk.take_verdict(verdict(one, "true-misuse"), 3)
    assert fate == "learned"
    assert now is not None
    assert (now.verdict, [each for _, each in now.verdicts]) == (
        "true-misuse",
        ["benign", "explained", "unsure", "true-misuse"],
    )


def test_a_verdict_about_no_alert_is_refused_and_passed_by() -> None:
    desk = Desk({}, SAMPLER, load_state(None))
    with pytest.raises(BadDisposition, match="unknown-alert"):
        desk.take_verdict(verdict(alert("one")), 4)
    assert desk.position == 5


def test_a_review_of_a_lookup_moves_no_alert() -> None:
    desk = Desk({}, SAMPLER, load_state(None))
    seen = Disposition(verdict="true-misuse", by="d", time="2026-09-22T12:00:00Z", lookup="bvi/1")
    assert desk.take_verdict(seen, 0) == ("review", None)
    assert desk.ranker.learned == 0


def test_ten_thousand_benign_verdicts_bury_no_rule() -> None:
    """Its alerts have a place in the queue as before; the floor and the random share keep some of them on top."""
    desk, rule, other = Desk({}, SAMPLER, load_state(None)), RULES[4], RULES[0]
    for number in range(10_000):
        one = alert(f"benign-{number}", rule, f"o-{number % 50}", T0 + number * 60_000)
        assert desk.take_alert(one, 0, number) is not None
        desk.take_verdict(verdict(one), number)
    now = T0 + 10_001 * 60_000
    after = [desk.take_alert(alert(f"after-{n}", rule, f"x-{n}", now), 0, 10_000 + n) for n in range(1_000)]
    placed = [each for each in after if each is not None]
    assert len(placed) == 1_000
    assert all(each.priority >= FLOORS["high"] for each in placed)
    assert min(each.probability for each in placed) < 0.05
    assert sum(each.why == "floor" for each in placed) > 900
    on_top = [each for each in placed if each.priority >= TOP]
    assert 25 <= len(on_top) <= 80  # a share of 0.05 of 1,000
    assert {each.why for each in on_top} == {"sample"}
    # Only the order has changed: what nothing was said of is above it now, although its level is lower.
    fresh = Desk({}, Sampler(0.0), load_state(None))
    first = fresh.take_alert(alert("x", rule, "y"), 0, 0)
    second = fresh.take_alert(alert("z", other, "w"), 0, 1)
    assert first is not None
    assert second is not None
    assert first.priority > second.priority


def test_what_was_learned_orders_what_waits_anew() -> None:
    desk = Desk({}, Sampler(0.0), load_state(None))
    good, bad = RULES[2], RULES[3]
    waiting = [desk.take_alert(alert(f"w-{n}", [good, bad][n % 2], f"w-{n}"), 0, n) for n in range(10)]
    assert len({each.priority for each in waiting if each}) == 1
    for number in range(60):
        one = alert(f"v-{number}", [good, bad][number % 2], f"v-{number}")
        desk.take_alert(one, 0, 10 + number)
        desk.take_verdict(verdict(one, ["true-misuse", "benign"][number % 2]), number)
    moved = list(desk.rerank())
    assert len(moved) == 10
    assert min(each.priority for each in moved if each.rule == good.id) > 0.5
    assert max(each.priority for each in moved if each.rule == bad.id) < 0.5
    assert list(desk.rerank()) == []


def test_only_the_newest_are_ordered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "OPEN", 3)
    desk = Desk({}, Sampler(0.0), load_state(None))
    for number in range(9):
        desk.take_alert(alert(f"w-{number}", actor=f"o-{number}", ts=T0 + number), 0, number)
    one = alert("judged", ts=T0)
    desk.take_alert(one, 0, 9)
    desk.take_verdict(verdict(one, "true-misuse"), 0)
    assert sorted(each.ts - T0 for each in desk.rerank()) == [6, 7, 8]


def test_who_the_actor_is_and_what_was_found_of_them_moves_nothing() -> None:
    """An actor who was judged stands where another with the same alerts does."""
    for what in ("true-misuse", "benign"):
        desk = Desk({}, Sampler(0.0), load_state(None))
        for number, actor in enumerate(("judged", "other")):
            desk.take_alert(alert(f"first-{actor}", actor=actor), 0, number)
        desk.take_verdict(verdict(alert("first-judged", actor="judged"), what), 0)
        later = [desk.take_alert(alert(f"second-{a}", actor=a), 0, 2 + n) for n, a in enumerate(("judged", "other"))]
        assert len({each.probability for each in later if each}) == 1


def test_every_feature_has_its_words_and_the_past_fades() -> None:
    features, after = measure(alert("one", RULES[4]), History())
    assert set(features) == set(WORDS)
    assert list(features) == sorted(features)
    again, _ = measure(alert("two", RULES[4], ts=T0 + 1), after)
    much_later, _ = measure(alert("three", RULES[4], ts=T0 + 365 * 86_400_000), after)
    assert again["recent"] > much_later["recent"]
    assert again["loud"] > 0.3 > 0.01 > much_later["loud"]


def test_a_ranker_goes_on_where_it_was() -> None:
    first, second, chance = Ranker(), Ranker(), random.Random(3)
    for number in range(400):
        rule = chance.choice(RULES)
        features, _ = measure(alert(str(number), rule, events=chance.randrange(1, 9)), History())
        label, is_sample = chance.random() < 0.3, chance.random() < 0.2
        first.learn(rule.id, rule.typology, rule.level, features, label, is_sample)
        second = Ranker.from_bytes(second.to_bytes())
        second.learn(rule.id, rule.typology, rule.level, features, label, is_sample)
    assert second.to_bytes() == first.to_bytes()


def test_probabilities_agree_with_what_comes_when_the_desk_looks_at_all() -> None:
    """Of alerts that are given p, a share of about p is misuse (rules differ, the features tell nothing else)."""
    ranker, chance = Ranker(), random.Random(5)
    rates = {rule.id: rate for rule, rate in zip(RULES, (0.05, 0.3, 0.1, 0.6, 0.5, 0.9), strict=True)}
    for number in range(4_000):
        rule = chance.choice(RULES)
        features, _ = measure(alert(str(number), rule), History())
        ranker.learn(rule.id, rule.typology, rule.level, features, chance.random() < rates[rule.id], number % 10 == 0)
    for rule in RULES:
        features, _ = measure(alert("x", rule), History())
        said = ranker.probability(rule.id, rule.typology, rule.level, features)
        assert abs(said - rates[rule.id]) < 0.12, rule
    assert ranker.briers[0] < ranker.briers[1]


@pytest.mark.parametrize("raw", [b"", b"\x90", b"\x92\x02\x01", b"nonsense"])
def test_state_of_another_kind_is_refused(raw: bytes) -> None:
    with pytest.raises(BadState):
        Ranker.from_bytes(raw)
    with pytest.raises(BadState):
        load_state(raw)

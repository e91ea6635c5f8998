"""Two people, one incident, some hours: in every order of steps, nobody sees what was not approved by another, or is over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from monitor.access.roles import Person, Role
from monitor.audit.event import AuditUnavailable
from monitor.incidents.model import Group, Incident
from monitor.privacy.desk import NotAllowed, Stamp, UnmaskingDesk
from monitor.privacy.identity import Identities
from monitor.privacy.pseudonym import Pseudonyms
from monitor.privacy.unmasking import (
    HOUR_MS,
    MAX_APART_MS,
    WAITS_MS,
    Answer,
    Ask,
    Refused,
    Seen,
    Signer,
    Unmaskings,
    encode,
    is_same,
    key_of,
)
from tests.audited import Logged

KEY = b"k" * 64
NAMES = {Pseudonyms([KEY]).of("actor", f"o-{number}"): f"o-{number}" for number in range(4)}
IDENTITIES = Identities([KEY])
SIGNER = Signer((KEY,))
START = 1_790_000_000_000
PEOPLE = [Person(f"d-{number}", frozenset({Role.DESK})) for number in range(2)]
PEOPLE += [Person(f"o-{number}", frozenset({Role.PRIVACY_OFFICER})) for number in range(2)]
# Roles are given one by one elsewhere, so that somebody may have two that APART would forbid: the second person is asked for all the same.
PEOPLE += [Person("both", frozenset({Role.DESK, Role.PRIVACY_OFFICER})), Person("nobody", frozenset({Role.AUDITOR}))]

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def incident(name: str = "i-1") -> Incident:
    sealed = {each: IDENTITIES.seal(each, of) for each, of in NAMES.items()}
    return Incident(id=name, revision=0, group=Group("actor", min(NAMES)), opened=0, first=0, last=0, sealed=sealed)


def rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


class Log:
    """Kafka: one order, and a clock of its own."""

    def __init__(self) -> None:
        self.now = START
        self.records: list[tuple[bytes | None, bytes | None, int]] = []
        self.cursors: dict[int, int] = {}

    def reader(self, number: int) -> Any:
        log = self

        class Reader:
            async def read(self) -> Sequence[tuple[bytes | None, bytes | None, int]]:
                at = log.cursors.get(number, 0)
                log.cursors[number] = len(log.records)
                return log.records[at:]

            async def write(self, key: bytes, raw: bytes) -> None:
                log.records.append((key, raw, log.now))

        return Reader()


def desk_of(log: Log, audit: Logged, number: int = 0, key: bytes = KEY) -> UnmaskingDesk:
    signer = Signer((key,))
    return UnmaskingDesk(Unmaskings(signer, 8.0), signer, log.reader(number), audit, Identities([key]))


class Two(RuleBasedStateMachine):
    """Two processes with one log, people who do anything at any time, and a model of what may be seen."""

    asked = Bundle("asked")

    @initialize()
    def begin(self) -> None:
        self.log, self.audit = Log(), Logged()
        self.desks = [desk_of(self.log, self.audit, number) for number in range(2)]
        self.count = 0
        self.by: dict[str, tuple[str, list[str], str, int]] = {}
        self.until: dict[str, int] = {}
        self.refused: set[str] = set()

    def stamp(self, skew: int = 0) -> Stamp:
        self.count += 1
        return Stamp(f"s-{self.count}", rfc3339(self.log.now + skew))

    @rule(
        target=asked,
        who=st.sampled_from(PEOPLE),
        where=st.integers(0, 1),
        names=st.lists(st.sampled_from([*NAMES, "actor-0000-0000-0000-0000-0000", "o-1"]), max_size=3),
        reason=st.sampled_from(["a leak", " "]),
        of=st.sampled_from(["i-1", "i-2"]),
    )
    def ask(self, who: Person, where: int, names: list[str], reason: str, of: str) -> Any:
        stamp = self.stamp()
        try:
            found = asyncio.run(self.desks[where].ask(who, incident(of), names, reason, stamp))
        except (NotAllowed, Refused):
            assert (
                who.name in ("nobody", "o-0", "o-1") or not names or not set(names) <= set(NAMES) or not reason.strip()
            )
            assert not self.audit.events[-1].done
            return multiple()
        assert who.roles & {Role.DESK}
        assert self.audit.events[-1].what == "identity-ask"
        self.by[found.id] = who.name, found.names, of, self.log.now
        return found.id

    @rule(request=asked, who=st.sampled_from(PEOPLE), where=st.integers(0, 1), approve=st.booleans())
    def answer(self, request: str, who: Person, where: int, approve: bool) -> None:
        by, _, _, at = self.by[request]
        try:
            asyncio.run(self.desks[where].answer(who, request, approve, "right", self.stamp()))
        except (NotAllowed, Refused):
            is_answered = request in self.refused or (approve and request in self.until)
            is_late = approve and self.log.now > at + WAITS_MS
            assert who.name == by or Role.PRIVACY_OFFICER not in who.roles or is_answered or is_late
            assert not self.audit.events[-1].done
            return
        assert who.name != by
        assert Role.PRIVACY_OFFICER in who.roles
        assert request not in self.refused
        if approve:
            self.until[request] = self.log.now + 8 * HOUR_MS
        else:
            self.refused.add(request)
            self.until.pop(request, None)

    @rule(request=asked, who=st.sampled_from(PEOPLE), where=st.integers(0, 1), of=st.sampled_from(["i-1", "i-2"]))
    def show(self, request: str, who: Person, where: int, of: str) -> None:
        by, names, about, _ = self.by[request]
        may = who.name == by and about == of and self.log.now < self.until.get(request, 0)
        before = len(self.audit.events)
        try:
            shown = asyncio.run(self.desks[where].show(who, request, incident(of), self.stamp()))
        except (NotAllowed, Refused):
            assert not may
            assert not self.audit.events[-1].done
        else:
            assert may
            assert shown == {name: NAMES[name] for name in names}
            assert [each.what for each in self.audit.events[before:]] == ["identity-see"]
            assert self.audit.events[-1].done

    @rule(request=asked, who=st.sampled_from(PEOPLE), where=st.integers(0, 1))
    def without_the_audit_log_nothing(self, request: str, who: Person, where: int) -> None:
        self.audit.is_up = False
        size = len(self.log.records)
        for act in (
            lambda: self.desks[where].show(who, request, incident(self.by[request][2]), self.stamp()),
            lambda: self.desks[where].answer(who, request, True, "right", self.stamp()),
            lambda: self.desks[where].ask(who, incident(), list(NAMES), "a leak", self.stamp()),
        ):
            with pytest.raises(AuditUnavailable):
                asyncio.run(act())
        assert len(self.log.records) == size
        self.audit.is_up = True

    @rule(hours=st.sampled_from([0.1, 4.0, 7.9, 8.0, 24.0 * 7]))
    def time_passes(self, hours: float) -> None:
        self.log.now += int(hours * HOUR_MS)

    @rule(number=st.integers(0, 50))
    def somebody_writes_an_old_record_again(self, number: int) -> None:
        if self.log.records:
            key, raw, _ = self.log.records[number % len(self.log.records)]
            self.log.records.append((key, raw, self.log.now))

    @rule(request=asked, who=st.sampled_from(["d-0", "o-0", "x"]))
    def somebody_forges_an_approval(self, request: str, who: str) -> None:
        self.count += 1
        step = Answer(f"f-{self.count}", who, rfc3339(self.log.now), request, True, "forged")
        self.log.records.append((key_of(step), encode(step, Signer((b"x" * 64,))), self.log.now))

    @invariant()
    def who_reads_the_log_anew_knows_the_same(self) -> None:
        if not self.by:
            return
        fresh = desk_of(self.log, Logged(), 99)
        self.log.cursors[99] = 0
        states = [asyncio.run(each.requests()) for each in (*self.desks, fresh)]
        assert states[0] == states[1] == states[2]
        assert {each.id: each.until for each in states[0] if each.until} == self.until


TestTwo = Two.TestCase
TestTwo.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


def story() -> tuple[Log, Logged, UnmaskingDesk, str]:
    log, audit = Log(), Logged()
    desk = desk_of(log, audit)
    made = asyncio.run(desk.ask(PEOPLE[0], incident(), [min(NAMES)], "a leak", Stamp("a", rfc3339(START))))
    return log, audit, desk, made.id


def approve(log: Log, desk: UnmaskingDesk, request: str, who: Person = PEOPLE[2], name: str = "b") -> None:
    asyncio.run(desk.answer(who, request, True, "right", Stamp(name, rfc3339(log.now))))


def test_the_audit_log_has_who_what_of_whom_and_why() -> None:
    log, audit, desk, request = story()
    approve(log, desk, request)
    asyncio.run(desk.show(PEOPLE[0], request, incident(), Stamp("c", rfc3339(log.now), "10.0.0.1")))
    assert [(each.what, each.by, each.done) for each in audit.events] == [
        ("identity-ask", "d-0", True),
        ("identity-approve", "o-0", True),
        ("identity-see", "d-0", True),
    ]
    assert all(each.incident == "i-1" and each.actors == (min(NAMES),) for each in audit.events)
    assert [each.reason for each in audit.events] == ["a leak", "right", "a leak"]
    assert audit.events[-1].client == "10.0.0.1"


def test_what_counts_is_kafkas_time_whatever_the_senders_clock_says() -> None:
    log, audit, desk, request = story()
    approve(log, desk, request)
    log.now += 8 * HOUR_MS
    early = Stamp("c", rfc3339(log.now - MAX_APART_MS + 1))
    with pytest.raises(Refused) as refused:
        asyncio.run(desk.show(PEOPLE[0], request, incident(), early))
    assert refused.value.why == "expired"
    assert [each.done for each in audit.events[-2:]] == [True, False]
    with pytest.raises(Refused) as refused:
        asyncio.run(desk.show(PEOPLE[0], request, incident(), Stamp("d", rfc3339(log.now - MAX_APART_MS - 1))))
    assert refused.value.why == "stale"


def test_an_approval_that_is_written_again_gives_no_new_hours() -> None:
    """Who may write to Kafka copies the approval, and lets compaction, or a tombstone, take the first."""
    log, _, desk, request = story()
    approve(log, desk, request)
    key, raw, _ = log.records[-1]
    log.now += 9 * HOUR_MS
    log.records[-1] = (key, None, START)
    log.records.append((key, raw, log.now))
    fresh = desk_of(log, Logged(), 5)
    assert [each.status for each in asyncio.run(fresh.requests())] == ["open"]


def test_a_process_with_another_key_neither_shows_nor_believes() -> None:
    log, _, desk, request = story()
    approve(log, desk, request)
    other = desk_of(log, Logged(), 5, b"x" * 64)
    assert asyncio.run(other.requests()) == []
    both = Signer((b"x" * 64, KEY))
    changed = UnmaskingDesk(Unmaskings(both, 8.0), both, log.reader(6), Logged(), Identities([b"x" * 64, KEY]))
    shown = asyncio.run(changed.show(PEOPLE[0], request, incident(), Stamp("z", rfc3339(log.now))))
    assert shown == {min(NAMES): NAMES[min(NAMES)]}, "after a change of keys what was approved still counts"


def test_what_the_incident_no_longer_has_is_not_shown() -> None:
    log, _, desk, request = story()
    approve(log, desk, request)
    gone = msgspec.structs.replace(incident(), sealed={})
    assert asyncio.run(desk.show(PEOPLE[0], request, gone, Stamp("c", rfc3339(log.now)))) == {}


def test_only_who_asked_sees_it_also_of_those_who_might_have_asked() -> None:
    log, audit, desk, request = story()
    approve(log, desk, request)
    for who in (PEOPLE[1], PEOPLE[4]):
        with pytest.raises(Refused) as refused:
            asyncio.run(desk.show(who, request, incident(), Stamp(f"c-{who.name}", rfc3339(log.now))))
        assert refused.value.why == "not-asker"
        assert not audit.events[-1].done
    with pytest.raises(NotAllowed):
        asyncio.run(desk.show(PEOPLE[2], request, incident(), Stamp("d", rfc3339(log.now))))


def test_names_that_the_incident_does_not_have_are_not_asked_for() -> None:
    audit = Logged()
    desk = desk_of(Log(), audit)
    other = Pseudonyms([KEY]).of("actor", "o-elsewhere")
    with pytest.raises(NotAllowed):
        asyncio.run(desk.ask(PEOPLE[0], incident(), [min(NAMES), other], "a leak", Stamp("a", rfc3339(START))))
    assert [each.done for each in audit.events] == [False]
    assert asyncio.run(desk.requests()) == []


def test_nobody_approves_for_themselves_under_a_name_that_looks_other() -> None:
    log, _, desk, request = story()
    for name in ("D-0", " d-0 ", "\uff44-0"):
        with pytest.raises(Refused) as refused:
            approve(log, desk, request, Person(name, frozenset({Role.PRIVACY_OFFICER})), name)
        assert refused.value.why == "own-request"
    assert is_same("Zoë", "ZOE\u0308")


@given(
    st.binary(max_size=80) | st.sampled_from([b"{}", b"[]", b'{"said":{},"tag":""}', b'{"said":1,"tag":"\xc3\xa9"}'])
)
def test_what_is_no_step_is_refused_and_changes_nothing(raw: bytes) -> None:
    book = Unmaskings(SIGNER, 8.0)
    with pytest.raises(Refused):
        book.take(b"k", raw, START)
    assert book.requests == {}


def test_steps_are_read_as_earlier_versions_wrote_them() -> None:
    """The forms in Kafka: frozen."""
    ask = Ask("r", "d-0", rfc3339(START), "i-1", [min(NAMES)], "a leak")
    steps = [ask, Answer("b", "o-0", rfc3339(START), "r", True, "right"), Seen("c", "d-0", rfc3339(START), "r")]
    frozen = (GOLDEN / "unmaskings-v1.jsonl").read_bytes().splitlines()
    assert [encode(each, SIGNER) for each in steps] == frozen
    book = Unmaskings(SIGNER, 8.0)
    for step, raw in zip(steps, frozen, strict=True):
        book.take(key_of(step), raw, START)
    assert book.requests["r"].seen == [START]

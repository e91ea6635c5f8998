"""Nothing can be changed in the audit log without it being seen; and nothing is seen in one that nobody changed."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.audit.chain import GENESIS, Chain, Seen, Stored, Tracks, digest_of, fold, link_of
from monitor.audit.verify import BadHead, Head, Report, Verifier, decode_head
from monitor.signing import PublicKeys
from tests.audit.made import TOPIC, Writer, event, keys, made_log, other, renumbered, signer

LAG = 3
SEEDS = st.integers(0, 10_000)
SIZES = st.integers(1, 40)


def verified(
    log: list[Stored],
    with_keys: PublicKeys | None = None,
    head: Head | None = None,
    end: int | None = None,
    **more: bool,
) -> Report:
    first = log[0].offset if log else 0
    verifier = Verifier(TOPIC, first, with_keys, head)
    for record in log:
        verifier.take(record)
    return verifier.report((log[-1].offset + 1 if log else first) if end is None else end, **more)


def kinds(report: Report) -> set[str]:
    return {each.kind for each in report.breaks}


@settings(max_examples=60, deadline=None)
@given(SEEDS, SIZES, st.booleans(), st.integers(0, 39))
def test_a_log_that_nobody_changed_has_no_break(seed: int, size: int, is_signed: bool, cut: int) -> None:
    log = made_log(seed, size, signer() if is_signed else None, LAG)
    whole = verified(log, keys() if is_signed else None)
    assert not whole.broken, whole.breaks
    assert whole.records == size
    assert sum(each.records for each in whole.writers) == size
    # What retention removes at the front is no break, and a head of before still tells, or says that it cannot.
    rest = log[min(cut, size - 1) :]
    for head in (None, whole.head, verified(log[: max(1, size // 2)]).head):
        report = verified(rest, keys() if is_signed else None, head, head_is_expired=True)
        assert not report.broken, report.breaks


def change(log: list[Stored], how: str, chance: random.Random, place: int) -> list[Stored]:
    """Do one thing to the record at ``place``."""
    record = log[place]
    if how == "byte":
        value = bytearray(record.value or b"")
        value[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
        return [*log[:place], record._replace(value=bytes(value)), *log[place + 1 :]]
    if how == "event":
        return [*log[:place], other(record), *log[place + 1 :]]
    if how == "header":
        return [*log[:place], record._replace(headers=record.headers[:1]), *log[place + 1 :]]
    if how == "key":
        return [*log[:place], record._replace(key=b"w"), *log[place + 1 :]]
    if how == "removed":
        return renumbered(log[:place] + log[place + 1 :], log[0].offset)
    if how == "gap":
        return log[:place] + log[place + 1 :]
    if how == "repeated":
        return renumbered([*log[: place + 1], record, *log[place + 1 :]], log[0].offset)
    if how == "inserted":
        seen = Seen(0, -1, GENESIS)
        made = Chain("intruder").make(event(9999), seen)
        return renumbered([*log[:place], Stored(0, *made), *log[place:]], log[0].offset)
    assert how == "swapped"
    to = (place + 1) % len(log)
    changed = list(log)
    changed[place], changed[to] = changed[to], changed[place]
    return renumbered(changed, log[0].offset)


HOWS = ["byte", "event", "header", "key", "removed", "gap", "repeated", "inserted", "swapped"]


@settings(max_examples=120, deadline=None)
@given(SEEDS, st.integers(2, 30), st.sampled_from(HOWS), st.data())
def test_any_change_of_any_record_is_found(seed: int, size: int, how: str, data: st.DataObject) -> None:
    """Signed, and with the head kept elsewhere: whatever is done to whichever record, the last one too."""
    log = made_log(seed, size, signer(), LAG)
    head = verified(log).head
    # Without its first record, offsets and all, it is what retention leaves.
    place = data.draw(st.integers(how == "gap", size - 1))
    changed = change(log, how, random.Random(seed), place)
    assert verified(changed, keys(), head, end=size).broken


@settings(max_examples=80, deadline=None)
@given(SEEDS, st.integers(2, 30), st.sampled_from([each for each in HOWS if each != "header"]), st.data())
def test_without_signatures_and_head_any_change_is_found_that_others_have_seen(
    seed: int, size: int, how: str, data: st.DataObject
) -> None:
    log = made_log(seed, size, None, LAG)
    known_to = max(link_of(record.value).seen for record in log)
    if known_to < 2:
        return
    place = data.draw(st.integers(how == "gap", max(known_to - 1, how == "gap")))
    changed = change(log, how, random.Random(seed), place)
    assert verified(changed, end=len(changed) + (how == "gap")).broken


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(15, 30), st.sampled_from(["event", "removed", "swapped", "inserted"]), st.data())
def test_after_retention_has_cut_the_front_a_change_is_found(
    seed: int, size: int, how: str, data: st.DataObject
) -> None:
    log = made_log(seed, size, signer(), LAG)
    head = verified(log).head
    rest = log[data.draw(st.integers(1, 6)) :]
    # The first records may speak only of what is gone; what comes after them is known again.
    place = data.draw(st.integers(2 * LAG, len(rest) - 1))
    changed = change(rest, how, random.Random(seed), place)
    if changed[0].offset != rest[0].offset or (how == "swapped" and place == len(rest) - 1):
        return
    assert verified(changed, keys(), head, end=size, head_is_expired=True).broken


def test_what_is_wrong_is_said_where_it_is() -> None:
    log = made_log(5, 20, signer())
    (altered,) = [
        each for each in verified([*log[:7], other(log[7]), *log[8:]], keys()).breaks if each.kind == "signature"
    ]
    assert (altered.offset, altered.writer) == (7, link_of(log[7].value).writer)
    assert "removed" in kinds(verified(log[:7] + log[8:]))
    again = renumbered([*log[:8], log[7], *log[8:]])
    assert ("fork", 8) in {(each.kind, each.offset) for each in verified(again).breaks}
    alien = [*log[:3], log[3]._replace(value=b"{}"), *log[4:]]
    assert ("alien", 3) in {(each.kind, each.offset) for each in verified(alien).breaks}


def test_a_break_is_not_said_again_for_all_that_follows() -> None:
    log = made_log(6, 40)
    assert verified([*log[:5], other(log[5]), *log[6:]]).broken <= 6


def test_what_a_writer_has_not_read_again_is_held_by_its_own_chain() -> None:
    """Its last record may not be in what it has read, and so in no running hash; the next one speaks of it all the same."""
    log: list[Stored] = []
    writer = Writer("w", log, None)
    for number in range(4):
        writer.write(event(number))
    assert not verified(log).broken
    for place in range(3):
        changed = [*log[:place], other(log[place]), *log[place + 1 :]]
        assert [(each.kind, each.offset) for each in verified(changed).breaks] == [("altered", place)]
    assert kinds(verified(renumbered(log[:1] + log[2:]))) == {"removed"}
    assert kinds(verified([*log[:3], log[3]._replace(key=b"x")])) == {"altered"}, "though nothing speaks of the last"


def test_a_writer_cannot_have_read_less_than_before() -> None:
    log = made_log(1, 3)
    late = Writer("late", log, None)
    wholes = [Seen(0, -1, GENESIS)]
    for record in log:
        late.tracks.add(digest_of(record.key, record.value, record.headers))
        seen = late.tracks.seen()
        assert seen is not None
        wholes.append(seen)
    for seen in (wholes[3], wholes[1]):
        made = late.chain.make(event(9), seen)
        log.append(Stored(len(log), *made))
        late.chain.wrote(made)
    assert kinds(verified(log)) == {"order"}


def test_two_writers_who_were_shown_different_logs_are_found() -> None:
    """A fork of the topic: some were shown one record, some another; and of a writer who took up a chain that another goes on with."""
    log = made_log(1, 10)
    late = Writer("late", [*log[:-1], other(log[-1])], None)
    late.read()
    late.log = log
    late.write(event(11))
    assert kinds(verified(log)) == {"altered"}
    log = made_log(2, 10)
    twin = Writer("w0", log, None)
    twin.read()
    twin.write(event(12))
    assert "fork" in kinds(verified(log))


def test_the_end_is_missed_when_there_is_a_head() -> None:
    log = made_log(3, 20, signer())
    head = verified(log, keys()).head
    assert head is not None
    assert decode_head(msgspec.json.encode(head)) == head
    assert kinds(verified(log[:15], keys(), head)) == {"truncated"}
    assert "truncated" in kinds(verified([], keys(), head))
    assert not verified(log[:15], keys()).broken, "without one, nothing speaks of what came after"


def test_what_retention_may_not_have_removed_yet_is_a_break() -> None:
    log = made_log(4, 20)
    head = verified(log[:5]).head
    assert kinds(verified(log[10:], None, head)) == {"early"}
    assert not verified(log[10:], None, head, head_is_expired=True).broken


def test_a_key_that_is_not_accepted_and_a_record_without_signature() -> None:
    log = made_log(7, 12, signer(2))
    assert kinds(verified(log, keys(1))) == {"signature"}
    assert not verified(log, keys(1, 2)).broken
    bare = made_log(7, 12)
    assert kinds(verified(bare, keys(1))) == {"signature"}
    # Before there was a key, nothing was signed; after that, everything is.
    writer = Writer("signs", bare, signer())
    writer.read()
    writer.write(event(50))
    assert not verified(bare, keys()).broken
    writer = Writer("does not", bare, None)
    writer.read()
    writer.write(event(51))
    assert kinds(verified(bare, keys())) == {"signature"}


def test_a_writer_who_finds_nothing_that_tells_what_was_before_begins_anew() -> None:
    tracks = Tracks(100)
    assert tracks.seen() is None
    seen = tracks.begin_anew()
    assert seen == Seen(100, 99, GENESIS)
    made = Chain("w").make(event(1), seen)
    assert not verified([Stored(100, *made)]).broken


@pytest.mark.parametrize("since", [-1, 1, 3, 4, 99])
def test_nobody_begins_anew_in_the_middle(since: int) -> None:
    """Else a record could speak of a log that there never was, and be believed."""
    log = made_log(1, 4)
    made = Chain("intruder").make(event(9), Seen(since, 3, bytes(32)))
    assert kinds(verified([*log, Stored(4, *made)])) == {"altered"}


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.integers(2, 20))
def test_who_remembers_only_the_last_records_knows_the_same(count: int, window: int) -> None:
    few, every, whole = Tracks(0, window), Tracks(0), GENESIS
    for number in range(count):
        digest = digest_of(b"k", str(number).encode(), ())
        few.add(digest)
        every.add(digest)
        whole = fold(whole, digest)
    assert few.seen() == every.seen() == Seen(0, count - 1, whole)
    assert few.judge(Seen(0, count - 1, whole)) == "right"
    assert few.judge(Seen(0, count - 1, bytes(32))) == "wrong"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b'{"v":1,"topic":"t","offset":0,"since":0,"whole":"xy","time":""}',
        b'{"v":2,"topic":"t","offset":0,"since":0,"whole":"00","time":""}',
    ],
)
def test_what_is_no_head_is_said(raw: bytes) -> None:
    with pytest.raises(BadHead):
        decode_head(raw)

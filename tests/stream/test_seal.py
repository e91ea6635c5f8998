"""Signed state: whoever can write to Kafka cannot make a worker believe a state that a worker did not write."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.settings import Settings
from monitor.stream.seal import BadKey, BadSeal, Seal, read_keys
from monitor.stream.tables import Table, Tables
from monitor.stream.topics import DETECT_STATE

KEY, OTHER = b"k" * 32, b"o" * 32
WHERE = ("t", 1, "actor/o-1")
POSITION = st.integers(0, 2**62)


@given(POSITION, st.binary(max_size=50), st.sampled_from([(), (KEY,), (OTHER, KEY)]))
def test_what_is_closed_opens(position: int, value: bytes, keys: tuple[bytes, ...]) -> None:
    seal = Seal(keys)
    assert seal.open(WHERE, seal.close(WHERE, position, value)) == (position, value)


@given(POSITION, st.binary(max_size=50), st.data())
def test_a_changed_byte_is_seen(position: int, value: bytes, data: st.DataObject) -> None:
    raw = bytearray(Seal((KEY,)).close(WHERE, position, value))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadSeal):
        Seal((KEY,)).open(WHERE, bytes(raw))


@pytest.mark.parametrize("where", [("u", 1, "actor/o-1"), ("t", 2, "actor/o-1"), ("t", 1, "actor/o-2")])
def test_a_record_belongs_to_its_place(where: tuple[str, int, str]) -> None:
    raw = Seal((KEY,)).close(WHERE, 7, b"value")
    with pytest.raises(BadSeal, match="wrong"):
        Seal((KEY,)).open(where, raw)


def test_every_key_of_the_file_is_accepted_and_no_other() -> None:
    raw = Seal((KEY,)).close(WHERE, 7, b"value")
    assert Seal((OTHER, KEY)).open(WHERE, raw) == (7, b"value")
    with pytest.raises(BadSeal, match="wrong"):
        Seal((OTHER,)).open(WHERE, raw)
    with pytest.raises(BadSeal, match="no key is set"):
        Seal().open(WHERE, raw)


def test_without_a_signature_only_where_it_is_allowed() -> None:
    raw = Seal().close(WHERE, 7, b"value")
    with pytest.raises(BadSeal, match="no signature"):
        Seal((KEY,)).open(WHERE, raw)
    assert Seal((KEY,), is_lenient=True).open(WHERE, raw) == (7, b"value")
    with pytest.raises(BadSeal, match="short"):
        Seal((KEY,)).open(WHERE, b"1234567")


def test_a_refused_record_is_counted_and_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b"\n" + KEY + b"\n")
    made = Tables(Settings(state_key_file=file))
    (good,) = made.new(DETECT_STATE, 0).change(5, [("a", b"good")], 0)
    (forged,) = Table(DETECT_STATE, 0).change(9, [("a", b"forged")], 0)
    (elsewhere,) = made.new(DETECT_STATE, 1).change(9, [("a", b"moved")], 0)
    table = made.new(DETECT_STATE, 0)
    for out in (good, forged, elsewhere):
        table.restore("a", out.value)
    assert (table.get("a"), table.refused) == (b"good", 2)
    lenient = Tables(Settings(state_key_file=file, state_unsigned="accept")).new(DETECT_STATE, 0)
    lenient.restore("a", forged.value)
    assert (lenient.get("a"), lenient.refused) == (b"forged", 0)


@pytest.mark.parametrize(
    ("content", "says"), [(None, "No such file"), (b"\n \n", "no key"), (KEY + b"\nshort", "key 2 has 5")]
)
def test_a_file_of_keys_that_cannot_be_used_says_what_to_do(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "keys").write_bytes(content)
    with pytest.raises(BadKey, match=says) as caught:
        read_keys(tmp_path / "keys")
    assert "openssl rand" in str(caught.value)

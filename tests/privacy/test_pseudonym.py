"""Names by a key: the same for the same, different for what is different, and of no use without the key."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.privacy.identity import Identities, NotOpened
from monitor.privacy.pseudonym import KINDS, Pseudonyms, kind_of, read

OLD, NEW = b"o" * 64, b"n" * 64
IDS = st.text(min_size=1, max_size=128)


def test_names_never_change() -> None:
    """What is in alerts of years ago must be found again."""
    made = Pseudonyms([OLD])
    assert made.of("actor", "o-10293") == "actor-bacj-ggpc-wv89-7rjd-chy3"
    assert made.of("subject", "o-10293") == "subject-jqgt-ksss-sctp-gzxb-y80h"
    assert str(made.number("x")) == "e3e26362-c533-8451-b8be-a2b4e9193001"


@given(IDS, IDS)
def test_a_name_belongs_to_one_id_of_one_kind_by_one_key(one: str, other: str) -> None:
    old, new = Pseudonyms([OLD]), Pseudonyms([NEW])
    names = {
        (kind, key, each): by.of(kind, each)
        for kind in KINDS
        for key, by in (("old", old), ("new", new))
        for each in (one, other)
    }
    assert len(set(names.values())) == len(names)
    assert all(kind_of(name) == kind for (kind, _, _), name in names.items())
    assert uuid.UUID(str(old.number(one))).version == 8
    assert uuid.UUID(str(old.number(one))).variant == uuid.RFC_4122


@given(IDS, st.sampled_from(KINDS), st.data())
def test_a_name_is_understood_as_people_write_it(name: str, kind: str, data: st.DataObject) -> None:
    made = Pseudonyms([OLD]).of(kind, name)  # type: ignore[arg-type]
    said = "".join(
        data.draw(st.sampled_from({"0": "0oO", "1": "1iIlL", "-": "- "}.get(each, each + each.upper())))
        for each in made[len(kind) :]
    )
    assert read(f" {kind.upper()}{said.replace(' ', '')}") == made
    assert read(kind + said) == made


@pytest.mark.parametrize(
    "text", ["", "o-1", "actor-", "actor-0nar-bw5e-mryy-p69g", "actor-unar-bw5e-mryy-p69g-s8d4", "actors"]
)
def test_what_is_no_pseudonym_is_said_to_be_none(text: str) -> None:
    assert kind_of(text) is None
    with pytest.raises(ValueError, match="a pseudonym"):
        read(text)


def test_after_a_change_of_keys_old_names_are_still_found() -> None:
    before, after = Pseudonyms([OLD]), Pseudonyms([NEW, OLD])
    assert after.of("actor", "o-1") == Pseudonyms([NEW]).of("actor", "o-1")
    assert after.every("actor", "o-1") == [after.of("actor", "o-1"), before.of("actor", "o-1")]
    found = after.find("actor", ["o-1", "o-2"])
    assert found[before.of("actor", "o-2")] == found[after.of("actor", "o-2")] == "o-2"
    assert [each.of("actor", "o-1") for each in after.each()] == after.every("actor", "o-1")
    assert before.print != after.print


def test_the_memory_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.privacy.pseudonym._KEPT", 8)
    made = Pseudonyms([OLD])
    names = [made.of("actor", f"o-{number}") for number in range(100)]
    assert len(made._known) <= 8
    assert names == [made.of("actor", f"o-{number}") for number in range(100)]


@given(IDS, IDS)
def test_an_identity_is_opened_by_the_key_and_beside_its_own_name_alone(one: str, other: str) -> None:
    mine, both = Identities([OLD]), Identities([NEW, OLD])
    sealed = mine.seal("actor-1", one)
    assert sealed == Identities([OLD]).seal("actor-1", one), "a replay must give the same bytes"
    assert mine.unseal("actor-1", sealed) == both.unseal("actor-1", sealed) == one
    for wrong in (lambda: mine.unseal("actor-2", sealed), lambda: Identities([NEW]).unseal("actor-1", sealed)):
        with pytest.raises(NotOpened):
            wrong()
    if one != other:
        assert mine.seal("actor-1", other) != sealed
    assert one not in sealed or len(one) < 4


def test_the_length_of_an_id_is_not_told() -> None:
    made = Identities([OLD])
    assert len({len(made.seal("a", "x" * size)) for size in range(1, 31)}) == 1


@pytest.mark.parametrize("raw", ["", "!", "AAAA", "A" * 64, "ü"])
def test_what_is_not_sealed_is_refused(raw: str) -> None:
    with pytest.raises(NotOpened):
        Identities([OLD]).unseal("a", raw)


def test_without_a_key_there_are_no_names() -> None:
    for made in (Pseudonyms, Identities):
        with pytest.raises(ValueError, match="need"):
            made([])

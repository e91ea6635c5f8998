"""A pack that is not, to the byte, what somebody accepted has signed is refused."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.rules.signature import CONTEXT, BadSignature, manifest_of, sign, signed_by
from monitor.stream.topics import RULES
from monitor.stream.versions import SIGNATURES, accepted, encode, pack_records
from tests.audit.made import keys, signer

FILES = {"curiosity/a.yml": "title: a\n", "b.yml": "title: b\n", "lists/c.txt": "x\n"}
TEXTS = st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), min_size=1, max_size=5)


@given(TEXTS)
def test_what_was_signed_is_accepted_in_whatever_order(files: dict[str, str]) -> None:
    raw = sign(files, signer())
    assert signed_by(dict(reversed(files.items())), raw, keys()) == signer().key_id


@given(TEXTS, st.data())
def test_any_other_pack_is_refused(files: dict[str, str], data: st.DataObject) -> None:
    raw = sign(files, signer())
    other = data.draw(TEXTS.filter(lambda each: manifest_of(each) != manifest_of(files)))
    with pytest.raises(BadSignature):
        signed_by(other, raw, keys())


@pytest.mark.parametrize(
    "changed",
    [
        {**FILES, "b.yml": "title: B\n"},
        {**FILES, "b.yml": "title: b"},
        {**FILES, "new.yml": ""},
        {name: text for name, text in FILES.items() if name != "lists/c.txt"},
        {("z.yml" if name == "b.yml" else name): text for name, text in FILES.items()},
        {**FILES, "b.yml": FILES["curiosity/a.yml"], "curiosity/a.yml": FILES["b.yml"]},
        {},
    ],
    ids=["altered", "one byte less", "added", "removed", "renamed", "exchanged", "empty"],
)
def test_a_changed_pack_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(BadSignature, match="changed after it was signed"):
        signed_by(changed, sign(FILES, signer()), keys())


def test_by_whom() -> None:
    raw = sign(FILES, signer(2))
    with pytest.raises(BadSignature, match="none of them is accepted"):
        signed_by(FILES, raw, keys(1))
    with pytest.raises(BadSignature, match="not signed"):
        signed_by(FILES, None, keys(1))
    with pytest.raises(BadSignature):
        signed_by(FILES, sign({"x.yml": "x"}, signer()), keys(1))
    # One key takes the place of another: both sign for a while, and either is enough.
    both = sign(FILES, signer(1), raw)
    assert signed_by(FILES, both, keys(1)) == signer(1).key_id
    assert signed_by(FILES, both, keys(2)) == signer(2).key_id
    assert sign(FILES, signer(1), both) == sign(FILES, signer(1), sign(FILES, signer(1), raw))


def test_a_signature_of_something_else_by_the_same_key_is_worth_nothing() -> None:
    made = base64.b64encode(signer().sign("lookup-audit-record-v1", manifest_of(FILES))).decode()
    raw = msgspec.json.encode({"v": 1, "signatures": [{"key": signer().key_id, "signature": made}]})
    with pytest.raises(BadSignature):
        signed_by(FILES, raw, keys())
    assert CONTEXT != "lookup-audit-record-v1"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"v":2,"signatures":[]}',
        b'{"v":1,"signatures":[{"key":"x","signature":"\\u00e9"}]}',
        b'{"v":1,"signatures":[]}' + b" " * 20_000,
    ],
)
def test_a_file_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(BadSignature):
        signed_by(FILES, raw, keys())


def test_what_workers_and_replays_take_of_kafka() -> None:
    version, (out,) = pack_records(FILES, sign(FILES, signer()))
    key, value = out.key or b"", out.value or b""
    assert out.topic == RULES
    assert accepted(key, value, out.headers, keys()) == (FILES, signer().key_id)
    assert accepted(key, value, (), None) == (FILES, None), "without keys as ever"
    for headers in ((), ((SIGNATURES, b""),), ((SIGNATURES, sign({"x": ""}, signer())),)):
        with pytest.raises(BadSignature):
            accepted(key, value, headers, keys())
    renamed = {f"other/{name}": text for name, text in FILES.items()}
    with pytest.raises(BadSignature):
        accepted(version.encode(), encode(renamed), out.headers, keys())
    with pytest.raises(ValueError, match="version"):
        accepted(b"0" * 16, value, out.headers, keys())

"""Dispositions: what is one, and why not."""

from __future__ import annotations

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.feedback.disposition import (
    REASONS,
    VERDICTS,
    BadDisposition,
    Disposition,
    decode,
    encode,
    json_schema,
)
from monitor.feedback.message import MAX_BYTES

GOOD = {"alert": "a-1", "verdict": "benign", "by": "desk-1", "time": "2026-11-24T09:15:02+01:00"}
WRONG = [
    (b"", "empty"),
    (b"\xff\xfe", "not-utf8"),
    (b"{", "not-json"),
    (b"[]", "not-an-object"),
    (b'{"note": "' + b"x" * MAX_BYTES + b'"}', "too-large"),
    ({**GOOD, "alert": None}, "missing-field"),
    ({**GOOD, "lookup": "bvi/1"}, "missing-field"),
    ({**{k: v for k, v in GOOD.items() if k != "alert"}, "lookup": "bvi/1", "incident": "i-1"}, "missing-field"),
    ({name: value for name, value in GOOD.items() if name != "by"}, "missing-field"),
    ({**GOOD, "by": ""}, "wrong-field"),
    ({**GOOD, "verdict": "guilty"}, "wrong-field"),
    ({**GOOD, "note": "x" * 5000}, "wrong-field"),
    ({**GOOD, "time": "yesterday"}, "wrong-field"),
    ({**GOOD, "time": "2026-11-24T09:15:02"}, "time-without-offset"),
]


def raw_of(document: object) -> bytes:
    return document if isinstance(document, bytes) else orjson.dumps(document)


@pytest.mark.parametrize(("document", "reason"), WRONG)
def test_what_is_none_is_refused_with_its_reason(document: object, reason: str) -> None:
    with pytest.raises(BadDisposition) as caught:
        decode(raw_of(document))
    assert caught.value.reason == reason
    assert reason in REASONS


def test_a_refusal_names_nobody() -> None:
    with pytest.raises(BadDisposition) as caught:
        decode(raw_of({**GOOD, "verdict": "o-10293 did it", "by": "o-10293"}))
    assert "o-10293" not in caught.value.detail


@given(
    verdict=st.sampled_from(VERDICTS),
    by=st.text(min_size=1, max_size=128),
    note=st.text(max_size=300),
    is_lookup=st.booleans(),
)
def test_what_is_encoded_is_decoded_and_as_the_schema_says(verdict: str, by: str, note: str, is_lookup: bool) -> None:
    what = {"lookup": "bvi/1"} if is_lookup else {"alert": "a-1"}
    made = Disposition(verdict=verdict, by=by, time=GOOD["time"], note=note, **what)  # type: ignore[arg-type]
    assert decode(encode(made)) == made
    jsonschema.validate(orjson.loads(encode(made)), json_schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("document", [each for each, _ in WRONG[5:12]])
def test_the_schema_refuses_what_the_code_refuses(document: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, json_schema(), jsonschema.Draft202012Validator)


def test_unknown_fields_are_passed_over() -> None:
    assert decode(raw_of({**GOOD, "screen": 3})).verdict == "benign"

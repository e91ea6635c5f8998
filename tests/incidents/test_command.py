"""Commands: what is one, and why not."""

from __future__ import annotations

import jsonschema
import orjson
import pytest

from monitor.feedback.message import MAX_BYTES
from monitor.incidents.command import COMMANDS, REASONS, BadCommand, Command, decode, encode, json_schema

GOOD = {"command": "comment", "incident": "i-1", "by": "desk-1", "time": "2026-11-24T09:15:02+01:00", "reason": "r"}
WRONG = [
    (b"", "empty"),
    (b"\xff\xfe", "not-utf8"),
    (b"{", "not-json"),
    (b"[]", "not-an-object"),
    (b'{"reason": "' + b"x" * MAX_BYTES + b'"}', "too-large"),
    ({**GOOD, "command": "close"}, "wrong-field"),
    ({**GOOD, "by": ""}, "wrong-field"),
    ({**GOOD, "by": "monitor"}, "wrong-field"),
    ({**GOOD, "reason": ""}, "missing-field"),
    ({**GOOD, "reason": "x" * 3000}, "wrong-field"),
    ({**GOOD, "time": "2026-11-24T09:15:02"}, "time-without-offset"),
    ({name: value for name, value in GOOD.items() if name != "incident"}, "missing-field"),
]


@pytest.mark.parametrize(("document", "reason"), WRONG)
def test_what_is_none_is_refused_with_its_reason_and_names_nobody(document: object, reason: str) -> None:
    with pytest.raises(BadCommand) as caught:
        decode(document if isinstance(document, bytes) else orjson.dumps(document))
    assert caught.value.reason == reason
    assert reason in REASONS
    assert "desk-1" not in caught.value.detail


@pytest.mark.parametrize("what", COMMANDS)
def test_what_is_encoded_is_decoded_and_as_the_schema_says(what: str) -> None:
    made = Command(command=what, incident="i", by="o", time=GOOD["time"], reason="r")  # type: ignore[arg-type]
    assert decode(encode(made)) == made
    jsonschema.validate(orjson.loads(encode(made)), json_schema(), jsonschema.Draft202012Validator)


def test_to_acknowledge_needs_no_reason() -> None:
    assert decode(orjson.dumps({**GOOD, "command": "acknowledge", "reason": ""})).reason == ""

"""A lookup comes out of the archive as it went in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.archive.rows import COLUMNS, PLACE, lookup_of, row_of

TS = 1_767_571_269_012
LOOKUP: dict[str, Any] = {
    "id": "x-1",
    "time": "2026-01-05T00:01:09.012+00:00",
    "system": "bvi",
    "action": "read",
    "actor.id": "o-1",
    "ts": TS,
    "hour": 0,
    "weekday": 0,
    "day": "2026-01-05",
    PLACE: [TS, 3, 17, TS + 5, "v1"],
}
EXTRA = st.dictionaries(
    st.sampled_from(
        [
            "actor.unit",
            "subject.id",
            "explanation",
            "explanation.kind",
            "query.text",
            "actor.areas",
            "on_shift",
            "purpose.case",
            "results",
        ]
    ),
    st.none(),
)
VALUES: dict[str, Any] = {
    "explanation": ["own-case", "none"],
    "on_shift": False,
    "actor.areas": ["north", "o'hara"],
    "results": 4,
}


@given(EXTRA)
def test_what_goes_in_comes_out(names: dict[str, None]) -> None:
    lookup = {**LOOKUP, **{name: VALUES.get(name, f"'{name}\n\"") for name in names}}
    row = row_of(lookup)
    assert set(row) == {each.name for each in COLUMNS}
    back = lookup_of({**row, "time": datetime.fromtimestamp(TS / 1000, UTC)})
    gone = {"hour", "weekday", "day", PLACE}
    assert back == {name: value for name, value in lookup.items() if name not in gone}


def test_the_row_says_where_it_came_from_and_of_which_day_it_is() -> None:
    row = row_of(LOOKUP)
    assert (row["source"], row["offset"], row["rules"]) == (3, 17, "v1")
    assert row["time"] == TS * 1000
    assert row["date"] == 20458  # 2026-01-05
    assert row["more"] is None


@pytest.mark.parametrize("name", ["ts", PLACE])
def test_what_has_no_place_or_time_is_no_lookup(name: str) -> None:
    with pytest.raises(KeyError):
        row_of({each: value for each, value in LOOKUP.items() if each != name})


def test_fields_without_a_column_are_kept_as_json() -> None:
    assert orjson.loads(row_of({**LOOKUP, "client.ip": "10.0.0.1"})["more"]) == {"client.ip": "10.0.0.1"}

"""Mappings: the examples that are shipped give the lookups beside them, and what is wrong with a mapping is said at its place."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.events import BadEvent, decode
from monitor.mapping import BadMapping, Mapper, NoColumn, parse, rows

SHIPPERS = Path(__file__).resolve().parents[2] / "deploy/shippers"
EXAMPLES = [("pgaudit", "log"), ("oracle", "csv"), ("access-log", "log")]
SHORT = (
    "id: LOG_ID\ntime: WHEN\nsystem: APP\naction: WHAT\nactor.id: USER\nsubject.id: KEY\nresults: N\nquery.fields: F\n"
)
HEADER = "LOG_ID,WHEN,APP,WHAT,USER,KEY,N,F"
FIELDS = "fields:\n  id: a\n  time: a\n  system: a\n  action: a\n  actor.id: a\n"
EVENT_MS = 1_800_000_000_000


@pytest.mark.parametrize(("name", "suffix"), EXAMPLES)
def test_the_examples_give_the_lookups_beside_them(name: str, suffix: str) -> None:
    stem = name.split("-")[0]
    mapping = parse((SHIPPERS / "mappings" / f"{name}.yml").read_text())
    with (SHIPPERS / "examples" / f"{stem}.{suffix}").open("rb") as log:
        made = list(rows(log, mapping))
    assert made == (SHIPPERS / "examples" / f"{stem}.lookups.jsonl").read_bytes().splitlines()
    good, bad = [], []
    for raw in made:
        try:
            good.append(decode(raw, received_ms=EVENT_MS))
        except BadEvent as error:
            bad.append(error.reason)
    assert len(good) == 2
    assert [each["actor.id"] for each in good] == ["o-10293", "o-10477"]
    assert [each["subject.id"] for each in good] == ["AB-12-CD", "p000991"]
    # Who cannot be told is not left out: it lies in the DLQ.
    assert len(bad) == 1


def csv_of(*cells: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue().encode()


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1, max_size=20),
        min_size=6,
        max_size=6,
    )
)
def test_any_csv_comes_through_whole_whatever_is_in_its_cells(cells: list[str]) -> None:
    text = csv_of(*cells, "3", "a; b")
    lines = [f"{HEADER}\n".encode(), *io.BytesIO(text)]
    (made,) = rows(lines, parse(SHORT))
    found = orjson.loads(made)
    names = [found["id"], found["time"], found["system"], found["action"], found["actor"]["id"], found["subject"]["id"]]
    assert names == cells
    assert (found["results"], found["query"]) == (3, {"fields": ["a", "b"]})


def test_a_row_without_its_last_quote_is_not_read_for_ever() -> None:
    mapper = Mapper(parse(SHORT))
    mapper.feed(HEADER.encode())
    made = [mapper.feed(b'x,"y'), *(mapper.feed(b"z" * 1000) for _ in range(100))]
    assert [each is not None for each in made].index(True) == 66
    assert not mapper.is_within_row


def test_what_is_not_utf8_is_sent_as_it_is() -> None:
    made = list(rows([HEADER.encode(), b"\xff,a,a,a,a,a,a,a\n"], parse(SHORT)))
    assert made == [b"\xff,a,a,a,a,a,a,a"]


def test_a_file_without_a_column_is_refused_with_those_it_has() -> None:
    with pytest.raises(NoColumn, match="no column USER; it has LOG_ID, WHEN"):
        list(rows([HEADER.replace("USER", "WHO").encode()], parse(SHORT)))


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("- a", "1:1", "must be a list"),
        ("id: [", "1:6", "expected"),
        ("id: A\nid: B", "2:1", "there twice"),
        ("id: A\n", "1:1", "no column for action, actor.id, system, time"),
        (f"format: xml\n{FIELDS}", "1:9", "one of csv, json, regex"),
        (f"fromat: csv\n{FIELDS}", "1:1", "there is no `fromat`"),
        (f"format: regex\n{FIELDS}", "1:1", "go together"),
        (f"format: regex\npattern: '(?P<a>'\n{FIELDS}", "2:10", "no regular expression"),
        (f"format: regex\npattern: 'x'\n{FIELDS}", "2:10", "names no part"),
        (f"format: regex\npattern: '(?P<b>x)'\n{FIELDS}", "4:3", "there is no part a"),
        (f"format: json\ncolumns: [a]\n{FIELDS}", "1:1", "are of `format: csv`"),
        (f"{FIELDS}  outcome: {{part: a, constant: b}}\n", "7:12", "needs one of"),
        (f"{FIELDS}  outcome: {{part: a, vales: {{}}}}\n", "7:22", "there is no `vales`"),
        (f"{FIELDS}  outcome: {{part: a, match: 'x'}}\n", "7:29", "one group"),
        (f"{FIELDS}  outcome: {{part: a, otherwise: x}}\n", "7:33", "goes with `values`"),
        (f"{FIELDS}  outcome: {{template: x}}\n", "7:23", "parts in braces"),
        (f"{FIELDS}  outcome: {{hash: a}}\n", "7:19", "a list of parts"),
        (FIELDS.replace("action: a", "action: {part: a, values: {SELECT: look}}"), "5:38", "look is no action"),
        (FIELDS.replace("time: a", "time: {part: a, format: '%Y'}"), "3:27", "has no offset"),
        (FIELDS.replace("time: a", "time: {part: a, zone: Mars}"), "3:25", "no such time zone"),
        (f"within: {{part: a}}\n{FIELDS}", "1:9", "needs `pattern`"),
        (f"within: {{part: a, format: csv}}\n{FIELDS}", "1:9", "needs `columns`"),
        (f"delimiter: ab\n{FIELDS}", "1:12", "one character"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(text: str, place: str, said: str) -> None:
    with pytest.raises(BadMapping) as refused:
        parse(text)
    assert str(refused.value).startswith(f"{place}: "), refused.value
    assert said in str(refused.value)


def test_a_clock_without_an_offset_is_of_its_zone() -> None:
    mapping = parse(FIELDS.replace("time: a", "time: {part: a, zone: Europe/Amsterdam}"))
    made = list(rows([b"a\n", b"2026-07-01 12:00:00\n", b"2026-11-24 12:00:00\n", b"never\n"], mapping))
    assert [orjson.loads(each)["time"] for each in made] == [
        "2026-07-01T12:00:00.000+02:00",
        "2026-11-24T12:00:00.000+01:00",
        "never",
    ]


def test_an_expression_takes_linear_time() -> None:
    mapping = parse(f"format: regex\npattern: '(?P<a>(x+x+)+y)'\n{FIELDS}")
    began = time.process_time()
    assert list(rows([b"x" * 5000], mapping)) == [b"x" * 5000]
    assert time.process_time() - began < 1

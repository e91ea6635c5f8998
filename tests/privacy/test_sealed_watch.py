"""A team has subjects watched and nobody else sees which: not in the records, in what is kept of them, or in what comes out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from monitor import events
from monitor.cli import app
from monitor.enrich import enrich
from monitor.incidents.journal import Raised, Source
from monitor.privacy.watch_list import PER_RECORD, opened_watch, sealed_watches
from monitor.records import Watch, decode
from monitor.reference import Reference
from monitor.sealed_watch import BadTeams, Sealer, hash_of, parse_teams
from monitor.stream.detect import watched_by
from monitor.stream.incidents import teams_in
from tests.incidents.made import Desk, alert

KEY, OTHER, NEW = b"k" * 32, b"o" * 32, b"n" * 32
KEYS = {"obs": (NEW, KEY), "tax": (OTHER,)}
TS = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1000)
IDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=4, max_size=40)


def reference(*records: bytes, keys: Any = None, store: dict[str, bytes] | None = None) -> Reference:
    made = Reference(map(decode, records), store=store, sealer=Sealer(KEYS if keys is None else keys))
    made.flush()
    return made


def lookup(subject: str, actor: str = "o-1") -> dict[str, Any]:
    raw = orjson.dumps(
        {
            "id": "e",
            "time": "2026-11-20T00:00:00Z",
            "system": "bvi",
            "action": "read",
            "actor": {"id": actor},
            "subject": {"id": subject},
        }
    )
    return events.decode(raw, received_ms=TS)


def test_hashes_never_change() -> None:
    assert hash_of("obs", KEY, "p-1") == "1bfa5c85888444b65fe82cdbab0a2abb"


@given(st.lists(IDS, min_size=1, max_size=8, unique=True), IDS)
def test_a_sealed_subject_is_watched_as_a_plain_one_is_and_no_other_is(subjects: list[str], other: str) -> None:
    sealed = reference(*sealed_watches("w", "obs", (KEY,), subjects, ["o-9"], "2026-11-01T00:00:00Z"))
    plain = {"record": "watch", "id": "w-1", "subjects": subjects, "may_know": ["o-9"], "from": "2026-11-01T00:00:00Z"}
    known = reference(orjson.dumps(plain))
    for subject in (*subjects, other):
        for actor in ("o-1", "o-9"):
            assert enrich(lookup(subject, actor), sealed) == enrich(lookup(subject, actor), known)
        expected = ["obs"] if subject in subjects else []
        assert sealed.teams_watching([subject], ["o-1"], TS) == expected
        assert sealed.teams_watching([subject], ["o-9"], TS) == []
        assert sealed.teams_watching([subject], ["o-1"], TS - 86_400_000 * 365) == []


@given(st.lists(IDS, min_size=1, max_size=8, unique=True))
def test_the_plain_subject_is_nowhere(subjects: list[str]) -> None:
    store: dict[str, bytes] = {}
    records = sealed_watches("w", "obs", (KEY,), subjects)
    made = reference(*records, store=store)
    for subject in subjects:
        assert made.about(subject).watches
        raw = subject.encode()
        assert not any(raw in each for each in records if len(raw) > 6)
        assert not any(raw in key.encode() or raw in each for key, each in store.items() if len(raw) > 6)


def test_without_the_key_or_with_anothers_nothing_matches() -> None:
    records = sealed_watches("w", "obs", (KEY,), ["p-1"])
    for keys in ({}, {"obs": (OTHER,)}, {"tax": (KEY,)}):
        made = reference(*records, keys=keys)
        assert not made.about("p-1").watches
        assert made.teams_watching(["p-1"], [], TS) == []


def test_a_list_that_is_taken_back_or_changed_watches_no_more() -> None:
    first, second = sealed_watches("w", "obs", (NEW,), ["p-1"])[0], sealed_watches("w", "obs", (KEY,), ["p-2"])[0]
    made = reference(first, second)
    assert (made.teams_watching(["p-1"], [], TS), made.teams_watching(["p-2"], ["o"], TS)) == ([], ["obs"])
    made.remove("watch/w-1")
    assert not made.about("p-2").watches
    assert not made._sealed


def test_only_who_has_the_teams_key_opens_a_list() -> None:
    subjects = [f"p-{number}" for number in range(PER_RECORD + 3)]
    records = [decode(raw) for raw in sealed_watches("w", "obs", (KEY,), subjects)]
    assert [each.id for each in records] == ["w-1", "w-2"]
    assert sorted(name for each in records for name in opened_watch(each, KEYS["obs"])) == sorted(subjects)  # type: ignore[arg-type]
    assert [name for each in records for name in opened_watch(each, (OTHER,))] == []  # type: ignore[arg-type]
    assert [each.sealed for each in records if isinstance(each, Watch)] == [
        sorted(each.sealed or ()) for each in records if isinstance(each, Watch)
    ]


def test_an_incident_names_the_team_and_not_the_entry() -> None:
    headers = watched_by(["obs", "tax"])
    assert teams_in(headers) == ["obs", "tax"]
    assert (watched_by([]), teams_in(None), teams_in([("other", b"x")])) == ((), [], [])
    desk = Desk()
    found = desk.take(Raised(desk.source("alerts"), alert("a", "low"), True, {}, ["obs"]))
    assert found is not None
    assert (found.teams, found.watched, found.queue) == (["obs"], True, "pager")
    again = desk.take(Raised(Source("alerts", 0, 9), alert("b", "low", subjects=("p-2",)), True, {}, ["tax"]))
    assert again is not None
    assert again.teams == ["obs", "tax"]


@pytest.mark.parametrize("line", ["obs", "obs short", "  "])
def test_keys_of_teams_are_a_name_and_a_key_a_line(line: str) -> None:
    assert parse_teams(["", f"obs {'k' * 32}", f"obs {'n' * 32}"]) == {"obs": (KEY, NEW)}
    if line.strip():
        with pytest.raises(BadTeams) as error:
            parse_teams([f"a {'x' * 32}", line])
        assert "line 2" in str(error.value)
        assert "short" not in str(error.value)


def test_the_commands_seal_and_unseal(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"obs {'k' * 32}\ntax {'o' * 32}\n")
    (tmp_path / "list").write_text("p-1\np-2\n")
    shared = ["--key-file", str(tmp_path / "keys")]
    made = CliRunner().invoke(
        app, ["privacy", "seal", "--team", "obs", *shared, "--list", str(tmp_path / "list"), "--may-know", "o-9"]
    )
    assert made.exit_code == 0, made.output
    assert "p-1" not in made.output
    (tmp_path / "records").write_text(made.output)
    opened = CliRunner().invoke(
        app, ["privacy", "unseal", "--team", "obs", *shared, "--list", str(tmp_path / "records")]
    )
    assert sorted(opened.output.split()[1::2]) == ["p-1", "p-2"]
    other = CliRunner().invoke(
        app, ["privacy", "unseal", "--team", "tax", *shared, "--list", str(tmp_path / "records")]
    )
    assert other.output == ""
    wrong = CliRunner().invoke(app, ["privacy", "seal", "--team", "x", *shared, "--list", str(tmp_path / "list")])
    assert wrong.exit_code == 2

"""Who looked at somebody and what is linked with them, and what an actor did."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import orjson
import pytest
from typer.testing import CliRunner

from monitor.archive.rows import lookup_of
from monitor.audit.event import AuditEvent
from monitor.cli import app
from monitor.history import ask
from monitor.history.ask import History, Linked, Period, day_after, moment
from monitor.settings import Settings
from monitor.stream.masking import identities_of, write_key
from tests.archive.made import DAY, START, archive, lookup
from tests.audited import audited

HOME = {"subject__id": "p-1", "subject__address": "a-1"}
CAR = {"subject__id": "AB-1", "subject__owner": "p-1", "subject__address": "a-1"}
MATE = {"subject__id": "p-2", "subject__address": "a-1"}


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(
        archive(
            tmp_path,
            lookup(
                1, **HOME, actor__id="o-1", actor__unit="north", explanation__kind="record", explanation=["own-case"]
            ),
            lookup(2, **CAR, actor__id="o-2", explanation__kind="none", explanation=["none"]),
            lookup(3, **MATE, actor__id="o-2", explanation__kind="plausible", explanation=["beat", "none"]),
            lookup(4, subject__id="a-1", actor__id="o-3", explanation__kind="none"),
            lookup(5, **HOME, actor__id="o-1", actor__unit="south", ts=START + DAY),
            lookup(6, subject__id="p-9", actor__id="o-9"),
        )
    )


def test_what_is_linked_is_found_one_step_at_a_time(history: History) -> None:
    assert history.linked("p-1", 0) == [Linked("p-1", "itself")]
    one = history.linked("p-1", 1)
    assert one == [Linked("p-1", "itself"), Linked("AB-1", "owned by p-1"), Linked("a-1", "address of p-1")]
    two = history.linked("p-1", 2)
    assert two == [*one, Linked("p-2", "lives or is kept at a-1")]
    assert history.linked("nobody", 2) == [Linked("nobody", "itself")]


def test_a_house_full_of_people_is_not_gone_through(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "MAX_LINKS", 2)
    assert [each.subject for each in history.linked("p-1", 3)] == ["p-1", "AB-1", "a-1"]


def test_who_looked_and_what_explained_it(history: History) -> None:
    found = history.lookers(["p-1", "AB-1", "a-1", "p-2"])
    assert [each.actor for each in found] == ["o-1", "o-2", "o-3"]
    second = found[1]
    assert (second.lookups, second.explained, second.plausible, second.subjects) == (2, 0, 1, ["AB-1", "p-2"])
    first = found[0]
    assert (first.lookups, first.explained, first.unit) == (2, 1, "south")
    assert first.first == datetime.fromtimestamp(START / 1000 + 60, UTC)
    unexplained = {each.actor: each.lookups for each in history.lookers(["p-1", "AB-1"], unexplained=True)}
    assert unexplained == {"o-2": 1, "o-1": 1}


def test_a_timeline_is_in_order_and_whole(history: History) -> None:
    rows = list(history.of_actor("o-1"))
    assert [row["id"] for row in rows] == ["x-1", "x-5"]
    assert lookup_of(rows[0])["explanation"] == ["own-case"]
    assert list(history.of_actor("nobody")) == []
    assert [row["id"] for row in history.of_subjects(["p-1"])] == ["x-1", "x-5"]


def test_only_the_time_that_was_asked_for(tmp_path: Path) -> None:
    there = archive(tmp_path, *(lookup(number, ts=START + number * DAY) for number in range(5)))
    period = Period(moment("2026-01-06"), day_after("2026-01-07"))
    assert [row["id"] for row in History(there, period).of_actor("o-1")] == ["x-1", "x-2"]
    exact = Period(moment("2026-01-06T12:00:00Z"), moment("2026-01-07T12:00:00+00:00"))
    assert [row["id"] for row in History(there, exact).of_actor("o-1")] == ["x-1"]
    assert list(History(there, Period(moment("2030-01-01"))).of_actor("o-1")) == []


def run(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    environment = {"LOOKUP_MONITOR_ARCHIVE": str(tmp_path / "archive")}
    if "LOOKUP_MONITOR_PSEUDONYMS" not in os.environ:
        environment["LOOKUP_MONITOR_PSEUDONYMS"] = "off"
    done = CliRunner().invoke(app, list(arguments), env=environment)
    return done.exit_code, done.output


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[AuditEvent]:
    return audited(monkeypatch)


def test_whoever_asks_is_in_the_audit_log_or_is_told_nothing(
    history: History, tmp_path: Path, events: list[AuditEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_key(tmp_path / "names")
    write_key(tmp_path / "identities")
    monkeypatch.setenv("LOOKUP_MONITOR_PSEUDONYMS", "on")
    monkeypatch.setenv("LOOKUP_MONITOR_PSEUDONYM_KEY_FILE", str(tmp_path / "names"))
    monkeypatch.setenv("LOOKUP_MONITOR_IDENTITY_KEY_FILE", str(tmp_path / "identities"))
    assert run(tmp_path, "hunt", "p-1", "--reason", "a tip")[0] == 1
    assert run(tmp_path, "timeline", "o-2")[0] == 0
    search, view = events
    assert (search.what, search.reason, view.what) == ("search", "a tip", "view-actor")
    assert search.by.startswith("os:")
    identities, (name,) = identities_of(Settings()), search.subjects
    assert identities.unseal(name, search.sealed[name]) == "p-1"
    assert identities.unseal(view.actors[0], view.sealed[view.actors[0]]) == "o-2"
    assert b"p-1" not in msgspec.json.encode(search)
    audited(monkeypatch, is_up=False)
    for command in (["hunt", "p-1", "--json"], ["timeline", "o-2"]):
        code, said = run(tmp_path, *command)
        assert (code, "nothing is done" in said, "x-" in said) == (2, True, False)


@pytest.mark.usefixtures("events")
def test_the_commands(history: History, tmp_path: Path) -> None:
    code, said = run(tmp_path, "hunt", "p-1", "--lookups")
    assert code == 1
    assert "a-1 (address of p-1)" in said
    assert "o-3" in said
    assert "plausible: beat" not in said  # p-2 is two steps away
    code, said = run(tmp_path, "hunt", "p-1", "--hops", "2", "--json")
    assert code == 1
    found = [orjson.loads(line) for line in said.splitlines()]
    assert [each["id"] for each in found] == ["x-1", "x-2", "x-3", "x-4", "x-5"]
    assert found[0]["actor.unit"] == "north"
    assert run(tmp_path, "hunt", "p-77")[0] == 0
    code, said = run(tmp_path, "hunt", "p-1", "--hops", "0", "--unexplained", "--json")
    assert [orjson.loads(line)["id"] for line in said.splitlines()] == ["x-5"]
    code, said = run(tmp_path, "timeline", "o-2")
    assert code == 0
    assert "plausible: beat" in said
    assert "2 lookups, 0 explained" in said
    code, said = run(tmp_path, "archive", "status")
    assert code == 0
    assert "6 lookups" in said


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    code, said = run(tmp_path, "hunt", "p-1")
    assert (code, "monitor archive run" in said) == (2, True)
    code, said = run(tmp_path, "hunt", "p-1", "--since", "yesterday")
    assert (code, "2026-01-31" in said) == (2, True)
    done = CliRunner().invoke(app, ["timeline", "o-1"])
    assert (done.exit_code, "LOOKUP_MONITOR_ARCHIVE" in done.output) == (2, True)

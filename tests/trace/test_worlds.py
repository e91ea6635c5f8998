"""On a simulated force, whoever leaked is found among those who had looked at what leaked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from monitor import alerts
from monitor.archive.store import Archive
from monitor.cli import app
from monitor.trace.alert import RULE_ID, alert_of
from monitor.trace.ask import trace_of
from monitor.trace.model import Leak
from tests.archive.made import DAY, START, archive, lookup
from tests.audited import audited
from tests.trace.force import Force

RUNS = 50


@pytest.fixture(scope="module")
def force(tmp_path_factory: pytest.TempPathFactory) -> Force:
    return Force(tmp_path_factory.mktemp("force"), seed=301, days=28, actors=100)


def test_the_leaker_comes_first_in_nine_runs_of_ten(force: Force) -> None:
    first = beyond = accused = 0
    for seed in range(RUNS):
        play = force.play(seed)
        suspects = trace_of(force.history, play.leaks)[0].suspects()
        first += bool(suspects) and suspects[0].actor == play.leaker
        beyond += any(each.actor == play.leaker and each.corrected <= 0.01 for each in suspects)
        looked = {row["actor"] for row in play.added}
        accused += sum(each.corrected <= 0.01 and each.actor not in looked for each in suspects)
    assert first >= 0.9 * RUNS
    assert beyond >= 0.9 * RUNS
    # Nobody is accused who only did their work; of those who were made to look at leaked subjects, more may be.
    assert accused <= 0.01 * RUNS


def test_when_nobody_leaked_nobody_is_accused(force: Force) -> None:
    """Subjects that leaked by some other way: chance alone has people look at them."""
    accused = 0
    for seed in range(RUNS):
        leaks = force.play(seed, elsewhere=1.0).leaks
        force.history.db.execute("DELETE FROM added")
        accused += sum(each.corrected <= 0.01 for each in trace_of(force.history, leaks)[0].suspects())
    assert accused <= 0.02 * RUNS


def test_only_lookups_before_the_date_and_not_too_long_before_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audited(monkeypatch)
    there = archive(
        tmp_path,
        lookup(1, subject__id="p-1", actor__id="o-early", ts=START),
        lookup(2, subject__id="p-1", actor__id="o-right", ts=START + 5 * DAY),
        lookup(3, subject__id="p-1", actor__id="o-late", ts=START + 7 * DAY),
    )
    (tmp_path / "leaks.csv").write_text("subject,date\np-1,2026-01-11\n")
    environment = {"LOOKUP_MONITOR_ARCHIVE": str(there.folder), "LOOKUP_MONITOR_PSEUDONYMS": "off"}
    done = CliRunner().invoke(
        app, ["trace", "--subjects", str(tmp_path / "leaks.csv"), "--within", "4", "--json"], env=environment
    )
    assert [each["actor"] for each in orjson.loads(done.stdout)["suspects"]] == ["o-right"]


@pytest.fixture
def leaked(tmp_path: Path) -> tuple[Archive, list[str], Path]:
    """An actor who looked at all six leaked subjects, among others who look at other people."""
    names = [f"p-{number}" for number in range(6)]
    honest = [
        lookup(n, actor__id=f"o-{n % 40}", subject__id=f"q-{n * 7 % 900}", subject__area="north") for n in range(2000)
    ]
    bad = [lookup(3000 + n, actor__id="o-bad", subject__id=name, subject__area="north") for n, name in enumerate(names)]
    listed = tmp_path / "leaks.csv"
    listed.write_text("subject,date\n" + "".join(f"{name},2026-01-20\n" for name in names))
    return archive(tmp_path, *honest, *bad), names, listed


def test_the_command_says_who_and_shows_the_evidence(
    leaked: tuple[Archive, list[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    events = audited(monkeypatch)
    there, _, listed = leaked
    environment = {"LOOKUP_MONITOR_ARCHIVE": str(there.folder), "LOOKUP_MONITOR_PSEUDONYMS": "off"}
    done = CliRunner().invoke(app, ["trace", "--subjects", str(listed)], env=environment)
    assert done.exit_code == 1
    assert "6 of 6" in done.output
    assert [(each.what, len(each.subjects)) for each in events] == [("search", 6)]
    assert all(f"x-{3000 + number}" in done.output for number in range(6))
    listed.write_text("subject,date\nq-7,2026-01-20\n")
    done = CliRunner().invoke(app, ["trace", "--subjects", str(listed)], env=environment)
    assert done.exit_code == 0
    listed.write_text("subject\nq-7\n")
    done = CliRunner().invoke(app, ["trace", "--subjects", str(listed)], env=environment)
    assert (done.exit_code, "line 1" in done.output) == (2, True)


def test_the_alert_is_the_same_whenever_it_is_made(leaked: tuple[Archive, list[str], Path]) -> None:
    from monitor.history.ask import History
    from monitor.trace.model import read_leaks

    there, names, listed = leaked
    leaks = read_leaks(listed.read_text().splitlines())
    made = []
    for given in (leaks, leaks[::-1]):
        found, looks = trace_of(History(there), given)
        made.append(alert_of(found.suspects()[0], given, looks))
    assert made[0].id == made[1].id
    alert = alerts.decode(alerts.encode(made[0]))
    assert (alert.rule.id, alert.rule.level, alert.actors) == (RULE_ID, "high", ["o-bad"])
    assert (sorted(alert.subjects), alert.events) == (names, [f"x-{3000 + number}" for number in range(6)])
    other = [*leaks[:-1], Leak(leaks[-1].subject, leaks[-1].by + timedelta(days=1))]
    found, looks = trace_of(History(there), other)
    assert alert_of(found.suspects()[0], other, looks).id != alert.id

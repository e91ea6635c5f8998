"""The other world: its records are what the product reads, its labels are true, and it knows nothing of simulate and rules."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.otherworld import calendar, habits
from bench.otherworld.__main__ import main
from bench.otherworld.chance import poisson, stream
from bench.otherworld.habits import FORGETS, Settings
from bench.otherworld.log import NOTHING, Log, Where, line
from bench.otherworld.misuse import VARIANTS
from bench.otherworld.people import Thing, plate
from bench.otherworld.world import World
from monitor import event_schema, events, records, reference

HERE = Path(__file__).resolve().parents[2]
PACKAGE = HERE / "bench" / "otherworld"
#: DESIGN, section 1.
TYPOLOGIES = {
    "curiosity", "friend-favour", "self-and-kin", "followed-check", "investigation-check", "outside-work-area", "bulk-harvest",
    "low-and-slow", "grooming-slope", "sleeper", "support-staff", "shared-interest", "account-misuse", "honeytoken", "leak-trace",
}  # fmt: skip
SMALL = Settings(seed=5, days=20, actors=80)
#: So many actors that every variant of every typology is told.
WIDE = Settings(seed=2, days=20, actors=400)


@cache
def world(size: Settings = WIDE) -> World:
    return World(size)


@cache
def rows(size: Settings = WIDE) -> list[dict[str, Any]]:
    return list(world(size).events())


@cache
def labels(size: Settings = WIDE) -> list[dict[str, Any]]:
    return list(world(size).labels())


@cache
def by_id() -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in rows()}


@cache
def guilty() -> frozenset[str]:
    return frozenset(name for label in labels() for name in label["events"])


def ms(text: str) -> int:
    return events.parse_time(text)[0]


def digest(size: Settings) -> str:
    made, hashed = World(size), hashlib.sha256()
    for part in (made.events(), made.reference(), made.labels()):
        for row in part:
            hashed.update(line(row))
    return hashed.hexdigest()


# What the product reads.


def test_every_lookup_is_one_by_the_products_decoder() -> None:
    for row in rows():
        flat = events.decode(line(row), received_ms=ms(row["time"]) + 1)
        assert flat["id"] == row["id"]
        assert not [name for name in flat if name.startswith("input.")]


def shape(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple((key, shape(value) if isinstance(value, dict) else type(value)) for key, value in row.items())


def one_of_each_shape(of: Any) -> list[dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    for row in of:
        found.setdefault((*shape(row), row.get("action"), row.get("record")), row)
    return list(found.values())


def test_lookups_of_every_shape_are_valid_by_the_schema() -> None:
    validator = jsonschema.Draft202012Validator(event_schema.json_schema())
    found = one_of_each_shape(rows())
    assert len(found) > 20
    for row in found:
        validator.validate(row)


def test_every_reference_record_is_one_and_all_can_be_loaded() -> None:
    known = reference.Reference()
    keys = []
    for row in world(SMALL).reference():
        record = records.decode(line(row))
        assert row.keys() - {"record"} <= {"from", *record.__struct_fields__}, "a field the product does not know"
        keys.append(records.key_of(record))
        known.put(record)
    assert len(known) == len(keys) == len(set(keys))
    validator = jsonschema.Draft202012Validator(records.json_schema())
    for row in one_of_each_shape(world(SMALL).reference()):
        validator.validate(row)


def test_lookups_name_actors_and_areas_that_the_reference_knows() -> None:
    known = {row["id"] for row in world().reference() if row["record"] == "actor"}
    assert {row["actor"]["id"] for row in rows()} <= known
    assert len(known) == WIDE.actors
    assert {row["client"]["area"] for row in rows() if "client" in row} == set(habits.AREAS)


def test_ids_are_unique_and_times_are_within_the_span() -> None:
    assert len({row["id"] for row in rows()}) == len(rows())
    begin = ms("2026-01-05T00:00:00.000+01:00")
    assert all(begin <= ms(row["time"]) < begin + WIDE.days * calendar.DAY for row in rows())


def test_lookups_come_in_the_order_of_arrival_and_few_come_late() -> None:
    times = [ms(row["time"]) for row in rows()]
    late = [newest - time for time, newest in zip(times, _newest(times), strict=True) if time < newest]
    assert 0 < len(late) < 0.01 * len(times)
    assert max(late) <= 4 * calendar.MINUTE + calendar.SECOND


def _newest(times: list[int]) -> list[int]:
    newest, found = 0, []
    for time in times:
        newest = max(newest, time)
        found.append(newest)
    return found


def test_nothing_is_logged_outside_the_span() -> None:
    made = world(SMALL)
    log, who, thing = Log(made.people, 10_000, 20_000), made.staff.accounts[0], made.people.famous[0]
    for moment in (9_999, 20_000, 19_999, 10_000):
        log.ask(
            stream(1, "edge"), moment, who, "bvi", thing, NOTHING, Where("desk", "10.0.0.1", "noordkust"), exact=True
        )
    assert sorted(look.ms // 10_000 for look in log.looks) == [1, 1]


def test_no_slip_of_the_finger_ends_on_a_honeytoken_or_on_the_own_car(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(SMALL)
    monkeypatch.setattr(habits, "TYPOS", 1.0)
    decoy = next(thing for thing in made.people.decoys if thing.kind == "vehicle")
    who = next(who for who in made.staff.accounts if made.people.cars[who.person.id])
    for wanted in (decoy.id, made.people.cars[who.person.id][0].id):
        log, near = Log(made.people, 0, 10**9), f"{wanted[:-1]}{'B' if wanted[-1] != 'B' else 'D'}"
        for number in range(900):
            thing, where = (
                made.people.things.get(near) or Thing("vehicle", near, "noordkust", near),
                Where("desk", "10.0.0.1", "noordkust"),
            )
            log.ask(stream(number, "slip"), 10**6, who, "rdw", thing, NOTHING, where)
        asked = Counter(look.subject for look in log.looks)
        assert wanted not in asked
        assert len(asked) > 50


# The same seed, the same world.


def test_same_settings_give_the_same_bytes_and_another_seed_others() -> None:
    assert digest(SMALL) == digest(SMALL)
    assert digest(SMALL) != digest(Settings(seed=6, days=20, actors=80))


@pytest.mark.parametrize("hash_seed", ["0", "77"])
def test_the_bytes_do_not_hang_on_the_order_of_sets(tmp_path: Path, hash_seed: str) -> None:
    command = [sys.executable, "-m", "bench.otherworld", str(tmp_path), "--seed", "5", "--days", "20", "--actors", "80"]
    subprocess.run(command, check=True, cwd=HERE, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True)
    hashed = hashlib.sha256()
    for name in ("events", "reference", "labels"):
        hashed.update((tmp_path / f"{name}.jsonl").read_bytes())
    assert hashed.hexdigest() == digest(SMALL)


def test_streams_are_the_same_on_every_machine() -> None:
    assert [stream(1, "people").randrange(1000) for _ in range(2)] == [stream(1, "people").randrange(1000)] * 2
    assert stream(1, "a").random() != stream(2, "a").random() != stream(2, "b").random()
    assert round(stream(42, "fixed").random(), 12) == FIXED


FIXED = 0.28470957987


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 26), st.integers(80, 130), st.dates(date(2001, 1, 1), date(2100, 1, 1)))
def test_a_world_of_any_settings_is_whole(seed: int, days: int, actors: int, start: date) -> None:
    made = World(Settings(seed, days, actors, start))
    told = list(made.labels())
    assert {label["typology"] for label in told} == TYPOLOGIES
    assert len({name for name, _ in made.looks}) == len(made.looks)
    begin = calendar.midnight(start)
    assert all(begin <= look.ms < begin + days * calendar.DAY for _, look in made.looks)
    assert len([row for row in made.reference() if row["record"] == "actor"]) == actors


# The labels.


def test_every_typology_and_every_variant_is_told() -> None:
    assert set(VARIANTS) == TYPOLOGIES
    told = {(label["typology"], label["scenario"]) for label in labels()}
    assert told == {(name, variant.name) for name in VARIANTS for variant in VARIANTS[name]}
    assert Counter(label["typology"] for label in labels()) == dict.fromkeys(TYPOLOGIES, WIDE.per_typology)


def test_every_degree_of_care_is_there_in_most_typologies() -> None:
    seen = defaultdict(set)
    for label in labels():
        seen[label["typology"]].add(label["care"])
    assert all(cares == {"blatant", "middling", "careful"} for cares in seen.values())


def test_labels_point_at_lookups_of_their_actors() -> None:
    for label in labels():
        assert label["events"], label["typology"]
        found = [by_id()[name] for name in label["events"]]
        assert {row["actor"]["id"] for row in found} == set(label["actors"])
        times = [row["time"] for row in found]
        assert (label["from"], label["to"]) == (min(times, key=ms), max(times, key=ms))
        assert {row["subject"]["id"] for row in found if "subject" in row} <= set(label["subjects"])
    assert sum(len(label["events"]) for label in labels()) == len(guilty())


def test_nobody_plays_in_two_stories_and_most_are_innocent() -> None:
    players = [actor for label in labels() for actor in label["actors"]]
    assert len(players) == len(set(players)) < 0.25 * WIDE.actors
    assert len(guilty()) < 0.02 * len(rows())


def test_misusers_do_their_ordinary_work_besides() -> None:
    honest = Counter(row["actor"]["id"] for row in rows() if row["id"] not in guilty())
    for label in labels():
        least = 0 if label["typology"] == "sleeper" else 10
        assert all(honest[actor] >= least for actor in label["actors"]), label["typology"]


# What tells the typologies apart.


def stories(typology: str) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    return [(label, [by_id()[name] for name in label["events"]]) for label in labels() if label["typology"] == typology]


@cache
def staff() -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in world().reference() if row["record"] == "actor"}


def test_nobody_honest_meets_a_honeytoken_and_every_honeytoken_story_does() -> None:
    decoys = {row["id"] for row in world().reference() if "honeytoken" in row.get("tags", ())}
    assert len(decoys) >= 12
    for row in rows():
        if row["id"] not in guilty():
            assert row.get("subject", {}).get("id") not in decoys
    assert all(decoys & set(label["subjects"]) for label, _ in stories("honeytoken"))


def test_honest_people_leave_themselves_to_a_colleague() -> None:
    own = {name: {who["person"], who["address"], *who["plates"], *who["household"]} for name, who in staff().items()}
    for row in rows():
        if row["id"] not in guilty() and "subject" in row:
            assert row["subject"]["id"] not in own[row["actor"]["id"]]
    for label, found in stories("self-and-kin"):
        if label["scenario"] == "own-name":
            # A finger may slip even on the own plate.
            assert all(row["subject"]["id"] in own[row["actor"]["id"]] for row in found if row["results"] == 1)


def test_honest_people_do_meet_relatives_and_colleagues_at_work() -> None:
    near = {name: set(who["relatives"]) for name, who in staff().items()}
    employees = {who["person"] for who in staff().values()}
    met = [row for row in rows() if row["id"] not in guilty() and "subject" in row]
    assert any(row["subject"]["id"] in near[row["actor"]["id"]] for row in met)
    assert any(row["subject"]["id"] in employees for row in met)


def test_a_sleeper_sleeps_until_the_second_half() -> None:
    half = calendar.midnight(WIDE.start) + WIDE.days // 2 * calendar.DAY
    for label, found in stories("sleeper"):
        mine = [row for row in rows() if row["actor"]["id"] in label["actors"]]
        assert min(ms(row["time"]) for row in mine) > half
        assert not any(row["action"] == "search" for row in found)


def test_accounts_are_misused_where_their_owner_is_not() -> None:
    told = {label["scenario"]: (label, found) for label, found in stories("account-misuse")}
    label, found = told["leaver"]
    assert all(ms(row["time"]) > ms(staff()[label["actors"][0]]["left"]) for row in found)
    label, found = told["on-leave"]
    leave = staff()[label["actors"][0]]["leave"]
    assert all(any(ms(one["from"]) <= ms(row["time"]) < ms(one["to"]) for one in leave) for row in found)
    label, found = told["two-places"]
    mine = [
        row for row in rows() if row["actor"]["id"] in label["actors"] and row["id"] not in guilty() and "client" in row
    ]
    for row in (row for row in found if "client" in row):
        assert any(
            abs(ms(other["time"]) - ms(row["time"])) < 40 * calendar.MINUTE
            and other["client"]["area"] != row["client"]["area"]
            for other in mine
        )


def test_no_honest_lookup_comes_after_somebody_has_left() -> None:
    left = {name: ms(who["left"]) for name, who in staff().items() if who["left"]}
    assert len(left) > 1
    for row in rows():
        if row["actor"]["id"] in left and row["id"] not in guilty():
            assert ms(row["time"]) < left[row["actor"]["id"]] + calendar.DAY // 2


def test_leaks_are_known_outside_after_the_lookup() -> None:
    for label, found in stories("leak-trace"):
        first = {row["subject"]["id"]: ms(row["time"]) for row in reversed(found) if "subject" in row}
        assert len(label["leaked"]) >= 5
        assert all(first[subject] < ms(known) for subject, known in label["leaked"].items())


def test_a_ring_is_of_different_units_mostly_and_looks_within_days() -> None:
    for label, found in stories("shared-interest"):
        assert len({row["actor"]["unit"] for row in found}) >= 2
        assert len(label["actors"]) >= 3
        most = {"blatant": 4, "middling": 5, "careful": 8}[label["care"]]
        assert ms(label["to"]) - ms(label["from"]) < most * calendar.DAY


def test_support_reads_content_in_its_stories() -> None:
    for _, found in stories("support-staff"):
        assert {row["actor"]["role"] for row in found} == {"support"}
        assert not {row["subject"]["kind"] for row in found if "subject" in row} & {"object"}


def test_the_careful_give_a_reason_and_the_blatant_hardly_ever() -> None:
    given: defaultdict[str, list[bool]] = defaultdict(list)
    for label in labels():
        given[label["care"]] += ["purpose" in by_id()[name] for name in label["events"]]
    assert all(given["careful"])
    assert sum(given["blatant"]) / len(given["blatant"]) < 0.4
    assert 0.4 < sum(given["middling"]) / len(given["middling"]) < 0.95


def test_a_slope_rises() -> None:
    for label, found in stories("grooming-slope"):
        begin, end = ms(label["from"]), ms(label["to"])
        first = sum(ms(row["time"]) < (begin + end) / 2 for row in found)
        assert first < len(found) / 2, label["care"]
        assert {row["action"] for row in found} & {"export", "print", "list"}


# The honest majority is as messy as the table says.


def honest() -> list[Any]:
    return [look for _, look in world().looks if look.story < 0]


@pytest.mark.parametrize("job", sorted(FORGETS))
def test_purposes_are_left_out_as_often_as_the_table_says(job: str) -> None:
    mine = [look for look in honest() if look.who.job.name == job]
    missing = sum(look.why == NOTHING for look in mine) / len(mine)
    assert FORGETS[job] * 0.6 < missing < FORGETS[job] * 1.4 + 0.01


def test_people_differ_in_how_much_they_forget() -> None:
    share = defaultdict(list)
    for look in honest():
        if look.who.job.name == "patrol":
            share[look.who.id].append(look.why == NOTHING)
    rates = sorted(sum(mine) / len(mine) for mine in share.values() if len(mine) > 50)
    assert rates[len(rates) // 10] < 0.08
    assert rates[-len(rates) // 10] > 0.30


def test_honest_lookups_fall_outside_the_roster_and_outside_the_area() -> None:
    shifts = defaultdict(list)
    for row in world().reference():
        if row["record"] == "shift":
            shifts[row["actor"]].append((ms(row["from"]), ms(row["to"])))
    mine = honest()
    outside = sum(not any(begin <= look.ms < end for begin, end in shifts[look.who.id]) for look in mine) / len(mine)
    assert 0.01 < outside < 0.08
    local = [look for look in mine if look.who.job.local and look.subject in world().people.things]
    away = sum(world().people.things[look.subject].area != look.who.area for look in local) / len(local)
    assert 0.02 < away < 0.2
    stopped = [look for look in local if look.who.job.name == "traffic"]
    assert (
        0.1 < sum(world().people.things[look.subject].area != look.who.area for look in stopped) / len(stopped) < 0.35
    )


def test_some_swaps_and_sick_days_are_in_no_roster() -> None:
    written = {(row["actor"], row["from"][:10]) for row in world().staff.shifts}
    prepared = {who for plot in world().plots for who in plot.actors}
    free = [who for who in world().staff.accounts if who not in prepared]
    worked = {
        (who.id, calendar.day_of(duty.day * calendar.DAY + world().staff.zero)) for who in free for duty in who.duties
    }
    there = {who.id for who in free}
    assert 0.002 < len(worked - written) / len(worked) < 0.03, "worked, and not in the roster"
    assert 0.01 < len({key for key in written - worked if key[0] in there}) / len(worked) < 0.06, (
        "in the roster, and not at work"
    )


def test_plates_are_mistyped_and_cases_misnumbered_as_often_as_the_table_says() -> None:
    cars = [look for look in honest() if look.kind == "vehicle" and look.who.job.name in ("patrol", "traffic")]
    wrong = sum(look.results == 0 for look in cars) / len(cars)
    assert habits.TYPOS * 0.5 < wrong < habits.TYPOS * 1.5
    numbers = {case.id for case in world().tasks.cases}
    named = [look for look in honest() if look.why.case]
    unknown = sum(look.why.case not in numbers for look in named) / len(named)
    assert habits.WRONG_CASE * 0.3 < unknown < habits.WRONG_CASE * 1.7


def test_cases_are_opened_after_the_lookup_that_led_to_them() -> None:
    opened = {
        subject: case.opened
        for case in world().tasks.cases
        if case.unit.startswith("balie")
        for subject in [case.things[0].id]
    }
    before = [
        look
        for look in honest()
        if look.who.job.name == "intake" and 0 < opened.get(look.subject, 0) - look.ms < 2 * calendar.HOUR
    ]
    assert len(before) > 100


def test_rounds_over_many_cars_are_honest_and_only_partly_on_record() -> None:
    days: Counter[tuple[str, str]] = Counter()
    for look in honest():
        if look.who.job.name == "registry" and look.why.code == "audit":
            days[look.who.id, calendar.day_of(look.ms)] += 1
    rounds = [key for key, count in days.items() if count >= 50]
    recorded = [
        row
        for row in world().tasks.records
        if row["record"] == "dispatch" and len(row.get("subjects", ())) >= 50 and row.get("unit") == "kentekenbureau"
    ]
    assert len(rounds) > 10
    assert 0.4 < len(recorded) / len(rounds) < 0.97


# The small parts.


@given(st.integers(0, 2_000_000))
def test_plates_follow_each_other_and_are_never_the_same(number: int) -> None:
    here, there = plate(number), plate(number + 1)
    assert here != there
    assert len({plate(number + step)[-1] for step in range(16)}) == 16
    assert [len(part) for part in here.split("-")] == [2, 2, 2]


@given(st.integers(0, 4_000_000_000_000))
def test_stamps_are_the_moment_they_stand_for(moment: int) -> None:
    text = calendar.stamp(moment)
    assert round(datetime.fromisoformat(text).timestamp() * 1000) == moment
    assert text.startswith(calendar.day_of(moment))


@pytest.mark.parametrize("mean", [0.0, 0.3, 4.0, 59.0, 200.0])
def test_poisson_numbers_have_their_mean_and_spread(mean: float) -> None:
    rng = stream(1, "poisson")
    drawn = [poisson(rng, mean) for _ in range(4000)]
    average = sum(drawn) / len(drawn)
    assert abs(average - mean) < 0.05 * mean + 0.02
    assert abs(sum((one - average) ** 2 for one in drawn) / len(drawn) - mean) < 0.12 * mean + 0.02


def test_the_command_writes_the_three_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "out"), "--seed", "5", "--days", "20", "--actors", "80"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "events.jsonl",
        "labels.jsonl",
        "reference.jsonl",
    ]
    written = [json.loads(each) for each in (tmp_path / "out" / "labels.jsonl").read_text().splitlines()]
    assert written == labels(SMALL)
    assert "15 scenarios" in capsys.readouterr().out


@pytest.mark.parametrize("given", [("--days", "19"), ("--actors", "79"), ("--start", "yesterday")])
def test_a_world_too_small_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: tuple[str, str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main([str(tmp_path / "out"), *given])
    assert refused.value.code == 2
    assert given[0][2:] in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# Independence.


def test_it_imports_nothing_of_the_monitor() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in ("monitor", "tests", "rules")], path.name
            assert not (isinstance(node, ast.ImportFrom) and node.level), "an import that this test cannot follow"


def test_nothing_of_the_monitor_is_loaded_with_it() -> None:
    code = "import sys, bench.otherworld.world; print(sorted(name for name in sys.modules if name.split('.')[0] == 'monitor'))"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=HERE)
    assert ran.stdout.strip() == "[]"


def test_neither_monitor_nor_rules_know_of_it() -> None:
    kinds = (".py", ".yml", ".yaml")
    files = [path for folder in ("monitor", "rules") for path in (HERE / folder).rglob("*") if path.suffix in kinds]
    assert len(files) > 100
    assert not [path for path in files if "otherworld" in path.read_text()]


def test_it_reads_no_clock_and_no_common_chance() -> None:
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & {"random", "time", "os", "uuid", "secrets"}, path.name
            elif isinstance(node, ast.ImportFrom) and node.module == "random":
                assert [alias.name for alias in node.names] == ["Random"]
            elif isinstance(node, ast.Attribute):
                assert node.attr not in ("now", "today", "utcnow"), path.name


def test_modules_are_short() -> None:
    assert [path.name for path in PACKAGE.rglob("*.py") if len(path.read_text().splitlines()) > 400] == []

"""The made-up force: valid events, honest untidiness, labelled misuse, the same bytes every time."""

import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from monitor.simulate import TYPOLOGIES, Settings, Simulation, live, simulate, write

START = datetime(2026, 11, 2, tzinfo=timezone(timedelta(hours=1)))
ACTIONS = {"search", "read", "list", "export", "print", "follow"}
KINDS = {"person", "vehicle", "address", "phone", "company", "case", "object"}
DESIGNED = {
    "curiosity",
    "friend-favour",
    "self-and-kin",
    "followed-check",
    "investigation-check",
    "outside-work-area",
    "bulk-harvest",
    "low-and-slow",
    "grooming-slope",
    "sleeper",
    "support-staff",
    "shared-interest",
    "account-misuse",
    "honeytoken",
    "leak-trace",
}
OPTIONAL = {"subject", "query", "results", "purpose", "client", "outcome", "channel"}
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d")
Json = dict[str, Any]


@cache
def run(actors: int = 200, days: int = 7, seed: int = 1) -> tuple[Simulation, list[Json]]:
    simulation = simulate(Settings(start=START, seed=seed, days=days, actors=actors))
    return simulation, list(simulation.events())


def seconds(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else float("inf")


def first_arrivals(events: list[Json]) -> Iterator[Json]:
    seen = set()
    for event in events:
        if event["id"] not in seen:
            seen.add(event["id"])
            yield event


def of(simulation: Simulation, record: str) -> list[Json]:
    return [item for item in simulation.reference if item["record"] == record]


def labelled(simulation: Simulation) -> set[str]:
    return {ident for label in simulation.labels for ident in label["events"]}


class Explained:
    """Which lookups the reference data explains, worked out anew from the records alone."""

    def __init__(self, simulation: Simulation) -> None:
        self.unit = {item["id"]: item["unit"] for item in of(simulation, "actor")}
        self.spans: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
        links = defaultdict(set)
        for item in of(simulation, "link"):
            links[item["from_subject"]].add(item["to_subject"])
        for item in of(simulation, "case"):
            subjects = {item["id"], *item["subjects"]}.union(*(links[subject] for subject in item["subjects"]))
            self._add((item["unit"], *item["actors"]), subjects, item["opened"], item["closed"])
        for item in of(simulation, "dispatch"):
            self._add(item["actors"], item["subjects"], item["from"], item["to"])

    def _add(self, who: Any, subjects: Any, begin: str, end: str | None) -> None:
        for name in who:
            for subject in subjects:
                self.spans[name, subject].append((seconds(begin), seconds(end)))

    def __call__(self, event: Json) -> bool:
        actor, subject, when = event["actor"]["id"], event["subject"]["id"], seconds(event["time"])
        spans = [*self.spans[actor, subject], *self.spans[self.unit[actor], subject]]
        return any(begin <= when <= end for begin, end in spans)


def test_every_event_follows_the_schema() -> None:
    for event in run()[1]:
        assert event.keys() >= {"id", "time", "system", "action", "actor"}
        assert event.keys() - {"id", "time", "system", "action", "actor"} <= OPTIONAL
        assert len(event["id"]) <= 128
        assert event["id"].startswith(f"{event['system']}-2026-11-")
        assert RFC3339.fullmatch(event["time"])
        assert event["action"] in ACTIONS
        assert event["actor"]["id"]
        assert event["actor"].keys() <= {"id", "unit", "role"}
        if "subject" in event:
            assert event["subject"]["kind"] in KINDS
            assert event["subject"].keys() == {"kind", "id"}
            assert len(event["subject"]["id"]) <= 128
        if "purpose" in event:
            assert event["purpose"]
            assert event["purpose"].keys() <= {"case", "code", "text"}
        assert orjson.loads(orjson.dumps(event)) == event


def test_events_lie_in_the_run_and_ids_are_given_once_a_lookup() -> None:
    _, events = run()
    assert {event["time"][:10] for event in events if event["system"] != "phone"} == {
        f"2026-11-{day:02d}" for day in range(2, 9)
    }
    by_id = defaultdict(list)
    for event in events:
        by_id[event["id"]].append(event)
    assert all(copy == copies[0] for copies in by_id.values() for copy in copies)


def test_about_three_in_a_thousand_arrive_twice() -> None:
    _, events = run()
    copies = len(events) - len({event["id"] for event in events})
    assert 0.0015 < copies / len(events) < 0.0045


def test_most_arrive_in_order_some_late_a_few_by_hours() -> None:
    _, events = run()
    newest, lateness = 0.0, []
    for event in first_arrivals(events):
        when = seconds(event["time"])
        newest = max(newest, when)
        lateness.append(newest - when)
    assert sum(late < 1 for late in lateness) > 0.9 * len(lateness)
    assert any(5 < late < 60 for late in lateness)
    assert any(120 < late < 900 for late in lateness)
    assert 0 < sum(late > 3600 for late in lateness) < 0.03 * len(lateness)


@pytest.mark.parametrize(("actors", "days"), [(200, 7), (50, 1)])
def test_every_typology_of_the_design_is_played_and_labelled(actors: int, days: int) -> None:
    simulation, events = run(actors, days)
    assert set(TYPOLOGIES) == DESIGNED
    assert {label["typology"] for label in simulation.labels} == DESIGNED
    by_id = {event["id"]: event for event in events}
    for label in simulation.labels:
        assert label["scenario"]
        assert label["events"]
        assert len(set(label["events"])) == len(label["events"])
        assert {by_id[ident]["actor"]["id"] for ident in label["events"]} == set(label["actors"])
        named = {by_id[ident]["subject"]["id"] for ident in label["events"] if "subject" in by_id[ident]}
        assert named <= set(label["subjects"])
        times = [seconds(by_id[ident]["time"]) for ident in label["events"]]
        assert (seconds(label["from"]), seconds(label["to"])) == (min(times), max(times))


def test_a_lookup_has_at_most_one_label_and_no_event_tells() -> None:
    simulation, events = run()
    counts = Counter(ident for label in simulation.labels for ident in label["events"])
    assert set(counts.values()) == {1}
    wanted = labelled(simulation)
    misuse = [event for event in events if event["id"] in wanted]
    text = b"\n".join(orjson.dumps(event) for event in misuse)
    words = (*DESIGNED, "label", "typology", "scenario")
    assert not [word for word in words if f'"{word}"'.encode() in text]
    assert {key for event in misuse for key in event} <= {
        key for event in events if event["id"] not in wanted for key in event
    }
    codes = {event.get("purpose", {}).get("code") for event in misuse}
    assert codes <= {event.get("purpose", {}).get("code") for event in events if event["id"] not in wanted}


def test_a_leak_was_seen_whole_by_one_actor_and_in_part_by_others() -> None:
    simulation, events = run()
    leak = next(label for label in simulation.labels if label["typology"] == "leak-trace")
    assert set(leak["before"]) == set(leak["subjects"])
    seen = defaultdict(set)
    for event in events:
        subject = event.get("subject", {}).get("id")
        if subject in leak["before"] and seconds(event["time"]) <= seconds(leak["before"][subject]):
            seen[event["actor"]["id"]].add(subject)
    assert [actor for actor, subjects in seen.items() if subjects == set(leak["subjects"])] == leak["actors"]
    touched = {event["actor"]["id"] for event in events if event.get("subject", {}).get("id") in leak["before"]}
    assert len(touched) > 1


def test_rings_come_from_different_units() -> None:
    simulation, _ = run()
    unit = {item["id"]: item["unit"] for item in of(simulation, "actor")}
    for label in simulation.labels:
        if label["typology"] == "shared-interest":
            assert len({unit[actor] for actor in label["actors"]}) == len(label["actors"]) >= 3


def test_only_misuse_finds_a_honeytoken() -> None:
    simulation, events = run()
    planted = {item["id"] for item in of(simulation, "subject") if "honeytoken" in item["tags"]}
    found = {event["id"] for event in events if event.get("subject", {}).get("id") in planted}
    assert found
    assert found <= labelled(simulation)


@pytest.mark.parametrize("seed", [1, 2])
def test_eight_to_twelve_per_cent_of_ordinary_work_is_unexplained(seed: int) -> None:
    simulation, events = run(seed=seed)
    explained, misuse = Explained(simulation), labelled(simulation)
    work = [event for event in first_arrivals(events) if event["id"] not in misuse and "subject" in event]
    share = sum(not explained(event) for event in work) / len(work)
    assert 0.08 < share < 0.12


def test_misuse_is_seldom_explained() -> None:
    simulation, events = run()
    explained, misuse = Explained(simulation), labelled(simulation)
    bad = [event for event in first_arrivals(events) if event["id"] in misuse and "subject" in event]
    assert sum(map(explained, bad)) / len(bad) < 0.05


def test_ordinary_work_has_its_slips() -> None:
    simulation, events = run()
    misuse = labelled(simulation)
    work = [event for event in events if event["id"] not in misuse]
    known = {item["id"] for item in of(simulation, "subject")}
    cases = {item["id"] for item in of(simulation, "case")}
    shifts = defaultdict(list)
    for item in of(simulation, "shift"):
        shifts[item["actor"]].append((seconds(item["from"]), seconds(item["to"])))
    unknown = [event for event in work if "subject" in event and event["subject"]["id"] not in known]
    assert unknown
    assert all(event["subject"]["kind"] == "vehicle" for event in unknown)
    assert any(event.get("purpose", {}).get("case", next(iter(cases))) not in cases for event in work)
    off = [e for e in work if not any(a <= seconds(e["time"]) <= b for a, b in shifts[e["actor"]["id"]])]
    assert 0.005 < len(off) / len(work) < 0.08
    assert any("client" not in event for event in work)
    assert any("subject" not in event for event in work)
    assert len({event["client"]["terminal"][:2] for event in work if "terminal" in event.get("client", {})}) > 1


def test_client_programs_ask_on_within_seconds_for_the_same_purpose() -> None:
    """A plate is searched; the program reads the owner and asks whether the owner is wanted."""
    simulation, events = run()
    owner = {item["id"]: item.get("owner") for item in of(simulation, "subject")}
    by_actor = defaultdict(list)
    for event in sorted(first_arrivals(events), key=lambda event: seconds(event["time"])):
        by_actor[event["actor"]["id"]].append(event)
    asked = 0
    for own in by_actor.values():
        for at, event in enumerate(own):
            if event.get("query", {}).get("fields") != ["wanted"]:
                continue
            asked += 1
            near = [each for each in own[:at] if 0 <= seconds(event["time"]) - seconds(each["time"]) <= 4]
            clicks = [each for each in near if (each["system"], each["action"]) == ("rdw", "search")]
            plates = {each["subject"]["id"] for each in clicks if "subject" in each}
            if "subject" in event and len(plates) == len(clicks):
                assert event["subject"]["id"] in {owner[plate] for plate in plates if plate in owner}
            assert event.get("purpose") in [each.get("purpose") for each in clicks]
    assert 20 < asked < 0.1 * len(events)
    assert not {event["id"] for event in events if event.get("query", {}).get("fields") == ["wanted"]} & labelled(
        simulation
    )


def test_nobody_works_after_leaving_but_misused_accounts() -> None:
    simulation, events = run()
    misuse = labelled(simulation)
    left = {item["id"]: seconds(item["left"]) for item in of(simulation, "actor") if item["left"]}
    late = [event for event in events if seconds(event["time"]) > left.get(event["actor"]["id"], float("inf"))]
    assert all(event["id"] in misuse for event in late)


def test_reference_names_only_what_exists() -> None:
    simulation, _ = run()
    known = {item["id"] for item in of(simulation, "subject")}
    actors = {item["id"] for item in of(simulation, "actor")}
    units = {item["id"] for item in of(simulation, "unit")}
    keys = [(item["record"], item["id"]) for item in simulation.reference]
    assert len(set(keys)) == len(keys)
    assert {name for name, _ in keys} == {
        "actor",
        "unit",
        "subject",
        "case",
        "dispatch",
        "watch",
        "shift",
        "link",
    }
    for item in simulation.reference:
        assert set(item.get("subjects", ())) <= known
        assert {*item.get("actors", ()), *item.get("may_know", ())} <= actors
        assert item.get("unit") is None or item["unit"] in units
        if item["record"] == "link":
            assert {item["from_subject"], item["to_subject"]} <= known
    tags = {tag for item in of(simulation, "subject") for tag in item["tags"]}
    assert tags >= {"honeytoken", "vip", "in-news", "employee"}
    assert 0 < sum(len(item) < 13 for item in of(simulation, "actor")) < 30


def test_labels_do_not_need_the_events_first_and_do_not_change() -> None:
    simulation = simulate(Settings(start=START, days=1, actors=50))
    before = simulation.labels
    assert list(live(simulation)) == list(simulation.events())
    assert simulation.labels == before


def test_the_seed_changes_the_run() -> None:
    assert run(50, 1)[1] != run(50, 1, seed=2)[1]


def test_volume_and_misuse_grow_with_the_force() -> None:
    small, few = run(100, 7)
    large, many = run(400, 7)
    assert 3 < len(many) / len(few) < 5
    assert len(large.labels) > len(small.labels)
    assert 0.5 * 100 * 7 * 15 < len(few) < 100 * 7 * 60


SCRIPT = """
import sys
from datetime import datetime
from pathlib import Path
from monitor.simulate import Settings, simulate, write
settings = Settings(start=datetime.fromisoformat(sys.argv[1]), days=2, actors=60)
print(write(simulate(settings), Path(sys.argv[2])))
"""


def test_the_same_seed_gives_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    for name in ("1", "2"):
        command = [sys.executable, "-c", SCRIPT, START.isoformat(), str(tmp_path / name)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": name}, capture_output=True)
    for file in ("events.jsonl", "reference.jsonl", "labels.jsonl"):
        one, two = (tmp_path / name / file for name in ("1", "2"))
        assert one.read_bytes() == two.read_bytes()


def test_write_counts_its_lines(tmp_path: Path) -> None:
    simulation = simulate(Settings(start=START, days=1, actors=50))
    counts = write(simulation, tmp_path / "new" / "folder")
    lines = {file.stem: file.read_bytes().splitlines() for file in (tmp_path / "new" / "folder").iterdir()}
    assert {name: len(found) for name, found in lines.items()} == vars(counts)
    assert [orjson.loads(line) for line in lines["labels"]] == simulation.labels


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"days": 0}, "at least one day"),
        ({"actors": 3}, "at least 20"),
        ({"start": datetime(2026, 1, 1)}, "no offset"),
    ],
)
def test_settings_that_cannot_be_simulated_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Settings(**{"start": START, **wrong})


@pytest.mark.parametrize("day", [datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 7, tzinfo=UTC)])
@pytest.mark.parametrize("actors", [20, 50])
def test_short_runs_of_small_forces_work_on_any_day(day: datetime, actors: int) -> None:
    simulation = simulate(Settings(start=day, days=1, actors=actors))
    assert {label["typology"] for label in simulation.labels} == DESIGNED

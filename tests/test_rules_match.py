"""``monitor rules match`` as a process: its output, what it says of bad lines, and how little it imports."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from monitor.matching import Matcher, flat
from monitor.rules import load_texts, read_dir
from tests import corpus


def run(*arguments: str | Path, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "monitor", "rules", "match", *map(str, arguments)],
        env={**os.environ, "COLUMNS": "200", **environment},
        input=stdin,
        capture_output=True,
        timeout=90,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 200 rules, and a log of which some pieces are many."""
    place, chance = tmp_path_factory.mktemp("match"), random.Random(7)
    (place / "rules" / "deep").mkdir(parents=True)
    for number in range(200):
        (place / "rules" / ("deep" if number % 2 else ".") / f"{number:03}.yml").write_text(corpus.rule(chance, number))
    events = [corpus.event(chance) for _ in range(300)]
    (place / "events.jsonl").write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
    return place


def test_every_match_is_a_line_in_order(place: Path) -> None:
    done = run("--rules", place / "rules", place / "events.jsonl")
    assert (done.returncode, done.stderr) == (0, b"")
    rules = load_texts(read_dir(place / "rules"), foreign=True).rules
    expected = [
        f'{{"line": {number}, "rule_id": "{rule.id}"}}'
        for number, line in enumerate((place / "events.jsonl").read_bytes().splitlines(), 1)
        for rule in rules.detections
        if rule.predicate(flat(orjson.loads(line)))
    ]
    assert done.stdout.decode().splitlines() == expected
    assert len(expected) > 1000


def test_several_processes_write_the_same_bytes(place: Path, tmp_path: Path) -> None:
    log = (place / "events.jsonl").read_bytes() * 90  # some 4 MB, so that there are pieces to share out
    (tmp_path / "events.jsonl").write_bytes(log)
    done = [
        run("--rules", place / "rules", "--jobs", jobs, "--out", tmp_path / jobs, tmp_path / "events.jsonl")
        for jobs in ("1", "3")
    ]
    assert [(each.returncode, each.stdout, each.stderr) for each in done] == [(0, b"", b"")] * 2
    assert len(log) > 3 << 20
    assert (tmp_path / "1").read_bytes() == (tmp_path / "3").read_bytes()
    last = orjson.loads((tmp_path / "3").read_bytes().splitlines()[-1])
    assert last["line"] > 89 * 300


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_and_gzip(place: Path, packed: bool, tmp_path: Path) -> None:
    log = (place / "events.jsonl").read_bytes()
    expected = run("--rules", place / "rules", place / "events.jsonl").stdout
    given = gzip.compress(log) if packed else log
    (tmp_path / "log").write_bytes(given)
    assert run("--rules", place / "rules", tmp_path / "log").stdout == expected
    assert run("--rules", place / "rules", "-", stdin=given).stdout == expected


def test_a_bad_line_is_said_with_its_number_and_the_others_are_matched(place: Path, tmp_path: Path) -> None:
    lines = (place / "events.jsonl").read_bytes().splitlines()[:30]
    lines[4:4] = [b"{", b"[]", b""]
    log = b"\n".join(lines)
    (tmp_path / "log").write_bytes(log)
    done = run("--rules", place / "rules", tmp_path / "log")
    assert done.returncode == 1
    said = done.stderr.decode().splitlines()
    assert [line.split(": ")[0] for line in said] == [f"{tmp_path}/log:5", f"{tmp_path}/log:6"]
    matched = Matcher(load_texts(read_dir(place / "rules"), foreign=True).rules).run(log, 1)
    assert done.stdout == matched.output
    assert {orjson.loads(line)["line"] for line in done.stdout.splitlines()} > {33}


def test_a_bad_rule_is_said_and_the_others_run(place: Path, tmp_path: Path) -> None:
    (tmp_path / "good.yml").write_text(corpus.rule(random.Random(1), 1))
    (tmp_path / "bad.yml").write_text("title: x\ndetection:\n  s:\n    a|contians: b\n  condition: s\n")
    (tmp_path / "correlation.yml").write_text("title: x\ncorrelation: {type: event_count, rules: [x]}\n")
    done = run("--rules", tmp_path, place / "events.jsonl")
    assert done.returncode == 1
    assert done.stderr.decode().startswith(f"{tmp_path}/bad.yml:4:5: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rules", "nowhere", "x"), "nowhere is not a folder of rules"),
        (("--rules", "{rules}", "nowhere"), "nowhere: No such file"),
        (("--rules", "{rules}", "{rules}"), "directory"),
        (("x",), "Missing option"),
        (("--rules", "{rules}", "--jobs", "0", "-"), "Invalid value for '--jobs'"),
        (("--rules", "{rules}", "--out", "{rules}/no/where", "-"), "no/where: No such file"),
    ],
)
def test_wrong_use_is_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run(*(each.replace("{rules}", str(tmp_path)) for each in arguments))
    assert done.returncode == 2
    assert said in " ".join(done.stderr.decode().replace("│", " ").split())
    assert b"Traceback" not in done.stderr


def test_half_a_gzip_file_is_broken_and_its_first_half_matched(place: Path, tmp_path: Path) -> None:
    packed = gzip.compress((place / "events.jsonl").read_bytes() * 90)
    (tmp_path / "log.gz").write_bytes(packed[: len(packed) // 2])
    done = run("--rules", place / "rules", tmp_path / "log.gz")
    assert done.returncode == 2
    assert b"not a whole gzip file" in done.stderr
    assert done.stdout


def test_a_reader_that_goes_away_is_no_crash(place: Path, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes((place / "events.jsonl").read_bytes() * 20)
    command = f"{sys.executable} -m monitor rules match --rules {place / 'rules'} {tmp_path / 'log'} | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60, check=False)
    assert done.stdout.startswith(b'{"line": ')
    assert b"Traceback" not in done.stderr


def test_nothing_is_imported_that_is_not_needed(place: Path, tmp_path: Path) -> None:
    """What takes long to import: matching must be ready before the rest has even been looked at."""
    (tmp_path / "log").write_bytes(b"{}\n")
    script = (
        "import sys\nfrom monitor.cli import main\n"
        f"sys.argv = ['monitor', 'rules', 'match', '--rules', {str(place / 'rules')!r}, {str(tmp_path / 'log')!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    for _ in range(2):  # the second time the rules come from the cache
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    loaded = set(done.stdout.splitlines()[-1].split())
    slow = {
        "faust",
        "river",
        "kafka",
        "aiokafka",
        "rich",
        "numpy",
        "scipy",
        "ruamel",
        "uvloop",
        "structlog",
        "pyparsing",
    }
    assert not loaded & slow
    assert {"monitor", "msgspec", "orjson"} <= loaded

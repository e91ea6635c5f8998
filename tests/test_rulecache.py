"""The cache of parsed rules is only ever a help: the same rules with it and without, whatever happens to its file."""

from __future__ import annotations

import multiprocessing
import os
import random
import sqlite3
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from monitor import rulecache
from monitor.rulecache import RuleCache, cache_file, kept_rules, parser_version, read_rules
from monitor.rules import LoadReport, load_texts, read_dir
from monitor.settings import pack_dir
from tests import corpus
from tests.rules.samples import correlation, detection

CHANCE = random.Random(5)
TEXTS = {f"{number}.yml": corpus.rule(CHANCE, number) for number in range(60)}
EVENTS = [corpus.event(CHANCE) for _ in range(200)]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cache is, which nobody has written yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = cache_file()
    assert found is not None
    assert found.parent == tmp_path / "cache" / "lookup-monitor" / "rules"
    return found


def load(texts: dict[str, str] | None = None) -> tuple[LoadReport, int]:
    """The rules by way of the cache, and how many texts were new to it."""
    with kept_rules() as cache:
        report = load_texts(TEXTS if texts is None else texts, foreign=True, cache=cache)
    return report, len(cache)


def verdicts(report: LoadReport) -> list[Any]:
    return [
        (rule.id, rule.fingerprint, rule.tree, rule.witness, [rule.predicate(event) for event in EVENTS])
        for rule in report.rules.detections
    ]


def test_the_rules_are_the_same_with_the_cache_and_nothing_is_parsed_twice(file: Path) -> None:
    plain = load_texts(TEXTS, foreign=True)
    first, second = load(), load()
    assert (first[1], second[1]) == (60, 0)
    assert verdicts(first[0]) == verdicts(plain)
    assert verdicts(second[0]) == verdicts(plain)
    assert load({**TEXTS, "new.yml": corpus.rule(random.Random(6), 99)})[1] == 1
    assert load({**TEXTS, "new.yml": TEXTS["1.yml"] + "\n# changed\n"})[1] == 1


def test_the_pack_is_the_same_with_the_cache(file: Path) -> None:
    texts = read_dir(pack_dir())
    for _ in range(2):
        with kept_rules() as cache:
            report = load_texts(texts, cache=cache)
        assert report.problems == []
        assert report.rules.by_id == load_texts(texts).rules.by_id
    assert len(cache) == 0


def test_problems_keep_their_places(file: Path) -> None:
    listed = detection({"s": {"a|expand": "%none%"}}, name="listed").replace('"a|expand"', '\n\n   "a|expand"')
    twice = detection({"a": 1}) + "\n---\n" + detection({"a": 2}, name="base").replace(',"name":', ',\n "name":')
    texts = {"a.yml": listed, "b.yml": twice, "c.yml": correlation(rules=["nobody"]), "d.yml": "title: x\nid: [\n"}
    expected = load_texts(texts).problems
    assert {(each.path, each.line > 1) for each in expected} >= {("b.yml", True)}
    for _ in range(2):
        with kept_rules() as cache:
            assert load_texts(texts, cache=cache).problems == expected
    assert len(cache) == 0, "what cannot be parsed is not kept; all else was"


def test_what_rules_need_besides_their_texts_is_there_with_the_cache_too(file: Path) -> None:
    rules = {
        "listed.yml": detection({"s": {"User|expand": "%names%"}}, name="listed"),
        "wrong.yml": detection({"s": [None]}, name="wrong").replace('"detection"', '\n"detection"'),
        "good.yml": detection({"s": {"User|re": "x"}}, name="good"),
        "lists/names.txt": "ann\nbob\n",
    }
    for _ in range(3):
        report, _ = load(rules)
        assert [(each.path, each.line) for each in report.problems] == [("wrong.yml", 2)]
        matched = [[rule.title for rule in report.rules.matches({"User": name})] for name in ("ann", "Bob", "x", "y")]
        assert matched == [["listed"], ["listed"], ["good"], []]


def damage_bytes(file: Path) -> None:
    data = bytearray(file.read_bytes())
    for at in range(5000, len(data), 211):
        data[at] ^= 0x55
    file.write_bytes(data)


def damage_values(file: Path) -> None:
    with sqlite3.connect(file) as base:
        base.execute("UPDATE kept SET value = CAST(REPLACE(CAST(value AS TEXT), 'Rule 1', 'Rule 2') AS BLOB)")
        base.execute("UPDATE kept SET value = 7 WHERE rowid = 1")
    base.close()


def damage_keys(file: Path) -> None:
    """Every value under the key of another: which would be other rules."""
    with sqlite3.connect(file) as base:
        rows = base.execute("SELECT key, value FROM kept").fetchall()
        moved = [(key, rows[number - 1][1]) for number, (key, _) in enumerate(rows)]
        base.executemany("INSERT OR REPLACE INTO kept (key, value) VALUES (?, ?)", moved)
    base.close()


def other_table(file: Path) -> None:
    with sqlite3.connect(file) as base:
        base.execute("DROP TABLE kept")
        base.execute("CREATE TABLE kept (name TEXT)")
    base.close()


@pytest.mark.parametrize(
    "harm",
    [
        damage_bytes,
        damage_values,
        damage_keys,
        other_table,
        lambda file: file.write_bytes(b"not a database at all" * 1000),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:9000]),
        lambda file: file.chmod(0o666),
        lambda file: file.parent.chmod(0o777),
        lambda file: (file.unlink(), file.mkdir()),
    ],
    ids=lambda harm: harm.__name__,
)
def test_a_damaged_or_foreign_file_changes_nothing(file: Path, harm: Any) -> None:
    expected = verdicts(load()[0])
    harm(file)
    report, new = load()
    assert verdicts(report) == expected
    assert new > 0
    assert verdicts(load()[0]) == expected


def test_a_damaged_file_is_replaced(file: Path) -> None:
    load()
    file.write_bytes(b"not a database at all" * 1000)
    assert load()[1] == 60
    assert load()[1] == 0


def test_what_somebody_else_may_write_is_not_read(file: Path) -> None:
    """Whoever could write it would decide which rules run."""
    load()
    file.chmod(0o620)
    assert load()[1] == 60
    file.chmod(0o600)
    assert load()[1] == 0


def test_another_parser_reads_for_itself(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    load()
    now = parser_version()
    monkeypatch.setattr(rulecache, "PARSER", "another")
    assert parser_version() != now
    assert load()[1] == 60
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(rulecache, "_installed", lambda module, package: f"{package}-9.dist-info")
    assert parser_version() != now
    assert load()[1] == 60
    monkeypatch.undo()
    assert parser_version() == now


def test_it_knows_the_packages_that_are_installed() -> None:
    for module, package in rulecache._PACKAGES:
        assert rulecache._installed(module, package).endswith(f"-{version(package)}.dist-info")


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"XDG_CACHE_HOME": "/somewhere"}, "/somewhere/lookup-monitor/rules"),
        ({"XDG_CACHE_HOME": "relative"}, f"{Path.home()}/.cache/lookup-monitor/rules"),
        ({}, f"{Path.home()}/.cache/lookup-monitor/rules"),
    ],
)
def test_where_it_is(environment: dict[str, str], place: str) -> None:
    found = cache_file(environment)
    assert found is not None
    assert str(found.parent) == place


def test_without_a_place_to_write_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    report, new = load()
    assert len(report.rules.detections) == new == 60


def test_it_stays_bounded_and_keeps_the_newest(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rulecache, "MAX_BYTES", 20_000)
    for number in range(30):
        cache = RuleCache(file, "v")
        cache.update({f"{number}-{each}": bytes(1000) for each in range(5)})
        cache.save()
    assert file.stat().st_size < 60_000
    kept = RuleCache(file, "v")
    assert kept.get("29-4") == bytes(1000)
    assert kept.get("0-0") is None
    assert kept.get("29-4-other") is None
    large = RuleCache(file, "v")
    large.update({f"large-{each}": bytes(1000) for each in range(500)})
    large.save()
    assert file.stat().st_size < 60_000


def fill(file: Path, number: int) -> None:
    for each in range(20):
        cache = RuleCache(file, "v")
        cache[f"{number}-{each}"] = b"%d" % each
        cache["shared"] = b"the same"
        cache.save()
        assert cache["shared"] == b"the same"
    os._exit(0)


def test_many_at_once(tmp_path: Path) -> None:
    file = tmp_path / "rules" / "cache"
    processes = [multiprocessing.get_context("fork").Process(target=fill, args=(file, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0] * 4
    cache = RuleCache(file, "v")
    assert sum(cache.get(f"{number}-{each}") == b"%d" % each for number in range(4) for each in range(20)) == 80


def test_a_folder_is_read_as_by_the_core(tmp_path: Path) -> None:
    for name, text in {
        "a.yml": b"title: A\r\nid: \xff\r\n",
        "deep/er/b.yaml": b"x: 1\r",
        "lists/names.txt": b"a\r\nb\n",
        "not/names.txt": b"a",
        "readme.md": b"#",
        ".hidden/c.yml": b"x: 1",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text)
    (tmp_path / "folder.yml").mkdir()
    (tmp_path / "link.yml").symlink_to(tmp_path / "a.yml")
    (tmp_path / "gone.yml").symlink_to(tmp_path / "nothing")
    (tmp_path / "circle").symlink_to(tmp_path)
    assert read_rules(tmp_path) == read_dir(tmp_path)
    assert len(read_rules(tmp_path)) == 5
    assert read_rules(pack_dir()) == read_dir(pack_dir())

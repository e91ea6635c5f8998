"""The archive keeps every lookup once, and what was read with what was written, whatever happens."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest

from monitor.archive.rows import row_of
from monitor.archive.store import MAX_FILES, Archive, ArchiveBusy, ArchiveMissing
from monitor.history.ask import History
from tests.archive.made import DAY, START, archive, lookup

WRITER = """
import itertools, sys
from pathlib import Path
from monitor.archive.rows import row_of
from monitor.archive.store import Archive
from tests.archive.made import lookup
there = Archive(Path(sys.argv[1]))
there.create()
at = there.positions(["k/0"]).get("k/0", 0)
print(at, flush=True)
for first in itertools.count(at, 10):
    there.append([row_of(lookup(number)) for number in range(first, first + 10)], {"k/0": first + 10})
    print(first + 10, flush=True)
"""


def ids(there: Archive) -> list[str]:
    return sorted(name for (name,) in History(there).db.execute("SELECT id FROM lookups").fetchall())


def on_disk(there: Archive) -> bytes:
    return b"".join(path.read_bytes() for path in there.folder.rglob("*") if path.is_file())


def test_what_comes_again_is_there_once(tmp_path: Path) -> None:
    there = archive(tmp_path)
    rows = [row_of(lookup(number)) for number in range(5)]
    assert there.append(rows[:3] + rows[1:3], {"k/0": 3}) == 3
    assert there.append(rows, {"k/0": 5}) == 2
    assert ids(there) == [f"x-{number}" for number in range(5)]


def test_the_same_id_on_another_day_or_of_another_register_is_another_lookup(tmp_path: Path) -> None:
    there = archive(tmp_path, lookup(1))
    again = [lookup(1, ts=START + DAY), lookup(1, system="rdw")]
    assert there.append([row_of(each) for each in again], {}) == 2


def test_how_far_was_read_is_noted_also_when_nothing_is_new(tmp_path: Path) -> None:
    there = archive(tmp_path)
    assert there.positions(["k/0"]) == {}
    there.append([row_of(lookup(1))], {"k/0": 7})
    there.append([row_of(lookup(1))], {"k/0": 8, "k/1": 4})
    assert there.positions(["k/0", "k/1", "k/2"]) == {"k/0": 8, "k/1": 4}
    there.append([], {"k/0": 11})
    assert Archive(there.folder).positions(["k/0"]) == {"k/0": 11}


def test_two_writers_do_not_both_say_how_far_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, other = archive(tmp_path), Archive(tmp_path / "archive")
    stale = there._open()
    other.append([row_of(lookup(1))], {"k/0": 5})
    monkeypatch.setattr(Archive, "_open", lambda self: stale)
    with pytest.raises(ArchiveBusy):
        there.append([row_of(lookup(2))], {"k/0": 3})
    monkeypatch.undo()
    assert there.positions(["k/0"]) == {"k/0": 5}
    assert ids(there) == ["x-1"]


def test_kill_9_at_any_moment_leaves_what_is_said_to_be_read(tmp_path: Path) -> None:
    folder, rng = tmp_path / "archive", random.Random(5)
    for _ in range(4):
        environment = {**os.environ, "PYTHONPATH": os.getcwd()}
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(4)]
        time.sleep(
            rng.uniform(0.0, 0.4)
        )  # not to wait for something: so that it strikes anywhere in what is being done
        process.send_signal(signal.SIGKILL)
        process.wait()
        there = Archive(folder)
        at = there.positions(["k/0"])["k/0"]
        assert at >= said[-1]
        assert ids(there) == sorted(f"x-{number}" for number in range(at))


def test_the_files_of_a_day_are_put_together_and_nothing_changes(tmp_path: Path) -> None:
    there = archive(tmp_path)
    for number in range(MAX_FILES + 1):
        there.append([row_of(lookup(number, subject__id=f"p-{9 - number}"))], {})
    there.append([row_of(lookup(99, ts=START + DAY))], {})
    before = ids(there)
    assert there.days() == {date(2026, 1, 5): MAX_FILES + 1, date(2026, 1, 6): 1}
    assert there.compact(date(2026, 1, 5)) == []
    assert there.compact(date(2026, 1, 6)) == [date(2026, 1, 5)]
    assert there.days() == {date(2026, 1, 5): 1, date(2026, 1, 6): 1}
    assert ids(there) == before
    # Whoever reads the old files goes on reading them until they are cleared away.
    assert len(list(there.folder.rglob("*.parquet"))) == MAX_FILES + 3
    there.forget(date(2000, 1, 1))
    assert len(list(there.folder.rglob("*.parquet"))) == MAX_FILES + 3
    there.forget(date(2000, 1, 1), unused_hours=0)
    assert len(list(there.folder.rglob("*.parquet"))) == 2
    assert ids(there) == before


def test_what_is_too_old_goes_from_the_disk_but_for_what_is_held(tmp_path: Path) -> None:
    secret = "p-secret"
    there = archive(
        tmp_path,
        lookup(1, subject__id=secret),
        lookup(2, subject__id="o'hara"),
        lookup(3, actor__id="o-held"),
        lookup(4, subject__id=None),
        lookup(5, ts=START + DAY),
    )
    assert secret.encode() in on_disk(there)
    assert there.forget(date(2026, 1, 6), held=["o'hara", "o-held"], unused_hours=0) == 2
    assert ids(there) == ["x-2", "x-3", "x-5"]
    assert secret.encode() not in on_disk(there)


def test_where_there_is_no_archive_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArchiveMissing, match="monitor archive run"):
        Archive(tmp_path).positions(["k/0"])


def test_without_delta_lake_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(ArchiveMissing, match=r"lookup-monitor\[history\]"):
        Archive(tmp_path)

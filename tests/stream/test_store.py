"""The store on disk is a mapping, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import events
from monitor.enrich import enrich
from monitor.reference import Reference, decode
from monitor.simulate import Settings, simulate
from monitor.stream import store as module
from monitor.stream.store import BlobStore
from tests.simulate.test_simulation import START

KEY = st.sampled_from(["", "a", "b", "\x00", "a\x00", "é"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "remove", "get", "list"]), KEY, st.binary(max_size=9)),
    max_size=50,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sampled_from([1, 3, 1000]))
def test_as_a_plain_dictionary(steps: list[tuple[str, str, bytes]], batch: int) -> None:
    store, plain = BlobStore(), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCH", batch)
        for what, key, value in steps:
            if what == "set":
                store.update({key: value})
                plain[key] = value
            elif what == "remove":
                assert store.pop(key, None) == plain.pop(key, None)
            elif what == "list":
                assert sorted(store) == sorted(plain)
                assert len(store) == len(plain)
            assert store.get(key) == plain.get(key)
    assert dict(store) == plain
    with pytest.raises(KeyError):
        store["not there"]
    store.close()


def files_of(process: psutil.Process) -> list[Path]:
    """The open files of a process that have no name any more."""
    found = []
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # the folder itself, which was open while it was listed
            if "reference.sqlite" in os.readlink(link):
                found.append(link)
    return found


@pytest.mark.usefixtures("lax_umask")
def test_the_file_is_private_and_has_no_name(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    store.update({f"k{number}": b"x" * 100 for number in range(50_000)})
    assert list(tmp_path.iterdir()) == []
    (file,) = files_of(psutil.Process())
    found = file.stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_nlink == 0
    assert found.st_size > 50_000 * 100
    assert store["k49999"] == b"x" * 100
    store.close()
    assert files_of(psutil.Process()) == []


KILLED = """
import sys, time
from pathlib import Path
from monitor.stream.store import BlobStore
store = BlobStore(Path(sys.argv[1]))
store.update({f"k{number}": b"x" * 100 for number in range(50_000)})
print("written", flush=True)
time.sleep(600)
"""


def test_kill_9_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"written\n"
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert list(tmp_path.rglob("*")) == []


def test_a_world_on_disk_enriches_as_one_in_memory() -> None:
    force = simulate(Settings(start=START, days=2, actors=40))
    records = [decode(orjson.dumps(record)) for record in force.reference]
    store = BlobStore()
    disk, memory = Reference(records, store, at_hand=50), Reference(records)
    for event in force.events():
        raw = orjson.dumps(event)
        found: list[dict[str, Any]] = [enrich(events.decode(raw, received_ms=2**42), known) for known in (disk, memory)]
        assert found[0] == found[1]
    store.close()


def test_a_hundred_thousand_subjects_take_no_memory_to_speak_of() -> None:
    store = BlobStore()
    known = Reference(store=store)
    process = psutil.Process()

    def put(first: int) -> None:
        for number in range(first, first + 100_000):
            known.put(decode(b'{"record":"subject","id":"p%08d","kind":"person","owner":"q%08d"}' % (number, number)))

    put(0)
    before = process.memory_info().rss
    put(100_000)
    assert process.memory_info().rss - before < 8 * 1024 * 1024
    assert len(known) == 200_000
    store.close()

"""State in RocksDB: a mapping like a dictionary, which leaves nothing behind and needs little memory."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.settings import Settings
from monitor.stream.rocks import StateFolder
from monitor.stream.tables import Tables
from monitor.stream.topics import DETECT_STATE, SCORE_STATE

KEY = st.sampled_from(["", "a", "b", "\x00", "a\x00", "é"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "pop", "delete", "get", "list"]), KEY, st.binary(max_size=9)), max_size=50
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> StateFolder:
    return StateFolder(tmp_path_factory.mktemp("rocks"))


@settings(max_examples=30, deadline=None)
@given(steps=STEPS)
def test_as_a_plain_dictionary(folder: StateFolder, steps: list[tuple[str, str, bytes]]) -> None:
    store, plain = folder.new_store(), dict[str, bytes]()
    for act, key, value in steps:
        if act == "set":
            store[key] = plain[key] = value
        elif act == "pop":
            assert store.pop(key, None) == plain.pop(key, None)
        elif act == "delete" and key in plain:
            del store[key], plain[key]
        elif act == "delete":
            with pytest.raises(KeyError):
                del store[key]
        else:
            assert store.get(key) == plain.get(key)
            assert (key in store) == (key in plain)
    assert dict(store.items()) == plain
    assert list(store) == sorted(plain, key=str.encode)
    assert len(store) == len(plain)
    store.close()


def test_nothing_is_left_of_a_store_or_its_process(tmp_path: Path) -> None:
    made = StateFolder(tmp_path)
    store = made.new_store()
    store["a"] = b"1"
    assert len(list(made.path.iterdir())) == 2
    del store
    assert [each.name for each in made.path.iterdir()] == ["lock"]
    del made
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_stays(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from monitor.stream.rocks import StateFolder
folder = StateFolder(Path({str(tmp_path)!r}))
store = folder.new_store()
store["a"] = b"1"
print(folder.path, flush=True)
input()
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    left = Path(process.stdout.readline().decode().strip())
    StateFolder(tmp_path)
    assert left.is_dir(), "another process uses it"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert left.is_dir()
    StateFolder(tmp_path)
    assert not left.exists()


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    program = f"""
import resource
from pathlib import Path
from monitor.stream.rocks import DiskFailed, StateFolder
store = StateFolder(Path({str(tmp_path)!r})).new_store()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
import os
try:
    for number in range(100_000):
        store[str(number)] = os.urandom(1000)
except DiskFailed as error:
    print("told:", error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=True)
    assert done.stdout.startswith(b"told: IO error"), done


def test_only_the_state_of_keys_is_on_disk(tmp_path: Path) -> None:
    made = Tables(Settings(store="rocksdb", state_dir=tmp_path))
    assert isinstance(made.new(SCORE_STATE, 0).values, dict)
    table = made.new(DETECT_STATE, 0)
    (out,) = table.change(3, [("actor/o-1", b"state")], 0)
    other = made.new(DETECT_STATE, 0)
    other.restore("actor/o-1", out.value)
    assert other.get("actor/o-1") == table.get("actor/o-1") == b"state"
    other.restore("actor/o-1", None)
    assert other.get("actor/o-1") is None


def test_much_state_needs_little_memory(tmp_path: Path) -> None:
    store = StateFolder(tmp_path).new_store()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(30_000):
        store[f"actor/o-{number}"] = os.urandom(10_000)
    assert store["actor/o-7"] != store["actor/o-8"]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 150 * 1024, "of 300 MB"

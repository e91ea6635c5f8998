"""What is written comes back, and whatever is changed in it is found."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.backup.format import (
    MANIFEST,
    Manifest,
    Record,
    encode,
    framed,
    hash_of,
    load,
    read_part,
    unframed,
    write_part,
)
from monitor.evidence import Damaged

raw = st.none() | st.binary(max_size=40)
headers = st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=8)), max_size=3).map(tuple)
rows = st.lists(st.tuples(st.integers(-1, 2**62), raw, raw, headers), max_size=20)


@given(st.sets(st.integers(0, 2**62), max_size=20), rows)
def test_records_come_back_as_they_were(offsets: set[int], found: list[tuple]) -> None:  # type: ignore[type-arg]
    records = [Record(offset, *row) for offset, row in zip(sorted(offsets), found, strict=False)]
    file = io.BytesIO(b"".join(map(framed, records)))
    assert list(unframed(file, "x")) == records


def backup(folder: Path) -> Manifest:
    records = [Record(offset, 5, b"k", b"v" * offset) for offset in (3, 4, 9)]
    part = write_part(folder, "lookup.a.v1", 0, (3, 10), records)
    assert (part.records, list(read_part(folder, part))) == (3, records)
    manifest = Manifest(program="1", made="now", partitions=4, parts=[part], groups={"g": {"lookup.a.v1": {0: 4}}})
    (folder / MANIFEST).write_bytes(encode(manifest))
    return manifest


def test_a_backup_is_loaded_and_its_files_are_their_owners_alone(tmp_path: Path) -> None:
    manifest = backup(tmp_path)
    assert load(tmp_path)[0] == manifest
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.gz")} == {0o600}
    first = hash_of(tmp_path / manifest.parts[0].file)
    backup(tmp_path)
    assert hash_of(tmp_path / manifest.parts[0].file) == first  # the same records are the same bytes


def test_every_change_to_a_file_is_found(tmp_path: Path) -> None:
    manifest = backup(tmp_path)
    path = tmp_path / manifest.parts[0].file
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(Damaged, match="SHA-256"):
            load(tmp_path)
    path.unlink()
    with pytest.raises(Damaged, match="missing"):
        load(tmp_path)
    path.write_bytes(whole)
    (tmp_path / "more").touch()
    with pytest.raises(Damaged, match="none of the backup's"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("records", "says"),
    [
        ([Record(3, 0, None, None), Record(3, 0, None, None)], "offset 3 comes after 3"),
        ([Record(2, 0, None, None)], "offset 2 is not between 3 and 10"),
        ([Record(10, 0, None, None)], "offset 10 is not between 3 and 10"),
        ([Record(3, 0, None, None)], "has 1 records, not 3"),
    ],
)
def test_a_file_that_says_something_else_than_the_manifest_is_found(
    tmp_path: Path, records: list[Record], says: str
) -> None:
    part = backup(tmp_path).parts[0]
    (tmp_path / part.file).write_bytes(gzip.compress(b"".join(map(framed, records))))
    with pytest.raises(Damaged, match=says):
        list(read_part(tmp_path, part))


def test_a_file_that_ends_too_soon_or_holds_something_else_is_found(tmp_path: Path) -> None:
    part = backup(tmp_path).parts[0]
    whole = b"".join(framed(each) for each in read_part(tmp_path, part))
    for text, says in (
        (whole[:-1], "ends within a record"),
        (whole + b"\0", "ends within a record"),
        (b"\0\0\0\1\xc1", "after offset -1"),
    ):
        (tmp_path / part.file).write_bytes(gzip.compress(text))
        with pytest.raises(Damaged, match=says):
            list(read_part(tmp_path, part))
    (tmp_path / part.file).write_bytes(gzip.compress(whole)[:-9])
    with pytest.raises(Damaged, match="ended before"):
        list(read_part(tmp_path, part))


def test_a_manifest_of_another_format_is_refused(tmp_path: Path) -> None:
    manifest = backup(tmp_path)
    manifest.format = 2
    (tmp_path / MANIFEST).write_bytes(encode(manifest))
    with pytest.raises(Damaged, match="format 2; this program reads format 1"):
        load(tmp_path)
    (tmp_path / MANIFEST).write_bytes(b"{}")
    with pytest.raises(Damaged, match="missing required field"):
        load(tmp_path)

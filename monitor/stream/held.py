"""Everything that Kafka holds about one person, written to a folder: for who asks what is known of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson

from monitor.archive.rows import lookup_of
from monitor.detector import BadState, load_state
from monitor.evidence.kafka_log import Log
from monitor.evidence.lines import Bytes, Line, Mark, write_lines
from monitor.privacy.held import is_about
from monitor.stream.seal import BadSeal
from monitor.stream.tables import Tables
from monitor.stream.topics import (
    ALERTS,
    COMMANDS,
    DETECT_STATE,
    DISPOSITIONS,
    EVENTS,
    HOLDS,
    INCIDENTS,
    JOURNAL,
    KEYED,
    OUTCOMES,
    PRIORITIES,
    REFERENCE,
    REVIEW,
    UNMASKINGS,
)

#: What is searched by the person's names, in this order.
BY_NAME: Final = (REFERENCE, EVENTS, KEYED, REVIEW, ALERTS, INCIDENTS, JOURNAL, OUTCOMES, UNMASKINGS, HOLDS)
#: What is searched by the ids of the alerts and incidents that were found.
BY_ALERT: Final = (DISPOSITIONS, COMMANDS, PRIORITIES)
_STATE: Final = "state.jsonl"
_ARCHIVE: Final = "archive.jsonl"
MANIFEST: Final = "manifest.json"


class Export(msgspec.Struct):
    """What an export holds: by file, its hash, size and how many records; ``names`` under which was searched."""

    made: str
    names: list[str]
    files: dict[str, Mark]


def export(
    log: Log,
    folder: Path,
    names: frozenset[str],
    made: str,
    say: Callable[[str], None],
    archived: Iterable[Mapping[str, Any]] = (),
) -> Export:
    """Write all records about ``names`` (ids and pseudonyms), and rows of the archive, to a new folder that its owner alone reads.

    Raises ``OSError``, also when the folder is there, and kafka-python's ``KafkaError``.
    """
    folder.mkdir(mode=0o700, parents=True)
    done = Export(made, sorted(names), {})
    found: set[str] = set()
    for topic in (*BY_NAME, *BY_ALERT):
        wanted = names if topic in BY_NAME else frozenset(found)

        def lines(topic: str = topic, wanted: frozenset[str] = wanted) -> Iterator[Line]:
            for record in _records(log, topic):
                if is_about(record.key, record.value, wanted):
                    if topic in (ALERTS, INCIDENTS):
                        found.add(str(orjson.loads(record.value)["id"]))
                    yield _line(record)

        name = f"{topic}.jsonl"
        say(name)
        done.files[name] = write_lines(folder / name, lines())
    say(_STATE)
    done.files[_STATE] = write_lines(folder / _STATE, _state(log, names))
    say(_ARCHIVE)
    done.files[_ARCHIVE] = write_lines(folder / _ARCHIVE, map(_archived, archived))
    raw = msgspec.json.format(msgspec.json.encode(done), indent=1)
    with os.fdopen(os.open(folder / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(raw + b"\n")
    return done


def _records(log: Log, topic: str) -> Iterator[Any]:
    for partition, (first, past) in enumerate(log.ranges(topic)):
        yield from log.read(topic, partition, first, past)


def _archived(row: Mapping[str, Any]) -> Line:
    lookup = lookup_of(row)
    key = f"actor/{row['actor']}".encode()
    return Line(row["source"] or 0, row["offset"] or 0, lookup["ts"], Bytes.of(key), Bytes.of(orjson.dumps(lookup)), [])


def _line(record: Any) -> Line:
    headers = [(name, Bytes.of(value)) for name, value in record.headers or ()]
    return Line(
        record.partition, record.offset, record.timestamp, Bytes.of(record.key), Bytes.of(record.value), headers
    )


def _state(log: Log, names: frozenset[str]) -> Iterator[Line]:
    """The state of the keys of these names, the last of each, as JSON."""
    for partition, (first, past) in enumerate(log.ranges(DETECT_STATE)):
        last: dict[bytes, Any] = {}
        table = Tables(log.settings).new(DETECT_STATE, partition)
        for record in log.read(DETECT_STATE, partition, first, past):
            if record.key is not None and is_about(record.key, None, names):
                last[record.key] = record
                table.restore(record.key.decode(), record.value, record.headers or ())
        for key, record in last.items():
            try:
                raw = table.get(key.decode())
                if raw is not None:
                    told = msgspec.json.encode(msgspec.to_builtins(load_state(raw), str_keys=True))
                    yield Line(partition, record.offset, record.timestamp, Bytes.of(key), Bytes.of(told))
            except (BadState, BadSeal):
                yield _line(record)

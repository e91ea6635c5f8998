"""Writing a span of Kafka to a folder that can be checked without Kafka."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version as version_of_package
from pathlib import Path, PurePosixPath

from monitor.agree import Agree
from monitor.evidence import Unusable
from monitor.evidence import manifest as manifests
from monitor.evidence.facts import Facts
from monitor.evidence.lines import Bytes, Line, Mark, write_lines, write_text
from monitor.evidence.manifest import InForce, Manifest, Offsets
from monitor.evidence.survey import KafkaSpan, live_of
from monitor.rerun import Message, version_in
from monitor.stream import topics
from monitor.when import rfc3339

Say = Callable[[str], None]


def export(span: KafkaSpan, folder: Path, key: bytes | None, say: Say = lambda words: None) -> tuple[Manifest, bytes]:
    """Write the span to a new folder, whole or not at all; return the manifest and its bytes.

    With ``key`` the manifest is sealed. Raises :class:`Unusable` when the folder is there already, and ``OSError``.
    """
    if folder.exists():
        raise Unusable(f"{folder} is there already; evidence is not written over")
    draft = folder.with_name(f"{folder.name}.part")
    try:
        draft.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise Unusable(f"{draft} is there: another export is under way, or one was cut off; then remove it") from None
    try:
        made = _Writer(span, draft, say).write()
        raw = manifests.encode(made)
        (draft / manifests.MANIFEST).write_bytes(raw)
        if key is not None:
            (draft / manifests.SEAL).write_text(f"{manifests.seal_of(raw, key)}\n")
        _to_disk(draft)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return made, raw


class _Writer:
    """Writes the files one after the other, and counts what is in them."""

    def __init__(self, span: KafkaSpan, folder: Path, say: Say) -> None:
        self._span = span
        self._folder = folder
        self._say = say
        self._files: dict[str, Mark] = {}
        self._counts: Counter[tuple[str, int]] = Counter()
        self._rules: list[InForce] = []

    def write(self) -> Manifest:
        facts = self._span.facts
        self._file(manifests.EVENTS_FILE, self._events())
        self._file(manifests.REFERENCE_FILE, self._reference())
        self._file(manifests.ALERTS_FILE, self._alerts(facts))
        for version in sorted({*facts.starts, *(each.version for each in self._rules)}):
            self._pack(version)
        return Manifest(
            program=f"lookup-monitor {version_of_package('lookup-monitor')}",
            made=rfc3339(int(datetime.now(UTC).timestamp() * 1000)),
            from_=rfc3339(facts.from_ms),
            to=rfc3339(facts.to_ms),
            facts=facts,
            topics=[
                Offsets(topic, number, each.first, each.past, self._counts[topic, number])
                for topic, ranges in self._span.ranges.items()
                for number, each in enumerate(ranges)
            ],
            rules=sorted(self._rules, key=lambda each: (each.partition, each.offset)),
            files=dict(sorted(self._files.items())),
            whole=manifests.whole_of(self._files),
        )

    def _file(self, name: str, lines: Iterator[Line]) -> None:
        def told() -> Iterator[Line]:
            for number, line in enumerate(lines, 1):
                if number % 1_000 == 0:
                    self._say(f"{name}: {number:,} records")
                yield line

        self._files[name] = write_lines(self._folder / name, told())

    def _events(self) -> Iterator[Line]:
        begun = set[int]()
        for message in self._span.lookups():
            number = message.partition
            if number not in begun:
                begun.add(number)
                self._in_force(self._span.facts.starts[number], message)
            version = version_in(message) if message.headers else None
            if version is not None and version in self._span.packs:
                self._in_force(version, message)
            self._counts[topics.EVENTS, number] += 1
            headers = [(name, Bytes.of(value)) for name, value in message.headers]
            yield Line(
                number, message.offset, message.received_ms, Bytes.of(message.key), Bytes.of(message.value), headers
            )

    def _in_force(self, version: str, message: Message) -> None:
        self._rules.append(InForce(version, message.partition, message.offset, rfc3339(message.received_ms)))

    def _reference(self) -> Iterator[Line]:
        for fact in self._span.known():
            self._counts[topics.REFERENCE, 0] += 1
            yield Line(0, fact.offset, fact.received_ms, Bytes.of(fact.key), Bytes.of(fact.value))

    def _alerts(self, facts: Facts) -> Iterator[Line]:
        """Those of the span, and what is in the topic and is no alert."""
        inside = Agree(facts.from_ms, facts.to_ms)
        for record in self._span.alerts():
            if inside.live(live_of(record.partition, record.offset, record.timestamp, record.value, facts)):
                self._counts[topics.ALERTS, record.partition] += 1
                yield Line(
                    record.partition,
                    record.offset,
                    record.timestamp,
                    Bytes.of(record.key),
                    Bytes.of(record.value),
                    [(name, Bytes.of(value)) for name, value in record.headers or ()],
                )

    def _pack(self, version: str) -> None:
        texts = self._span.packs[version]
        for path, text in texts.items():
            name = f"{manifests.RULES_FOLDER}/{version}/{_safe(path)}"
            self._files[name] = write_text(self._folder / name, text)


def _safe(path: str) -> str:
    """The path of a rule below its folder. Raises :class:`Unusable` when it leads out of it: anybody may write to a topic."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if not parts or any(part in ("..", "/") or ":" in part or "\x00" in part for part in parts):
        raise Unusable(f"the rules in Kafka hold a file {path!r}, which lies outside of their folder")
    return "/".join(parts)


def packs_in(folder: Path, names: Mapping[str, Mark]) -> dict[str, dict[str, str]]:
    """The rules of an export, by version; ``names`` are its files."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        first, _, rest = name.partition("/")
        version, _, path = rest.partition("/")
        if first == manifests.RULES_FOLDER and path:
            found.setdefault(version, {})[path] = (folder / name).read_bytes().decode("utf-8", "replace")
    return found


def _to_disk(folder: Path) -> None:
    """Before the folder gets its name, all of it is on the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())

"""An export on a disk: whether its files are those that were exported, and its records for a rerun."""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from monitor.agree import Live
from monitor.evidence import Damaged
from monitor.evidence import manifest as manifests
from monitor.evidence.export import packs_in
from monitor.evidence.facts import Facts, by_receipt
from monitor.evidence.lines import Line, mark_of, read_lines
from monitor.evidence.manifest import Offsets
from monitor.evidence.survey import live_of
from monitor.rerun import Fact, Message
from monitor.rules.load import version_of
from monitor.stream import topics

_FILES = {
    topics.EVENTS: manifests.EVENTS_FILE,
    topics.REFERENCE: manifests.REFERENCE_FILE,
    topics.ALERTS: manifests.ALERTS_FILE,
}


class Opened:
    """An export. ``facts`` are those it was made with; a narrower span may be put in their place."""

    def __init__(self, folder: Path) -> None:
        """Raises :class:`Damaged` when it has no manifest that can be read, and ``OSError``."""
        self.folder = folder
        self.manifest, self.raw = manifests.load(folder)
        self.facts: Facts = self.manifest.facts
        self._packs = packs_in(
            folder, {name: mark for name, mark in self.manifest.files.items() if self._is_there(name)}
        )

    def pack(self, version: str) -> Mapping[str, str] | None:
        """As :meth:`monitor.evidence.facts.Evidence.pack`."""
        return self._packs.get(version)

    def log(self) -> Iterator[Message | Fact]:
        """As :meth:`monitor.evidence.facts.Evidence.log`. Raises :class:`Damaged`."""
        return by_receipt([self._messages()], self._known, self.facts.preload)

    def _messages(self) -> Iterator[Message]:
        for line in self._lines(manifests.EVENTS_FILE):
            if not 0 <= line.partition < len(self.facts.starts):
                raise Damaged(f"{manifests.EVENTS_FILE}: names partition {line.partition}, which there is not")
            headers = tuple((name, value.raw()) for name, value in line.headers)
            yield Message(line.partition, line.offset, line.timestamp, line.key.raw(), line.value.raw(), headers)

    def _known(self) -> Iterator[Fact]:
        for line in self._lines(manifests.REFERENCE_FILE):
            yield Fact(line.offset, line.timestamp, line.key.raw(), line.value.raw())

    def live(self) -> Iterator[Live]:
        """As :meth:`monitor.evidence.facts.Evidence.live`. Raises :class:`Damaged`."""
        for line in self._lines(manifests.ALERTS_FILE):
            yield live_of(line.partition, line.offset, line.timestamp, line.value.raw(), self.facts)

    def _lines(self, name: str) -> Iterator[Line]:
        return read_lines(self.folder / name)

    def _is_there(self, name: str) -> bool:
        return self._is_inside(name) and (self.folder / name).is_file()

    @staticmethod
    def _is_inside(name: str) -> bool:
        return not name.startswith("/") and ".." not in name.split("/")

    def problems(self, key: bytes | None = None) -> Iterator[str]:
        """What of the files is not as the manifest says, a line each; with ``key`` also whether the seal is its.

        The files of signatures, ``manifest.json.*``, are not part of the export.
        """
        yield from self._seal(key)
        files = self.manifest.files
        if self.manifest.whole != manifests.whole_of(files):
            yield f"{manifests.MANIFEST}: `whole` is not the hash of its list of files"
        for name, mark in sorted(files.items()):
            if not self._is_there(name):
                yield f"{name}: is missing"
            else:
                found = mark_of(self.folder / name)
                if found != mark:
                    yield f"{name}: is not what was exported ({_unlike(found.bytes, mark.bytes, found.lines, mark.lines)})"
        for needed in _FILES.values():
            if needed not in files:
                yield f"{manifests.MANIFEST}: does not name {needed}"
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            is_signature = name == manifests.MANIFEST or name.startswith(f"{manifests.MANIFEST}.")
            if (path.is_symlink() or not path.is_dir()) and name not in files and not is_signature:
                yield f"{name}: was not exported"
        for version, texts in sorted(self._packs.items()):
            if version_of(texts) != version:
                yield f"{manifests.RULES_FOLDER}/{version}: are the rules of version {version_of(texts)}"

    def _seal(self, key: bytes | None) -> Iterator[str]:
        path = self.folder / manifests.SEAL
        if key is None:
            return
        if not path.is_file():
            yield f"{manifests.SEAL}: is missing; the export was not sealed with a key"
        elif not hmac.compare_digest(path.read_bytes().strip(), manifests.seal_of(self.raw, key).encode()):
            yield f"{manifests.SEAL}: is not that of {manifests.MANIFEST} and this key"

    def unlike_offsets(self) -> Iterator[str]:
        """What of the records is not as the manifest says: their number, and that the offsets of each partition rise.

        Raises :class:`Damaged`.
        """
        said: dict[tuple[str, int], Offsets] = {(each.topic, each.partition): each for each in self.manifest.topics}
        for topic, name in _FILES.items():
            counts: defaultdict[int, int] = defaultdict(int)
            last: dict[int, int] = {}
            for number, line in enumerate(self._lines(name), 1):
                known = said.get((topic, line.partition))
                if known is None or not known.first <= line.offset < known.past:
                    yield f"{name}:{number}: {line.partition}/{line.offset} is not of the offsets that were exported"
                elif line.offset <= last.get(line.partition, -1):
                    yield f"{name}:{number}: {line.partition}/{line.offset} does not come after the one before it"
                last[line.partition] = line.offset
                counts[line.partition] += 1
            for (of, partition), known in said.items():
                if of == topic and counts[partition] != known.records:
                    yield f"{name}: has {counts[partition]:,} records of partition {partition}, not {known.records:,}"


def _unlike(size: int, was: int, lines: int, were: int) -> str:
    if lines != were:
        return f"{lines:,} lines, not {were:,}"
    return f"{size:,} bytes, not {was:,}" if size != was else "other bytes"

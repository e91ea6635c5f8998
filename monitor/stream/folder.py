"""The folder of rules on a worker's disk: its texts, and whether they have changed."""

from __future__ import annotations

from pathlib import Path

from monitor.rules import read_dir
from monitor.rules.signature import FILE


class RuleFolder:
    """Reads the folder, and notices when a file in it was changed, added or removed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[int, int]] = {}

    def read(self) -> dict[str, str]:
        """The texts, named by their place below the folder: another machine may keep them elsewhere."""
        self._seen = self._marks()
        return {str(Path(path).relative_to(self._folder)): text for path, text in read_dir(self._folder).items()}

    def signatures(self) -> bytes | None:
        """The file of signatures in it, if there is one."""
        try:
            return (self._folder / FILE).read_bytes()
        except OSError:
            return None

    def has_changed(self) -> bool:
        """Whether it differs from what was read last. A folder that is gone for a moment (a mount) has not changed."""
        marks = self._marks()
        return bool(marks) and marks != self._seen

    def _marks(self) -> dict[str, tuple[int, int]]:
        marks = {}
        for path in sorted(self._folder.rglob("*")):
            try:
                found = path.stat()
            except OSError:
                continue
            if path.is_file():
                marks[str(path)] = (found.st_mtime_ns, found.st_size)
        return marks

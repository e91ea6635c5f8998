"""A small disk for the state of keys, which can be filled up and emptied again."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

#: Enough for the state of all workers, and little enough to be filled at once.
SIZE_MB = 256
_STEP = 1024 * 1024
#: Where no file system can be mounted: no file of the workers may grow beyond this many bytes. More than their logs have,
#: less than RocksDB's files.
_LARGEST_FILE = 512 * 1024


class Disk:
    """A file system of its own in ``folder`` (a tmpfs), where it may be mounted (Linux, root).

    Elsewhere :attr:`is_mounted` is false, and instead of a full disk the workers meet a limit on the size of their files
    (``RLIMIT_FSIZE``): a write is refused then too, though a new file is not.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0700", "tmpfs", str(folder)]
        self.is_mounted = False
        with suppress(OSError):
            self.is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        self._ballast = folder / "ballast"

    def fill(self, workers: Iterable[int]) -> None:
        """Leave no space; ``workers`` are the processes that write there."""
        if self.is_mounted:
            _fill(self._ballast)
        else:
            _limit(workers, (_LARGEST_FILE, resource.RLIM_INFINITY))

    def empty(self, workers: Iterable[int]) -> None:
        """Give back what :meth:`fill` took."""
        if self.is_mounted:
            self._ballast.unlink(missing_ok=True)
        else:
            _limit(workers, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def free(self) -> int:
        """How many bytes are free."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def unmount(self) -> None:
        """Nobody uses it any more."""
        if self.is_mounted:
            # Lazily: whoever was killed may still be ending.
            subprocess.run(["umount", "-l", str(self.folder)], capture_output=True, check=True)
            self.is_mounted = False


def _fill(file: Path) -> None:
    with file.open("wb") as ballast:
        for step in (_STEP, os.statvfs(file.parent).f_frsize):
            with suppress(OSError):
                while True:
                    os.write(ballast.fileno(), bytes(step))


def _limit(workers: Iterable[int], limits: tuple[int, int]) -> None:
    for pid in workers:
        with suppress(psutil.Error):
            psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, limits)

"""docs/tutorial.md, command by command, as a reader would type it, on a real Kafka."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from monitor import local_kafka
from monitor.local_kafka_folder import free_port
from tests.documents import ROOT, Shell, blocks, missing_of


def test_the_tutorial_can_be_followed(tmp_path: Path) -> None:
    found = blocks(ROOT / "docs/tutorial.md")
    (up,) = [block for block in found if "up" in block.words]
    more = {
        "XDG_DATA_HOME": str(tmp_path / ".local/share"),
        "HOME": str(tmp_path),
        # Kafka is not downloaded once more.
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        # Other ports than a monitor that may run on this machine has.
        "LOOKUP_MONITOR_METRICS_PORT": str(free_port()),
        "LOOKUP_MONITOR_CONSOLE_PORT": str(free_port()),
        "LOOKUP_MONITOR_ARCHIVE_EVERY": "2",
    }
    running: subprocess.Popen[bytes] | None = None
    try:
        with Shell(tmp_path, more) as shell:
            for block in found:
                if block is up:
                    running = started(up.text, tmp_path, more, up.expected)
                else:
                    shell.follow(block)
        assert running is not None
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0
    finally:
        if running is not None:
            running.kill()
        local_kafka.stop(tmp_path / ".local/share/lookup-monitor/kafka", timeout=5)


def started(command: str, folder: Path, more: dict[str, str], expected: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """The command of the second terminal, once it has said what it should."""
    log = folder / "second-terminal"
    with log.open("wb") as file:
        running = subprocess.Popen(
            [sys.executable, "-m", *command.split()], cwd=folder, env={**os.environ, **more}, stdout=file, stderr=file
        )
    deadline = time.monotonic() + 120
    while (missing := next(missing_of(log.read_text(), expected), None)) is not None:
        assert running.poll() is None, log.read_text()
        assert time.monotonic() < deadline, f"{missing!r} is not in\n{log.read_text()}"
        time.sleep(0.1)
    return running

"""What a lookup costs on disk and each process in memory, on this machine: ``python deploy/sizes.py [ACTORS] [DAYS]``; for docs/sizing.md.

A made-up force's lookups go through a real Kafka, a worker and what runs beside it; then the folders are measured, and the most memory each
process ever had. Local Kafka is not compressed, nor are the monitor's batches.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from kafka import KafkaAdminClient

from monitor import local_kafka
from monitor.backup.take import patiently
from monitor.commands.ingest import send_events, send_reference
from monitor.commands.run import OUTSIDE, ensure_topics, spawn_worker, stop_workers
from monitor.settings import Settings
from monitor.simulate import Settings as ForceSettings
from monitor.simulate import simulate
from monitor.stream.masking import with_local_keys
from monitor.stream.topics import EVENTS, FEATURES, KEYED

QUIET = 8.0
GIVE_UP = 600.0


def size_of(folder: Path) -> int:
    """Bytes of all files; Kafka's indexes are made larger than they are, so blocks count."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def most_memory(process: subprocess.Popen[bytes]) -> int:
    """The most memory a process ever had, in kB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def committed(settings: Settings) -> dict[str, int]:
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    found: dict[str, int] = defaultdict(int)
    try:
        for part, at in patiently(lambda: admin.list_group_offsets({settings.group: None}))[settings.group].items():
            found[part.topic] += at.offset
    finally:
        admin.close()
    return dict(found)


def until_quiet(settings: Settings, lookups: int) -> float:
    """Wait until the workers have done it all; seconds from the first committed lookup to the last."""
    begin = first = last = time.monotonic()
    seen: dict[str, int] = {}
    while time.monotonic() - last < QUIET or seen.get(EVENTS, 0) < lookups:
        found = committed(settings)
        if found != seen:
            first = first if seen.get(EVENTS) else time.monotonic()
            # What goes on by itself, ticks and canaries, does not count as work.
            last = time.monotonic() if sum(found.values()) - sum(seen.values()) > 100 else last
            seen = found
        if time.monotonic() - begin > GIVE_UP:
            raise SystemExit("the workers have not come to the end")
        time.sleep(0.5)
    return last - first


def main(actors: int = 200, days: int = 15) -> None:
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
    force = simulate(ForceSettings(seed=8, days=days, actors=actors, start=start))
    raws = [orjson.dumps(event) for event in force.events()]
    with tempfile.TemporaryDirectory() as folder, local_kafka.start(Path(folder) / "kafka") as kafka:
        home = Path(folder)
        settings = with_local_keys(Settings(bootstrap=kafka.bootstrap, metrics_port=0, console_port=0), home / "keys")
        more = {"archive": home / "archive", "archive_every": 5.0, "console_store": f"sqlite:///{home}/console.db"}
        settings = settings.model_copy(update={**more, "users_file": home / "users.json"})
        ensure_topics(settings)
        send_reference(settings, [orjson.dumps(record) for record in force.reference])
        send_events(settings, raws)
        commands = ["worker", *(command for name, command in OUTSIDE.items() if name != "sinks")]
        running = [spawn_worker(settings, home / f"{command}.log", command=command) for command in commands]
        try:
            seconds = until_quiet(settings, len(raws))
            print(f"{len(raws)} lookups of {actors} actors, {sum(map(len, raws)) / len(raws):.0f} bytes each")
            print(f"one worker: {len(raws) / seconds:.0f} lookups a second, with all the others on this machine")
            for command, process in zip(commands, running, strict=True):
                if process.poll() is None:
                    print(f"  most memory of {command}: {most_memory(process) / 1024:.0f} MB")
            sizes: dict[str, int] = defaultdict(int)
            for log in (home / "kafka").rglob("lookup.*-*"):
                if log.is_dir():
                    sizes[log.name.rpartition("-")[0]] += size_of(log)
            for topic, size in sorted(sizes.items(), key=lambda each: -each[1])[:10]:
                print(f"  {topic}: {size / len(raws):.0f} bytes a lookup")
            print(
                f"  copies of a lookup: {committed(settings)[KEYED] / len(raws):.2f}, vectors {committed(settings)[FEATURES] / len(raws):.2f}"
            )
            print(f"archive: {size_of(home / 'archive') / len(raws):.0f} bytes a lookup")
            print(f"console store: {sum(p.stat().st_size for p in home.glob('console.db*')) / 1e6:.1f} MB")
        finally:
            stop_workers(running)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

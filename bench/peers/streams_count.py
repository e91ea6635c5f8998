"""Kafka Streams (Java), in a JVM of its own: compiles ``KafkaStreamsCount.java`` and runs it; see there.

The jars are pinned by their checksums as the broker's are, and come from Maven Central once. The clock stops when the last lookup
was processed, as for Quix Streams: what is cached goes to the changelog after that.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

from bench.load import THRESHOLD, WINDOW_MS
from bench.peers.meter import Job, parse_job
from monitor.local_kafka_dist import Distribution, distribution, parse_lock

LOCK_FILE: Final = Path(__file__).with_name("kafka_streams.lock.json")
SOURCE: Final = Path(__file__).with_name("KafkaStreamsCount.java")
_COMPILER: Final = "org.eclipse.jdt.internal.compiler.batch.Main"
_HEAP: Final = "-Xmx512m"


@cache
def _jars() -> Distribution:
    return distribution(
        lambda words: print(words, file=sys.stderr), lock=parse_lock(LOCK_FILE.read_bytes(), str(LOCK_FILE))
    )


def compile_into(folder: Path) -> None:
    """Compile the program into ``folder``. Raises ``CalledProcessError`` when it does not compile."""
    kafka = _jars()
    options = [
        "-source",
        "21",
        "-target",
        "21",
        "-nowarn",
        "-d",
        str(folder),
        "-cp",
        os.pathsep.join(map(str, kafka.jars)),
    ]
    subprocess.run([*kafka.command(_COMPILER), *options, str(SOURCE)], check=True, stdout=sys.stderr)


def run(job: Job, mode: str) -> int:
    """Run the program, which prints the result; its exit code."""
    classes = job.workdir / "classes"
    compile_into(classes)
    kafka = _jars()
    given = {
        "bootstrap": job.bootstrap, "topic": job.topic, "expect": job.expect, "workdir": job.workdir,
        "mode": mode, "threshold": THRESHOLD, "window-ms": WINDOW_MS,
    }  # fmt: skip
    path = os.pathsep.join(map(str, (classes, *kafka.jars)))
    command = [str(kafka.java), _HEAP, "-cp", path, "KafkaStreamsCount"]
    for name, value in given.items():
        command += [f"--{name}", str(value)]
    return subprocess.run(command, check=False).returncode


def main(mode: str = "cached") -> None:
    """Run the job on the command line."""
    sys.exit(run(parse_job(__doc__), mode))


if __name__ == "__main__":
    main()

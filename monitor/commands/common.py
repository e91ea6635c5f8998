"""What several commands share: the console, loading rules and files, and errors for people."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from kafka import KafkaAdminClient
    from rich.console import Console

    from monitor.connection import Connection
    from monitor.reference import Reference
    from monitor.rules import LoadReport, RuleSet
    from monitor.settings import Settings

    Lists = Mapping[str, tuple[str, ...]]
    out: Console
    err: Console


def __getattr__(name: str) -> Any:
    """The consoles ``out`` and ``err``, made when first asked for: importing rich takes longer than some commands do."""
    if name not in ("out", "err"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rich.console import Console

    made = globals()[name] = Console(stderr=name == "err", highlight=False)
    return made


def say(line: str) -> None:
    """A line on standard error, as it is."""
    typer.echo(line, err=True)


def fail(message: str, code: int = 2) -> typer.Exit:
    """Say what is wrong and give the exit to raise."""
    typer.echo(f"{typer.style('error:', fg='red')} {message}", err=True)
    return typer.Exit(code)


#: How long a command waits for Kafka to answer at all before it says that it does not; Kafka's own clients wait for 30 s.
KAFKA_ANSWERS_WITHIN_MS: Final = 10_000
#: Seconds that the look at where it gets stuck may take.
_LOOKS_FOR: Final = 3.0


_HINTS: Final = {
    "address": "is it running? `monitor kafka start` starts one; LOOKUP_MONITOR_BOOTSTRAP names another",
    "tls": "is LOOKUP_MONITOR_KAFKA_PROTOCOL what it speaks there, and is its certificate by LOOKUP_MONITOR_KAFKA_CA_FILE?",
    "user": "does it know LOOKUP_MONITOR_KAFKA_USER by the password in LOOKUP_MONITOR_KAFKA_PASSWORD_FILE, and by this mechanism?",
    "rights": "the user may not do that; `monitor acls` says what each part of the monitor must be allowed",
}


@contextmanager
def kafka_errors(kafka: Connection) -> Iterator[None]:
    """Turn Kafka's exceptions into one line for people and exit code 2."""
    from aiokafka.errors import KafkaError as AioError
    from kafka.errors import KafkaError

    try:
        yield
    except (KafkaError, AioError, ConnectionError, TimeoutError) as error:
        hint = _HINTS["rights" if "Authorization" in type(error).__name__ else _trouble(kafka)]
        raise fail(f"Kafka at {kafka.bootstrap}: {type(error).__name__}: {error} ({hint})") from None


def _trouble(kafka: Connection) -> str:
    """Where it gets stuck; Kafka's own clients tell only that they cannot connect."""
    import socket

    host, _, port = kafka.bootstrap.partition(",")[0].rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_LOOKS_FOR) as link:
            if kafka.has_tls:
                kafka.tls().wrap_socket(link, server_hostname=host).close()
    except (OSError, ValueError) as error:
        return "tls" if type(error).__name__.startswith("SSL") else "address"
    return "user" if kafka.has_user else "address"


@contextmanager
def kafka_admin(kafka: Connection) -> Iterator[KafkaAdminClient]:
    """Kafka's admin client, closed at the end, with its errors as :func:`kafka_errors`."""
    from kafka import KafkaAdminClient

    with kafka_errors(kafka):
        admin = KafkaAdminClient(**kafka.options(), bootstrap_timeout_ms=KAFKA_ANSWERS_WITHIN_MS)
        try:
            yield admin
        finally:
            admin.close()


def start_kafka(data: Path) -> Any:
    """The local Kafka on a data folder, as a context manager; exits with what is wrong when it cannot start."""
    try:
        from monitor import local_kafka
    except ImportError as error:
        raise fail(f"{error}: the `local` extra is not installed (pip install 'lookup-monitor[local]')") from None
    try:
        return local_kafka.start(data)
    except local_kafka.LocalKafkaError as error:
        raise fail(str(error)) from None


def load_rules(folder: Path, lists: Lists | None = None) -> tuple[RuleSet, int]:
    """The rules of a folder, and how many problems were reported (each on a line of its own).

    ``lists`` are those of the reference data.
    """
    report = load_kept(rule_files([folder]), lists)
    for problem in report.problems:
        say(str(problem))
    return report.rules, len(report.problems)


def rule_files(folders: Iterable[Path]) -> dict[str, str]:
    """The texts of rules in folders, by path."""
    from monitor.rulecache import read_rules

    files: dict[str, str] = {}
    for folder in folders:
        if not folder.is_dir():
            raise fail(f"{folder} is not a folder of rules")
        files.update(read_rules(folder))
    return files


def load_kept(files: Mapping[str, str], lists: Lists | None = None, foreign: bool = False) -> LoadReport:
    """As :func:`monitor.rules.load_texts`; what parsing makes of the texts is kept for the next run."""
    from monitor.rulecache import kept_rules, without_gc
    from monitor.rules import load_texts

    with without_gc(), kept_rules() as cache:
        return load_texts(files, lists, cache, foreign)


def load_reference(path: Path) -> tuple[Reference, int]:
    """The reference data of a JSON Lines file, and how many lines were refused (each reported with its line).

    Sealed watches are known again by ``LOOKUP_MONITOR_WATCH_KEY_FILE``.
    """
    from monitor.reference import BadRecord, Reference, decode
    from monitor.settings import Settings
    from monitor.stream.masking import sealer_of
    from monitor.stream.seal import BadKey

    try:
        reference, refused = Reference(sealer=sealer_of(Settings())), 0
    except BadKey as error:
        raise fail(str(error)) from None
    for number, line in enumerate(read_lines(path), 1):
        try:
            reference.put(decode(line))
        except BadRecord as error:
            refused += 1
            say(f"{path}:{number}: {error}")
    return reference, refused


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, or of standard input for ``-``, without their ends, empty ones left out."""
    try:
        with nullcontext(sys.stdin.buffer) if str(path) == "-" else path.open("rb") as file:
            for line in file:
                stripped = line.strip()
                if stripped:
                    yield stripped
    except OSError as error:
        raise fail(f"{path}: {error.strerror}") from None


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Something to say how far a command is, twice a second, on standard error if that is a terminal of its own."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda words: None
        return
    said = 0.0

    def show(words: str) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said > 0.5:
            said = now
            sys.stderr.write(f"\r\033[K{words}")
            sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()


def check_topics(settings: Settings) -> None:
    """Exit with what is wrong with Kafka's topics, if something is."""
    from monitor.stream import topics  # not before: it imports Kafka's client

    with kafka_admin(settings.kafka) as admin:
        problems = topics.check(admin, settings)
    if problems:
        raise fail("; ".join(map(str, problems)))

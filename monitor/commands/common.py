"""What several commands share: the console, loading rules and files, and errors for people."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from monitor.reference import BadRecord, Reference, decode
from monitor.rules import RuleSet, load_texts, read_dir

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def fail(message: str, code: int = 2) -> typer.Exit:
    """Say what is wrong and give the exit to raise."""
    err.print(f"[red]error:[/red] {message}", markup=True, soft_wrap=True)
    return typer.Exit(code)


@contextmanager
def kafka_errors(bootstrap: str) -> Iterator[None]:
    """Turn Kafka's exceptions into one line for people and exit code 2."""
    from aiokafka.errors import KafkaError as AioError
    from kafka.errors import KafkaError

    try:
        yield
    except (KafkaError, AioError, ConnectionError, TimeoutError) as error:
        hint = "is it running? `monitor kafka start` starts one; LOOKUP_MONITOR_BOOTSTRAP names another"
        raise fail(f"Kafka at {bootstrap}: {type(error).__name__}: {error} ({hint})") from None


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


def load_rules(folder: Path) -> tuple[RuleSet, int]:
    """The rules of a folder, and how many problems were reported (each on a line of its own)."""
    if not folder.is_dir():
        raise fail(f"{folder} is not a folder of rules")
    report = load_texts(read_dir(folder))
    for problem in report.problems:
        err.print(str(problem), markup=False, soft_wrap=True)
    return report.rules, len(report.problems)


def load_reference(path: Path) -> tuple[Reference, int]:
    """The reference data of a JSON Lines file, and how many lines were refused (each reported with its line)."""
    reference, refused = Reference(), 0
    for number, line in enumerate(read_lines(path), 1):
        try:
            reference.put(decode(line))
        except BadRecord as error:
            refused += 1
            err.print(f"{path}:{number}: {error}", markup=False, soft_wrap=True)
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

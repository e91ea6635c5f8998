"""The house stays as it was drawn: imports go one way, the core does no I/O, nothing is pickled."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

MONITOR = Path(__file__).resolve().parents[1] / "monitor"
#: Each may import what stands before it.
ORDER = (
    "events", "event_key", "when", "mapping", "signing", "audit", "event_schema", "canary", "silence", "documents", "records", "sealed_watch", "known", "spans", "shelf", "junit", "reference",
    "explanations", "enrich", "acts", "rules", "matching", "model", "order", "alerts", "gaps", "sources", "scoring", "detector",
    "canary_rule", "ending", "backtest", "recall", "review", "feedback", "incidents", "privacy", "fairness", "tally", "replay", "ruletest", "sofar", "verdict", "due", "rerun", "reach",
    "agree", "compare",
)  # fmt: skip
#: What the core may ask of packages that have a shell too: both are plain structures.
PLAIN = {("access", "roles"), ("audit", "event")}
IMPURE = {
    "aiokafka", "asyncio", "faust", "http", "kafka", "logging", "os", "prometheus_client", "random", "secrets", "socket",
    "sqlite3", "subprocess", "structlog", "sys", "tempfile", "threading", "time", "typer", "urllib",
}  # fmt: skip
#: Names that read a clock or make chance although their module is allowed.
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "print", "input", "getenv"}
PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def core() -> list[Path]:
    return [path for path in MONITOR.rglob("*.py") if path.relative_to(MONITOR).parts[0].removesuffix(".py") in ORDER]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_core_is_there() -> None:
    assert {path.relative_to(MONITOR).parts[0].removesuffix(".py") for path in core()} == set(ORDER)


@pytest.mark.parametrize("path", core(), ids=lambda path: str(path.relative_to(MONITOR)))
def test_imports_go_one_way(path: Path) -> None:
    here = ORDER.index(path.relative_to(MONITOR).parts[0].removesuffix(".py"))
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "monitor" and len(parts) > 1:
            assert parts[1] in ORDER[: here + 1] or tuple(parts[1:3]) in PLAIN, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", core(), ids=lambda path: str(path.relative_to(MONITOR)))
def test_the_core_does_no_io_and_reads_no_clock(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & IMPURE
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert called not in IMPURE_CALLS, f"{path.name}:{node.lineno} calls {called}"


@pytest.mark.parametrize("path", sorted(MONITOR.rglob("*.py")), ids=lambda path: str(path.relative_to(MONITOR)))
def test_nothing_is_pickled(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & PICKLERS


def test_faust_stays_in_its_folder() -> None:
    users = {path for path in MONITOR.rglob("*.py") if any(name.split(".")[0] == "faust" for name in imports(path))}
    assert users
    assert all(path.parent == MONITOR / "stream" for path in users)


def test_modules_are_short() -> None:
    long = [path.name for path in MONITOR.rglob("*.py") if len(path.read_text().splitlines()) > 400]
    assert long == []

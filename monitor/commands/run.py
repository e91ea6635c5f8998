"""worker, up, demo and doctor: the commands that run the monitor."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from monitor.commands.common import check_topics, fail, kafka_admin, load_rules, out, start_kafka
from monitor.commands.ingest import data_home
from monitor.memory import keep_small
from monitor.settings import ENV_PREFIX, Settings
from monitor.stream import topics
from monitor.stream.masking import local_keys, with_local_keys
from monitor.stream.seal import BadKey

#: Of Linux's ``prctl``: which signal comes when the parent has died.
_PR_SET_PDEATHSIG: Final = 1
#: What runs beside the workers, once each: the name of each, and its command.
OUTSIDE: Final = {
    "canary": "canary",
    "watch": "watch",
    "rank": "rank",
    "incidents": "incidents run",
    "sinks": "sinks run",
    "relay": "audit relay",
    "archive": "archive run",
    "outcomes": "outcomes run",
    "console": "console",
}


def worker() -> None:
    """Run one worker; start as many as there are partitions, each on its own metrics port."""
    from monitor.secret_files import BadSecretFile
    from monitor.stream.key_files import public_keys_in
    from monitor.stream.masking import mask_of, sealer_of
    from monitor.stream.run import run_worker
    from monitor.stream.sampling import reviewed
    from monitor.stream.tables import Tables

    keep_small()
    settings = Settings()
    try:
        # A key that is missing or cannot be used is said before anything is read.
        mask_of(settings)
        sealer_of(settings)
        reviewed(settings)
        tables = Tables(settings)
        public_keys_in(settings.rules_keys)
    except (BadKey, BadSecretFile, OSError) as error:
        raise fail(str(error)) from None
    check_topics(settings)
    rules, refused = load_rules(settings.rules)
    raise typer.Exit(run_worker(settings, rules, tables, refused))


def spawn_worker(
    settings: Settings,
    log: Path | None = None,
    more: Mapping[str, str] | None = None,
    command: str = "worker",
    before: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process with these settings, and ``more`` in its environment; its output goes to ``log`` or to ours.

    ``command`` is what it does: a worker's work, or another command of the monitor's; ``before`` is done in it first.
    """
    environment = {**os.environ, **(more or {})}
    for name, value in settings.model_dump(exclude_none=True).items():
        environment[f"{ENV_PREFIX}{name.upper()}"] = str(value)
    arguments = [sys.executable, "-m", "monitor", *command.split()]
    if log is None:
        return subprocess.Popen(arguments, env=environment, preexec_fn=before)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(arguments, env=environment, stdout=file, stderr=subprocess.STDOUT, preexec_fn=before)


def ends_with_us() -> Callable[[], None] | None:
    """For a new process: that it is asked to end when the thread that began it does, however that dies (Linux's ``prctl``; elsewhere nothing)."""
    if sys.platform != "linux":
        return None
    # Found before the fork: between fork and exec as little as can be is done.
    prctl, parent = ctypes.CDLL(None, use_errno=True).prctl, os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return in_child


def ensure_topics(settings: Settings) -> None:
    """Create what is missing; exit with what is wrong if something is."""
    with kafka_admin(settings.kafka) as admin:
        topics.create(admin, settings)
        problems = topics.check(admin, settings)
    if problems:
        raise fail("; ".join(map(str, problems)))


def up(
    workers: Annotated[int, typer.Option(min=1, help="worker processes")] = 1,
    data: Annotated[Path | None, typer.Option(help="Kafka's data folder")] = None,
) -> None:
    """Run Kafka, workers and what belongs beside them on this machine until Ctrl-C; a process that ends is started again."""
    stop = threading.Event()
    for wanted_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted_signal, lambda *_: stop.set())
    with ExitStack() as stack:
        kafka = stack.enter_context(start_kafka(data or data_home() / "kafka"))
        settings = with_local_keys(Settings(bootstrap=kafka.bootstrap), local_keys())
        settings = settings.model_copy(update=_defaults_here(settings))
        ensure_topics(settings)
        commands = ["worker"] * workers + list(OUTSIDE.values())
        ports = [settings.metrics_port + number for number in range(len(commands))]
        wanted = [settings.model_copy(update={"metrics_port": port}) for port in ports]
        tied = ends_with_us()
        running = [
            spawn_worker(one, command=command, before=tied) for one, command in zip(wanted, commands, strict=True)
        ]
        others = _for_others(settings)
        stack.callback(others.unlink, missing_ok=True)
        for command, one in zip(commands, wanted, strict=True):
            out.print(f"{command:14} http://127.0.0.1:{one.metrics_port}/metrics", soft_wrap=True)
        out.print(f"Kafka          {kafka.bootstrap}", soft_wrap=True)
        out.print(f"pages          http://{settings.console_host}:{settings.console_port}/", soft_wrap=True)
        out.print(f"for commands in other terminals: . {shlex.quote(str(others))}", soft_wrap=True)
        while not stop.wait(1.0):
            for number, process in enumerate(running):
                if process.poll() is not None:
                    out.print(f"{commands[number]} ended with code {process.returncode}; starting it again")
                    running[number] = spawn_worker(wanted[number], command=commands[number], before=tied)
        stop_workers(running)


def _defaults_here(settings: Settings) -> dict[str, Path]:
    """What is kept in the data folder when all runs on one machine."""
    found = {}
    if settings.archive is None:
        found["archive"] = data_home() / "archive"
    if settings.users_file is None and settings.oidc_issuer is None:
        found["users_file"] = data_home() / "users.json"
    return found


def _for_others(settings: Settings) -> Path:
    """A file for a shell to read, by which commands reach what :func:`up` runs: where Kafka, the keys and the archive are."""
    file = data_home() / "up.env"
    names = ("bootstrap", "pseudonym_key_file", "identity_key_file", "archive", "users_file")
    known = {name: value for name in names if (value := getattr(settings, name)) is not None}
    lines = [f"export {ENV_PREFIX}{name.upper()}={shlex.quote(str(value))}\n" for name, value in known.items()]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(lines))
    return file


def stop_workers(running: list[subprocess.Popen[bytes]], timeout: float = 20) -> None:
    """Ask the workers to stop, and kill those that do not."""
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def doctor() -> None:
    """Look at Kafka, topics, lag, rules, clock and versions; say what is wrong and what to do (exit code 1)."""
    from monitor.doctor import examine

    findings = examine(Settings())
    table = Table("", "what", "found", "do")
    for finding in findings:
        table.add_row(
            "[green]ok[/green]" if finding.ok else "[red]bad[/red]", finding.what, finding.found, finding.advice
        )
    out.print(table)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)

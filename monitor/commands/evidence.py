"""replay, export and verify: whether the alerts are those that the log gives, now, at night, and in court."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from monitor.commands.common import fail, kafka_errors, progress, say
from monitor.evidence import Damaged, Unusable
from monitor.secret_files import BadSecretFile, read_secret
from monitor.settings import Settings
from monitor.when import parse_duration, parse_when

if TYPE_CHECKING:
    from monitor.agree import Agreement
    from monitor.evidence.check import Checked
    from monitor.evidence.opened import Opened

From = Annotated[str | None, typer.Option("--from", metavar="T", help="RFC 3339 time, or back from now: 24h, 7d")]
To = Annotated[str | None, typer.Option("--to", metavar="T", help="the same; not included")]
Wait = Annotated[float, typer.Option(min=0, help="seconds to wait for workers that are behind")]
Key = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="key of the seal (HMAC-SHA256 of the manifest)")
]


@contextmanager
def said() -> Iterator[None]:
    """Errors for people, and the exit code that goes with each."""
    try:
        yield
    except Unusable as error:
        raise fail(str(error)) from None
    except Damaged as error:
        raise fail(str(error), code=1) from None
    except OSError as error:
        raise fail(f"{error.filename or ''}: {error.strerror or error}") from None


def replay(
    from_: From = None,
    to: To = None,
    export_folder: Annotated[
        Path | None, typer.Option("--export", metavar="PATH", help="run an export again, without Kafka")
    ] = None,
    every: Annotated[
        str | None, typer.Option(metavar="D", help="a service with /metrics: the last D, every D (24h: every night)")
    ] = None,
    wait: Wait = 60.0,
) -> None:
    """Run a span again and compare its alerts with those raised live: exit code 1 and a list when they differ.

    Times are those of the lookups, --from (24h) <= t < --to (now). The log is run from its beginning, as windows and the model
    look back.
    """
    if every is not None:
        _serve(every, from_, to, export_folder, wait)
        return
    with said():
        if export_folder is not None:
            found = _again(narrowed(export_folder, from_, to))
        else:
            settings = Settings()
            span_ms = span_between(from_ or "24h", to or "now")
            with kafka_errors(settings.kafka):
                found = _again_from_kafka(settings, *span_ms, wait)
    if not _tell(found):
        raise typer.Exit(1)


def export(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="folder to make; it must not be there")],
    from_: From = None,
    to: To = None,
    key: Key = None,
    wait: Wait = 60.0,
) -> None:
    """Write all that shows why a span's alerts were raised to a folder: lookups, rules, reference data, alerts, a manifest.

    Exit code 1 when the export is not complete: a part of the span is gone from Kafka, or workers are behind.
    """
    from monitor.evidence.export import export as write
    from monitor.evidence.survey import span_of

    if from_ is None or to is None:
        raise fail("say which span: --from T --to T")
    settings, span = Settings(), span_between(from_, to)
    with said(), kafka_errors(settings.kafka), progress() as show:
        secret = _key(key)
        if folder.exists():
            raise Unusable(f"{folder} is there already; evidence is not written over")
        show("looking at Kafka")
        with span_of(settings, *span, wait) as found:
            made, raw = write(found, folder, secret, show)
    records = {name: f"{mark.lines:,}" for name, mark in made.files.items() if name.endswith(".jsonl")}
    typer.echo(
        f"{folder}: {made.from_} to {made.to}; " + ", ".join(f"{name} {count}" for name, count in records.items())
    )
    typer.echo(f"SHA-256 of manifest.json: {hashlib.sha256(raw).hexdigest()}")
    _notes(made.facts.notes)
    _notes(made.facts.gone)
    if made.facts.behind:
        say(f"the workers are {made.facts.behind:,} messages behind: alerts of the span may be missing")
    if made.facts.gone or made.facts.behind:
        raise typer.Exit(1)


def verify(
    folder: Annotated[Path, typer.Argument(metavar="PATH", help="folder of an export")],
    key: Key = None,
) -> None:
    """Check an export without Kafka: every hash, that nothing is missing or added, and that the lookups give its alerts.

    Exit code 1 when something does not agree.
    """
    with said():
        opened, secret = _opened(folder), _key(key)
        made = opened.manifest
        typer.echo(f"{folder}: {made.from_} to {made.to}, exported {made.made} by {made.program}")
        typer.echo(f"SHA-256 of manifest.json: {hashlib.sha256(opened.raw).hexdigest()}")
        _about(opened, secret)
        problems = list(opened.problems(secret)) or list(opened.unlike_offsets())
        for problem in problems:
            say(problem)
        if problems:
            raise fail(f"{len(problems)} things are not as the manifest says; it was not run again", code=1)
        typer.echo(f"{len(made.files)} files are as the manifest says")
        agrees = _tell(_again(opened))
    if not agrees:
        raise typer.Exit(1)


def _about(opened: Opened, secret: bytes | None) -> None:
    from monitor.evidence.manifest import SEAL

    mine = f"lookup-monitor {version('lookup-monitor')}"
    if opened.manifest.program != mine:
        say(f"this is {mine}: a difference may come of that; check with the version that made the export")
    if secret is None and (opened.folder / SEAL).exists():
        say("the export is sealed; --key FILE checks the seal")
    _notes([*opened.facts.notes, *opened.facts.gone])
    if opened.facts.behind:
        say(f"the workers were {opened.facts.behind:,} messages behind when it was made")


def _opened(folder: Path) -> Opened:
    from monitor.evidence.manifest import MANIFEST
    from monitor.evidence.opened import Opened

    if not (folder / MANIFEST).is_file():
        raise Unusable(f"{folder} is no export: it has no {MANIFEST}")
    return Opened(folder)


def narrowed(folder: Path, from_: str | None, to: str | None) -> Opened:
    """An export, with a span within its own if one is asked for."""
    opened, now = _opened(folder), _now()
    facts = opened.facts
    begin = facts.from_ms if from_ is None else _when("--from", from_, now)
    end = facts.to_ms if to is None else _when("--to", to, now)
    if not facts.from_ms <= begin < end <= facts.to_ms:
        raise Unusable(
            f"the export holds the alerts of {opened.manifest.from_} to {opened.manifest.to}; ask within that"
        )
    opened.facts = msgspec.structs.replace(facts, from_ms=begin, to_ms=end)
    return opened


def _again(evidence: Any) -> Checked:
    from monitor.evidence.check import check
    from monitor.stream.masking import masks_if_known, sealer_of
    from monitor.stream.seal import BadKey

    try:
        settings = Settings()
        forms, sealer = masks_if_known(settings), sealer_of(settings)
    except BadKey as error:
        raise Unusable(str(error)) from None
    with progress() as show:
        return check(evidence, show, forms, sealer)


def _again_from_kafka(settings: Settings, from_ms: int, to_ms: int, wait: float) -> Checked:
    from monitor.evidence.survey import span_of

    with span_of(settings, from_ms, to_ms, wait) as span:
        _notes([*span.facts.notes, *span.facts.gone])
        if span.facts.behind:
            raise Unusable(
                f"the workers are {span.facts.behind:,} messages behind, so alerts are still to come; "
                "start workers, or wait for longer (--wait)"
            )
        return _again(span)


def _tell(found: Checked) -> bool:
    """Say what came of a replay; whether the alerts agree."""
    agreement: Agreement = found.agreement
    for each in agreement.differences:
        what = f"{each.how:12} {each.time:29} {each.id or '(no alert)'} {each.rule} ({each.kind})"
        typer.echo(f"{what} at {each.place}" if each.place else what)
    typer.echo(
        f"{found.lookups:,} messages run again, {found.refused:,} refused; alerts of the span: {agreement.equal:,} agree, "
        f"{len(agreement.differences):,} differ, {agreement.undecided:,} not decided yet"
    )
    for rule, count in agreement.left_out.items():
        typer.echo(f"not compared, as the log does not go back far enough: {count:,} of {rule}")
    return not agreement.differences


def _notes(notes: list[str]) -> None:
    for note in notes:
        say(f"note: {note}")


def _serve(every: str, from_: str | None, to: str | None, export_folder: Path | None, wait: float) -> None:
    from monitor.selfcheck import serve_checks

    if to is not None or export_folder is not None:
        raise fail("--every goes with --from alone: it replays what is newest")
    every_ms = _duration("--every", every)
    span_ms = every_ms if from_ is None else _duration("--from", from_)
    stop = threading.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: stop.set())
    with said():
        serve_checks(Settings(), every_ms, span_ms, wait, stop)


def span_between(from_: str, to: str) -> tuple[int, int]:
    now = _now()
    begin, end = _when("--from", from_, now), _when("--to", to, now)
    if end > now:
        raise fail(f"--to {to} is in the future")
    if begin >= end:
        raise fail(f"--from {from_} is not before --to {to}")
    return begin, end


def _when(name: str, text: str, now: int) -> int:
    return _parsed(name, lambda: parse_when(text, now))


def _duration(name: str, text: str) -> int:
    return _parsed(name, lambda: parse_duration(text))


def _parsed(name: str, parse: Callable[[], int]) -> int:
    try:
        return parse()
    except ValueError as error:
        raise fail(f"{name} {error}") from None


def _key(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        key = read_secret(path).strip()
    except BadSecretFile as error:
        raise Unusable(str(error)) from None
    if len(key) < 16:
        raise Unusable(f"{path} has {len(key)} bytes; a key has at least 16 (make one: openssl rand -hex 32)")
    return key


def _now() -> int:
    return int(time.time() * 1000)

"""privacy export, erase, hold, lift, holds: what is held of somebody, and for how long."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from monitor.access.roles import Role
from monitor.commands.auditing import audit_of
from monitor.commands.common import fail, kafka_errors, out, progress
from monitor.commands.feedback import send
from monitor.commands.incidents import read as read_incidents
from monitor.commands.privacy import As, By, Why, person_of, stamp
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.incidents.order import Order
    from monitor.privacy.pseudonym import Pseudonyms

Kind = Annotated[
    Literal["actor", "subject"] | None, typer.Option(help="names are ids of actors or subjects; without it pseudonyms, or incidents")
]  # fmt: skip
Names = Annotated[list[str], typer.Argument(metavar="NAME…")]


@contextmanager
def _errors() -> Iterator[None]:
    from monitor.audit.event import AuditUnavailable
    from monitor.evidence import Unusable
    from monitor.privacy.desk import NotAllowed
    from monitor.stream.seal import BadKey

    try:
        yield
    except NotAllowed as error:
        raise fail(str(error), code=1) from None
    except AuditUnavailable as error:
        raise fail(f"the audit log does not take it, so nothing is done: {error}") from None
    except (BadKey, Unusable, OSError) as error:
        raise fail(str(error)) from None


def hold(names: Names, by: By, reason: Why, kind: Kind = None, roles: As = None) -> None:
    """Keep what is held of people or incidents, whatever their time: nothing of it is forgotten or erased until `lift`."""
    with _errors():
        made = _give(Settings(), "hold", _names(Settings(), names, kind), by, reason, roles)
    out.print(f"hold {made.id}", soft_wrap=True)


def lift(ident: Annotated[str, typer.Argument(metavar="HOLD")], by: By, reason: Why, roles: As = None) -> None:
    """End a hold. What is past its time is forgotten when the next day begins."""
    settings = Settings()
    found = [each for each in _holds(settings) if each.id.startswith(ident)] if ident else []
    if len(found) != 1:
        raise fail(f"{len(found) or 'no'} holds begin with {ident!r}; see `monitor privacy holds`", code=1)
    with _errors():
        _give(settings, "lift", found[0].names, by, reason, roles, found[0].id)
    out.print(f"lifted {found[0].id}", soft_wrap=True)


def holds() -> None:
    """List the holds in force."""
    from rich.table import Table

    table = Table("hold", "since", "by", "why", "names")
    for each in _holds(Settings()):
        table.add_row(each.id, each.time, each.by, each.reason, "\n".join(each.names))
    out.print(table)


def erase(
    name: Annotated[str, typer.Argument(metavar="ACTOR|SUBJECT", help="its id, with --kind, or its pseudonym")],
    by: By,
    reason: Why,
    kind: Kind = None,
    reference: Annotated[bool, typer.Option("--reference", help="also what the reference data says of the id")] = False,
    roles: As = None,
) -> None:
    """Erase what Kafka lets be erased of somebody, and say what stays and for how long. What is held or worked on stays.

    Closed incidents of nobody else go whole; of others, the identity that is sealed in them.
    """
    from monitor.incidents.forgetting import Holds, erased, names_of
    from monitor.privacy.retention import KINDS, days_of

    settings = Settings()
    with _errors():
        names = frozenset(_names(settings, [name], kind))
        found = [each for each in read_incidents(settings) if names & names_of(each)]
        held = Holds({each.id: each for each in _holds(settings)})
        if any(names & set(each.names) for each in _holds(settings)):
            raise fail("a legal hold is on it; `monitor privacy holds` says which", code=1)
        _give(settings, "erase", sorted(names), by, reason, roles)
        if reference and kind is not None:
            _forget_reference(settings, f"{kind}/{name}")
    whole = [each for each in found if erased(each, names) and not held.has(each)]
    kept = [each for each in found if each not in whole]
    out.print(f"{len(whole)} incidents are forgotten", soft_wrap=True)
    for each in kept:
        why = "held" if held.has(each) else "worked on" if each.is_open else "of others too: its sealed identity goes"
        out.print(f"incident {each.id} stays: {why}", soft_wrap=True)
    for one in KINDS:
        if one.erasure:
            days = days_of(one, settings)
            out.print(f"{', '.join(one.topics)}: {one.erasure}" + (f" ({days} days)" if days else ""), soft_wrap=True)


def export(
    folder: Annotated[Path, typer.Argument(help="a new folder")],
    name: Annotated[str, typer.Argument(metavar="ACTOR|SUBJECT", help="its id")],
    by: By,
    reason: Why,
    kind: Annotated[Literal["actor", "subject"], typer.Option(help="what the id is of")] = "actor",
    roles: As = None,
) -> None:
    """Write all that is held of somebody to a folder, by their id and by their pseudonyms, with a manifest.

    It has other people in it (who looked, whose address): read it before it is handed over.
    """
    from monitor.evidence.kafka_log import Log
    from monitor.privacy.officer import allow
    from monitor.stream.held import export as write

    settings = Settings()
    person = person_of(by, roles, Role.PRIVACY_OFFICER)
    with kafka_errors(settings.kafka), _errors():
        pseudonyms = _names(settings, [name], kind)
        asyncio.run(allow(person, "privacy-export", pseudonyms, reason, audit_of(settings), stamp()))
        log = Log(settings)
        try:
            with progress() as show:
                made = datetime.now(UTC).isoformat(timespec="seconds")
                done = write(log, folder, frozenset({name, *pseudonyms}), made, show, _archived(settings, name))
        finally:
            log.close()
    for file, mark in done.files.items():
        if mark.lines:
            out.print(f"{file}: {mark.lines:,} records", soft_wrap=True)


def _archived(settings: Settings, name: str) -> Iterator[dict[str, Any]]:
    """The archive's lookups of or about somebody; none where there is no archive."""
    from monitor.commands.archive import archive_of
    from monitor.history.ask import History

    if settings.archive is not None and archive_of(settings).exists:
        yield from History(archive_of(settings)).of_anybody([name])


def _names(settings: Settings, names: list[str], kind: Literal["actor", "subject"] | None) -> list[str]:
    """Pseudonyms by every key of ids; pseudonyms, and ids of incidents, as they are."""
    if kind is None:
        return names
    from monitor.stream.masking import pseudonyms_of

    pseudonyms: Pseudonyms | None = pseudonyms_of(settings)
    if pseudonyms is None:
        return names
    return [each for name in names for each in pseudonyms.every(kind, name)]


def _give(
    settings: Settings, what: str, names: list[str], by: str, reason: str, roles: list[Role] | None, ident: str = ""
) -> Order:  # fmt: skip
    from monitor.incidents.order import BadOrder, Order, decode, encode
    from monitor.privacy.officer import give
    from monitor.stream.topics import HOLDS

    mark = stamp()
    made = Order(order=what, id=ident or str(uuid.uuid4()), by=by, time=mark.time, reason=reason, names=names)  # type: ignore[arg-type]
    try:
        decode(encode(made))
    except BadOrder as error:
        raise fail(error.detail) from None

    async def write(order: Order) -> None:
        await asyncio.to_thread(send, settings, HOLDS, order.id, encode(order))

    asyncio.run(give(person_of(by, roles, Role.PRIVACY_OFFICER), made, audit_of(settings), write, mark))
    return made


def _holds(settings: Settings) -> list[Order]:
    """The holds in force, the oldest first."""
    from monitor.stream.holds import holds_in_force

    with kafka_errors(settings.kafka):
        return asyncio.run(holds_in_force(settings))


def _forget_reference(settings: Settings, key: str) -> None:
    from kafka import KafkaProducer

    from monitor.stream.topics import REFERENCE

    with kafka_errors(settings.kafka):
        producer = KafkaProducer(**settings.kafka.options(), acks="all", allow_auto_create_topics=False)
        try:
            producer.send(REFERENCE, key=key.encode(), value=None, partition=0).get(timeout=30)
        finally:
            producer.close()

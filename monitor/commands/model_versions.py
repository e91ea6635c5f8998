"""model versions and model rollback: which earlier versions of the models there are, and back to one."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Final

import msgspec
import typer

from monitor.commands.common import fail, kafka_errors, out, say
from monitor.model import PeerModel
from monitor.model.versions import BadVersions, Group, Versions, day_of, days_kept, decode, named
from monitor.settings import Settings

#: How often is asked whether the workers have done it, in seconds.
_ASK_EVERY: Final = 0.5


def saved_groups(settings: Settings, quiet: bool = False) -> dict[str, Group]:
    """The models of the running service with their versions, by group; exits with what is wrong when one cannot be read.

    What is not signed as the settings ask is left out, and said unless ``quiet``.
    """
    with kafka_errors(settings.kafka):
        return asyncio.run(_saved_groups(settings, quiet))


async def _saved_groups(settings: Settings, quiet: bool) -> dict[str, Group]:
    from monitor.stream import tables
    from monitor.stream.score import VERSIONS_OF, GroupState
    from monitor.stream.seal import BadKey
    from monitor.stream.topics import SCORE_STATE

    try:
        maker = tables.Tables(settings)
    except BadKey as error:
        raise fail(str(error)) from None
    found: dict[str, Group] = {}
    for partition in range(settings.partitions):
        table = await tables.load(settings.kafka, maker.new(SCORE_STATE, partition))
        if table.refused and not quiet:
            say(
                f"{table.refused:,} records of {SCORE_STATE}/{partition} are not signed as they must be; they are left out"
            )
        for group, raw in table.values.items():
            if group.startswith(VERSIONS_OF):
                continue
            kept = table.get(VERSIONS_OF + group)
            try:
                model = PeerModel.from_bytes(msgspec.msgpack.decode(raw, type=GroupState).model)
                found[group] = Group(model, Versions() if kept is None else decode(kept))
            except (ValueError, msgspec.MsgspecError) as error:
                what = "versions" if isinstance(error, BadVersions) else "model"
                raise fail(f"the {what} of {group!r}: {error}", code=1) from None
    return found


def is_kept(group: Group, day: int) -> bool:
    """Whether it is known what the group's model was at the beginning of a day."""
    return group.versions.as_of(day) is not None or day > group.versions.day >= 0


def returnable(groups: dict[str, Group]) -> dict[int, int]:
    """The days that can be returned to, the last first, with how many models are known as of then."""
    today = max((group.versions.day for group in groups.values()), default=-1)
    counts = {
        day: sum(is_kept(group, day) for group in groups.values())
        for day in sorted(set(days_kept(today)), reverse=True)
    }
    # What nobody has changed since is no version to return to.
    return {
        day: count
        for day, count in counts.items()
        if day >= 0 and any(group.versions.as_of(day) for group in groups.values())
    }


def versions() -> None:
    """List the days to whose beginning the models of the running service can return."""
    from rich.table import Table

    groups = saved_groups(Settings())
    table = Table("as of the beginning of (UTC)", "models")
    for day, count in returnable(groups).items():
        table.add_row(named(day), f"{count} of {len(groups)}")
    out.print(table)


def rollback(
    day: Annotated[str, typer.Argument(metavar="DAY", help="2026-11-24; `monitor model versions` lists them")],
    wait: Annotated[float, typer.Option(min=0, help="seconds to wait until all workers have done it")] = 60.0,
) -> None:
    """Return every model to what it was when a day began (UTC), at one point of the log for all workers; no lookup is lost.

    It goes on learning from there. Exit code 1 when the workers have not done it in time; they will when they come to it.
    """
    settings = Settings()
    try:
        wanted = day_of(day)
    except ValueError as error:
        raise fail(str(error)) from None
    before = saved_groups(settings)
    if wanted not in returnable(before):
        raise fail(f"no version of {day} is kept; `monitor model versions` lists those that are")
    for name in sorted(before):
        if not is_kept(before[name], wanted):
            say(f"note: what {_told(name)} was then is not known; it stays as it is")
    _send(settings, day)
    deadline = time.monotonic() + wait
    while not (done := _is_done(settings, before)) and time.monotonic() < deadline:
        time.sleep(_ASK_EVERY)
    if not done:
        raise fail("the workers have not come to it yet; it stands in the log, and they will", code=1)
    out.print(f"{len(before)} models are what they were when {day} began, and go on from there")


def _told(name: str) -> str:
    from monitor.commands.model import named as named_group

    return named_group(name)


def _send(settings: Settings, day: str) -> None:
    from monitor.commands.ingest import send_chunks
    from monitor.stream.versions import roll_back_records

    for _ in send_chunks(settings, roll_back_records(day, settings.partitions)):
        pass


def _is_done(settings: Settings, before: dict[str, Any]) -> bool:
    now = saved_groups(settings, quiet=True)
    return all(
        name in now and now[name].versions.line >= group.versions.line + settings.partitions
        for name, group in before.items()
    )

"""All checks over all files of a pack."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date

from monitor.rules.lint.comments import disabled_in
from monitor.rules.lint.pack import File, Pack, Written
from monitor.rules.lint.registry import Check, Finding, registered


def lint(
    files: Mapping[str, str],
    today: date,
    *,
    disable: Collection[str] = (),
    only: Collection[str] | None = None,
    fields: Collection[str] = (),
    lists: Collection[str] = (),
) -> list[Finding]:
    """What is wrong with the files (texts by path, as :func:`monitor.rules.read_dir` reads them), by place.

    ``today`` is what expiry dates are judged by. Checks named in ``disable`` (ids or names) are left out. Of the files,
    those that are not in ``only`` are looked at so that the others may name their rules, but not reported about. ``fields``
    are names of further fields that lookups have (``vendor.*`` for all that begin so), ``lists`` of lists in the reference
    data.
    """
    pack = Pack(files, today, fields, lists)
    checks = [each for each in registered().values() if not {each.id, each.name} & {*disable}]
    wanted = {file.path: file for file in pack.files if only is None or file.path in only}
    subjects: list[File | Written] = [*wanted.values(), *(one for one in pack.documents if one.path in wanted)]
    found = {finding for each in checks for one in subjects for finding in _run(each, one, pack)}
    off = {path: disabled_in(file.text) for path, file in wanted.items()}
    return sorted(
        finding
        for finding in found
        if not any(
            each.check in (finding.id, finding.name) and each.first <= finding.line <= each.last
            for each in off[finding.path]
        )
    )


def _run(check: Check, one: File | Written, pack: Pack) -> Iterator[Finding]:
    if one.kind not in check.of:
        return
    for note in check.run(one, pack):
        place = note.place or (one.document.place(note.at) if isinstance(one, Written) else (1, 1))
        yield Finding(one.path, *place, check.id, check.name, check.severity, note.message, note.hint)

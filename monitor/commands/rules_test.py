"""What `monitor rules test` does: find the tests, run them, say what failed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from monitor.commands.common import fail, load_files, say
from monitor.documents import nearest
from monitor.junit import Outcome
from monitor.ruletest import Case, cases_of
from monitor.settings import Settings


def run_all(paths: Sequence[Path], around: Path | None, only: str | None) -> list[Outcome]:
    """Run the tests of rules in ``paths`` (else the pack), with the rules ``around`` them loaded too.

    What is wrong with a rule in ``paths`` is an outcome as well: a test that broke. ``only`` is one rule's name or id.
    """
    for path in paths:
        if not path.exists():
            raise fail(f"{path}: no such file or folder")
    if around is not None and not around.is_dir():
        raise fail(f"{around} is not a folder of rules")
    wanted = [path.resolve() for path in paths or [around or Settings().rules]]
    files, loaded = load_files(_places(paths, around or Settings().rules, around is not None))
    chosen = {path: text for path, text in files.items() if any(Path(path).resolve().is_relative_to(w) for w in wanted)}
    outcomes = [
        Outcome(each.path, "load", each.message, each.line, failure=str(each), broken=True)
        for each in loaded.problems
        if each.path in chosen
    ]
    cases = [case for path in sorted(chosen) for case in cases_of(path, chosen[path], loaded.rules)]
    if only is not None:
        cases = _only(cases, only)
    return outcomes + [_outcome(case) for case in cases]


def _places(paths: Sequence[Path], pack: Path, is_wanted: bool) -> list[Path]:
    """What to load: the pack if it is wanted or has a part in it, and what of the paths it does not hold, each once.

    A file stands for the folder it is in, as rules are made of those beside them.
    """
    folders = [path if path.is_dir() else path.parent for path in paths]
    if not folders or is_wanted or any(_is_in(folder, pack) for folder in folders):
        folders.append(pack)
    places: list[Path] = []
    for folder in sorted(folders, key=lambda each: len(each.resolve().parts)):
        if not any(_is_in(folder, place) for place in places):
            places.append(folder)
    return places


def _is_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _only(cases: list[Case], name: str) -> list[Case]:
    found = [case for case in cases if name in (case.rule_name, case.document.data.get("id"))]
    if not found:
        raise fail(f"no rule {name} has tests ({nearest(name, sorted({case.rule_name for case in cases}))})")
    return found


def _outcome(case: Case) -> Outcome:
    began = time.perf_counter()
    failure = case.run()
    seconds, line = time.perf_counter() - began, case.place.line
    made = Outcome(case.document.path, case.rule_name, case.name, line, seconds)
    if failure is not None:
        made.failure, made.details, made.broken = str(failure.problem), "\n".join(failure.details), failure.broken
    return made


def report(outcomes: Sequence[Outcome]) -> bool:
    """Say what failed, and how many there were; whether all is well."""
    failed = [outcome for outcome in outcomes if outcome.failure is not None]
    for outcome in failed:
        say(str(outcome.failure))
        for line in outcome.details.splitlines():
            say(f"    {line}")
    tests = [outcome for outcome in outcomes if outcome.group != "load"]
    rules = {(outcome.suite, outcome.group) for outcome in tests}
    seconds = sum(outcome.seconds for outcome in tests)
    print(f"{len(tests):,} tests of {len(rules):,} rules in {seconds:.1f} s: {len(failed) or 'none'} failed")
    return not failed

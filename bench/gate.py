"""``python -m bench.gate [BASE]``: is this checkout slower than where it branched off, and does it raise the same alerts?

Rules and model over a fixed simulated log, in process, by processor time. Both checkouts are measured in turns, in new processes for
each round, so that neither a slow minute nor the luck of one process's memory decides. What counts is the ratio, with the interval of
95 % over the rounds (Student's t of their logarithms): slower when all of it is above the limit, fine when all of it is below, and
else it is measured again, up to ``--most`` rounds. Alerts must be the same bytes.

Exit code 0: fine. 1: slower, or other alerts. 2: it cannot be told, or the base cannot be measured.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import orjson
import typer
from scipy import stats

from bench.peers.contender import ROOT, Broken
from bench.report import BROKEN, MET, MISSED
from bench.suites.outcome import console
from bench.tree import Log, Tree, write_log

CONFIDENCE: Final = 0.95
#: Lookups that warm a process up, before it is measured.
_WARM: Final = 500
_SHOWN: Final = 5


class Ratio(NamedTuple):
    """How many times the base's time this checkout takes: the estimate, and the interval that holds it with 95 %."""

    value: float
    low: float
    high: float


class Compared(NamedTuple):
    """What a gate found: the ratio, how many rounds it took, and how alerts differ, in words (empty: they do not)."""

    ratio: Ratio
    rounds: int
    differences: list[str]


def ratio_of(ratios: Sequence[float]) -> Ratio:
    """The geometric mean of the rounds' ratios, with its interval. Raises ``ValueError`` for fewer than two."""
    if len(ratios) < 2:
        raise ValueError("an interval needs two rounds at least")
    logs = [math.log(each) for each in ratios]
    mean = math.fsum(logs) / len(logs)
    spread = math.sqrt(math.fsum((each - mean) ** 2 for each in logs) / (len(logs) - 1) / len(logs))
    reach = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(logs) - 1)) * spread
    return Ratio(math.exp(mean), math.exp(mean - reach), math.exp(mean + reach))


def code_of(found: Compared, limit: float) -> int | None:
    """The exit code when more than ``limit`` (0.05: 5 %) is too slow; None when it cannot be told."""
    if found.differences or found.ratio.low > 1 + limit:
        return MISSED
    return MET if found.ratio.high <= 1 + limit else None


def differences(base: bytes, head: bytes) -> list[str]:
    """How the alerts of two runs differ, JSON Lines each: nothing when they are the same bytes."""
    if base == head:
        return []
    before, after = ({orjson.loads(line)["id"]: line for line in side.splitlines()} for side in (base, head))
    lost, added = before.keys() - after.keys(), after.keys() - before.keys()
    changed = [name for name in before.keys() & after.keys() if before[name] != after[name]]
    said = []
    for what, names, where in (("lost", lost, before), ("added", added, after), ("changed", changed, after)):
        if names:
            some = [f"{name} ({orjson.loads(where[name])['rule']['id']})" for name in sorted(names)[:_SHOWN]]
            said.append(f"{len(names)} {what}: {', '.join(some)}{', …' if len(names) > _SHOWN else ''}")
    return said or ["the same alerts in another order"]


def one_round(base: Path, head: Path, log: Log, turns: int, folder: Path, number: int) -> tuple[float, list[str]]:
    """New processes of both, measured in turns; the ratio of their times, and how their alerts differ."""
    with ExitStack() as stack:
        sides = [stack.enter_context(Tree(root, log)) for root in (base, head)]
        for side in sides:
            side.ready()
        for side in sides:
            side.run(limit=_WARM)
        used = [0.0, 0.0]
        files = [folder / "base.jsonl", folder / "head.jsonl"]
        for turn in range(turns):
            for which in (0, 1) if (turn + number) % 2 == 0 else (1, 0):
                ran = sides[which].run(files[which])
                used[which] += ran.cpu
                if ran.lookups != log.lookups:
                    raise Broken(f"{sides[which].root} took {ran.lookups:,} of {log.lookups:,} lookups")
        return used[1] / used[0], differences(*(file.read_bytes() for file in files))


def compare(base: Path, head: Path, log: Log, limit: float, rounds: int, most: int, turns: int = 2) -> Compared:
    """Hold the checkout ``head`` against ``base``, by ``rounds`` rounds and more (up to ``most``) while it cannot be told.

    Raises :class:`Broken` when one of them cannot be measured.
    """
    ratios: list[float] = []
    with tempfile.TemporaryDirectory(prefix="lookup-monitor-") as name:
        while True:
            ratio, differing = one_round(base, head, log, turns, Path(name), len(ratios))
            ratios.append(ratio)
            console.print(f"round {len(ratios)}: {ratio:.3f} times the base's processor time", style="dim")
            if len(ratios) < rounds and not differing:
                continue
            found = Compared(
                ratio_of(ratios) if len(ratios) > 1 else Ratio(ratio, 0.0, math.inf), len(ratios), differing
            )
            if len(ratios) >= most or code_of(found, limit) is not None:
                return found


def git(*words: str) -> str:
    """What git says. Raises :class:`Broken` with its words when it refuses."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A worktree of ``commit``, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="lookup-monitor-") as name:
        tree = Path(name, "base")
        git("worktree", "add", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            git("worktree", "remove", "--force", str(tree))


def main(
    base: Annotated[str, typer.Argument(help="branch or commit; measured is where this checkout left it")] = "main",
    limit: Annotated[float, typer.Option(min=0, help="per cent of more processor time that are too many")] = 5.0,
    rounds: Annotated[int, typer.Option(min=2, help="rounds at least")] = 6,
    most: Annotated[int, typer.Option(min=2, help="rounds at most, while it cannot be told")] = 18,
    lookups: Annotated[int, typer.Option(min=1_000, help="lookups of the simulated log")] = 20_000,
    kafka: Annotated[
        bool, typer.Option("--kafka", help="also the whole live worker over a real Kafka, of which no verdict comes")
    ] = False,
) -> None:
    """Compare this checkout, as it is on disk, with where it left BASE."""
    try:
        commit = git("merge-base", base, "HEAD")
        console.print(f"base: {git('log', '-1', '--format=%h %s', commit)}", markup=False)
        with tempfile.TemporaryDirectory(prefix="lookup-monitor-") as name, checkout(commit) as tree:
            log = write_log(Path(name), lookups, actors=100)
            found = compare(tree, ROOT, log, limit / 100, rounds, most)
            if kafka:
                from bench.gate_kafka import show

                show(tree, ROOT)
    except Broken as broken:
        console.print(f"broken: {broken}", style="bold red", markup=False)
        sys.exit(BROKEN)
    for words in found.differences:
        console.print(f"other alerts: {words}", markup=False)
    ratio = found.ratio
    code = code_of(found, limit / 100)
    verdict = {
        MET: "fine",
        MISSED: "other alerts" if found.differences else "SLOWER",
        None: "cannot be told: more --most or a quieter machine",
    }
    console.print(
        f"{ratio.value:.3f} times the base's processor time ({ratio.low:.3f} to {ratio.high:.3f}, {found.rounds} rounds), "
        f"limit {1 + limit / 100:.3f}: {verdict[code]}"
    )
    sys.exit(BROKEN if code is None else code)


if __name__ == "__main__":
    typer.run(main)

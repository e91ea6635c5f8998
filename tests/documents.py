"""The documents of this repository: the commands and blocks that are in them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FENCE = re.compile(r"^```(\w*) ?(.*)$")
#: What comes before a command of ours on a line of a shell.
_OURS = re.compile(r"(?:^|[\s(`|;&])monitor (?=[a-z])(.*)$")
_ENDS = re.compile(r"\s(?:#|\||;|&|>|<|2>)|[;`)]|\)$| - <")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: ``words`` say what it is (``sh``, and how it is run), ``expected`` are the lines of the text block after it."""

    words: tuple[str, ...]
    line: int
    text: str
    expected: tuple[str, ...] = ()


def documents() -> list[Path]:
    """All pages for people."""
    return sorted((ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/**/*.md")))


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a page that are for a shell, each with what is expected of it."""
    found: list[Block] = []
    opened: tuple[tuple[str, ...], int, list[str]] | None = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if fence is None:
            if opened is not None:
                opened[2].append(line)
        elif opened is None:
            opened = ((fence[1], *fence[2].split()), number, [])
        else:
            words, began, lines = opened
            if words[0] == "sh":
                found.append(Block(words, began, "\n".join(lines)))
            elif words[0] == "text" and found:
                found[-1] = Block(found[-1].words, found[-1].line, found[-1].text, tuple(lines))
            opened = None
    assert opened is None, f"{path}:{opened[1]}: a block without an end" if opened else ""
    return found


def commands(path: Path) -> Iterator[tuple[int, str]]:
    """Every command of ours on a page, in blocks and within sentences, with the line that it is on."""
    within: str | None = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("```"):
            within = line[3:].split(" ")[0] if within is None else None
            continue
        if within not in (None, "", "sh"):
            continue
        pieces = [line] if within is not None or line.startswith("    ") else re.findall(r"`([^`]+)`", line)
        for piece in pieces:
            for part in re.split(r"\s\|\s|\$\(|;\s|&&|`, `", piece):
                if (match := _OURS.search(part)) is not None:
                    yield number, _ENDS.split(match[1].strip(), maxsplit=1)[0]


class Shell:
    """A shell in which the blocks of a page are run one after the other, in a folder of its own."""

    def __init__(self, folder: Path, more: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "COLUMNS": "200",
            **more,
        }
        self._outputs = 0

    def __enter__(self) -> Shell:
        self._shell = subprocess.Popen(
            ["bash"], cwd=self._folder, env=self._environment, stdin=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.kill()
        self._shell.wait()

    def follow(self, block: Block, timeout: float = 120) -> None:
        """Run a block; what is expected of it has to be in what it says, line after line, and no command may be used wrongly.

        A block of the kind ``until`` is run again until it says so.
        """
        deadline = time.monotonic() + timeout
        while True:
            said = self._run(block.text, deadline)
            missing = next(missing_of(said, block.expected), None)
            if missing is None:
                return
            if "until" not in block.words or time.monotonic() > deadline:
                raise AssertionError(f"line {block.line}: {missing!r} is not in\n{said}")

    def _run(self, text: str, deadline: float) -> str:
        self._outputs += 1
        output, done = self._folder / f".said-{self._outputs}", self._folder / f".done-{self._outputs}"
        assert self._shell.stdin is not None
        # Exit code 1 is that something was found; anything above is a command that was used wrongly, or broke.
        check = "trap 'code=$?; if [ $code -gt 1 ]; then echo \"exit code $code: $BASH_COMMAND\"; fi' ERR"
        self._shell.stdin.write(f"{check}\n{{\n{text}\n}} > {output} 2>&1\necho > {done}\n")
        self._shell.stdin.flush()
        while not done.exists():
            said = output.read_text() if output.exists() else ""
            assert time.monotonic() < deadline, f"not done in time:\n{text}\n{said}"
            assert self._shell.poll() is None, f"the shell ended:\n{text}\n{said}"
            time.sleep(0.05)
        said = output.read_text()
        assert "exit code " not in said, f"{text}\n{said}"
        return said


def missing_of(said: str, expected: tuple[str, ...]) -> Iterator[str]:
    """The expected texts that are not there, in the order in which they should be."""
    at = 0
    for text in filter(None, map(str.strip, expected)):
        found = said.find(text, at)
        if found < 0:
            yield text
        else:
            at = found + len(text)

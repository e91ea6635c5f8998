"""What documents say can be typed: every command on every page is one there is, with options and values it takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_command

from monitor.cli import COMMANDS, app
from tests.documents import ROOT, blocks, commands, documents

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.M)
#: What stands for something that the reader knows: `FILE`, `NAME…`, `<alert-id>`, `$port`.
_STANDS_FOR = re.compile(r"^(?:[A-Z][A-Z0-9-]*…?|…|<[^>]+>|.*\$.*)$")


def alternatives(command: str) -> Iterator[list[str]]:
    """A command with its `a|b`, each by itself, without brackets."""
    plain = command.replace("\\|", "|").replace("[", " ").replace("]", " ").strip()
    words = [word.split("|") if "|" in word and not word.startswith("-") else [word] for word in shlex.split(plain)]
    yield from ([*chosen] for chosen in product(*words))


def wrong(words: list[str]) -> str | None:
    """What is wrong with a command as it is written; ``None`` when it can be typed."""
    command: Any = get_command(app)
    rest = list(words)
    path = "monitor"
    while (group := getattr(command, "commands", None)) is not None and rest and not rest[0].startswith("-"):
        if rest[0] not in group:
            return f"{path} has no command {rest[0]!r}"
        command, path = group[rest[0]], f"{path} {rest.pop(0)}"
    options = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts)}
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    given = 0
    while rest:
        word = rest.pop(0)
        if word == "--help":
            continue
        if word.startswith("--"):
            name, _, value = word.partition("=")
            option = options.get(name)
            if option is None:
                return f"{path} has no option {name}"
            if getattr(option, "is_flag", False):
                continue
            value = value or (rest.pop(0) if rest else "")
            if not value:
                return f"{path} {name} has no value"
            choices = (
                get_args(option.type_descriptor.annotation)
                if "Literal[" in str(option.type_descriptor.annotation)
                else ()
            )
            if choices and not _STANDS_FOR.match(value) and value not in choices:
                return f"{path} {name} cannot be {value!r}"
        elif word != "…":
            given += 1
    most = sum(99 if one.nargs == -1 else one.nargs for one in arguments)
    return f"{path} takes {most} arguments, not {given}" if given > most else None


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_on_a_page_is_one_there_is(page: Path) -> None:
    for line, command in commands(page):
        for words in alternatives(command):
            assert wrong(words) is None, f"{page.name}:{line}: {command!r}: {wrong(words)}"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("rules tests", "no command 'tests'"),
        ("hunt P --hop 2", "no option --hop"),
        ("incidents list --queue nobody", "cannot be 'nobody'"),
        ("timeline A B", "takes 1 arguments, not 2"),
        ("incidents ack\\|shut I --by WHO", "no command 'shut'"),
        ("trace --subjects", "has no value"),
    ],
)
def test_one_that_is_not_is_found(command: str, said: str) -> None:
    assert said in "; ".join(filter(None, map(wrong, alternatives(command))))


def test_commands_are_found_in_blocks_and_sentences(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Run `monitor doctor`, `docker compose run worker`.\n\n    cat x | monitor ingest - # why\n\n"
        "```sh\nx=$(monitor hunt P | head)\n```\nThe monitor watches.\n"
    )
    assert list(commands(page)) == [(1, "doctor"), (3, "ingest -"), (6, "hunt P")]


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text()):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, place = target.partition("#")
        to = (page.parent / name).resolve() if name else page
        assert to.exists(), f"{page.name} links to {target}"
        if place and to.suffix == ".md":
            assert place in {anchor(each) for each in _HEADING.findall(to.read_text())}, (
                f"{page.name} links to {target}"
            )


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_page_is_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        for target in _LINK.findall(page.read_text()):
            to = (page.parent / target.partition("#")[0]).resolve()
            if to.is_dir():
                to /= "README.md"
            if to.suffix == ".md" and to.exists():
                waiting.append(to)
    assert {str(page.relative_to(ROOT)) for page in documents()} - {
        str(page.relative_to(ROOT)) for page in seen
    } == set()


def test_modules_that_pages_run_are_there() -> None:
    for page in documents():
        for module in re.findall(r"python -m ((?:bench|tests)[\w.]*)", page.read_text()):
            place = ROOT / module.replace(".", "/")
            assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), f"{page.name}: {module}"


def test_settings_that_pages_name_are_there() -> None:
    from monitor.settings import ENV_PREFIX, Settings

    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
    others = {f"{ENV_PREFIX}{name}" for name in ("NEW_PASSWORD", "LONG_TESTS")}
    for page in documents():
        for name in re.findall(rf"{ENV_PREFIX}[A-Z][A-Z_]*[A-Z]\b(?!_?\*)", page.read_text()):
            assert name in known | others, f"{page.name}: {name}"


def test_every_block_for_a_shell_is_run_by_a_test() -> None:
    run = {"tutorial.md", "rules.md"}
    for page in documents():
        assert page.name in run or not blocks(page), f"{page.name}: use an indented block for what no test runs"


def test_every_command_is_written_down() -> None:
    told = {words[0] for _, one in commands(ROOT / "docs/commands.md") for words in alternatives(one)}
    assert told == set(COMMANDS)

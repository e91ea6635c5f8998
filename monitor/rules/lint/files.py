"""Checks of files: their names and folders, and characters in them that people do not see."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from monitor.rules.lint.comments import disabled_in
from monitor.rules.lint.known import near
from monitor.rules.lint.pack import File, Pack, Written
from monitor.rules.lint.registry import FILE, RULES, Note, check, registered
from monitor.rules.model import TYPOLOGIES

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*\.yml")
#: Control and format characters (zero width, right to left), and spaces that are none of ours.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
_SPACES: Final = frozenset({"\n", "\r", "\t", " "})


@check("LM360", "warning", "an odd file name", FILE)
def odd_file_name(file: File, pack: Pack) -> Iterator[Note]:
    """The specification has lower case letters, digits, _ and -, and the ending .yml."""
    name = Path(file.path).name
    if _NAME.fullmatch(name) is None:
        wanted = re.sub(r"[^a-z0-9]+", "-", Path(name).stem.lower()).strip("-") or "rule"
        yield Note(f"the file is called {name}", f"for instance {wanted}.yml", place=(1, 1))


@check("LM361", "info", "a file outside the folders of typologies", FILE)
def outside_folders(file: File, pack: Pack) -> Iterator[Note]:
    """A rule is found by the folder of its typology."""
    folder = Path(file.path).parent.name
    if folder and folder not in TYPOLOGIES and any(written.alerts for written in file.documents):
        hint = near(folder, TYPOLOGIES, "a folder named as the typology")
        yield Note(f"the folder {folder} is no typology", hint, place=(1, 1))


@check("LM362", "warning", "a typology other than the folder's", RULES)
def other_folder(rule: Written, pack: Pack) -> Iterator[Note]:
    """One of the two is wrong."""
    folder, typology = Path(rule.path).parent.name, rule.text("typology")
    if folder in TYPOLOGIES and typology in TYPOLOGIES and folder != typology:
        yield Note(f"the typology is {typology}, but the folder {folder}", "move one of them", ("typology",))


@check("LM363", "warning", "a tab", FILE)
def tab(file: File, pack: Pack) -> Iterator[Note]:
    """YAML does not allow tabs to indent, and elsewhere nobody sees them."""
    for number, line in enumerate(file.text.split("\n"), 1):
        if "\t" in line:
            yield Note("there is a tab", "use spaces; in a text write \\t", place=(number, line.index("\t") + 1))


@check("LM364", "warning", "a character that people do not see", FILE)
def hidden_character(file: File, pack: Pack) -> Iterator[Note]:
    """Zero width, right to left and other control characters make a rule look like what it is not."""
    for number, line in enumerate(file.text.split("\n"), 1):
        for column, sign in enumerate(line, 1):
            odd = unicodedata.category(sign) in _HIDDEN or (unicodedata.category(sign) == "Zs" and sign != " ")
            if odd and sign not in _SPACES:
                name = unicodedata.name(sign, f"U+{ord(sign):04X}").lower()
                yield Note(f"there is a hidden character: {name}", "take it out", place=(number, column))
                break


@check("LM365", "warning", "bytes that are not UTF-8", FILE)
def not_utf8(file: File, pack: Pack) -> Iterator[Note]:
    """They cannot be read and are shown as �."""
    for number, line in enumerate(file.text.split("\n"), 1):
        if "\N{REPLACEMENT CHARACTER}" in line:
            place = (number, line.index("\N{REPLACEMENT CHARACTER}") + 1)
            yield Note("there are bytes that are not UTF-8", "save the file as UTF-8", place=place)


@check("LM366", "warning", "a comment that switches off a check there is none of", FILE)
def unknown_check(file: File, pack: Pack) -> Iterator[Note]:
    """It has no effect."""
    names = {name for each in registered().values() for name in (each.id, each.name)}
    for each in disabled_in(file.text):
        if each.check not in names:
            hint = near(each.check, names, "see `monitor rules lint --list`")
            yield Note(f"there is no check {each.check}", hint, place=(each.line, each.column))


@check("LM367", "info", "a file without a rule", FILE)
def no_rule(file: File, pack: Pack) -> Iterator[Note]:
    """It has no effect."""
    if not file.documents and not file.problems:
        yield Note("there is nothing in it", "take it out", place=(1, 1))

"""Every text of the console is in the catalogue, in both languages, and no template has one of its own."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import pytest

from monitor.console.acting import _AUDITED
from monitor.console.pages import STEPS
from monitor.console.pages_lists import SHORTCUTS
from monitor.console.rows import STATUSES as ASKED
from monitor.console.rulehealth import STATES
from monitor.console.showing import HERE
from monitor.console.words import LANGS, TEXTS, WORDS, chosen
from monitor.feedback.disposition import VERDICTS
from monitor.incidents.command import COMMANDS
from monitor.incidents.model import NOTICE_KINDS, RESPONSES, STATUSES
from monitor.model.catalogue import CATALOGUE, FEATURES
from monitor.model.catalogue import WORDS as FEATURE_WORDS
from monitor.rules.model import LEVELS, TYPOLOGIES

TEMPLATES = sorted((HERE / "templates").glob("*.html"))
#: The same in both languages.
SAME = {
    "filter.status", "filter.do", "col.status", "col.incident", "col.register", "incident.title", "incident.id", "nav.live", "live.title",
    "live.registers", "dispositions.whole", "keys.live", "status.open", "level.informational", "stage.score", "kind.system",
    "rulestate.model", "unit.%", "unit.index",
}  # fmt: skip


@pytest.mark.parametrize("key", TEXTS)
def test_a_text_is_there_in_both_languages_with_the_same_parts(key: str) -> None:
    english, dutch = TEXTS[key]
    assert english.strip()
    assert dutch.strip()
    assert (english == dutch) == (key in SAME)
    parts = [sorted(name for _, name, _, _ in Formatter().parse(text) if name) for text in (english, dutch)]
    assert parts[0] == parts[1]


def test_all_names_that_messages_have_are_called_something() -> None:
    wanted = {
        "status": {*STATUSES, *ASKED},
        "response": RESPONSES,
        "level": LEVELS,
        "verdict": VERDICTS,
        "typology": TYPOLOGIES,
        "notice": NOTICE_KINDS,
        "rulestate": STATES,
        "feature": FEATURES,
        "unit": {"%" if each.form == "share" else each.unit for each in CATALOGUE},
        "step": {*COMMANDS, *(step for steps in STEPS.values() for step in steps)},
        "keys": {name for _, name in SHORTCUTS},
        "sent": STEPS,
    }
    for group, names in wanted.items():
        for name in names:
            assert f"{group}.{name}" in TEXTS
    assert {f"verdict.{name}.means" for name in VERDICTS} <= TEXTS.keys()
    assert all(
        TEXTS[f"feature.{name}"][0].replace("’", "'") == words.replace("’", "'")
        for name, words in FEATURE_WORDS.items()
    )
    assert set(STEPS) == {*_AUDITED, "judge"}


def test_the_steps_that_the_book_writes_are_called_something() -> None:
    import monitor.incidents.book
    import monitor.incidents.response

    for module in (monitor.incidents.book, monitor.incidents.response):
        text = Path(str(module.__file__)).read_text()
        for name in re.findall(r'step\([^)]*?"([a-z ]+)"', text):
            assert f"step.{name}" in TEXTS, name


class _Literals(HTMLParser):
    """The texts of a template that stand there themselves."""

    ATTRIBUTES = frozenset({"title", "aria-label", "placeholder", "alt", "label", "content"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        for name, value in attrs:
            if name in self.ATTRIBUTES and not (tag == "meta" and names.get("name") != "description"):
                self.found.append(value or "")


def literals(text: str) -> list[str]:
    """What is left of a template without Jinja's tags and HTML's."""
    parser = _Literals()
    parser.feed(re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", " ", text, flags=re.S))
    return [each for each in parser.found if re.search(r"[A-Za-z]{2,}", each)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_a_text_of_its_own(path: Path) -> None:
    assert literals(path.read_text()) == []


def test_a_text_of_its_own_would_be_found() -> None:
    assert literals("<p>{{ t('a') }} seconds</p>") == ["  seconds"]
    assert literals('<input placeholder="Search">') == ["Search"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_asks_for_texts_there_are(path: Path) -> None:
    text = path.read_text()
    for key in re.findall(r"""\bt\(\s*["']([\w.%-]+)["']\s*[,)]""", text):
        assert key in TEXTS, key
    for group in re.findall(r"""\bt\(\s*["']([\w.-]+\.)["']\s*~""", text) + re.findall(r't\.of\("(\w+)"', text):
        assert any(key.startswith(group) for key in TEXTS), group


def test_no_text_is_there_for_nothing() -> None:
    folder = HERE
    used = "\n".join(
        path.read_text() for path in [*TEMPLATES, *folder.glob("*.py")] if not path.name.startswith("words")
    )
    groups = set(re.findall(r't\.of\("(\w+)"', used)) | set(re.findall(r'"([\w-]+)\." ~', used))
    ends = set(re.findall(r'~ "\.([\w.]+)"', used))
    for key in TEXTS:
        group, _, rest = key.partition(".")
        by_end = group in ("actor", "subject", "message", "verdict") and rest.rpartition(".")[2] in {
            end.rpartition(".")[2] for end in ends
        }
        assert f'"{key}"' in used or f"'{key}'" in used or group in groups or by_end or key in ("status.muted",), key


@pytest.mark.parametrize(
    ("cookie", "accept", "lang"),
    [
        (None, None, "en"),
        (None, "nl-NL,nl;q=0.9,en;q=0.8", "nl"),
        (None, "fr,en;q=0.5,nl;q=0.4", "en"),
        (None, "de;q=1, nl;q=0.1", "nl"),
        (None, "nl;q=0, en;q=0.1", "en"),
        (None, ",;q=,x" * 1000, "en"),
        ("nl", "en", "nl"),
        ("en", "nl", "en"),
        ("fy", "nl", "nl"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers(cookie: str | None, accept: str | None, lang: str) -> None:
    assert chosen(cookie, accept) == lang


def test_a_name_nobody_knows_is_shown_as_it_is() -> None:
    for lang in LANGS:
        assert WORDS[lang].of("typology", "brand-new") == "brand-new"

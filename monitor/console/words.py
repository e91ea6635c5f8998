"""The texts of the console, in English and Dutch: a key's text in a language, and which language somebody gets.

What the monitor wrote into alerts and incidents (reasons, titles, playbooks) is shown as it stands there, marked as English.
"""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

from monitor.console.words_identities import IDENTITIES
from monitor.console.words_names import NAMES
from monitor.console.words_pages import PAGES

Lang = Literal["en", "nl"]
LANGS: Final[tuple[Lang, ...]] = get_args(Lang)
#: What each language calls itself.
LANG_NAMES: Final[dict[Lang, str]] = {"en": "English", "nl": "Nederlands"}
#: Every text, by key: English, Dutch. In braces is what is put in.
TEXTS: Final[dict[str, tuple[str, str]]] = {**PAGES, **IDENTITIES, **NAMES}
_WEIGHED: Final = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]{1,30})?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*", re.A)
#: So much of a header is read.
_MAX_HEADER: Final = 500


class Words:
    """The texts in one language. A key that there is not is a fault of ours: ``KeyError``."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang
        self._place = LANGS.index(lang)

    def __call__(self, key: str, **parts: object) -> str:
        """The text of a key, with what is put in."""
        text = TEXTS[key][self._place]
        return text.format(**parts) if parts else text

    def of(self, group: str, name: str) -> str:
        """What a name that stands in messages is called; itself if it is none that we know."""
        known = TEXTS.get(f"{group}.{name}")
        return name if known is None else known[self._place]


WORDS: Final[dict[Lang, Words]] = {lang: Words(lang) for lang in LANGS}


def chosen(cookie: str | None, accept: str | None) -> Lang:
    """The language somebody chose, else the one of ours that their browser likes best (RFC 9110), else English."""
    for lang in LANGS:
        if cookie == lang:
            return lang
    best: Lang = "en"
    weight = 0.0
    for part in (accept or "")[:_MAX_HEADER].split(","):
        found = _WEIGHED.fullmatch(part)
        if found is None:
            continue
        liked = float(found[2] or 1)
        for lang in LANGS:
            if found[1].lower() == lang and liked > weight:
                best, weight = lang, liked
    return best

"""Rules that no check has anything to say about, and how a case changes one of them.

A case's text has the sign ¦ before every place at which its check is expected to find something.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from monitor.rules.lint import Finding, lint

TODAY = date(2026, 11, 25)
MARK = "¦"
NEWS = """title: Someone in the news was looked up
id: 3d9d6a3c-2f6c-4e0e-9d51-6c1d0a1f5a01
name: in-news
related:
  - id: 3d9d6a3c-2f6c-4e0e-9d51-6c1d0a1f5a03
    type: similar
status: experimental
description: The subject is in the news, and nothing in the work explains the lookup.
references:
  - https://example.org/why
author: Security desk
date: 2026-11-01
modified: 2026-11-02
tags:
  - attack.collection
logsource:
  category: lookup
detection:
  news:
    subject.tags: in-news
  unexplained:
    explanation: none
  condition: news and unexplained
grace: 1d
falsepositives:
  - The case was entered late
level: high
typology: curiosity
playbook: Ask the unit before the person.
tests:
  - name: read without a case
    reference:
      - {record: actor, id: o-1}
    events:
      - at: 5m
        action: read
        subject: {id: p-1}
        repeat: 2
        every: 1m
    then: 2d
    alerts: 1
  - name: read for a case
    events:
      - {action: read, purpose.case: c-1}
    alerts: 0
"""
EXPORTS = """title: Export without an explanation
id: 3d9d6a3c-2f6c-4e0e-9d51-6c1d0a1f5a02
name: export-unexplained
status: experimental
description: Part of the correlation below.
author: Security desk
date: 2026-11-01
logsource:
  category: lookup
detection:
  out:
    action: export
    explanation: none
  condition: out
level: informational
typology: bulk-harvest
---
title: Several exports without an explanation
id: 3d9d6a3c-2f6c-4e0e-9d51-6c1d0a1f5a03
name: many-exports
status: experimental
description: Three or more exports within a day.
author: Security desk
date: 2026-11-01
tags:
  - attack.exfiltration
correlation:
  type: event_count
  rules:
    - export-unexplained
  group-by:
    - actor.id
  timespan: 24h
  condition:
    gte: 3
suppress: 2d
falsepositives:
  - A report for management
level: high
typology: bulk-harvest
playbook: Ask for the files.
tests:
  - name: three
    events:
      - {action: export, repeat: 3, every: 1m}
    alerts:
      - {at: 2m, entity: o-1, count: 3}
  - name: two
    events:
      - {action: export, repeat: 2, every: 1m}
    alerts: []
"""
PRESS = """title: The press office reads the news
id: 3d9d6a3c-2f6c-4e0e-9d51-6c1d0a1f5a04
description: Answering the press is its task.
author: Security desk
date: 2026-11-01
logsource:
  category: lookup
filter:
  rules:
    - in-news
  press:
    actor.unit: press
  condition: press
expires: 2027-03-01
"""
EXPLANATION = """title: Tips
name: tip
description: A tip was written down.
explanation:
  record: case
"""
GOOD: Mapping[str, str] = {
    "rules/curiosity/news.yml": NEWS,
    "rules/bulk-harvest/exports.yml": EXPORTS,
    "rules/filters/press.yml": PRESS,
    "rules/explanations/tips.yml": EXPLANATION,
    "rules/lists/places.txt": "limburg\n",
}
PATHS = {
    "news": "rules/curiosity/news.yml",
    "exports": "rules/bulk-harvest/exports.yml",
    "press": "rules/filters/press.yml",
    "tips": "rules/explanations/tips.yml",
}


class Edit(NamedTuple):
    """A change of one of the good files: ``old``, which is there once, becomes ``new``."""

    file: str
    old: str
    new: str


def news(old: str, new: str) -> Edit:
    return Edit("news", old, new)


def exports(old: str, new: str) -> Edit:
    return Edit("exports", old, new)


def press(old: str, new: str) -> Edit:
    return Edit("press", old, new)


def tips(old: str, new: str) -> Edit:
    return Edit("tips", old, new)


def selection(line: str, condition: str = "news and unexplained") -> Edit:
    """The news rule with other lines in its first selection, and another condition."""
    return news(
        "    subject.tags: in-news\n  unexplained:\n    explanation: none\n  condition: news and unexplained\n",
        f"    {line}\n  unexplained:\n    explanation: none\n  condition: {condition}\n",
    )


def condition(text: str, more: str = "", mark: str = MARK) -> Edit:
    """The news rule with another condition, and with more selections."""
    return news("  condition: news and unexplained\n", f"{more}  {mark}condition: {text}\n")


def count(*changes: tuple[str, str]) -> Edit:
    """The correlation with changes in its body, each of which is made once."""
    old = new = EXPORTS[EXPORTS.index("  type:") : EXPORTS.index("suppress:")]
    for one, other in changes:
        assert new.count(one) == 1, f"{one!r} is there {new.count(one)} times"
        new = new.replace(one, other)
    return exports(old, new)


def correlation(body: str, name: str = "more", head: str = "") -> dict[str, str]:
    """One more correlation, in a file of its own."""
    number = hashlib.sha256(name.encode()).hexdigest()[:12]
    top = f"title: More\nid: 3d9d6a3c-2f6c-4e0e-9d51-{number}\nname: {name}\n{head}"
    return {f"rules/bulk-harvest/{name}.yml": f"{top}correlation:\n{body}"}


def edited(*edits: Edit | Mapping[str, str]) -> dict[str, str]:
    """The good files with changes; a mapping adds files."""
    files = dict(GOOD)
    for edit in edits:
        if isinstance(edit, Edit):
            path = PATHS[edit.file]
            assert files[path].count(edit.old) == 1, f"{edit.old!r} is there {files[path].count(edit.old)} times"
            files[path] = files[path].replace(edit.old, edit.new)
        else:
            files |= edit
    return files


def unmarked(files: Mapping[str, str]) -> tuple[dict[str, str], set[tuple[str, int, int]]]:
    """The files without marks, and the places of the marks."""
    plain, places = {}, set()
    for path, text in files.items():
        lines = text.split("\n")
        for number, line in enumerate(lines):
            while MARK in lines[number]:
                places.add((path, number + 1, lines[number].index(MARK) + 1))
                lines[number] = lines[number].replace(MARK, "", 1)
            assert line.replace(MARK, "") == lines[number]
        plain[path] = "\n".join(lines)
    return plain, places


def linted(*edits: Edit | Mapping[str, str], **options: Any) -> list[Finding]:
    """What the checks find in the good files with changes."""
    return lint(unmarked(edited(*edits))[0], TODAY, **options)


class Case(NamedTuple):
    """What a check must find (at the marks, saying ``says``), and what it must not: ``good``, which is near to it."""

    bad: tuple[Edit | Mapping[str, str], ...]
    says: str
    good: tuple[Edit | Mapping[str, str], ...]
    options: Mapping[str, Any]


def case(*bad: Edit | Mapping[str, str], says: str, good: Any = (), **options: Any) -> Case:
    """A case; ``good`` is one edit or several, the good files as they are if there is none; ``options`` are for the good."""
    return Case(bad, says, (good,) if isinstance(good, (Edit, Mapping)) else tuple(good), options)

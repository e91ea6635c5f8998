"""Rules and events as they are anywhere but here: Sigma of any log source, made up from a seed."""

from __future__ import annotations

import random
from typing import Any

import yaml

WORDS = (
    "powershell",
    "cmd",
    "rundll32",
    "certutil",
    "whoami",
    "mimikatz",
    "vssadmin",
    "net user",
    "-enc",
    "Temp",
    "a*b",
)
FIELDS = (
    "Image",
    "CommandLine",
    "User",
    "event.action",
    "event.code",
    "process.args",
    "files.name",
    "files.size",
    "ip",
)
MODIFIERS = ("", "|contains", "|contains|all", "|startswith", "|endswith", "|cased", "|re", "|exists", "|gte", "|neq")


def rule(chance: random.Random, number: int) -> str:
    """One rule with up to three selections."""
    selections: dict[str, Any] = {f"s{each}": _selection(chance) for each in range(chance.randint(1, 3))}
    names = list(selections)
    condition = chance.choice(
        ["1 of s*", "all of s*", "s0", *(["s0 and not s1", "not s0 or s1"] if len(names) > 1 else [])]
    )
    made = {
        "title": f"Rule {number}",
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "logsource": {"product": chance.choice(["windows", "linux"]), "category": "process_creation"},
        "detection": {**selections, "condition": condition},
        "level": "high",
    }
    return yaml.safe_dump(made, sort_keys=False)


def _selection(chance: random.Random) -> Any:
    if chance.random() < 0.1:
        return chance.sample(WORDS, 2)  # keywords
    made: dict[str, Any] = {}
    for field in chance.sample(FIELDS, chance.randint(1, 2)):
        modifier = chance.choice(MODIFIERS)
        if modifier == "|exists":
            made[field + modifier] = chance.random() < 0.5
        elif modifier == "|gte":
            made[field + modifier] = chance.randint(0, 5)
        elif modifier == "|re":
            made[field + modifier] = chance.choice(["^[a-m]", "net +user", r"\d$"])
        else:
            values: list[Any] = chance.sample(
                [*WORDS, 1, 4, None] if modifier == "" else [*WORDS], chance.randint(1, 3)
            )
            made[field + modifier] = values if len(values) > 1 or modifier.endswith("all") else values[0]
    return made


def event(chance: random.Random) -> dict[str, Any]:
    """One event: flat or nested, with lists of objects, with nulls."""
    made: dict[str, Any] = {}
    for field in chance.sample(FIELDS, chance.randint(2, len(FIELDS))):
        value = _value(chance)
        first, _, second = field.partition(".")
        match chance.randrange(3) if second else 0:
            case 0:
                made[field] = value
            case 1 if type(made.setdefault(first, {})) is dict:
                made[first][second] = value
            case _ if type(made.get(first, [])) is list:
                made.setdefault(first, []).extend({second: _value(chance)} for _ in range(chance.randint(1, 3)))
    return made


def _value(chance: random.Random) -> Any:
    text = " ".join(chance.choices(WORDS, k=chance.randint(1, 2)))
    return chance.choice([text, text.upper(), chance.choice(WORDS), chance.randint(0, 5), None, [text, 3], []])

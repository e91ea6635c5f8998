"""Every modifier of Sigma 2.1 means what the specification says, alone and with the others it can be combined with."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from monitor.rules import load_texts
from monitor.rules.compile import compile_tree, explain
from monitor.rules.model import Lookup
from monitor.rules.parse import parse_detection
from tests.rules.samples import detection, report, rules
from tests.samples import lookup

NULL: dict[str, Any] = {"x": None}


def matches(selection: Any, fields: dict[str, Any], condition: str = "s") -> bool:
    """Whether a selection (or several, by name) matches a lookup of these fields, alone and through the index."""
    ruleset = rules(detection(selection, condition))
    one = {**lookup(), **fields}
    alone = ruleset.detections[0].predicate(one)
    assert bool(ruleset.matches(one)) is alone, "the index agrees"
    return alone


CASES: dict[str, list[tuple[Any, dict[str, Any], bool]]] = {
    "contains, startswith, endswith": [
        ({"x|contains": ["q", "B"]}, {"x": "abc"}, True),
        ({"x|contains": "a*c"}, {"x": "-aXXc-"}, True),
        ({"x|contains": "a?c"}, {"x": "-aXXc-"}, False),
        ({"x|contains": ""}, {"x": ""}, True),
        ({"x|contains": ""}, {"x": "abc"}, True),
        ({"x|contains": ""}, {}, False),
        ({"x|contains": ""}, NULL, False),
        ({"x|contains": 12}, {"x": "a123"}, True),
        ({"x|contains": True}, {"x": "untrue"}, True),
        ({"x|contains": "12"}, {"x": 3125}, True),
        ({"x|startswith": "12"}, {"x": 3125}, False),
        ({"x|startswith": 31}, {"x": 3125}, True),
        ({"x|endswith": "25"}, {"x": 3125}, True),
        ({"x|startswith|endswith": "b"}, {"x": "abc"}, True),
    ],
    "all": [
        ({"x|all": ["a*", "*c"]}, {"x": "abc"}, True),
        ({"x|all": ["a*", "*d"]}, {"x": "abc"}, False),
        ({"x|all": ["a", "b"]}, {"x": ["b", "c", "A"]}, True),
        ({"x|contains|all": ["a", "b"]}, {"x": ["-a-", "-b-"]}, True),
        ({"x|re|all": ["a", "^b"]}, {"x": "ba"}, True),
        ({"x|re|all": ["a", "^b"]}, {"x": "ab"}, False),
    ],
    "cased": [
        ({"x|cased": "Ab"}, {"x": "ab"}, False),
        ({"x|cased|startswith": "Ab"}, {"x": "Abc"}, True),
        ({"x|startswith|cased": "Ab"}, {"x": "abc"}, False),
        ({"x|cased|endswith": "C"}, {"x": "abc"}, False),
        ({"x|cased": ["x", "A*C"]}, {"x": "AbC"}, True),
        ({"x|cased": "A?C"}, {"x": "AbC"}, True),
        ({"x|cased": "A?C"}, {"x": "abC"}, False),
        ({"x|cased": 5}, {"x": 5}, True),
        ({"x|cased|base64": "abc"}, {"x": "ywjj"}, False),
        ({"x|cased|base64": "abc"}, {"x": "YWJj"}, True),
        ({"x|base64": "abc"}, {"x": "ywjj"}, True),
        ({"x|cased|windash": "-Ff"}, {"x": "/ff"}, False),
        ({"x|cased|windash": "-Ff"}, {"x": "/Ff"}, True),
        ({"x|cased|fieldref": "y"}, {"x": "a", "y": "A"}, False),
        ({"x|cased|fieldref": "y"}, {"x": "A", "y": "A"}, True),
        ({"x|cased|fieldref": "y"}, {"x": ["a", "B"], "y": ["A", "B"]}, True),
        ({"x|cased|all|contains": ["A", "B"]}, {"x": "-A-b-"}, False),
    ],
    "neq": [
        ({"x|neq": "a"}, {"x": "b"}, True),
        ({"x|neq": "a"}, {"x": "A"}, False),
        ({"x|neq": ["a", "b"]}, {"x": "b"}, False),
        ({"x|neq": ["a", "b"]}, {"x": "c"}, True),
        ({"x|neq": "a"}, {}, False),
        ({"x|neq": "a"}, NULL, True),
        ({"x|neq": "a"}, {"x": []}, True),
        ({"x|neq": "a"}, {"x": ["b", "a"]}, False),
        ({"x|neq": "a"}, {"x": ["b", "c"]}, True),
        ({"x|neq": None}, {"x": "a"}, True),
        ({"x|neq": None}, NULL, False),
        ({"x|neq": None}, {}, False),
        ({"x|neq": 5}, {"x": 5}, False),
        ({"x|neq": 5}, {"x": 6}, True),
        ({"x|neq": 5}, {"x": "5"}, False),
        ({"x|contains|neq": "b"}, {"x": "abc"}, False),
        ({"x|contains|all|neq": ["a", "z"]}, {"x": "abc"}, True),
        ({"x|startswith|neq": "b"}, {"x": "abc"}, True),
        ({"x|cased|neq": "A"}, {"x": "a"}, True),
        ({"x|re|neq": "^a"}, {"x": "abc"}, False),
        ({"x|cidr|neq": "10.0.0.0/8"}, {"x": "11.0.0.1"}, True),
        ({"x|gt|neq": 5}, {"x": 5}, True),
        ({"x|fieldref|neq": "y"}, {"x": "a", "y": "b"}, True),
        ({"x|fieldref|neq": "y"}, {"x": "a", "y": "A"}, False),
        ({"x|fieldref|neq": "y"}, {"x": "a"}, False),
        ({"x|fieldref|neq": "y"}, {"y": "a"}, False),
        ({"x|fieldref|startswith|neq": "y"}, {"x": "abc", "y": "ab"}, False),
        ({"x|fieldref|neq": "y"}, {"x": ["a", "b"], "y": ["b", "c"]}, False),
        ({"x|hour|neq": 9}, {"x": "2026-11-24T09:15:02Z"}, False),
        ({"x|hour|neq": 9}, {"x": "2026-11-24T10:15:02Z"}, True),
    ],
    "exists": [
        ({"x|exists": True}, NULL, True),
        ({"x|exists": False}, NULL, False),
        ({"x|exists": True}, {"x": ""}, True),
        ({"x|exists": True}, {"x": []}, True),
        ({"x|exists": False}, {}, True),
        ({"x|exists": True}, {}, False),
    ],
    "null and empty": [
        ({"x": None}, NULL, True),
        ({"x": None}, {}, True),
        ({"x": None}, {"x": ""}, False),
        ({"x": None}, {"x": []}, False),
        ({"x": None}, {"x": [None]}, True),
        ({"x": None}, {"x": 0}, False),
        ({"x": ""}, {"x": ""}, True),
        ({"x": ""}, {"x": ["", "a"]}, True),
        ({"x": ""}, NULL, False),
        ({"x": ""}, {}, False),
        ({"x": ["", None]}, NULL, True),
        ({"x": ["a", None]}, {"x": "a"}, True),
    ],
    "re": [
        ({"x|re": "b"}, {"x": "abc"}, True),
        ({"x|re": "B"}, {"x": "abc"}, False),
        ({"x|re|i": "B"}, {"x": "abc"}, True),
        ({"x|re|ignorecase": "B"}, {"x": "abc"}, True),
        ({"x|re": "^b"}, {"x": "a\nb"}, False),
        ({"x|re|m": "^b"}, {"x": "a\nb"}, True),
        ({"x|re|multiline": "a$"}, {"x": "a\nb"}, True),
        ({"x|re": "a.b"}, {"x": "a\nb"}, False),
        ({"x|re|s": "a.b"}, {"x": "a\nb"}, True),
        ({"x|re|dotall": "a.b"}, {"x": "a\nb"}, True),
        ({"x|re|i|m|s": "^B.c$"}, {"x": "a\nb\nC\nd"}, True),
        ({"x|re|i|s": "^B.c$"}, {"x": "a\nb\nC\nd"}, False),
        ({"x|re": ["q", "^a"]}, {"x": "abc"}, True),
        ({"x|re": r"^a\.b\*$"}, {"x": "a.b*"}, True),
        ({"x|re": r"^\\d"}, {"x": "\\d"}, True),
        ({"x|re": "^[0-9]{2}$"}, {"x": 42}, True),
        ({"x|re": "^true$"}, {"x": True}, True),
        ({"x|re": "^b$"}, {"x": ["a", "b"]}, True),
        ({"x|re": ".*"}, NULL, False),
        ({"x|re": ".*"}, {}, False),
        ({"x|re": 42}, {"x": "a421"}, True),
        ({"x|re|contains": "a|b"}, {"x": "xyz"}, False),
        ({"x|re|contains": "a|b"}, {"x": "xbz"}, True),
        ({"x|re|startswith": "a|b"}, {"x": "xb"}, False),
        ({"x|re|startswith": "a|b"}, {"x": "bx"}, True),
        ({"x|re|endswith": "a|b"}, {"x": "bx"}, False),
        ({"x|re|endswith": "a|b"}, {"x": "xb"}, True),
        ({"x|re|startswith": "^ab"}, {"x": "abc"}, True),
    ],
    "cidr": [
        ({"x|cidr": "10.0.0.0/8"}, {"x": "10.255.0.1"}, True),
        ({"x|cidr": ["192.168.0.0/16", "10.0.0.0/30"]}, {"x": "10.0.0.4"}, False),
        ({"x|cidr": "10.0.0.7"}, {"x": "10.0.0.7"}, True),
        ({"x|cidr": "0.0.0.0/0"}, {"x": "::1"}, False),
        ({"x|cidr": "10.0.0.0/8"}, {"x": "::ffff:10.1.2.3"}, True),
        ({"x|cidr": "fd00::/8"}, {"x": "FD12:0:0::1"}, True),
        ({"x|cidr": "fd00::/8"}, {"x": "fe80::1"}, False),
        ({"x|cidr": "fe80::/10"}, {"x": "fe80::1%eth0"}, True),
        ({"x|cidr": "10.0.0.0/8"}, {"x": "10.1"}, False),
        ({"x|cidr": "10.0.0.0/8"}, {"x": 167772161}, False),
        ({"x|cidr": "10.0.0.0/8"}, {"x": ["a", "10.0.0.1"]}, True),
        ({"x|cidr": "10.0.0.0/8"}, NULL, False),
        ({"x|cidr": "10.0.0.0/8"}, {"x": ""}, False),
    ],
    "lt, lte, gt, gte": [
        ({"x|lt": 5}, {"x": 4.9}, True),
        ({"x|lt": 5}, {"x": 5}, False),
        ({"x|lte": 5}, {"x": 5.0}, True),
        ({"x|gt": -1}, {"x": 0}, True),
        ({"x|gte": 2.5}, {"x": "2.5"}, True),
        ({"x|gte": 2.5}, {"x": "2,5"}, False),
        ({"x|gt": 1}, {"x": "1e3"}, True),
        ({"x|gt": 0}, {"x": "1_000"}, False),
        ({"x|gt": 0}, {"x": " 1"}, False),
        ({"x|gt": 0}, {"x": "١٢"}, False),
        ({"x|gt": 0}, {"x": "inf"}, False),
        ({"x|gt": 0}, {"x": "nan"}, False),
        ({"x|gt": 0}, {"x": "0x10"}, False),
        ({"x|gt": 0}, {"x": ""}, False),
        ({"x|gt": 0}, {"x": True}, False),
        ({"x|gt": 0}, NULL, False),
        ({"x|gt": 9007199254740992}, {"x": 9007199254740993}, True),
        ({"x|gt": [5, 50]}, {"x": 7}, True),
        ({"x|gt|all": [5, 50]}, {"x": 7}, False),
        ({"x|gt": 5, "x|lt": 9}, {"x": 7}, True),
        ({"x|gt": 5, "x|lt": 9}, {"x": [1, 10]}, True),
    ],
    "fieldref": [
        ({"x|fieldref": "y"}, {"x": 5, "y": "5"}, True),
        ({"x|fieldref": ["y", "z"]}, {"x": "a", "y": "b", "z": "A"}, True),
        ({"x|fieldref|all": ["y", "z"]}, {"x": "a", "y": "b", "z": "A"}, False),
        ({"x|fieldref|startswith": "y"}, {"x": "Abc", "y": "aB"}, True),
        ({"x|fieldref|startswith": "y"}, {"x": "ab", "y": "abc"}, False),
        ({"x|fieldref|endswith": "y"}, {"x": "abC", "y": "Bc"}, True),
        ({"x|fieldref|contains": "y"}, {"x": "abcd", "y": "BC"}, True),
        ({"x|fieldref|contains": "y"}, {"x": "abcd", "y": "ac"}, False),
        ({"x|fieldref": "y"}, {"x": None, "y": None}, False),
        ({"x|fieldref": "y"}, {"x": "a"}, False),
        ({"x|fieldref": "y"}, {"x": ["a", "b"], "y": "B"}, True),
        ({"x|fieldref": "y"}, {"x": ["a", "b"], "y": ["c", "B"]}, True),
        ({"x|fieldref": "y"}, {"x": ["a", "b"], "y": []}, False),
        ({"x|fieldref": "y"}, {"x": [None], "y": [None]}, False),
        ({"x|fieldref|startswith": "y"}, {"x": ["abc", "b"], "y": ["bc", "ab"]}, True),
        ({"x|fieldref|startswith": "y"}, {"x": ["abc", "b"], "y": ["bc", "c"]}, False),
        ({"x|fieldref|endswith": "y"}, {"x": ["abc", "b"], "y": ["ab", "c"]}, True),
        ({"x|fieldref|contains": "y"}, {"x": ["abc", "b"], "y": ["q", "bc"]}, True),
        ({"x|fieldref|contains": "y"}, {"x": ["abc"], "y": ["", "q"]}, True),
        ({"x|fieldref|contains": "y"}, {"x": [], "y": [""]}, False),
    ],
    "base64": [
        ({"x|base64": "abc"}, {"x": base64.b64encode(b"abc").decode()}, True),
        ({"x|base64": "abc"}, {"x": "abc"}, False),
        ({"x|base64|contains": "abcdef"}, {"x": "run " + base64.b64encode(b"abcdef").decode()}, True),
        ({"x|base64offset|contains": "secret"}, {"x": base64.b64encode(b"a secret").decode()}, True),
        ({"x|base64offset|contains": "secret"}, {"x": base64.b64encode(b"my secret!").decode()}, True),
        ({"x|base64offset|contains": "secret"}, {"x": base64.b64encode(b"the secret").decode()}, True),
        ({"x|base64offset|contains": "secret"}, {"x": base64.b64encode(b"nothing else").decode()}, False),
        ({"x|wide|base64": "cmd"}, {"x": base64.b64encode("cmd".encode("utf-16le")).decode()}, True),
        ({"x|utf16le|base64": "cmd"}, {"x": base64.b64encode("cmd".encode("utf-16le")).decode()}, True),
        ({"x|utf16be|base64": "cmd"}, {"x": base64.b64encode("cmd".encode("utf-16be")).decode()}, True),
        ({"x|utf16|base64": "cmd"}, {"x": base64.b64encode(b"\xff\xfe" + "cmd".encode("utf-16le")).decode()}, True),
        ({"x|wide|base64offset|contains": "cmd"}, {"x": base64.b64encode("a cmd".encode("utf-16le")).decode()}, True),
        ({"x|wide": "cmd"}, {"x": "c\0m\0d\0"}, True),
        ({"x|utf16le|contains": "cmd"}, {"x": "_c\0m\0d\0_"}, True),
        ({"x|utf16be": "cmd"}, {"x": "\0c\0m\0d"}, True),
        ({"x|utf16": "cmd"}, {"x": "\ufeffc\0m\0d\0"}, True),
    ],
    "windash": [
        *(({"x|windash|contains": " -f"}, {"x": f"run {dash}f"}, True) for dash in "-/–—―"),
        ({"x|windash|contains": " /f"}, {"x": "run -f"}, True),
        ({"x|windash|contains": " -f"}, {"x": "run +f"}, False),
        ({"x|windash|contains|all": [" -a", " -b"]}, {"x": "run /a –b"}, True),
        ({"x|windash|contains|all": [" -a", " -b"]}, {"x": "run /a"}, False),
        ({"x|windash": "-param-name"}, {"x": "/param-name"}, True),
        ({"x|windash": "-param-name"}, {"x": "/param/name"}, False),
    ],
    "minute, hour, day, week, month, year": [
        ({"x|minute": 15}, {"x": "2026-11-24T09:15:02+01:00"}, True),
        ({"x|hour": 9}, {"x": "2026-11-24T09:15:02+01:00"}, True),
        ({"x|hour": 8}, {"x": "2026-11-24T09:15:02+01:00"}, False),
        ({"x|hour": [7, 8, 9]}, {"x": "2026-11-24T09:15:02"}, True),
        ({"x|day": 24}, {"x": "2026-11-24"}, True),
        ({"x|week": 48}, {"x": "2026-11-24"}, True),
        ({"x|week": 53}, {"x": "2026-12-31"}, True),
        ({"x|month": 11}, {"x": "2026-11-24T00:00:00Z"}, True),
        ({"x|year": 2026}, {"x": "2026-11-24T00:00:00Z"}, True),
        ({"x|year": 2026}, {"x": 1_790_000_000}, True),
        ({"x|year": 2026}, {"x": 1_790_000_000_000}, True),
        ({"x|year": 2026}, {"x": "yesterday"}, False),
        ({"x|year": 2026}, {"x": True}, False),
        ({"x|year": 2026}, NULL, False),
        ({"x|hour|gte": 22}, {"x": "2026-11-24T22:00:00Z"}, True),
        ({"x|hour|gt": 22}, {"x": "2026-11-24T22:59:00Z"}, False),
        ({"x|hour|lt": 6}, {"x": "2026-11-24T05:59:59Z"}, True),
        ({"x|day|lte": 24}, {"x": "2026-11-25T05:59:59Z"}, False),
        ({"x|year|lte": 2026}, {"x": ["2027-01-01", "2026-01-01"]}, True),
        ({"x|hour|gte|neq": 22}, {"x": "2026-11-24T21:00:00Z"}, True),
    ],
    "values": [
        ({"x": "5"}, {"x": 5}, True),
        ({"x": 5}, {"x": "5.0"}, False),
        ({"x": 5.5}, {"x": "5.5"}, True),
        ({"x": 9007199254740993}, {"x": 9007199254740993}, True),
        ({"x": 9007199254740993}, {"x": 9007199254740992}, False),
        ({"x": True}, {"x": "TRUE"}, True),
        ({"x": True}, {"x": 1}, False),
        ({"x": "straße"}, {"x": "STRAßE"}, True),
        ({"x": "ÉTÉ"}, {"x": "été"}, True),
        ({"x|contains": "Σ"}, {"x": "ΟΔΟΣ"}, True),
        ({"x": "ΟΔΟΣ"}, {"x": "οδος"}, True),
        ({"x|cased|contains": "Σ"}, {"x": "ΟΔΟΣ"}, True),
        ({"x": "?stanbul"}, {"x": "İstanbul"}, True),
        ({"x": "istanbul"}, {"x": "İSTANBUL"}, True),
        ({"x": "a?b"}, {"x": "a😀b"}, True),
        ({"x": "a?b"}, {"x": "a\nb"}, True),
        ({"x": "a*b"}, {"x": "a\n\nb"}, True),
    ],
    "escapes": [
        ({"x": r"a\b"}, {"x": r"a\b"}, True),
        ({"x": r"a\\b"}, {"x": r"a\b"}, True),
        ({"x": r"a\\\\b"}, {"x": r"a\\b"}, True),
        ({"x": r"a\*b"}, {"x": "a*b"}, True),
        ({"x": r"a\*b"}, {"x": "aXb"}, False),
        ({"x": r"a\?b"}, {"x": "a?b"}, True),
        ({"x": r"a\?b"}, {"x": "aXb"}, False),
        ({"x": r"a\\*b"}, {"x": r"a\XXb"}, True),
        ({"x": r"a\\*b"}, {"x": "aXXb"}, False),
        ({"x": r"a\\\*b"}, {"x": r"a\*b"}, True),
        ({"x": r"a\\\*b"}, {"x": r"a\Xb"}, False),
        ({"x": "ab\\"}, {"x": "ab\\"}, True),
        ({"x": "%name%"}, {"x": "%NAME%"}, True),
        ({"x": "a.c+[d]"}, {"x": "a.c+[d]"}, True),
        ({"x": "a.c?[d]"}, {"x": "a.c+[d]"}, True),
        ({"x": "a.c?[d]"}, {"x": "abc+d"}, False),
    ],
    "keywords": [
        (["needle", "pin"], {"x": "a PIN in it"}, True),
        (["needle"], {"x": ["hay", "Needles"]}, True),
        (["needle"], {"x": "hay"}, False),
        (["n?edle"], {"x": "hay nXedle hay"}, True),
        (["nee*le"], {"x": "need a whole lot"}, True),
        (["4711"], {"x": 247119}, True),
        ([4711], {"x": "no. 4711"}, True),
        ([4711], {"x": 247119}, True),
        ({"|all": ["needle", "pin"]}, {"x": "pin", "y": "needle"}, True),
        ({"|all": ["needle", "pin"]}, {"x": "pin"}, False),
        ({"|all|cased": ["Needle", "pin"]}, {"x": "needle pin"}, False),
        ({"|re": ["^need.e$"]}, {"x": "needle"}, True),
        ({"|re": ["^need.e$"]}, {"x": "a needle"}, False),
        ({"|contains": ["needle"]}, {"x": "a needle"}, True),
        (["needle", {"y": "b"}], {"y": "B"}, True),
        (["needle", {"y": "b"}], {"x": "needle"}, True),
        (["true"], {"x": True}, True),
    ],
}


@pytest.mark.parametrize(
    ("selection", "fields", "yes"),
    [pytest.param(*case, id=f"{name}: {case[0]} {case[1]}") for name, cases in CASES.items() for case in cases],
)
def test_a_modifier(selection: Any, fields: dict[str, Any], yes: bool) -> None:
    assert matches(selection, fields) is yes


def test_keywords_are_not_looked_for_in_what_the_monitor_makes_of_the_time() -> None:
    one = {**lookup(), "ts": 1_790_004_711_000, "hour": 4711, "weekday": 4711}
    ruleset = rules(detection(["4711"]))
    assert ruleset.matches(one) == []
    assert not ruleset.detections[0].predicate(one)
    assert len(ruleset.matches({**one, "results": 4711})) == 1


THREE = {"s": {"a": "yes"}, "s_b": {"b": "yes"}, "_hidden": {"c": "yes"}}


@pytest.mark.parametrize(
    ("condition", "fields", "yes"),
    [
        ("1 of them", {"a": "yes"}, True),
        ("any of them", {"b": "yes"}, True),
        ("1 of them", {"c": "yes"}, False),
        ("1 of _*", {"c": "yes"}, True),
        ("_hidden", {"c": "yes"}, True),
        ("all of them", {"a": "yes", "b": "yes"}, True),
        ("all of them", {"a": "yes"}, False),
        ("1 of s*", {"b": "yes"}, True),
        ("any of s*", {"c": "yes"}, False),
        ("all of s*", {"a": "yes"}, False),
        ("1 of *_b", {"b": "yes"}, True),
        ("not 1 of s*", {"c": "yes"}, True),
        ("s or s_b and not _hidden", {"a": "yes", "c": "yes"}, True),
        ("(s or s_b) and not _hidden", {"a": "yes", "c": "yes"}, False),
        ("not s and not s_b", {}, True),
        ("not (s and s_b)", {"a": "yes"}, True),
        (["s", "s_b and _hidden"], {"b": "yes", "c": "yes"}, True),
        (["s", "s_b and _hidden"], {"a": "yes"}, True),
        (["s", "s_b and _hidden"], {"b": "yes"}, False),
    ],
)
def test_a_condition(condition: Any, fields: dict[str, str], yes: bool) -> None:
    assert matches(THREE, fields, condition) is yes


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"x": []}, "x has no value"),
        ({"x|re": "("}, "missing )"),
        ({"x|re": "(?=a)b"}, "(?="),
        ({"x|re": r"(a)\1"}, "\\1"),
        ({"x|cidr": "10.0.0.0/33"}, "10.0.0.0/33"),
        ({"x|gt": "many"}, "many"),
        ({"x|exists": "yes"}, "yes"),
        ({"x|gte|hour": 22}, "Hour"),
        ({"x|re|expand": "%a%"}, "placeholder"),
        ({"x|base64": "a*"}, "wildcards"),
        ({"x|fieldref": "a*"}, "wildcards"),
        ({"x|contians": "a"}, "contians"),
        ({"x|wide": "é"}, "ascii"),
        ({"x|windash": "-a -b -c -d"}, "three"),
        ({"x": {"y": 1}}, "a mapping"),
        ({"x|re": "a", "x|re|contains": "b", "x|contains|re": "c"}, "twice"),
        ([], ""),
        ({}, ""),
    ],
)
def test_what_makes_no_sense_is_refused(selection: Any, message: str) -> None:
    (problem,) = report(detection(selection)).problems
    assert message in problem.message
    assert "not understood" not in problem.message


# Placeholders


def listed(selection: Any, lists: dict[str, str], live: dict[str, tuple[str, ...]] | None = None) -> Any:
    texts = {f"lists/{name}.txt": text for name, text in lists.items()}
    loaded = load_texts({"a.yml": detection(selection), **texts}, live)
    assert loaded.problems == []
    return lambda **fields: bool(loaded.rules.matches({**lookup(), **fields}))


def test_a_list_of_the_pack() -> None:
    asked = listed({"x|expand": "%names%"}, {"names": "# some\nAnna\n\n  Bo \nC*\nd?\n\\*\n"})
    assert [asked(x=text) for text in ("anna", "BO", "cat", "da", "*")] == [True] * 5
    assert [asked(x=text) for text in ("# some", "an", "dab", "", "Annan")] == [False] * 5


@pytest.mark.parametrize(
    ("selection", "yes", "no"),
    [
        ({"x|expand": "a-%l%-%l%"}, "A-one-TWO", "a-one"),
        ({"x|expand|contains": "%l%"}, "xx TWO xx", "xx three xx"),
        ({"x|expand|startswith": "<%l%>"}, "<one> and", "-<one>"),
        ({"x|expand|endswith": "%l%"}, "and two", "two and"),
        ({"x|expand|cased": "%l%"}, "one", "ONE"),
        ({"x|cased|expand|contains": "%l%"}, "-one-", "-ONE-"),
        ({"x|expand": ["%l%", "%m%"]}, "five", "six"),
        ({"x|expand|all|contains": ["%l%", "%m%"]}, "one five", "one two"),
        ({"x|expand": r"\%l%"}, "%l%", "one"),
        ({"x|expand": r"\%plain%l%"}, "%plainone", "plainone"),
        ({"x|expand": r"\\%l%"}, r"\one", "one"),
        ({"x|expand|neq": "%l%"}, "six", "one"),
        ({"x|expand": "%l%?"}, "one!", "one"),
        ({"x|expand": "100%"}, "100%", "100"),
    ],
)
def test_a_list_in_a_pattern(selection: Any, yes: str, no: str) -> None:
    asked = listed(selection, {"l": "one\ntwo", "m": "five"})
    assert asked(x=yes)
    assert not asked(x=no)


def test_a_keyword_may_be_a_list() -> None:
    asked = listed({"|expand": ["%l%"]}, {"l": "one\ntwo"})
    assert asked(x="some two words")
    assert not asked(x="some words")


def test_a_live_list_changes_while_the_rules_run() -> None:
    live: dict[str, tuple[str, ...]] = {"l": ("one",)}
    asked = listed({"x|expand": "%l%"}, {}, live)
    assert (asked(x="one"), asked(x="two")) == (True, False)
    live["l"] = ("two", "thr*")
    assert (asked(x="one"), asked(x="two"), asked(x="three")) == (False, True, True)
    del live["l"]
    assert not asked(x="two")
    live["l"] = tuple(f"v{n}" for n in range(200_000))
    assert (asked(x="v199999"), asked(x="v200000")) == (True, False)


def test_a_live_list_goes_before_one_of_the_pack() -> None:
    live: dict[str, tuple[str, ...]] = {}
    asked = listed({"x|expand": "%l%"}, {"l": "fixed"}, live)
    assert asked(x="fixed")
    live["l"] = ("live",)
    assert (asked(x="fixed"), asked(x="live")) == (False, True)


def test_live_lists_that_grow_too_large_together_stop_nothing() -> None:
    live: dict[str, tuple[str, ...]] = {"l": ("1",), "m": ("1",)}
    asked = listed({"x|expand": "%l%-%m%"}, {}, live)
    assert asked(x="1-1")
    live["l"] = live["m"] = tuple(map(str, range(400)))
    assert asked(x="0-0")
    assert not asked(x="399-399"), "only the first hundred thousand are looked for"


def test_a_missing_list_is_refused_and_so_are_lists_that_make_too_many_texts() -> None:
    (problem,) = report(detection({"x|expand": "%none%"})).problems
    assert "there is no list none" in problem.message
    texts = {"a.yml": detection({"x|expand": "%l%-%l%"}), "lists/l.txt": "\n".join(map(str, range(400)))}
    (problem,) = load_texts(texts).problems
    assert "160,000 texts" in problem.message


# Wildcards and expressions against other engines

LETTERS = st.text("abσς.*?\\İß ", max_size=8)
PIECES = st.lists(st.sampled_from(["a", "b", "ab", "σ", ".", "*", "?", "**", r"\*", r"\?", "\\\\", "ß"]), max_size=8)


def wild(pattern: str, text: str, cased: bool) -> bool:
    """The specification's wildcards, by dynamic programming over all prefixes of pattern and text."""
    symbols: list[str] = []
    rest = pattern
    while rest:
        if rest[0] == "\\" and rest[1:2] in ("*", "?", "\\"):
            symbols.append(rest[1])
            rest = rest[2:]
        else:
            symbols.append({"*": "MANY", "?": "ONE"}.get(rest[0], rest[0]))
            rest = rest[1:]

    def same(one: str, other: str) -> bool:
        return one == other if cased else one.lower() == other.lower() or {one, other} <= {"σ", "ς", "Σ"}

    reached = {0}
    for symbol in symbols:
        if symbol == "MANY":
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        else:
            reached = {at + 1 for at in reached if at < len(text) and (symbol == "ONE" or same(symbol, text[at]))}
    return len(text) in reached


@settings(max_examples=600, deadline=None)
@given(PIECES.map("".join), LETTERS, st.booleans())
def test_wildcards_match_what_dynamic_programming_matches(pattern: str, text: str, cased: bool) -> None:
    assume("İ" not in text)  # which is an i without case, and has a test of its own
    node = parse_detection({"s": {"x|cased" if cased else "x": pattern}, "condition": "s"})
    assert compile_tree(node)[0]({"x": text}) is wild(pattern, text, cased)


@settings(max_examples=200, deadline=None)
@given(PIECES.map("".join), st.lists(LETTERS, max_size=3))
def test_a_keyword_matches_what_its_pattern_between_stars_matches(pattern: str, texts: list[str]) -> None:
    assume(not any("İ" in text for text in texts))
    node = parse_detection({"s": [pattern], "condition": "s"})
    assert compile_tree(node)[0]({"x": texts}) is any(wild(f"*{pattern}*", text, False) for text in texts)


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES.map("".join).filter(str.strip), max_size=12), LETTERS)
def test_a_list_of_patterns_matches_what_each_matches(patterns: list[str], text: str) -> None:
    assume("İ" not in text)
    asked = listed({"x|expand": "%l%"}, {}, {"l": tuple(patterns)})
    assert asked(x=text) is any(wild(pattern, text, False) for pattern in patterns)
    inside = listed({"x|expand|contains": "%l%"}, {}, {"l": tuple(patterns)})
    assert inside(x=text) is any(wild(f"*{pattern}*", text, False) for pattern in patterns)


#: What both engines know and mean the same by: no $ before a last newline, no Unicode classes.
ATOM = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", r"\.", r"\d", r"\w", "(?:ab)", "(a|b)", "^", r"\b", "é"])
COUNT = st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}", "*?", "+?"])
EXPRESSION = st.lists(
    st.tuples(ATOM, COUNT).map(lambda pair: pair[0] + (pair[1] if pair[0] not in ("^", r"\b") else "")),
    min_size=1,
    max_size=5,
).map("".join)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(EXPRESSION, min_size=1, max_size=2).map("|".join),
    st.text("abAB1. \nÉé", max_size=10),
    st.sets(st.sampled_from("ims")),
)
def test_expressions_find_what_pythons_find(expression: str, text: str, flags: set[str]) -> None:
    key = "|".join(["x", "re", *sorted(flags)])
    node = parse_detection({"s": {key: expression}, "condition": "s"})
    wanted = sum(({"i": re.I, "m": re.M, "s": re.S}[flag] for flag in flags), re.RegexFlag(0)) | re.ASCII
    if "i" in flags:
        assume(text.isascii())  # RE2 folds é, Python in ASCII does not
        assume("é" not in expression)
    assume(r"\b" not in expression or text.isascii())
    assert compile_tree(node)[0]({"x": text}) is (re.search(expression, text, wanted) is not None)


# fieldref against asking each pair

WORDS = st.lists(st.text("abA", max_size=3) | st.none() | st.integers(0, 3), max_size=5)


@settings(max_examples=400, deadline=None)
@given(
    WORDS | st.text("abA", max_size=3),
    WORDS | st.text("abA", max_size=3),
    st.sampled_from(["", "startswith", "endswith", "contains"]),
    st.booleans(),
)
def test_a_field_reference_finds_what_asking_each_pair_finds(mine: Any, theirs: Any, how: str, cased: bool) -> None:
    key = "|".join(["x", *(["cased"] if cased else []), "fieldref", *([how] if how else [])])
    node = parse_detection({"s": {key: "y"}, "condition": "s"})

    def texts(found: Any) -> list[str]:
        each = [str(item) for item in (found if isinstance(found, list) else [found]) if item is not None]
        return each if cased else [text.lower() for text in each]

    def one(left: str, right: str) -> bool:
        return {"": left == right, "startswith": left.startswith(right), "endswith": left.endswith(right)}.get(
            how, right in left
        )

    wanted = any(one(left, right) for left in texts(mine) for right in texts(theirs))
    assert compile_tree(node)[0]({"x": mine, "y": theirs}) is wanted


def test_explain_says_what_was_asked_and_found() -> None:
    body = {"s": {"x|contains": "b", "y|gt": 5}, "t": {"z|fieldref": "x"}, "condition": "s and not t"}
    one: Lookup = {"x": "abc", "y": 3}
    assert explain(parse_detection(body), one) == [
        (0, "all of", False),
        (1, "s", False),
        (2, "all of", False),
        (3, "x = *b* — it is abc", True),
        (3, "y gt 5 — it is 3", False),
        (1, "not", True),
        (2, "t", False),
        (3, "z = the value of x — it is not there", False),
    ]

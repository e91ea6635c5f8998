"""What a pack covers."""

from __future__ import annotations

from monitor.rules import read_dir
from monitor.rules.coverage import coverage
from monitor.rules.model import TYPOLOGIES
from monitor.settings import pack_dir
from tests.rules.lint.samples import GOOD, edited, exports, news


def test_rules_are_counted_by_typology_and_level() -> None:
    rows = {row.typology: row for row in coverage(GOOD)}
    assert list(rows) == list(TYPOLOGIES)
    assert (rows["curiosity"].rules, rows["curiosity"].parts) == ({"high": 1}, 0)
    assert (rows["curiosity"].positive, rows["curiosity"].negative) == (1, 1)
    assert (rows["bulk-harvest"].rules, rows["bulk-harvest"].parts) == ({"high": 1}, 1)
    assert [row.typology for row in rows.values() if row.covered] == ["curiosity", "bulk-harvest"]


def test_a_part_alone_covers_nothing() -> None:
    files = edited(exports("typology: bulk-harvest\n---", "typology: sleeper\n---"))
    row = next(row for row in coverage(files) if row.typology == "sleeper")
    assert (row.rules, row.parts, row.covered) == ({}, 1, False)


def test_what_is_refused_covers_nothing_and_what_has_no_typology_comes_last() -> None:
    assert not next(row for row in coverage(edited(news("level: high", "level: hihg")))).covered
    last = coverage(edited(news("typology: curiosity\n", "")))[-1]
    assert (last.typology, last.rules) == ("", {"high": 1})


def test_the_pack_covers_all_but_the_reverse_question() -> None:
    bare = [row.typology for row in coverage(read_dir(pack_dir())) if not row.covered]
    assert bare in ([], ["leak-trace"]), "a leak trace is asked by the desk; a rule may come"

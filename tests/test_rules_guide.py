"""docs/rules.md, command by command, as a reader would type it."""

from __future__ import annotations

from pathlib import Path

from tests.documents import ROOT, Shell, blocks


def test_the_guide_to_rules_can_be_followed(tmp_path: Path) -> None:
    found = blocks(ROOT / "docs/rules.md")
    assert len(found) == 5
    with Shell(tmp_path, {"RULES": str(ROOT / "rules")}) as shell:
        for block in found:
            shell.follow(block)

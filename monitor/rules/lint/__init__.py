"""Lint: what is wrong or risky in rules, at its exact place. The checks are listed in ``docs/rules-lint.md``."""

from monitor.rules.lint import (
    about,
    chains,
    conditions,
    counts,
    fields,
    files,
    filters,
    inline,
    refusals,
    texts,
)
from monitor.rules.lint.registry import SEVERITIES, Check, Finding, registered
from monitor.rules.lint.run import lint

#: Every module of checks: they register theirs when they are imported.
MODULES = (about, chains, conditions, counts, fields, files, filters, inline, refusals, texts)

__all__ = ["MODULES", "SEVERITIES", "Check", "Finding", "lint", "registered"]

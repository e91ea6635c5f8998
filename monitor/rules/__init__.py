"""Sigma rules over lookups: load, compile, index, correlate."""

from monitor.rules.load import LoadReport, RuleProblem, load_texts, read_dir
from monitor.rules.model import Correlation, Detection, Entry, Firing, Window
from monitor.rules.ruleset import RuleSet

__all__ = [
    "Correlation",
    "Detection",
    "Entry",
    "Firing",
    "LoadReport",
    "RuleProblem",
    "RuleSet",
    "Window",
    "load_texts",
    "read_dir",
]

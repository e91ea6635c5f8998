"""Sigma rules over lookups: load, compile, index, correlate."""

from monitor.documents import RuleProblem
from monitor.rules.load import LoadReport, load_texts, read_dir
from monitor.rules.model import Correlation, Detection, Firing, Rule
from monitor.rules.ruleset import RuleSet
from monitor.rules.state import State, Waiting

__all__ = [
    "Correlation",
    "Detection",
    "Firing",
    "LoadReport",
    "Rule",
    "RuleProblem",
    "RuleSet",
    "State",
    "Waiting",
    "load_texts",
    "read_dir",
]

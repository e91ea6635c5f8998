"""The rule that only canaries meet: whether a canary was decoded, enriched and judged as a lookup is."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from monitor.alerts import Alert
from monitor.detector import Detector, KeyState
from monitor.events import CANARY, CANARY_NAME
from monitor.rules import load_texts

#: It can only match when the canary was enriched: ``purpose.status`` is what the monitor finds.
_RULE: Final = f"""
title: A canary has come this far
id: 3e1a4d5e-6a3b-5d1f-8f0a-2f1b8c7d9e60
logsource: {{category: lookup}}
detection:
  canary:
    system: {CANARY["system"]}
    action: {CANARY["action"]}
    actor.id: {CANARY_NAME}
    subject.id: {CANARY_NAME}
    purpose.status: missing
  condition: canary
level: informational
"""


@lru_cache(maxsize=1)
def _detector() -> Detector:
    return Detector(load_texts({"canary.yml": _RULE}).rules, with_features=False)


def alert_of(lookup: dict[str, Any]) -> Alert | None:
    """The alert of an enriched canary; ``None`` when its rule does not match, as when it was not enriched."""
    found = _detector().step(f"actor/{CANARY_NAME}", KeyState(), lookup, 0, 0).alerts
    return found[0] if found else None

"""The types of correlations: one small class each, by the name a rule gives in ``type``."""

from __future__ import annotations

from typing import Final

from monitor.rules.kinds.absence import Absence
from monitor.rules.kinds.anomaly import Anomaly
from monitor.rules.kinds.baseline import NewValue, RateChange, Share
from monitor.rules.kinds.counts import EventCount, ValueCount
from monitor.rules.kinds.kind import Hit, Kind
from monitor.rules.kinds.numbers import ValueAverage, ValueMedian, ValuePercentile, ValueSum
from monitor.rules.kinds.peers import PeerDeviation
from monitor.rules.kinds.sequence import SequenceRun
from monitor.rules.kinds.temporal import Temporal, TemporalOrdered

KINDS: Final[dict[str, Kind]] = {
    "event_count": EventCount(),
    "value_count": ValueCount(),
    "temporal": Temporal(),
    "temporal_ordered": TemporalOrdered(),
    "value_sum": ValueSum(),
    "value_avg": ValueAverage(),
    "value_percentile": ValuePercentile(),
    "value_median": ValueMedian(),
    "new_value": NewValue(),
    "rate_change": RateChange(),
    "peer_deviation": PeerDeviation(),
    "share": Share(),
    "absence": Absence(),
    "sequence_run": SequenceRun(),
    "anomaly": Anomaly(),
}

__all__ = ["KINDS", "Hit", "Kind"]

"""Features of an actor's behaviour, and the online model of a peer group."""

from monitor.model.explain import top_features
from monitor.model.features import FEATURES, FeatureState, observe
from monitor.model.scorer import PeerModel, Scored

__all__ = ["FEATURES", "FeatureState", "PeerModel", "Scored", "observe", "top_features"]

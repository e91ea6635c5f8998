"""Features of an actor's behaviour, and the online model of a peer group."""

from typing import TYPE_CHECKING, Any

from monitor.model.features import FEATURES, FeatureState, observe

if TYPE_CHECKING:
    from monitor.model.explain import top_features
    from monitor.model.scorer import PeerModel, Scored

__all__ = ["FEATURES", "FeatureState", "PeerModel", "Scored", "observe", "top_features"]


def __getattr__(name: str) -> Any:
    """What needs River, which takes seconds to import; who runs rules alone does without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from monitor.model import explain, scorer

    return getattr(explain if name == "top_features" else scorer, name)

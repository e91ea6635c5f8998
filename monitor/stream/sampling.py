"""The random samples of the monitor, by the secret that is set."""

from __future__ import annotations

from monitor.review import Sampler
from monitor.settings import Settings
from monitor.stream.seal import read_keys


def sampler_of(settings: Settings, share: float) -> Sampler:
    """The sampler of a share of names. Raises :class:`monitor.stream.seal.BadKey`."""
    path = settings.review_key_file
    return Sampler(share, b"" if path is None else read_keys(path)[0])


def reviewed(settings: Settings) -> Sampler:
    """The sampler of lookups that go to review. Raises :class:`monitor.stream.seal.BadKey`."""
    return sampler_of(settings, settings.review_rate)

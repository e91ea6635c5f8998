"""The suites of ``python -m bench``: one module each, whose ``run`` takes a ``Size`` and gives an :class:`~bench.suites.outcome.Outcome`."""

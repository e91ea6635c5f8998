"""The client's metrics, for the query system's own Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from monitor.client.client import LookupClient


class ClientCollector(Collector):
    """Asks a client when Prometheus asks. No label: nothing in it names anybody."""

    def __init__(self, client: LookupClient) -> None:
        self._client = client

    def collect(self) -> Iterator[Metric]:
        """The metrics now."""
        found = self._client.stats()
        yield CounterMetricFamily("lookup_client_reported", "Lookups taken into the spool", found.reported)
        yield CounterMetricFamily("lookup_client_refused", "What was no lookup, and was not taken", found.refused)
        yield CounterMetricFamily("lookup_client_sent", "Messages that Kafka has acknowledged", found.sent)
        yield CounterMetricFamily("lookup_client_retries", "Times that Kafka did not take a round", found.retries)
        yield GaugeMetricFamily("lookup_client_waiting", "Messages that wait in the spool", found.waiting)
        yield GaugeMetricFamily("lookup_client_spool_bytes", "Size of the spool", found.bytes)
        yield GaugeMetricFamily("lookup_client_up", "Whether Kafka takes lookups", float(found.trouble is None))

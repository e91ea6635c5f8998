"""Our counting job: parse, count per actor in a tumbling window of event time, alert at the threshold.

It stands on the monitor's own transport, tables and batches, and keeps their order: the state's changelog and the alerts are
acknowledged by Kafka, then the chunk. The state is read back from the changelog at assignment, as a restart would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import uvloop
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from bench.load import THRESHOLD, WINDOW_MS
from bench.peers.meter import Job, Meter, parse_job
from monitor.connection import Connection
from monitor.events import parse_ms
from monitor.memory import collect_seldom
from monitor.settings import Settings
from monitor.stream import tables
from monitor.stream.app import add_agent, new_app
from monitor.stream.batches import BatchWriter, Out

#: How many windows of an actor are kept, so that a lookup which is late still counts in its own.
KEPT = 6


class Counting:
    """The counts of one partition: per actor, the newest windows and how many lookups each has."""

    def __init__(self, table: tables.Table, alert_topic: str) -> None:
        self._table = table
        self._alert_topic = alert_topic
        self._counts: dict[str, dict[str, int]] = {key: orjson.loads(raw) for key, raw in table.values.items()}
        self.alerts = 0

    def process(self, records: Sequence[Any]) -> list[Out]:
        """Count a chunk; what has to be written before it may be acknowledged."""
        touched: dict[str, dict[str, int]] = {}
        out: list[Out] = []
        for record in records:
            lookup = orjson.loads(record.value)
            actor = lookup["actor"]["id"]
            window = str(parse_ms(lookup["time"]) // WINDOW_MS)
            counts = touched.get(actor)
            if counts is None:
                counts = touched[actor] = self._counts.setdefault(actor, {})
            count = counts[window] = counts.get(window, 0) + 1
            if count == THRESHOLD:
                value = orjson.dumps({"actor": actor, "window": window, "count": count})
                out.append(Out(self._alert_topic, record.partition, record.key, value, record.timestamp))
            if len(counts) > KEPT:
                del counts[min(counts)]
        self.alerts += len(out)
        last = records[-1]
        changes = [(actor, orjson.dumps(counts)) for actor, counts in touched.items()]
        return out + self._table.change(last.offset, changes, last.timestamp)


class Run:
    """One run of the job, until every lookup is counted and acknowledged."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._meter = Meter(job.expect)
        self._done = asyncio.Event()
        self._started = asyncio.Event()
        self._parts: dict[int, Counting] = {}
        self._writer = BatchWriter(Connection(job.bootstrap))
        self._make_topics()

    @property
    def _state(self) -> str:
        return f"{self._job.run}.state"

    @property
    def _alerts(self) -> str:
        return f"{self._job.run}.alerts"

    def _make_topics(self) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self._job.bootstrap)
        try:
            (found,) = admin.describe_topics([self._job.topic])
            count = len(found["partitions"])
            compact = {"cleanup.policy": "compact"}
            state = NewTopic(self._state, num_partitions=count, replication_factor=1, topic_configs=compact)
            admin.create_topics([state, NewTopic(self._alerts, num_partitions=count, replication_factor=1)])
        finally:
            admin.close()

    async def run(self) -> None:
        """Count everything, and print the result."""
        collect_seldom()  # as a worker does
        await self._writer.start()
        self._started.set()
        app = new_app(Settings(bootstrap=self._job.bootstrap, group=self._job.run))
        add_agent(app, self._job.topic, self._started.wait, self._handle)
        app.finalize()
        await app.start()
        await self._done.wait()
        await app.stop()
        await self._writer.stop()
        self._meter.report(sum(part.alerts for part in self._parts.values()))

    async def _handle(self, event: Any) -> None:
        self._meter.start()
        partition = event.message.partition
        part = self._parts.get(partition)
        if part is None:
            table = await tables.load(Connection(self._job.bootstrap), tables.Table(self._state, partition))
            part = self._parts[partition] = Counting(table, self._alerts)
        records = event.message.value
        await self._writer.write(part.process(records))
        event.ack()
        if self._meter.saw(len(records)):
            self._done.set()


async def _main(job: Job) -> None:
    await Run(job).run()


def main() -> None:
    """Run the job on the command line."""
    uvloop.run(_main(parse_job(__doc__)))


if __name__ == "__main__":
    main()

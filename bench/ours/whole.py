"""The whole pipeline in one worker: intake, all rules of the pack, the model on every lookup, state, alerts.

Reference data is made from the lookups before the clock starts, so that enrichment has its ordinary work: every actor is
known, and a lookup that names a case is explained by it (85 in 100; the others are not). The clock stops when the last
lookup was scored, the model was saved and the chunk acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson
import uvloop
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from bench.peers.meter import Job, Meter, parse_job
from monitor.metrics import Metrics
from monitor.rules import load_texts, read_dir
from monitor.settings import Settings
from monitor.stream import topics


def own_topics(job: Job) -> None:
    """Give every topic of the monitor this run's name, so that runs do not meet; the lookups are the prefilled topic's.

    The stages take the names when they are imported, so this comes before.
    """
    changed = {}
    for name, topic in list(vars(topics).items()):
        if isinstance(topic, str) and topic.startswith("lookup."):
            changed[topic] = job.topic if topic == "lookup.events.v1" else f"{job.run}.{topic}"
            setattr(topics, name, changed[topic])
    states = {changed[source]: changed[state] for source, state in topics.STATE_OF.items()}
    topics.STATE_OF.clear()
    topics.STATE_OF.update(states)


def lookups_of(job: Job) -> Iterator[dict[str, Any]]:
    """Every lookup in the prefilled topic."""
    consumer = KafkaConsumer(bootstrap_servers=job.bootstrap, enable_auto_commit=False)
    try:
        parts = [TopicPartition(job.topic, number) for number in consumer.partitions_for_topic(job.topic)]
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        ends = consumer.end_offsets(parts)
        while any(consumer.position(part) < ends[part] for part in parts):
            for records in consumer.poll(timeout_ms=500, max_records=5000).values():
                for record in records:
                    yield orjson.loads(record.value)
    finally:
        consumer.close()


def reference_of(lookups: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Reference records in which the lookups' actors and cases exist."""
    actors: dict[str, dict[str, Any]] = {}
    cases: dict[str, dict[str, Any]] = {}
    for lookup in lookups:
        actor = lookup["actor"]
        actors.setdefault(
            actor["id"],
            {"record": "actor", **actor, "areas": [actor["unit"]], "peer_group": "officer", "person": f"p-{actor['id']}",
             "address": f"a-{actor['id']}", "plates": [], "household": [], "relatives": [], "leave": [], "left": None},
        )  # fmt: skip
        case = lookup.get("purpose", {}).get("case")
        if case is not None:
            made = {
                "record": "case",
                "id": case,
                "unit": actor["unit"],
                "actors": [],
                "subjects": [],
                "opened": "2025-01-01T00:00:00Z",
            }
            known = cases.setdefault(case, made)
            known["actors"].append(actor["id"])
            known["subjects"].append(lookup["subject"]["id"])
    yield from actors.values()
    yield from cases.values()


async def run(job: Job, settings: Settings) -> None:
    """Run one worker until every lookup went the whole way, and print the result."""
    from monitor.stream.detect import Chunk  # after own_topics
    from monitor.stream.worker import Worker

    meter, done = Meter(job.expect), asyncio.Event()

    class Measured(Worker):
        async def _intake(self, event: Any) -> None:
            meter.start()
            await super()._intake(event)

        async def _snapshot(self, partition: int) -> list[Chunk]:
            gone = await super()._snapshot(partition)
            if meter.saw(sum(chunk.lookups for chunk in gone)):
                done.set()
            return gone

    rules = load_texts(read_dir(settings.rules)).rules
    worker = Measured(settings, rules, Metrics(partitions=settings.partitions))
    worker.app.finalize()
    await worker.app.start()
    await done.wait()
    await worker.app.stop()
    await worker.stop()
    meter.report(None)


def main() -> None:
    """Run the job on the command line."""
    job = parse_job(__doc__)
    own_topics(job)
    admin = KafkaAdminClient(bootstrap_servers=job.bootstrap)
    (found,) = admin.describe_topics([job.topic])
    settings = Settings(
        bootstrap=job.bootstrap, group=job.run, partitions=len(found["partitions"]), idle_after=0.2, pseudonyms="off"
    )
    topics.create(admin, settings)
    admin.close()
    from monitor.commands.ingest import send_reference  # after own_topics

    send_reference(settings, (orjson.dumps(record) for record in reference_of(lookups_of(job))))
    uvloop.run(run(job, settings))


if __name__ == "__main__":
    main()

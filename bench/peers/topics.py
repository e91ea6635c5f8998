"""Kafka's side of the measurement: the prefilled topic, the clean-up, and the broker's version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.partitioner import murmur2
from kafka import KafkaAdminClient

from bench.load import Lookup

#: Kafka producers' own default batch size, uncompressed: what query systems that set nothing would write.
BATCH_BYTES: Final = 16_384
BATCHES_IN_FLIGHT: Final = 256


async def prefill(bootstrap: str, topic: str, partitions: int, lookups: Iterable[Lookup]) -> int:
    """Make ``topic`` and write ``lookups`` to it, partitioned as Kafka does by key; how many there were."""
    await _create(bootstrap, topic, partitions)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=BATCH_BYTES, enable_idempotence=True)
    await producer.start()
    try:
        return await _write(producer, topic, partitions, lookups)
    finally:
        await producer.stop()


async def _write(producer: AIOKafkaProducer, topic: str, partitions: int, lookups: Iterable[Lookup]) -> int:
    written = 0
    batches = [producer.create_batch() for _ in range(partitions)]
    waiting = []
    for lookup in lookups:
        partition = (murmur2(lookup.key) & 0x7FFFFFFF) % partitions
        written += 1
        if batches[partition].append(key=lookup.key, value=lookup.value, timestamp=None) is not None:
            continue
        waiting.append(await producer.send_batch(batches[partition], topic, partition=partition))
        batches[partition] = producer.create_batch()
        batches[partition].append(key=lookup.key, value=lookup.value, timestamp=None)
        if len(waiting) >= BATCHES_IN_FLIGHT:
            for sent in waiting:
                await sent
            waiting.clear()
    for partition, batch in enumerate(batches):
        if batch.record_count():
            waiting.append(await producer.send_batch(batch, topic, partition=partition))
    for sent in waiting:
        await sent
    return written


async def _create(bootstrap: str, topic: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])
    finally:
        await admin.close()


def clean_up(bootstrap: str, run: str) -> None:
    """Delete every topic with ``run`` in its name: the prefilled one and those the contenders made."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        if made := [topic for topic in _names(admin) if run in topic]:
            admin.delete_topics(made)
    finally:
        admin.close()


def _names(admin: KafkaAdminClient) -> list[str]:
    return [topic if isinstance(topic, str) else topic["name"] for topic in admin.list_topics()]


def kafka_version(bootstrap: str) -> str:
    """What a broker tells of its version: not its release, but the level of its metadata."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        level = admin.describe_features().get("metadata.version", {}).get("finalized", (0, 0))[1]
    finally:
        admin.close()
    return f"metadata.version {level}"

"""Quix Streams: parse, count per actor in a tumbling window of event time, alert at the threshold.

As its documentation proposes, with its defaults: JSON deserializer, timestamp extractor, `count().current()`,
state in RocksDB with a changelog topic, at-least-once, a checkpoint every five seconds. The alerts
reported are the ones that arrived in its alert topic.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from quixstreams import Application

from bench.load import THRESHOLD, WINDOW_MS
from bench.peers.meter import Job, Meter, parse_job


def event_time(value: Any, headers: Any, timestamp: float, timestamp_type: Any) -> int:
    """The lookup's own time, in ms since the epoch: Quix's timestamp extractor."""
    return int(datetime.fromisoformat(value["time"]).timestamp() * 1000)


def build(job: Job, meter: Meter) -> Application:
    """The application; it stops by itself after the last lookup."""

    def processed(topic: str, partition: int, offset: int) -> None:
        if meter.saw():
            app.stop()

    app = Application(
        broker_address=job.bootstrap,
        consumer_group=job.run,
        auto_offset_reset="earliest",
        state_dir=job.workdir / "state",
        on_message_processed=processed,
        loglevel="WARNING",
    )
    source = app.topic(job.topic, value_deserializer="json", timestamp_extractor=event_time)
    alerts = app.topic(alert_topic(job), value_serializer="json")
    counts = app.dataframe(source).tumbling_window(timedelta(milliseconds=WINDOW_MS)).count().current()
    counts.filter(lambda window: window["value"] == THRESHOLD).to_topic(alerts)
    return app


def alert_topic(job: Job) -> str:
    """Where this run's alerts go."""
    return f"{job.run}.alerts"


def arrived(bootstrap: str, topic: str) -> int:
    """How many messages were ever written to ``topic``.

    Its ends, not what is left in it: Quix stamps an alert with its event time, so Kafka's retention may have
    deleted it as old already.
    """
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{topic}.counted"})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = (consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10) for number in partitions)
        return sum(end for _, end in ends)
    finally:
        consumer.close()


def main() -> None:
    """Run the job on the command line."""
    job = parse_job(__doc__)
    meter = Meter(job.expect)
    build(job, meter).run()
    meter.report(arrived(job.bootstrap, alert_topic(job)))


if __name__ == "__main__":
    main()

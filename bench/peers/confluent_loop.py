"""A bare loop over confluent-kafka with a dict: ``consume(1000)``, parse, count, note the alerts in memory. Nothing is durable."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench.peers.counts import Counts
from bench.peers.meter import Job, Meter, parse_job

_AT_A_TIME = 1000


def count(job: Job, meter: Meter) -> int:
    """Count every lookup; the number of alerts. Raises ``KafkaException`` when Kafka says no."""
    consumer = Consumer({"bootstrap.servers": job.bootstrap, "group.id": job.run, "enable.auto.commit": False})
    try:
        numbers = consumer.list_topics(job.topic, timeout=30).topics[job.topic].partitions
        consumer.assign([TopicPartition(job.topic, number, 0) for number in numbers])
        counts = Counts()
        while True:
            messages = consumer.consume(_AT_A_TIME, timeout=1.0)
            if messages:
                meter.start()
            for message in messages:
                if message.error() is not None:
                    raise KafkaException(message.error())
                counts.add(message.value())
            if messages and meter.saw(len(messages)):
                return counts.alerts
    finally:
        consumer.close()


def main() -> None:
    """Run the job on the command line."""
    job = parse_job(__doc__)
    meter = Meter(job.expect)
    meter.report(count(job, meter))


if __name__ == "__main__":
    main()

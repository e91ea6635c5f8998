"""A bare loop over aiokafka with a dict: parse, count, note the alerts in memory. Nothing is durable, nothing is committed.

The floor of what Python has to do for the counting job; ``getmany`` with its defaults, under uvloop.
"""

from __future__ import annotations

import uvloop
from aiokafka import AIOKafkaConsumer

from bench.peers.counts import Counts
from bench.peers.meter import Job, Meter, parse_job


async def count(job: Job, meter: Meter) -> int:
    """Count every lookup; the number of alerts."""
    consumer = AIOKafkaConsumer(
        job.topic,
        bootstrap_servers=job.bootstrap,
        group_id=job.run,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    counts = Counts()
    await consumer.start()
    try:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                meter.start()
                for record in records:
                    counts.add(record.value)
                if meter.saw(len(records)):
                    return counts.alerts
    finally:
        await consumer.stop()


def main() -> None:
    """Run the job on the command line."""
    job = parse_job(__doc__)
    meter = Meter(job.expect)
    meter.report(uvloop.run(count(job, meter)))


if __name__ == "__main__":
    main()

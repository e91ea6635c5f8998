"""A whole world: people, staff, tasks, honest work, misuse; and the three kinds of records that come of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from bench.otherworld.habits import Settings
from bench.otherworld.inquiry import Inquiry
from bench.otherworld.log import Log, Look, event
from bench.otherworld.misuse import cast
from bench.otherworld.offices import Offices
from bench.otherworld.people import People
from bench.otherworld.staff import Staff
from bench.otherworld.street import Street
from bench.otherworld.tasks import Tasks


class World:
    """The world of these settings; equal settings give equal records.

    ``looks`` are all lookups with their ids, in order of arrival.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.people = People(settings)
        self.staff = Staff(settings, self.people)
        self.plots = cast(self.staff)
        self.tasks = Tasks(self.staff)
        log = Log(self.people, self.staff.zero, self.staff.end)
        Offices(self.tasks, log).work()
        Street(self.tasks, log).work()
        Inquiry(self.tasks, log).work()
        for plot in self.plots:
            plot.tasks, plot.people, plot.log = self.tasks, self.people, log
            plot.variant.tell(plot)
        self.looks: list[tuple[str, Look]] = log.numbered()

    def events(self) -> Iterator[dict[str, Any]]:
        """The lookups, as ``lookup.events.v1`` has them."""
        for name, look in self.looks:
            yield event(name, look)

    def reference(self) -> Iterator[dict[str, Any]]:
        """What the registers of staff, subjects and tasks know, as ``lookup.reference.v1`` has it."""
        yield from self.staff.records()
        for thing in self.people.things.values():
            yield thing.record()
        yield from self.people.links
        yield from self.tasks.records

    def labels(self) -> Iterator[dict[str, Any]]:
        """What was misuse: typology, scenario, care, actors, subjects, events, from, to."""
        named: defaultdict[int, list[tuple[str, int, str]]] = defaultdict(list)
        for name, look in self.looks:
            if look.story >= 0:
                named[look.story].append((name, look.ms, look.subject))
        for plot in self.plots:
            yield plot.label(named[plot.number])

"""A day of ordinary work: mostly explained, never tidy."""

from collections.abc import Iterable
from random import Random

from monitor.simulate.casework import Case, Dispatch
from monitor.simulate.chance import pick, some, stream
from monitor.simulate.force import Actor
from monitor.simulate.lookup import Draft, Purpose, Seat, Way, hits, ways
from monitor.simulate.population import Subject, plate
from monitor.simulate.timeline import HOUR, MINUTE
from monitor.simulate.world import World

# Share of a trade's tasks which are real work that nothing in the records explains.
LOOSE = {
    "patrol": 0.22,
    "traffic": 0.15,
    "detective": 0.14,
    "tax": 0.18,
    "call": 0.25,
    "registry": 0.18,
    "support": 0.18,
}
LOOSE_CODES = {
    "patrol": ("traffic-stop", "traffic-stop", "intake", "patrol"),
    "traffic": ("traffic-stop",),
    "call": ("intake",),
    "detective": ("intake", "request"),
    "tax": ("phone-call", "audit"),
    "registry": ("counter-service",),
    "support": ("ticket",),
}
TEXTS = ("controle", "melding", "verzoek collega", "aanvraag", "telefoon", "balie")
MISTYPED_CASE = 0.012
MISTYPED_PLATE = 0.02  # of searches
AFTERCARE = 0.015  # tasks on a case that was closed
TEACHING = 0.004
OTHER_AREA = 0.06
# Of the plates that police look for, the share for which the client program asks on by itself: who owns it, is that one wanted.
ASKS_ON = 0.3
ASKING = ("patrol", "traffic", "detective", "call")
OWNER = Way("brp", "read", ("address", "household"))
WANTED = Way("bvi", "search", ("wanted",))
# Most of that work is written up afterwards: a stop, a report at the counter. By when, and what share of it.
WRITTEN_UP = ((0.58, 5 * MINUTE, HOUR), (0.86, HOUR, 9 * HOUR), (0.94, 9 * HOUR, 23 * HOUR))


class Workday:
    """Everybody's ordinary lookups in the shifts that begin on one day.

    `drafts` holds them in no particular order once `run` is done.
    """

    def __init__(self, world: World, day: int) -> None:
        self.world = world
        self.day = day
        self.rng: Random = stream(world.seed, "work", day)
        #: Chance of its own: what programs do changes nothing of what people do.
        self.programs: Random = stream(world.seed, "programs", day)
        self.drafts: list[Draft] = []
        #: What was written up afterwards, as records of tasks that began later than their lookups.
        self.reports: list[Dispatch] = []
        self._sent: dict[str, list[Dispatch]] = {}
        self._piles: dict[str, Case] = {}
        self._team: dict[str, list[Case]] = {}
        for dispatch in world.dispatches(day):
            for actor in dispatch.actors:
                self._sent.setdefault(actor, []).append(dispatch)
        for pile in world.batches(day):
            self._piles[pile.actors[0]] = pile

    def run(self) -> list[Draft]:
        """The lookups of everybody who works on this day."""
        roster = self.world.roster
        for actor in self.world.force.actors:
            shift = roster.shift(actor, self.day) or roster.cover(actor, self.day)
            if shift is not None:
                Desk(self, actor, shift).work()
        return self.drafts

    def write_up(self, actor: Actor, area: str, subjects: list[str], begin: int) -> None:
        """File a report, from `begin` (ms) on, about subjects that were looked up before."""
        ident = f"r-{self.world.timeline.stamp(self.day)}-{len(self.reports) + 1:05d}"
        self.reports.append(Dispatch(ident, actor.unit, area, [actor.id], subjects, begin, begin + 10 * MINUTE))

    def team(self, actor: Actor, ms: int) -> list[Case]:
        """The unit's open cases, asked for once a unit."""
        if actor.unit not in self._team:
            self._team[actor.unit] = self.world.casework.team(actor, ms)
        return [case for case in self._team[actor.unit] if case.open_at(ms)]

    def sent(self, actor: Actor) -> list[Dispatch]:
        """Where the actor was sent on this day."""
        return self._sent.get(actor.id, [])

    def pile(self, actor: Actor) -> Case | None:
        """The batch on the actor's desk."""
        return self._piles.get(actor.id)


class Desk:
    """One actor at work in one shift."""

    def __init__(self, day: Workday, actor: Actor, shift: tuple[int, int]) -> None:
        self.day, self.actor, self.world, self.rng = day, actor, day.world, day.rng
        self.begin, self.end = shift
        terminal, ip = day.world.roster.seat(actor, day.day)
        self.seat = Seat(terminal, ip, actor.area)
        self.wanted = self.rng.randint(*actor.trade.lookups)
        self.done = 0
        self.loose_share = LOOSE[actor.trade.name]

    def work(self) -> None:
        """Do tasks until the day's number of lookups is reached."""
        rng, actor = self.rng, self.actor
        for dispatch in self.day.sent(actor):
            self._dispatch(dispatch)
        self.own = self.world.casework.own(actor, self.begin)
        self.team = self.day.team(actor, self.begin)
        pile = self.day.pile(actor)
        if pile is not None:
            self.own = [*self.own, pile]
        if actor.trade.name == "detective":
            self._intake()
        while self.done < self.wanted:
            draw = rng.random()
            if draw < self.loose_share or not (self.own or self.team):
                self._loose()
            elif draw > 1 - TEACHING:
                self._train()
            elif draw > 1 - TEACHING - AFTERCARE:
                self._aftercare()
            else:
                self._case()

    def look(self, ts: int, subject: Subject, purpose: Purpose | None, way: Way | None = None) -> None:
        """One lookup, with the slips that happen to everybody."""
        rng = self.rng
        if way is None:
            way = pick(rng, ways(self.actor, subject))
        self.done += 1
        if way.action == "search" and subject.kind == "vehicle" and rng.random() < MISTYPED_PLATE:
            self.day.drafts.append(Draft(ts - 3000, self.actor, self.seat, way, self._mistyped(subject), purpose, 0))
        outcome = "success" if rng.random() > 0.004 else "denied"
        self.day.drafts.append(Draft(ts, self.actor, self.seat, way, subject, purpose, hits(rng, way.action), outcome))
        if (way.system, way.action) == ("rdw", "search") and subject.owner is not None and outcome == "success":
            self._ask_on(ts, subject.owner, purpose)

    def _ask_on(self, ts: int, owner: str, purpose: Purpose | None) -> None:
        """What the client program makes of the click: two more queries within seconds, for the same purpose."""
        rng = self.day.programs
        if self.actor.trade.name in ASKING and rng.random() < ASKS_ON:
            person = self.world.land.subjects[owner]
            for way in (OWNER, WANTED):
                ts += 1000 + int(rng.random() * 1000)
                self.day.drafts.append(Draft(ts, self.actor, self.seat, way, person, purpose, hits(rng, way.action)))

    def series(self, ts: int, subjects: Iterable[str], purpose: Purpose | None, pace: int = MINUTE) -> None:
        """Lookups one after the other, about `pace` ms apart."""
        known = self.world.land.subjects
        for ident in subjects:
            self.look(ts, known[ident], purpose)
            ts += 3000 + int(self.rng.random() * pace)

    def _moment(self) -> int:
        return self.begin + int(self.rng.random() * (self.end - self.begin - 10 * MINUTE))

    def _mistyped(self, subject: Subject) -> Subject:
        wrong = plate(int(self.rng.random() * self.world.land.numbers))
        known = self.world.land.subjects.get(wrong)
        if known is not None:
            # A planted plate is nobody's typing error: who finds one was browsing.
            return subject if "honeytoken" in known.tags else known
        return Subject(wrong, "vehicle", subject.area, wrong.replace("-", ""))

    def _dispatch(self, dispatch: Dispatch) -> None:
        rng = self.rng
        draw = rng.random()
        purpose = (
            Purpose(None, "dispatch", dispatch.id) if draw < 0.7 else Purpose(None, "dispatch") if draw < 0.85 else None
        )
        chosen = some(rng, dispatch.subjects, 1, 4)
        begin = max(self.begin, dispatch.begin)
        self.series(begin + int(rng.random() * (dispatch.end - begin) * 0.6), chosen, purpose, 90_000)

    def _case(self) -> None:
        rng = self.rng
        case = pick(rng, self.own if self.own and (rng.random() < 0.72 or not self.team) else self.team)
        purpose = self._claim(case)
        if len(case.linked) > 15 and case.actors[0] == self.actor.id and rng.random() < 0.03:
            # A phone bill or a row of plates came in: the whole list at once.
            self.series(self._moment(), (subject for _, subject in case.linked), purpose, 20_000)
        elif case.linked and rng.random() < 0.15:
            self.series(self._moment(), [subject for _, subject in some(rng, case.linked, 1, 3)], purpose)
        elif rng.random() < 0.06 and case.id in self.world.casework.ids:
            self.look(self._moment(), Subject(case.id, "case", case.area, case.id), Purpose(case.id))
        else:
            self.series(self._moment(), some(rng, case.subjects, 1, 4), purpose)

    def _claim(self, case: Case) -> Purpose | None:
        """What one enters: nearly always the case number, not always the right one."""
        draw = self.rng.random()
        if draw < MISTYPED_CASE:
            spot = len(case.id) - 3
            return Purpose(case.id[:spot] + case.id[spot + 1] + case.id[spot] + case.id[spot + 2])
        if draw < 0.87:
            return Purpose(case.id)
        if draw < 0.92:
            return Purpose(case.id, None, pick(self.rng, TEXTS))
        return Purpose(None, pick(self.rng, LOOSE_CODES[self.actor.trade.name])) if draw < 0.97 else None

    def _aftercare(self) -> None:
        closed = [
            case
            for case in self.world.casework.by_actor.get(self.actor.id, ())
            if case.closed and case.closed <= self.begin
        ]
        if closed:
            case = pick(self.rng, closed)
            self.series(self._moment(), some(self.rng, case.subjects, 1, 2), Purpose(case.id))
        else:
            self._case()

    def _train(self) -> None:
        lesson = some(self.rng, self.world.land.tagged["training"], 1, 4)
        self.series(self._moment(), [subject.id for subject in lesson], Purpose(None, "training"))

    def _intake(self) -> None:
        """Somebody comes in with a story; the case is written up hours later."""
        for case in self.world.casework.by_actor.get(self.actor.id, ()):
            if self.begin + HOUR < case.opened < self.end and self.actor.id == case.actors[0]:
                self.series(
                    case.opened - self.rng.randint(10, 50) * MINUTE,
                    case.subjects[:2],
                    Purpose(None, "intake"),
                )

    def _loose(self) -> None:
        """Real work that left no trace: a traffic stop, a question at the counter."""
        rng, actor, trade = self.rng, self.actor, self.actor.trade.name
        area = pick(rng, actor.areas) if rng.random() > OTHER_AREA else pick(rng, self.world.land.areas)
        subject = self._walk_in(area)
        draw = rng.random()
        purpose = None
        if trade == "registry" or draw < 0.55:
            purpose = Purpose(None, pick(rng, LOOSE_CODES[trade]), pick(rng, TEXTS) if rng.random() < 0.2 else None)
        elif draw < 0.65 and self.own:
            # It belongs to the case, but nobody has written that down yet.
            purpose = Purpose(pick(rng, self.own).id)
        chain = [subject.id]
        if subject.kind == "vehicle" and subject.owner and rng.random() < 0.4:
            chain.append(subject.owner)
        elif subject.kind == "person" and rng.random() < 0.35:
            chain += [other.id for other in self.world.land.around(subject.id)[:1]]
        moment = self._moment()
        self.series(moment, chain, purpose)
        draw = rng.random()
        for share, soonest, latest in WRITTEN_UP:
            if draw < share:
                self.day.write_up(actor, area, chain, moment + int(rng.uniform(soonest, latest)))
                break

    def _walk_in(self, area: str) -> Subject:
        rng, trade, land = self.rng, self.actor.trade.name, self.world.land
        if trade == "support" and rng.random() < 0.7:
            return pick(rng, self.world.force.accounts)
        if trade in ("traffic", "registry"):
            return land.anyone(rng, "vehicle", area)
        if trade == "tax":
            return land.anyone(rng, "person" if rng.random() < 0.7 else "company", area)
        draw = rng.random()
        kind = "vehicle" if draw < 0.45 else "person" if draw < 0.8 else "address" if draw < 0.92 else "phone"
        return land.anyone(rng, kind, area)

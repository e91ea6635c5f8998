"""A made-up police, registry and tax force: its people, its untidy work, and the misuse hidden in it.

Everything is drawn from one seed; nothing here reads a clock, and only `write` touches a disk.
"""

from monitor.simulate.scenarios import TYPOLOGIES
from monitor.simulate.simulation import Counts, Settings, Simulation, live, simulate, write

__all__ = ["TYPOLOGIES", "Counts", "Settings", "Simulation", "live", "simulate", "write"]

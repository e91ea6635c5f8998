"""Torture: the live service under seeded faults must end exactly where one undisturbed backtest of the same log ends."""

"""Backup and restore of all that Kafka holds for the monitor: every record at its offset, and how far the workers had come."""


class Unusable(Exception):
    """A backup or a restore cannot be done; the message says what is wrong and what to do."""


class Damaged(Exception):
    """A file of a backup that is not what a backup writes; the message says which, and where."""

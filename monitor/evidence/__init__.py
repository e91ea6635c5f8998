"""A span of time as evidence: what was looked up, by which rules it was judged, what was known, which alerts were raised."""


class Unusable(Exception):
    """A rerun, an export, a backup or a restore cannot be done; the message says what is wrong and what to do."""


class Damaged(Exception):
    """A file of an export or a backup that is not what one writes; the message says which, and where."""

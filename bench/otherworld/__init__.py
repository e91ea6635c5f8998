"""Another world: honest work and misuse, made up from published cases and from how the work is done, to measure the monitor on.

It was written without knowledge of ``monitor simulate``, of the rules and of the model, and imports none of them (a test keeps
it so). It shares with them only what the formats prescribe: the fields of lookups and reference records, the names of
registers, purposes and tags. ``docs/otherworld.md`` has the sources and the choices. Nothing here may be changed in answer to
what the monitor finds or misses; a change is justified by life, not by a score.

Pure: equal settings give equal bytes.
"""

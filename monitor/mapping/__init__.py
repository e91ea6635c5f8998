"""Mappings: how lines of a log become lookups, declared in YAML. ``monitor ingest`` and ``monitor ship`` read them (docs/shipping.md).

A line is taken apart into named parts (JSON, CSV, or a regular expression), and each of our fields is made of parts. The short form is
a list of ``field: part`` for a CSV file. What is wrong with a mapping is said with line and column; what is wrong with a line of the log
is not hidden: the line goes on as it is, so that intake refuses it where it can be seen.
"""

from monitor.mapping.mapper import Mapper, NoColumn, rows
from monitor.mapping.nodes import BadMapping
from monitor.mapping.parse import Mapping_, parse

__all__ = ["BadMapping", "Mapper", "Mapping_", "NoColumn", "parse", "rows"]

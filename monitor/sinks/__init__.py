"""Sinks: how people are told of incidents."""

"""Backup and restore of all that Kafka holds for the monitor: every record at its offset, and how far the workers had come."""

"""Incidents: the alerts about one actor or ring, what they add up to, who is told, and what people did about it."""

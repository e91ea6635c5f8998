"""Whom alerts fall upon: rates per unit, role, shift and site, and whether chance explains that they differ."""

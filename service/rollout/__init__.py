"""A new plan on its way through a fleet, and back when accuracy falls."""

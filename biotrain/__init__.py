"""Keeps a biosignal model accurate on the person who wears it."""

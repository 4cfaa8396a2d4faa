"""Streaming: rows of operations that run on a few channels at a time, so that what lies between them is never whole."""

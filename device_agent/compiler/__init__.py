"""torch module -> plan: capture, normalise, differentiate, in_place, schedule, allocate, emit.

Each pass is one file, takes and returns the IR of `ir.py`, and can print it.
"""

"""Measurements that a user can repeat: time of a training step, instructions of a kernel."""

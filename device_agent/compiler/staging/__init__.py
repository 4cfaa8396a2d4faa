"""Staging: parts of large tensors come from L2 to L1 and go back beside the work on others (double buffering)."""

"""`python -m benchmarks.chaos`: a small site that is killed, cut and slowed at random, and checked afterwards."""

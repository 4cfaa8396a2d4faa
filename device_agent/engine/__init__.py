"""The device's engine in this process: what the firmware runs, as a shared library."""

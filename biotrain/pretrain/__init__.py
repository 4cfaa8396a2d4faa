"""Pre-training on other people: the only part of the command line that needs torch."""

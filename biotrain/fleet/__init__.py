"""A supervisor's plans and roll-outs from the command line, over its REST interface."""

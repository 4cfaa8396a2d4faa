"""A window's way from counts to the model's input: the steps, and what a plan says of them.

The compiler writes them into the plan's code; whoever runs beside a stream reads them without it.
"""

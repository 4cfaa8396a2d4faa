"""The memory planner: problem, solver and validator share no code."""

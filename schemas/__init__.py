"""The contracts between wearable, agent and supervisor. No I/O and no torch live here."""

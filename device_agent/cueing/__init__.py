"""Labels from people: cues are shown, timed, told as markers, and what the wearer did becomes a session."""

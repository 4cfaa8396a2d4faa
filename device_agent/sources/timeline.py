"""Sessions laid end to end on one clock: when each window ends, and which trial it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from device_agent.sources.recording import Recording, check_same_layout
from device_agent.sources.window import Window

_PAUSE_S = 2.0
"""Between two sessions, and where a recording's own clock starts anew."""


class Timeline:
    """Windows `first_id`, `first_id + 1`, ... of several sessions; nothing tells where one session ends."""

    def __init__(self, sessions: Sequence[Recording], first_id: int = 0) -> None:
        if not sessions or not any(len(session) for session in sessions):
            raise ValueError("a timeline needs at least one trial")
        for session in sessions:
            check_same_layout(sessions[0], session, f"{session.subject} session {session.session}")
        self.first_id = first_id
        self._sessions = list(sessions)
        self._starts = np.cumsum([0, *(len(session) for session in sessions)])
        self._ends_s = _unroll(sessions)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def first(self) -> Recording:
        return self._sessions[0]

    def end_s(self, index: int) -> float:
        """When window `index` (from 0) is complete, seconds of signal time since the stream began."""
        return float(self._ends_s[index])

    def window(self, index: int, time_s: float) -> Window:
        which = int(np.searchsorted(self._starts, index, side="right")) - 1
        session, trial = self._sessions[which], index - int(self._starts[which])
        return Window(
            id=self.first_id + index,
            counts=session.counts[trial],
            scale=session.scale,
            sampling_rate_hz=session.sampling_rate_hz,
            time_s=time_s,
            label=int(session.labels[trial]),
        )


def _unroll(sessions: Sequence[Recording]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The end of every window on one clock that only runs forward."""
    ends: list[float] = []
    clock_s = 0.0
    for session in sessions:
        base_s, previous_s = clock_s, None
        for onset_s in session.onsets_s:
            if previous_s is None:
                base_s = clock_s - onset_s
            elif onset_s <= previous_s:
                base_s = clock_s + _PAUSE_S - onset_s
            previous_s = float(onset_s)
            end_s = base_s + previous_s + session.duration_s
            ends.append(max(end_s, clock_s))
            clock_s = ends[-1]
        clock_s += _PAUSE_S
    return np.asarray(ends)

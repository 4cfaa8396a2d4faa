"""The link's times, in seconds. Each stands for a promise to the other side or to the user."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the client waits for what; tests make it shorter."""

    retry_s: float = 1.0
    """A request without an answer for so long is sent again, with the same id."""
    patience_s: float = 20.0
    """So long a request waits for a broken link to come back."""
    push_patience_s: float = 5.0
    """A window is not worth waiting for longer: the next ones are here already."""
    evaluation_patience_s: float = 120.0
    ping_s: float = 1.0
    """The wearable takes another agent when this one has been silent for four seconds."""
    silence_s: float = 4.0
    """The wearable's heartbeat comes every second: after so long without a byte, the link is given up."""
    open_s: float = 5.0
    backoff_s: float = 0.1
    """First pause before connecting again; doubles up to `backoff_most_s`."""
    backoff_most_s: float = 5.0

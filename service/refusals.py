"""What was refused: every one is counted, each kind from each origin is named in the log once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import structlog

_log = structlog.get_logger("service.refusals")

#: Why the page and the API refuse a request.
REQUESTS = ("no_token", "unknown_token", "role", "other_origin", "too_many", "too_many_guesses")
#: So many kinds are named; whoever makes up more of them fills no log and no memory.
_NAMED = 1000


class Refusals:
    """Reasons are a few fixed words, so that the metric has few rows; `who` and `what` stand in the log alone."""

    def __init__(self, reasons: Sequence[str], told: str) -> None:
        """`told` is the log's event."""
        self.counts: Counter[str] = Counter(dict.fromkeys(reasons, 0))
        self._told = told
        self._named: set[tuple[str, str, str]] = set()

    def note(self, reason: str, who: str, what: str) -> None:
        """`who` is the name of a token or the address of a client, never a token itself."""
        self.counts[reason] += 1
        kind = (reason, who, what)
        if kind in self._named or len(self._named) >= _NAMED:
            return
        self._named.add(kind)
        _log.warning(self._told, reason=reason, who=who, what=what)

"""Is the clock right? Times of messages, the end of certificates and a fleet's page all hang on it."""

from __future__ import annotations

import ctypes
import sys
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from biotrain.doctor.finding import Deployment, Finding, Verdict

_UNSYNCHRONISED = 5
"""What adjtimex(2) returns as TIME_ERROR."""
_TIMEX_BYTES = 512
"""More than `struct timex` has anywhere."""
#: An HTTP date is cut to whole seconds, and the answer takes time, too.
_LARGEST_DIFFERENCE_S = 3.0
_FIRST_YEAR = 2025


def check_clock(deployment: Deployment) -> list[Finding]:
    """Whether the clock is plausible, kept by something, and near the supervisor's."""
    now = datetime.now(UTC)
    if now.year < _FIRST_YEAR:
        detail = f"it says {now:%Y-%m-%d %H:%M} UTC, before this program was written"
        return [Finding("clock", Verdict.FAILED, detail, "set it; a board without a battery needs time from a network")]
    found = [_synchronised(now)]
    if deployment.page is not None:
        found.append(_against_supervisor(deployment.page))
    return found


def _synchronised(now: datetime) -> Finding:
    """The kernel knows whether something disciplines its clock."""
    told = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if not sys.platform.startswith("linux"):
        return Finding("clock", Verdict.OK, told)
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    if state == _UNSYNCHRONISED:
        return Finding("clock", Verdict.WARNING, f"{told}, synchronised with nothing", "run an NTP client (chrony)")
    return Finding("clock", Verdict.OK, told + (", synchronised" if state >= 0 else ""))


def _against_supervisor(page: str) -> Finding:
    import httpx

    name = "clock against the supervisor's"
    try:
        began = time.time()
        date = httpx.get(f"{page.rstrip('/')}/healthz", timeout=5).headers["date"]
    except (httpx.HTTPError, httpx.InvalidURL, KeyError) as error:
        reason = str(error) or type(error).__name__
        return Finding(name, Verdict.FAILED, f"{page} does not answer ({reason})", "is the supervisor there?")
    middle = (began + time.time()) / 2
    difference = parsedate_to_datetime(date).timestamp() + 0.5 - middle
    if abs(difference) > _LARGEST_DIFFERENCE_S:
        return Finding(name, Verdict.FAILED, f"they differ by {abs(difference):.0f} s", "synchronise both with NTP")
    return Finding(name, Verdict.OK, "within 3 s")

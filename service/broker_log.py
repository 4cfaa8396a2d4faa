"""What the broker says of connections that it has refused, so that they are counted where everything else is.

Mosquitto publishes its log on `$SYS/broker/log/` (`log_dest topic`); without it, or without the right to read it,
nothing is counted. It names no client there: none has shown who it is. What a device publishes outside of its access
list Mosquitto 2.0 drops with a word at debug level only, which is on no topic.
"""

from __future__ import annotations

import re

from service.refusals import Refusals

#: Errors, warnings and notices. Not all of it: whatever is published there for each message would be one more message.
TOPICS = ("$SYS/broker/log/E", "$SYS/broker/log/W", "$SYS/broker/log/N")

#: In OpenSSL's words, of which a connection that fails has one first line. In this order.
_REASONS = (
    ("no_certificate", re.compile(r"did not return a certificate")),
    ("certificate", re.compile(r"certificate verify failed")),
    ("distrusts_broker", re.compile(r"alert (unknown ca|bad certificate|certificate)")),
    ("no_tls", re.compile(r"wrong version number|http request|unsupported protocol|unknown protocol|no shared cipher")),
    ("not_allowed", re.compile(r"not authori[sz]ed|bad username or password")),
    ("broken_off", re.compile(r"OpenSSL Error\[0\]|connection from .* failed: error:")),
)
REASONS = tuple(name for name, _ in _REASONS)
_TIME = re.compile(r"^\d+: ")


class BrokerLog:
    """Counts whom the broker turns away, by reason."""

    def __init__(self) -> None:
        self.refusals = Refusals(REASONS, "the broker refuses a connection; more of its kind are counted only")

    def take(self, payload: bytes) -> None:
        """One line of the log. Most say that somebody has come or gone."""
        line = _TIME.sub("", payload[:500].decode(errors="replace"))
        if line.startswith("OpenSSL Error[") and not line.startswith("OpenSSL Error[0]"):
            return  # the rest of what OpenSSL has to say about the same connection
        for reason, pattern in _REASONS:
            if pattern.search(line):
                what = line.rpartition("::")[2]
                self.refusals.note(reason, "", what)
                return

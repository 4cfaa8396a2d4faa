"""Receives the supervisor's webhooks and checks their signature; needs nothing but Python.

    WEBHOOK_SECRET=s3cret python webhook_receiver.py 9000
    biotrain supervisor --webhook http://127.0.0.1:9000/ --webhook-secret s3cret

Answer 2xx when the alert is safe with you: anything else is tried again, with growing pauses, for over half a day.
The same event may come twice, under the same `webhook-id`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer

#: An older request may be a recorded one.
OLDEST_S = 300


def is_genuine(secret: bytes, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """As https://www.standardwebhooks.com describes it."""
    identity, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(now - int(timestamp)) > OLDEST_S:
        return False
    signed = f"{identity}.{timestamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(expected, one) for one in given)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        secret = os.environ["WEBHOOK_SECRET"].encode()
        if not is_genuine(secret, {name.lower(): value for name, value in self.headers.items()}, body, time.time()):
            self.send_error(401, "the signature is not right")
            return
        event = json.loads(body)
        print(f"{event['type']}: {event['data']['device']}: {event['data']['message']}", flush=True)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()

"""Alerts as signed HTTP posts: CloudEvents 1.0 in structured mode, signed as Standard Webhooks asks for.

The signature is HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`, in base64, behind `v1,` in the header
`webhook-signature` (https://www.standardwebhooks.com). The id stays the same over all attempts.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import random
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from schemas.errors import UserError
from service.store.deliveries import Delivery

CONTENT_TYPE = "application/cloudevents+json"
_SECRET_PREFIX = "whsec_"  # noqa: S105  what a secret begins with
#: First and longest pause between two attempts; each is double the one before, and up to a quarter shorter.
_FIRST_S, _LONGEST_S = 5.0, 3600.0


@dataclass(frozen=True, slots=True)
class WebhookResult:
    """How a delivery has ended, and how long it took."""

    status: str
    duration_s: float
    detail: str


@dataclass(slots=True)
class Webhook:
    """One address. Sixteen attempts reach over half a day; then the delivery is dead, and can be revived by hand."""

    url: str
    secret: bytes | None = field(default=None, repr=False)
    timeout_s: float = 10.0
    attempts: int = 16
    first_pause_s: float = _FIRST_S

    def pause_s(self, attempts: int) -> float:
        """Before the next one, after so many."""
        return min(_LONGEST_S, self.first_pause_s * 2.0 ** (attempts - 1)) * (1 - 0.25 * random.random())

    async def post(self, delivery: Delivery) -> WebhookResult:
        """`done` for any 2xx; redirects are not followed: an alert goes where it was meant to."""
        import httpx  # only where there is a webhook

        identity = f"{delivery.alert.site}.{delivery.alert.device}.{delivery.alert.alert_id}.{delivery.transition}"
        body = event_of(delivery, identity)
        headers = {"content-type": CONTENT_TYPE, **sign(self.secret, identity, int(time.time()), body)}
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.timeout_s), httpx.AsyncClient(timeout=self.timeout_s) as client:
                response = await client.post(self.url, content=body, headers=headers)
        except TimeoutError:
            status, detail = "failed", f"no answer within {self.timeout_s:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            status, detail = "failed", f"{type(error).__name__}: {error}"
        else:
            status, detail = "done" if response.is_success else "failed", f"answered {response.status_code}"
        return WebhookResult(status, time.monotonic() - started, detail)


def event_of(delivery: Delivery, identity: str) -> bytes:
    """The CloudEvent of one change of an alert."""
    alert = delivery.alert
    event = {
        "specversion": "1.0",
        "id": identity,
        "source": f"/biotrain/{alert.site}/{alert.device}",
        "type": f"biotrain.alert.{delivery.transition}",
        "subject": alert.rule.value,
        "time": alert.time.isoformat(),
        "datacontenttype": "application/json",
        "dataschema": f"biotrain:{alert.SCHEMA}",
        "data": json.loads(alert.to_json()),
    }
    return json.dumps(event, separators=(",", ":")).encode()


def sign(secret: bytes | None, identity: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Headers of the Standard Webhooks specification: HMAC-SHA256 over id, time and body."""
    headers = {"webhook-id": identity, "webhook-timestamp": str(timestamp)}
    if secret is not None:
        signed = f"{identity}.{timestamp}.".encode() + body
        digest = hmac.new(secret, signed, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


def make_webhook(url: str, secret: str | None, timeout_s: float) -> Webhook:
    """Raises UserError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > 300:
        raise UserError(f"webhook {url!r}: write http://HOST/PATH or https://HOST/PATH, at most 300 characters")
    return Webhook(url, None if secret is None else _decoded(secret), timeout_s)


def _decoded(secret: str) -> bytes:
    """`whsec_` and base64, as Standard Webhooks writes it; anything else is taken as it is."""
    if not secret.startswith(_SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise UserError("the webhook secret begins with whsec_ and what follows is not base64") from None

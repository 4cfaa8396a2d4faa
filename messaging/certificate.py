"""What our own certificate says of us, read without any package: whose it is, and until when it holds.

Verifying a peer is OpenSSL's work. This reads the certificate that we show, so that an agent can say that its own has
expired, or belongs to another device, where the broker would only close the connection. X.509's DER is RFC 5280's.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

_COMMON_NAME, _ORGANIZATION = bytes([0x55, 0x04, 0x03]), bytes([0x55, 0x04, 0x0A])
_UTC_TIME, _VERSION_TAG = 0x17, 0xA0


@dataclass(frozen=True, slots=True)
class Certificate:
    """The fields that its holder wants to know."""

    common_name: str
    organization: str
    not_before: datetime
    not_after: datetime


def read_certificate(pem: str) -> Certificate:
    """Raises ValueError when it is no certificate."""
    try:
        start = pem.index("-----BEGIN CERTIFICATE-----")
        end = pem.index("-----END CERTIFICATE-----", start) + len("-----END CERTIFICATE-----")
        der = ssl.PEM_cert_to_DER_cert(pem[start:end])
        ((_, certificate),) = _elements(der)
        (_, signed), *_ = _elements(certificate)
        fields = _elements(signed)
        if fields[0][0] == _VERSION_TAG:
            fields = fields[1:]
        _serial, _algorithm, _issuer, (_, validity), (_, subject), *_ = fields
        not_before, not_after = (_time(tag, value) for tag, value in _elements(validity))
        names = {}
        for _, relative in _elements(subject):
            for _, attribute in _elements(relative):
                (_, kind), (_, text) = _elements(attribute)
                names[kind] = text.decode()
    except (ValueError, IndexError) as error:
        raise ValueError(f"it is no certificate ({error})") from None
    return Certificate(names.get(_COMMON_NAME, ""), names.get(_ORGANIZATION, ""), not_before, not_after)


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    """Tags and contents of a row of DER elements."""
    found, at = [], 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(data[at : at + count], "big"), at + count
        if at + length > len(data):
            raise ValueError("an element is cut off")
        found.append((tag, data[at : at + length]))
        at += length
    return found


def _time(tag: int, value: bytes) -> datetime:
    text = value.decode()
    if tag == _UTC_TIME:  # years 1950 to 2049
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)

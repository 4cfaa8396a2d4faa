"""The few MQTT 3.1.1 packets that come and go by the thousand, from and to bytes. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

PUBLISH, PUBACK = 0x30, 0x40
_LARGEST_LENGTH_BYTES = 4


class WireError(ValueError):
    """Bytes that are no MQTT packet: the connection cannot go on."""


def split_packets(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Every whole packet in front of the buffer as its first byte and its body; they are removed from it."""
    packets: list[tuple[int, bytes]] = []
    start, end = 0, len(buffer)
    while end - start >= 2:
        length, shift, at = 0, 0, start + 1
        while True:
            if at == end:
                break
            byte = buffer[at]
            at += 1
            length |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
            if shift >= 7 * _LARGEST_LENGTH_BYTES:
                raise WireError("a length of more than four bytes")
        if (at == end and buffer[at - 1] >= 128) or end - at < length:
            break
        packets.append((buffer[start], bytes(buffer[at : at + length])))
        start = at + length
    del buffer[:start]
    return packets


def decode_publish(first: int, body: bytes) -> tuple[bytes, int, bytes]:
    """Topic, packet identifier (0 for QoS 0), payload."""
    if len(body) < 2:
        raise WireError("a PUBLISH without a topic")
    end = 2 + (body[0] << 8 | body[1])
    if not first & 0x06:
        if end > len(body):
            raise WireError("a PUBLISH shorter than its topic")
        return body[2:end], 0, body[end:]
    if end + 2 > len(body):
        raise WireError("a PUBLISH without its identifier")
    return body[2:end], body[end] << 8 | body[end + 1], body[end + 2 :]


def encode_pubacks(identifiers: Iterable[int]) -> bytes:
    """Acknowledgements of several messages in one piece (MQTT 3.1.1, section 3.4)."""
    return b"".join(b"\x40\x02" + identifier.to_bytes(2) for identifier in identifiers)


def encode_publish(topic: str, payload: bytes) -> bytes:
    """QoS 0, not retained."""
    name = topic.encode()
    length = 2 + len(name) + len(payload)
    head = bytearray((PUBLISH,))
    while True:
        length, digit = length >> 7, length & 127
        head.append(digit | 128 if length else digit)
        if not length:
            break
    return bytes(head) + len(name).to_bytes(2) + name + payload

"""Things larger than a frame, to the wearable and from it: in chunks, going on where they stopped."""

from __future__ import annotations

import asyncio
import struct
import zlib

from device_agent.wearable.session import LinkBroken, Priority, Session
from schemas.link.frame import MAX_PAYLOAD, FrameKind
from schemas.link.messages import Chunk, Part, Read, Upload
from schemas.link.opcodes import LinkObject, Opcode
from schemas.link.status import Status

CHUNK_BYTES = MAX_PAYLOAD - Chunk.LAYOUT.size
PART_BYTES = MAX_PAYLOAD - Part.LAYOUT.size - 1


async def upload(
    session: Session,
    what: LinkObject,
    data: bytes,
    *,
    priority: Priority,
    patience_s: float,
    repeatable: bool,
    answer_within_s: float | None = None,
) -> bytes:
    """Begin, chunks, end; returns the answer to the end. A window goes out at once, without waiting for an answer
    in between; what was lost of it is found missing at the end and sent again."""
    lane = 1 if what is LinkObject.WINDOW else 0
    id_ = session.new_id(lane)
    announced = Upload(what, len(data), zlib.crc32(data)).to_bytes()

    async def attempt(first: bool) -> tuple[int, bytes]:
        held = 0
        if what is LinkObject.WINDOW and first:
            await session.post(FrameKind.REQUEST, Opcode.BEGIN, announced, priority, session.new_id(lane))
        else:
            status, body = await session.exchange(Opcode.BEGIN, announced, session.new_id(lane), priority)
            if status != Status.OK:
                return status, body
            (held,) = struct.unpack("<I", body)
        for offset in range(held, len(data), CHUNK_BYTES):
            chunk = Chunk(what, offset, data[offset : offset + CHUNK_BYTES])
            await session.post(FrameKind.ONE_WAY, Opcode.CHUNK, chunk.to_bytes(), priority)
        return await session.exchange(Opcode.END, announced, id_, priority, answer_within_s)

    doing = f"send {what.name.lower()}"
    return await session.perform(doing, attempt, patience_s=patience_s, repeatable=repeatable)


async def read_part(session: Session, what: LinkObject, bank: int, offset: int) -> tuple[int, bytes]:
    """One try at one part: status and answer. Raises TimeoutError or LinkBroken."""
    read = Read(what, bank, offset, PART_BYTES).to_bytes()
    return await session.exchange(Opcode.READ, read, session.new_id(), Priority.BULK)


async def download(session: Session, what: LinkObject, bank: int = 0) -> bytes:
    """A whole file, checked; begins again when it changed on the way."""
    while True:
        held, crc, total = b"", None, 1
        while len(held) < total:
            offset = len(held)

            async def attempt(_: bool, offset: int = offset) -> tuple[int, bytes]:
                return await read_part(session, what, bank, offset)

            doing = f"read {what.name.lower()}"
            part = Part.from_bytes(await session.perform(doing, attempt, patience_s=session.timing.patience_s))
            if crc not in (None, part.crc) or (not part.data and part.total > len(held)):
                break
            crc, total = part.crc, part.total
            held += part.data
        if len(held) == total and zlib.crc32(held) == crc:
            return held
        await asyncio.sleep(session.timing.backoff_s)  # another file by now


async def read_before_ready(session: Session, what: LinkObject, total: int) -> bytes:
    """As `download`, within a handshake. Raises TimeoutError or LinkBroken."""
    held = b""
    for _ in range(8 + 4 * total // PART_BYTES):
        if len(held) >= total:
            return held
        try:
            status, body = await read_part(session, what, 0, len(held))
        except TimeoutError:
            continue
        if status != Status.OK:
            raise LinkBroken
        held += Part.from_bytes(body).data
    raise TimeoutError

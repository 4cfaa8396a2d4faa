"""Things larger than a frame, to the wearable and from it: in chunks, going on where they stopped."""

from __future__ import annotations

import asyncio
import zlib

from device_agent.wearable.session import LinkBroken, Priority, Session
from schemas.link.frame import MAX_PAYLOAD, FrameKind
from schemas.link.opcodes import LinkObject, Opcode
from schemas.link.status import Status
from schemas.link.upload import Chunk, Missing, Part, Read, Upload

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
    sending = _Upload(session, what, data, priority, answer_within_s)
    doing = f"send {what.name.lower()}"
    return await session.perform(doing, sending.attempt, patience_s=patience_s, repeatable=repeatable)


class _Upload:
    """How far one upload has come. Each attempt goes on from there: an end whose answer was lost is asked for again
    before anything is sent twice."""

    def __init__(
        self, session: Session, what: LinkObject, data: bytes, priority: Priority, answer_within_s: float | None
    ) -> None:
        self._session, self._what, self._data, self._priority = session, what, data, priority
        self._answer_within_s = answer_within_s
        self._lane = 1 if what is LinkObject.WINDOW else 0
        self._id = session.new_id(self._lane)
        self._announced = Upload(what, len(data), zlib.crc32(data)).to_bytes()
        self._missing: tuple[tuple[int, int], ...] | None = None
        """Not yet sent, or lost; None before the wearable has been asked."""

    async def attempt(self, first: bool) -> tuple[int, bytes]:
        if first and self._what is LinkObject.WINDOW:
            await self._post(FrameKind.REQUEST, Opcode.BEGIN, self._announced)
            self._missing = ((0, len(self._data)),)
        if self._missing is None:
            id_ = self._session.new_id(self._lane)
            status, body = await self._session.exchange(Opcode.BEGIN, self._announced, id_, self._priority)
            if status != Status.OK:
                return status, body
            self._missing = Missing.from_bytes(body).ranges(len(self._data))
        sending, self._missing = self._missing, None  # if the link breaks here, the wearable knows best what arrived
        for start, stop in sending:
            for offset in range(start, stop, CHUNK_BYTES):
                chunk = Chunk(self._what, offset, self._data[offset : min(offset + CHUNK_BYTES, stop)])
                await self._post(FrameKind.ONE_WAY, Opcode.CHUNK, chunk.to_bytes())
        self._missing = ()
        status, body = await self._session.exchange(
            Opcode.END, self._announced, self._id, self._priority, self._answer_within_s
        )
        if status == Status.INCOMPLETE:
            missing = Missing.from_bytes(body).ranges(len(self._data))
            # nothing is there at all: the beginning was lost, or something else has taken its place
            self._missing = None if missing == ((0, len(self._data)),) else missing
        return status, body

    async def _post(self, kind: FrameKind, opcode: Opcode, payload: bytes) -> None:
        id_ = self._session.new_id(self._lane) if kind is FrameKind.REQUEST else 0
        await self._session.post(kind, opcode, payload, self._priority, id_)


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

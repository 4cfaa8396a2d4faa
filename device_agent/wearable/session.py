"""A link that comes back: frames out by priority, answers by id, each request executed at most once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import Awaitable, Callable
from enum import IntEnum, StrEnum

import structlog

from device_agent.wearable.api import WearableError, WearableLost
from device_agent.wearable.timing import Timing
from device_agent.wearable.transport import Transport, TransportError
from schemas.link.frame import PROTOCOL, Frame, FrameKind, Receiver, newer
from schemas.link.greeting import Hello, HelloAnswer
from schemas.link.opcodes import Opcode
from schemas.link.status import MEANING, Status, status_name

_log = structlog.get_logger(__name__)

_NO_SESSION = bytes([Status.NO_SESSION])
Attempt = Callable[[bool], Awaitable[tuple[int, bytes]]]
"""One try of a request; True for the first. Returns status and answer."""


class LinkBroken(Exception):
    """The link ended before the answer came."""


class LinkState(StrEnum):
    """Where the connection to the wearable stands."""

    CONNECTING = "connecting"
    READY = "ready"
    WAITING = "waiting"
    """Pause before the next try."""
    CLOSED = "closed"
    """For good: closed by its user, or the two sides cannot understand each other."""


class Priority(IntEnum):
    """A window never waits for a chunk of a plan."""

    LINK = 0
    WINDOW = 1
    COMMAND = 2
    BULK = 3


class Session:
    """Keeps one link. `on_ready` runs after each handshake, before any request; `on_frame` gets what was not asked for,
    and the answer to the handshake."""

    def __init__(
        self,
        transport: Transport,
        timing: Timing,
        on_ready: Callable[[HelloAnswer], Awaitable[None]],
        on_frame: Callable[[Frame], None],
        on_state: Callable[[LinkState], None] | None = None,
    ) -> None:
        self.timing = timing
        self.address = transport.address
        self.state = LinkState.CONNECTING
        self.boot = 0
        self.reconnections = 0
        self.trouble = "no connection yet"
        """Why the link is not there."""
        self.refusal: WearableError | None = None
        self._transport = transport
        self._on_ready, self._on_frame, self._on_state = on_ready, on_frame, on_state
        self._client = secrets.randbelow(2**32 - 1) + 1
        self._receiver = Receiver()
        self._ready = asyncio.Event()
        self._broken = asyncio.Event()
        self._outgoing: asyncio.PriorityQueue[tuple[int, int, Frame, asyncio.Future[None]]] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self._ids = {lane: itertools.count(2 + lane, 2) for lane in (0, 1)}
        self._pending: dict[int, asyncio.Future[tuple[int, bytes]]] = {}
        self._session = self._sent = 0
        self._seen: int | None = None
        self._heard = 0.0
        self._runner: asyncio.Task[None] | None = None

    @property
    def frames_corrupt(self) -> int:
        return self._receiver.corrupt

    async def start(self, patience_s: float) -> None:
        """Returns when the wearable has answered. Raises WearableLost, or WearableError when versions do not match."""
        self._runner = asyncio.create_task(self._run(), name="wearable link")
        try:
            await self._wait_until_ready(patience_s)
        except WearableError:
            await self.close()
            raise

    async def close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)
        self._enter(LinkState.CLOSED)
        self.trouble = "closed"
        self._fail_pending()
        await self._transport.close()

    def new_id(self, lane: int = 0) -> int:
        """Windows have a lane of their own (1): they must not push the answers to commands out of the memory."""
        return next(self._ids[lane])

    async def perform(self, doing: str, attempt: Attempt, *, patience_s: float, repeatable: bool = True) -> bytes:
        """Try until answered.

        `repeatable`: twice is as good as once, so a wearable that has restarted may be asked again.
        Raises WearableError when refused, WearableLost when the link did not come back in time.
        """
        deadline = asyncio.get_running_loop().time() + patience_s
        asked_boot: int | None = None
        first = True
        while True:
            left = deadline - asyncio.get_running_loop().time()
            executed = False if asked_boot is None else None
            await self._wait_until_ready(left, doing, executed)
            if not repeatable and asked_boot not in (None, self.boot):
                raise WearableLost(f"{doing}: the wearable restarted before it answered", executed=None)
            asked_boot = self.boot
            try:
                status, body = await attempt(first)
            except (TimeoutError, LinkBroken):
                first = False
                if deadline <= asyncio.get_running_loop().time():
                    raise WearableLost(f"{doing}: {self.address} does not answer", executed=None) from None
                continue
            first = False
            if status == Status.OK:
                return body
            if status == Status.INCOMPLETE:
                continue
            name = status_name(status)
            meaning = MEANING.get(Status(status), name) if status in Status._value2member_map_ else name
            if status == Status.FORGOTTEN:
                raise WearableLost(f"{doing}: {meaning}", executed=None)
            raise WearableError(name, f"{doing}: {meaning} ({name})")

    async def request(
        self, opcode: Opcode, payload: bytes = b"", *, repeatable: bool = True, priority: Priority = Priority.COMMAND
    ) -> bytes:
        """A request in one frame."""
        id_ = self.new_id()

        async def attempt(_: bool) -> tuple[int, bytes]:
            return await self.exchange(opcode, payload, id_, priority)

        doing = opcode.name.lower().replace("_", " ")
        return await self.perform(doing, attempt, patience_s=self.timing.patience_s, repeatable=repeatable)

    async def exchange(
        self, opcode: Opcode, payload: bytes, id_: int, priority: Priority, wait_s: float | None = None
    ) -> tuple[int, bytes]:
        """One frame there, one back. Raises TimeoutError or LinkBroken."""
        answer = self._pending.get(id_)
        if answer is None:
            answer = self._pending[id_] = asyncio.get_running_loop().create_future()
        try:
            await self.post(FrameKind.REQUEST, opcode, payload, priority, id_)
            async with asyncio.timeout(wait_s or self.timing.retry_s):
                return await asyncio.shield(answer)
        finally:
            if self._pending.get(id_) is answer:
                del self._pending[id_]
            answer.cancel()

    async def exchange_repeated(self, opcode: Opcode, payload: bytes = b"") -> tuple[int, bytes]:
        """Within a handshake: three tries of a harmless request. Raises TimeoutError or LinkBroken."""
        id_ = self.new_id()
        for _ in range(2):
            with contextlib.suppress(TimeoutError):
                return await self.exchange(opcode, payload, id_, Priority.LINK)
        return await self.exchange(opcode, payload, id_, Priority.LINK)

    async def post(self, kind: FrameKind, opcode: Opcode, payload: bytes, priority: Priority, id_: int = 0) -> None:
        """Returns when the frame has left. Raises LinkBroken."""
        if self._session == 0:
            raise LinkBroken
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        frame = Frame(kind, opcode, 0, self._session, id_, payload)
        self._outgoing.put_nowait((priority, next(self._order), frame, gone))
        await gone

    async def _wait_until_ready(self, patience_s: float, doing: str = "connect", executed: bool | None = False) -> None:
        if self.refusal is not None:
            raise self.refusal
        if self.state is LinkState.CLOSED:
            raise WearableLost(f"{doing}: the link to {self.address} is closed", executed)
        if not self._ready.is_set():
            try:
                async with asyncio.timeout(max(patience_s, 0)):
                    await self._ready.wait()
            except TimeoutError:
                raise WearableLost(f"{doing}: no link to the wearable: {self.trouble}", executed) from None
        if self.refusal is not None:
            raise self.refusal

    def _enter(self, state: LinkState) -> None:
        if state is self.state:
            return
        self.state = state
        if self._on_state is not None:
            self._on_state(state)

    def _break(self, why: str) -> None:
        self.trouble = f"{self.address}: {why}"
        self._ready.clear()
        self._broken.set()

    def _fail_pending(self) -> None:
        self._session = 0
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(LinkBroken())
                answer.exception()  # whoever waits sees it; nobody else need
        self._pending.clear()
        while not self._outgoing.empty():
            gone = self._outgoing.get_nowait()[3]
            if not gone.done():
                gone.set_exception(LinkBroken())
                gone.exception()

    async def _run(self) -> None:
        pause_s = self.timing.backoff_s
        while self.refusal is None:
            self._enter(LinkState.CONNECTING)
            try:
                async with asyncio.timeout(self.timing.open_s):
                    await self._transport.open()
                if await self._serve():
                    pause_s = self.timing.backoff_s
            except TimeoutError:
                self.trouble = f"{self.address}: no answer within {self.timing.open_s:g} s"
            except TransportError as error:
                self.trouble = str(error)
            finally:
                self._ready.clear()
                self._fail_pending()
                await self._transport.close()
            if self.refusal is not None:
                break
            self._enter(LinkState.WAITING)
            _log.info("wearable_link_lost", why=self.trouble, next_try_s=pause_s)
            # up to a quarter less, so that several agents do not come back at once
            await asyncio.sleep(pause_s * (1 - secrets.randbelow(250) / 1000))
            pause_s = min(2 * pause_s, self.timing.backoff_most_s)
        self._enter(LinkState.CLOSED)
        self._ready.set()  # whoever waits sees the refusal

    async def _serve(self) -> bool:
        """One connection's life; True when the handshake succeeded."""
        loop = asyncio.get_running_loop()
        corrupt, self._receiver = self._receiver.corrupt, Receiver()
        self._receiver.corrupt = corrupt
        self._session, self._sent, self._seen = secrets.randbelow(2**32 - 1) + 1, 0, None
        self._broken.clear()
        self._heard = loop.time()
        helpers = [
            asyncio.create_task(job, name=name)
            for name, job in (("link reader", self._read()), ("link writer", self._write()))
        ]
        greeted = False
        try:
            greeted = await self._greet()
            if greeted:
                helpers.append(asyncio.create_task(self._ping(), name="link ping"))
                self._enter(LinkState.READY)
                self._ready.set()
                await self._broken.wait()
        except LinkBroken:
            pass
        finally:
            self._ready.clear()
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        return greeted

    async def _greet(self) -> bool:
        hello = Hello(PROTOCOL, PROTOCOL, self._client).to_bytes()
        id_ = self.new_id()
        for _ in range(max(2, round(self.timing.open_s / self.timing.retry_s))):
            with contextlib.suppress(TimeoutError):
                status, body = await self.exchange(Opcode.HELLO, hello, id_, Priority.LINK)
                break
        else:
            self.trouble = f"{self.address}: no answer to the handshake; is another agent connected to this wearable?"
            return False
        answer = HelloAnswer.from_bytes(body)
        if status != Status.OK:
            self.refusal = WearableError(
                status_name(status),
                f"the wearable {answer.device_id} speaks link protocol {answer.lowest} to {answer.highest}, this agent "
                f"{PROTOCOL}: update its firmware (now {answer.firmware}) or biotrain",
            )
            return False
        if self.boot:
            self.reconnections += 1
        self.boot = answer.boot
        try:
            await self._on_ready(answer)
        except TimeoutError:
            self.trouble = f"{self.address}: the wearable answered the handshake, but nothing after it"
            return False
        return True

    async def _read(self) -> None:
        try:
            while data := await self._transport.read():
                self._heard = asyncio.get_running_loop().time()
                for frame in self._receiver.feed(data):
                    self._take(frame)
            self._break("the wearable closed the connection")
        finally:
            self._broken.set()
            self._fail_pending()

    def _take(self, frame: Frame) -> None:
        if frame.kind in (FrameKind.REQUEST, FrameKind.ONE_WAY):
            return  # our own, thrown back by some link
        if frame.session == self._session and frame.kind == FrameKind.RESPONSE and frame.payload == _NO_SESSION:
            # it has restarted behind a line that tells nobody, and counts its frames from one again
            self._break("the wearable has forgotten the handshake")
            return
        if frame.session != self._session or (self._seen is not None and not newer(frame.sequence, self._seen)):
            return  # of an earlier connection, repeated, or overtaken
        self._seen = frame.sequence
        if frame.kind != FrameKind.RESPONSE:
            self._on_frame(frame)
            return
        if frame.opcode == Opcode.HELLO and frame.payload[:1] == b"\0":
            self._on_frame(frame)  # before the news that come right behind it
        answer = self._pending.get(frame.id)
        if answer is not None and not answer.done() and frame.payload:
            answer.set_result((frame.payload[0], frame.payload[1:]))

    async def _write(self) -> None:
        try:
            await self._transport.write(b"\0")  # whatever half frame the wearable holds ends here
            while True:
                _, _, frame, gone = await self._outgoing.get()
                if gone.done():
                    continue  # whoever wanted it sent has given up
                self._sent = (self._sent + 1) % 65536
                numbered = Frame(frame.kind, frame.opcode, self._sent, frame.session, frame.id, frame.payload)
                try:
                    await self._transport.write(numbered.to_bytes())
                finally:
                    if not gone.done():
                        gone.set_result(None)
        except TransportError as error:
            self.trouble = str(error)
        finally:
            self._broken.set()
            self._fail_pending()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self.timing.ping_s)
            if asyncio.get_running_loop().time() - self._heard > self.timing.silence_s:
                self._break(f"silent for {self.timing.silence_s:g} s")
                return
            with contextlib.suppress(LinkBroken):
                await self.post(FrameKind.ONE_WAY, Opcode.PING, b"", Priority.LINK)

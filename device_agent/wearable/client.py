"""The wearable at the other end of a link, as the agent knows it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace

import numpy as np
import structlog

from device_agent.sources.window import Window
from device_agent.wearable.api import (
    Bank,
    DeviceEvent,
    FitRequest,
    WearableError,
    WearableInfo,
    WearableStatistics,
    WindowReport,
)
from device_agent.wearable.clock import DeviceClock
from device_agent.wearable.feed import EventFeed
from device_agent.wearable.fit_request import fit_body
from device_agent.wearable.session import LinkBroken, LinkState, Priority, Session
from device_agent.wearable.timing import Timing
from device_agent.wearable.transfer import download, read_before_ready, upload
from device_agent.wearable.transport import Transport
from schemas.link.bodies import EvaluationBody, WindowBody
from schemas.link.frame import PROTOCOL, Frame, FrameKind
from schemas.link.greeting import HelloAnswer, Info
from schemas.link.holders import DeviceKeys, Wearers
from schemas.link.opcodes import EVALUATE_MOST, OPTIMIZERS, Capability, LinkObject, Opcode
from schemas.link.packing import pack_text
from schemas.link.statistics import Statistics
from schemas.link.status import Status
from schemas.link.told import Heartbeat, Report
from schemas.link.versions import skew
from schemas.plan_room import what_it_needs

_log = structlog.get_logger(__name__)
_BANKS = {Bank.SERVING: 0, Bank.CANDIDATE: 1, Bank.PREVIOUS: 2}
WEARER_NAME_BYTES = 23
#: Reports of windows that the wearable recorded, kept for a reader that is behind; then the oldest is lost.
REPORTS_KEPT = 1000


def _to_window_report(report: Report, ended_s: float | None = None) -> WindowReport:
    return WindowReport(
        window_id=report.window_id,
        time_us=report.time_us,
        predicted=report.predicted,
        probabilities=report.probabilities,
        margin=report.margin,
        entropy=report.entropy,
        weights_version=report.weights_version,
        flat_channels=report.flat_channels,
        saturated_channels=report.saturated_channels,
        features=report.features,
        label=report.label if report.label >= 0 else None,
        ended_s=ended_s,
    )


class LinkWearable:
    """`Wearable` over any transport. `connect.py` makes one."""

    def __init__(
        self,
        transport: Transport,
        timing: Timing | None = None,
        *,
        on_state: Callable[[LinkState], None] | None = None,
        on_close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.reports_lost = 0
        self.clock = DeviceClock()
        self._timing = timing or Timing()
        self._session = Session(transport, self._timing, self._shake_hands, self._take, on_state)
        self._on_close = on_close
        self._info: WearableInfo | None = None
        self._answer: HelloAnswer | None = None
        self._feed = EventFeed(self._ask_for_replay)
        self._reports: asyncio.Queue[WindowReport | None] = asyncio.Queue()
        self._recording = self._closed = False
        self._tasks: set[asyncio.Task[object]] = set()
        self._bulk = asyncio.Lock()

    async def start(self, patience_s: float = 10.0) -> None:
        """Returns when the wearable has answered; from then on the link comes back by itself."""
        await self._session.start(patience_s)

    @property
    def info(self) -> WearableInfo:
        if self._info is None:
            raise WearableError("NO_SESSION", "the wearable has not answered yet")
        return self._info

    @property
    def capabilities(self) -> Capability:
        """What the wearable's firmware can beyond the first of its protocol version."""
        return Capability(self._answer.capabilities if self._answer is not None else 0)

    @property
    def skew(self) -> str:
        """What a person should know of a firmware that is older or newer than this agent; "" for nothing."""
        return skew(self._answer.firmware, self._answer.capabilities) if self._answer is not None else ""

    @property
    def state(self) -> LinkState:
        return self._session.state

    @property
    def reconnections(self) -> int:
        return self._session.reconnections

    async def push(self, window: Window) -> WindowReport:
        channels, samples = self.info.channels, self.info.samples
        if channels and window.counts.shape != (len(channels), samples):
            raise WearableError(
                "BAD_ARGUMENT",
                f"window {window.id} is {window.counts.shape}, the plan expects ({len(channels)}, {samples})",
            )
        body = WindowBody(
            window.id,
            -1 if window.label is None else window.label,
            max(0, round(window.time_s * 1e6)),
            window.scale.astype("<f4").tobytes(),
            np.ascontiguousarray(window.counts, "<i2").tobytes(),
        )
        patience_s = self._timing.push_patience_s
        answer = await upload(
            self._session,
            LinkObject.WINDOW,
            body.to_bytes(),
            priority=Priority.WINDOW,
            patience_s=patience_s,
            repeatable=True,
        )
        return _to_window_report(Report.from_bytes(answer))

    async def label(self, window_id: int, label: int) -> None:
        await self._session.request(Opcode.LABEL, struct.pack("<Ii", window_id, label))

    async def start_fit(self, request: FitRequest) -> None:
        body = fit_body(request, self.info, self.capabilities)
        await self._upload(LinkObject.FIT, body.to_bytes())

    async def stop_fit(self) -> None:
        await self._session.request(Opcode.STOP_FIT, repeatable=False)

    async def evaluate(self, window_ids: Sequence[int], bank: Bank) -> list[int]:
        predicted: list[int] = []
        for start in range(0, len(window_ids), EVALUATE_MOST):
            body = EvaluationBody(_BANKS[bank], window_ids[start : start + EVALUATE_MOST])
            async with self._bulk:
                answer = await upload(
                    self._session,
                    LinkObject.EVALUATION,
                    body.to_bytes(),
                    priority=Priority.COMMAND,
                    patience_s=self._timing.evaluation_patience_s,
                    repeatable=True,
                    answer_within_s=3 * self._timing.retry_s,
                )
            predicted += answer
        return predicted

    async def commit(self, *, refine: bool = False) -> int:
        body = int(refine).to_bytes(4, "little")
        return self._now_serves(await self._session.request(Opcode.COMMIT, body, repeatable=False))

    async def discard(self) -> None:
        await self._session.request(Opcode.DISCARD, repeatable=False)

    async def roll_back(self) -> int:
        return self._now_serves(await self._session.request(Opcode.ROLL_BACK, repeatable=False))

    async def read_weights(self, bank: Bank = Bank.SERVING) -> bytes:
        return await download(self._session, LinkObject.WEIGHTS, _BANKS[bank])

    async def write_weights(self, file: bytes) -> None:
        await self._upload(LinkObject.WEIGHTS, file)
        await self._refresh()

    async def read_plan(self) -> bytes:
        return await download(self._session, LinkObject.PLAN)

    async def write_plan(self, file: bytes) -> None:
        try:
            await self._upload(LinkObject.PLAN, file)
        except WearableError as error:
            if error.code != Status.NO_MEMORY.name:
                raise
            raise WearableError(error.code, f"{error}: {what_it_needs(file)}") from None
        await self._refresh()

    async def wearers(self) -> Wearers:
        """Whose weights the device holds, and whose serve. Raises WearableError, as the next three do."""
        self._need(Capability.WEARERS, "keeps the weights of one person only")
        return Wearers.from_bytes(await self._session.request(Opcode.WEARERS))

    async def choose_wearer(self, name: str) -> int:
        """That person's weights serve from now on; returns their version, 0 for one who has none for this plan. The
        ring is empty then: windows belong to the person they were recorded from."""
        self._need(Capability.WEARERS, "keeps the weights of one person only")
        return await self._of_wearer(Opcode.CHOOSE_WEARER, name)

    async def erase_wearer(self, name: str) -> int:
        """Nothing of that person is left on the device; where it was the active one, the unnamed one is active."""
        self._need(Capability.WEARERS, "cannot erase a person's weights")
        return await self._of_wearer(Opcode.ERASE_WEARER, name)

    async def factory_reset(self) -> None:
        """Plan, weights and windows of everybody are erased. The log of events and the counts of boots go on."""
        self._need(Capability.WEARERS, "cannot be reset over the link")
        await self._session.request(Opcode.FACTORY_RESET, pack_text(self.info.device_id), repeatable=False)
        await self._refresh()

    async def keys(self) -> DeviceKeys:
        """What the device trusts. Raises WearableError, as the next does."""
        self._need(Capability.TRUST, "knows no keys, and takes what nobody has signed")
        return DeviceKeys.from_bytes(await self._session.request(Opcode.KEYS))

    async def trust(self, key_set: bytes, secret: bytes = b"") -> None:
        """Trust this set of keys; the first one comes with 32 random bytes, of which the device makes its secret."""
        self._need(Capability.TRUST, "knows no keys, and takes what nobody has signed")
        await self._session.request(Opcode.TRUST, key_set + secret, repeatable=True)

    async def statistics(self) -> WearableStatistics:
        told = Statistics.from_bytes(await self._session.request(Opcode.STATISTICS))
        values = dict(told.values)
        fitting, candidate, recording = (bool(values.pop(name)) for name in ("fitting", "candidate", "recording"))
        extra = {
            "frames_stale": values.pop("frames_stale"),
            "frames_lost": values.pop("frames_lost"),
            "reports_lost": values.pop("reports_lost"),
            "events_refused": values.pop("events_refused"),
            "l1_bytes": values.pop("l1_bytes"),
            "l3_bytes": values.pop("l3_bytes"),
            **{name: values.pop(name) for name in (*Statistics.LATER, *Statistics.MARKS)},
            "agent_frames_corrupt": self._session.frames_corrupt,
            "reconnections": self._session.reconnections,
        }
        extra |= {name: values.pop(name) for name in Statistics.POWER if name in values}
        return WearableStatistics(
            uptime_us=told.uptime_us,
            fitting=fitting,
            candidate=candidate,
            recording=recording,
            extra=extra,
            **values,
        )

    def events(self) -> AsyncIterator[DeviceEvent]:
        return self._feed.events()

    async def acknowledge(self, boot: int, seq: int) -> None:
        await self._session.request(Opcode.ACKNOWLEDGE, struct.pack("<II", boot, seq))

    async def reports(self) -> AsyncIterator[WindowReport]:
        while (report := await self._reports.get()) is not None:
            yield report
        if self._closed:
            self._reports.put_nowait(None)  # for whoever asks again

    async def start_recording(self, first: int = 0) -> None:
        await self._session.request(Opcode.START_RECORDING, struct.pack("<I", first))
        self._recording = True

    async def stop_recording(self) -> None:
        await self._session.request(Opcode.STOP_RECORDING)
        self._recording_ended()

    def _recording_ended(self) -> None:
        if self._recording:
            self._recording = False
            self._reports.put_nowait(None)

    async def close(self) -> None:
        self._closed = True
        for task in tuple(self._tasks):
            task.cancel()
        await self._session.close()
        self._feed.close()
        self._reports.put_nowait(None)
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            await on_close()

    async def _upload(self, what: LinkObject, data: bytes) -> bytes:
        async with self._bulk:  # the wearable has one place for what is larger than a frame
            return await upload(
                self._session,
                what,
                data,
                priority=Priority.BULK,
                patience_s=self._timing.patience_s,
                repeatable=what in (LinkObject.PLAN, LinkObject.WEIGHTS),  # to write the same file twice is no harm
            )

    def _need(self, capability: Capability, otherwise: str) -> None:
        if capability not in self.capabilities:
            raise WearableError("UNSUPPORTED", f"the firmware {self.info.firmware} {otherwise}: update it")

    async def _of_wearer(self, opcode: Opcode, name: str) -> int:
        if len(name.encode()) > WEARER_NAME_BYTES or "\0" in name:
            raise WearableError("BAD_ARGUMENT", f"a wearer's name has at most {WEARER_NAME_BYTES} bytes: {name!r}")
        return self._now_serves(await self._session.request(opcode, pack_text(name), repeatable=False))

    def _now_serves(self, answer: bytes) -> int:
        (version,) = struct.unpack("<I", answer)
        self._info = replace(self.info, weights_version=version)
        return int(version)

    async def _refresh(self) -> None:
        info = Info.from_bytes(await self._session.request(Opcode.INFO))
        names = await download(self._session, LinkObject.NAMES) if info.has_plan else b""
        self._set_info(info, names)

    def _set_info(self, info: Info, names: bytes) -> None:
        assert self._answer is not None
        parsed: dict[str, object] = {}
        with contextlib.suppress(ValueError):
            parsed = json.loads(names) if names else {}
        self._info = WearableInfo(
            device_id=self._answer.device_id,
            firmware=self._answer.firmware,
            protocol=PROTOCOL,
            boot=self._answer.boot,
            plan_hash=info.plan_hash,
            model=info.model,
            classes=_names(parsed.get("classes"), info.classes, "class"),
            channels=_names(parsed.get("channels"), info.channels, "channel"),
            samples=info.samples,
            sampling_rate_hz=info.sampling_rate_hz,
            weights_version=info.weights_version,
            ring_capacity=info.ring_capacity,
            batch=max(1, info.batch),
            optimizer=OPTIMIZERS[info.optimizer] if info.optimizer < len(OPTIMIZERS) else "",
            build=self._answer.build,
        )

    async def _shake_hands(self, answer: HelloAnswer) -> None:
        """What is asked at the start of every connection. Raises TimeoutError or LinkBroken."""
        if self._answer is not None and answer.boot != self._answer.boot:
            self.clock.restart()
        self.clock.told(answer.time_us, time.time())
        known, self._answer = self._answer, answer
        if self.skew and (known is None or known.firmware != answer.firmware):
            _log.warning(self.skew, device=answer.device_id, build=answer.build)
        status, body = await self._session.exchange_repeated(Opcode.INFO)
        if status != Status.OK:
            raise LinkBroken
        info = Info.from_bytes(body)
        names = await read_before_ready(self._session, LinkObject.NAMES, info.names_bytes) if info.has_plan else b""
        self._set_info(info, names)

    def _take(self, frame: Frame) -> None:
        if frame.kind == FrameKind.RESPONSE:
            self._feed.begin(HelloAnswer.from_bytes(frame.payload[1:]).first_event)
        elif frame.kind == FrameKind.EVENT:
            self._feed.take(frame.id, frame.payload)
        elif frame.kind == FrameKind.HEARTBEAT:
            beat = Heartbeat.from_bytes(frame.payload)
            self.clock.told(beat.time_us, time.time())
            self._feed.heartbeat(beat.next_event)
            if not beat.recording:
                self._recording_ended()
        elif frame.kind == FrameKind.REPORT:
            if self._reports.qsize() >= REPORTS_KEPT:
                self._reports.get_nowait()
                self.reports_lost += 1
            report = Report.from_bytes(frame.payload)
            self._reports.put_nowait(_to_window_report(report, self.clock.here_s(report.time_us)))

    def _ask_for_replay(self, index: int) -> None:
        async def ask() -> None:
            with contextlib.suppress(WearableError):  # after a reconnection the wearable begins by itself
                await self._session.request(Opcode.REPLAY, struct.pack("<I", index))

        task: asyncio.Task[object] = asyncio.create_task(ask(), name="replay events")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _names(given: object, count: int, what: str) -> tuple[str, ...]:
    if isinstance(given, list) and len(given) == count:
        return tuple(str(name) for name in given)
    return tuple(f"{what} {i + 1}" for i in range(count))

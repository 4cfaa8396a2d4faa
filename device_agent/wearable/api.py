"""The wearable as the agent sees it, whatever link lies between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Protocol, runtime_checkable

from device_agent.sources.window import Window
from schemas.link.holders import DeviceKeys, Wearers
from schemas.link.opcodes import Capability


class WearableError(Exception):
    """A request that the wearable refused or failed; `code` is the firmware's status name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class WearableLost(WearableError):
    """The link is gone. `executed` says what is known of the request: False, or None for unknown."""

    def __init__(self, message: str, executed: bool | None = None) -> None:
        super().__init__("LINK_LOST", message)
        self.executed = executed


class Bank(StrEnum):
    """Which weights: those that serve, the result of the last fit, or those that roll back would bring back."""

    SERVING = "serving"
    CANDIDATE = "candidate"
    PREVIOUS = "previous"


class DeviceEventKind(IntEnum):
    """Entries of the wearable's own log: kept there until the agent has acknowledged them."""

    BOOTED = 1
    PLAN_ACCEPTED = 2
    WEIGHTS_WRITTEN = 3
    FIT_STARTED = 4
    FIT_PROGRESS = 5
    """At the end of each epoch."""
    FIT_DONE = 6
    """A candidate is ready to be judged."""
    FIT_FAILED = 7
    COMMITTED = 8
    DISCARDED = 9
    """The candidate is gone; the serving weights were not touched."""
    ROLLED_BACK = 10
    """The weights before the last commit serve again."""
    WEARER_CHOSEN = 11
    WEARER_ERASED = 12
    FACTORY_RESET = 13
    KEYS_TRUSTED = 14
    REFUSED = 15
    """A plan, weights, keys or a bank of its own that it does not trust: each reason once since boot."""


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """Something that has happened on the wearable, from the log that it keeps over a reset."""

    boot: int
    seq: int
    kind: DeviceEventKind
    time_us: int
    """The wearable's clock, microseconds since its boot."""
    fit_id: int = 0
    epoch: int = 0
    step: int = 0
    steps: int = 0
    loss: float = 0.0
    """Mean over the epoch's windows (FIT_PROGRESS, FIT_DONE)."""
    weights_version: int = 0
    l2_peak_bytes: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class WindowReport:
    """What the wearable says of one window. It holds no samples."""

    window_id: int
    time_us: int
    """End of the window, the wearable's clock."""
    predicted: int
    probabilities: tuple[float, ...]
    margin: float
    """Largest probability minus the second largest."""
    entropy: float
    """Of the probabilities, nats."""
    weights_version: int
    flat_channels: int = 0
    """Bit c: channel c did not change within the window."""
    saturated_channels: int = 0
    """Bit c: channel c touched the ends of its int16 range."""
    features: tuple[float, ...] = ()
    """What the last linear layer is fed, where it has at most 64 values."""
    label: int | None = None
    """Set where the wearable itself knows it (self-recorded, from a labelled file)."""
    ended_s: float | None = None
    """End of a self-recorded window, seconds since the epoch: `time_us` on this computer's clock."""


@dataclass(frozen=True, slots=True)
class WearableInfo:
    """From the handshake, and again after a plan was written."""

    device_id: str
    firmware: str
    protocol: int
    boot: int
    plan_hash: str
    """64 hex digits; "" while there is no plan."""
    model: str
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    samples: int
    """Per channel of one window."""
    sampling_rate_hz: float
    weights_version: int
    ring_capacity: int
    """Windows that the ring holds."""
    batch: int = 1
    """Windows that the plan trains over at once: more than one for exact batch norm."""
    optimizer: str = ""
    """The plan's: sgd, adam or adamw; "" where the firmware does not tell."""
    build: str = ""
    """Digest of the firmware's source."""


@dataclass(frozen=True, slots=True)
class FitRequest:
    """One fine-tuning run over windows that lie in the wearable's ring."""

    fit_id: int
    """Chosen by the agent; comes back in the run's events."""
    window_ids: Sequence[int]
    """All labelled; each once an epoch, in an order shuffled from `seed`."""
    epochs: int = 30
    batch_size: int = 8
    """Windows of one optimiser step. A plan with exact batch norm trains over its own number of them and no other;
    each epoch then leaves out what makes no whole batch."""
    learning_rate: float = 5e-3
    momentum: float = 0.9
    """Of SGD."""
    weight_decay: float = 1e-3
    cosine: bool = True
    """Learning rate falls to zero over the run as half a cosine, once a step."""
    seed: int = 0
    optimizer: str = ""
    """sgd, adam or adamw, which the plan must have been compiled for; "": whichever it is."""
    nesterov: bool = False
    """Of SGD."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Of Adam and AdamW, as is epsilon."""
    epsilon: float = 1e-8
    clip_norm: float = 0.0
    """Largest norm of all gradients together; 0 clips nothing."""
    warm_up: int = 0
    """Steps over which the learning rate rises to its full value."""


@dataclass(frozen=True, slots=True)
class WearableStatistics:
    """What the wearable counts, and the high-water marks of its memory, since its start."""

    uptime_us: int
    windows: int
    ring_windows: int
    events_pending: int
    fit_steps: int
    """Optimiser steps since boot."""
    total_bytes: int
    """Training state in L2, as `biotrain plan --json` counts it."""
    resident_bytes: int
    l2_peak_bytes: int
    frames_corrupt: int
    weights_version: int
    fitting: bool
    candidate: bool
    recording: bool = False
    """The wearable records by itself."""
    extra: dict[str, int] = field(default_factory=dict)


class Wearable(Protocol):
    """Every call raises WearableError when refused, WearableLost when the link breaks.

    Requests are executed at most once. A client never holds back an inference for a fit.
    """

    @property
    def info(self) -> WearableInfo:
        """Plan, weights and shapes, as of the last connection."""

    async def push(self, window: Window) -> WindowReport:
        """Feed a window: it is classified and, with or without label, kept in the ring."""

    async def label(self, window_id: int, label: int) -> None:
        """A label that came late."""

    async def start_fit(self, request: FitRequest) -> None:
        """Returns when the fit has been accepted; its course comes as events."""

    async def stop_fit(self) -> None:
        """Ends a running fit without a candidate (event DISCARDED)."""

    async def evaluate(self, window_ids: Sequence[int], bank: Bank) -> list[int]:
        """Predicted classes of windows in the ring; the stream goes on meanwhile."""

    async def commit(self, *, refine: bool = False) -> int:
        """The candidate serves from now on; returns its version. Durable when it returns.

        `refine` carries on the adaptation of the last commit: roll back still leads to the weights before its first.
        """

    async def discard(self) -> None:
        """Drop the candidate; the serving weights are as they were, to the last bit."""

    async def roll_back(self) -> int:
        """The weights before the last commit that was no refinement serve again, to the last bit; their version."""

    async def read_weights(self, bank: Bank = Bank.SERVING) -> bytes:
        """The weights file of a bank, with its header."""

    async def write_weights(self, file: bytes) -> None:
        """Becomes the serving weights once it is whole and checked; half a file changes nothing."""

    async def read_plan(self) -> bytes:
        """The plan file that runs."""

    async def write_plan(self, file: bytes) -> None:
        """Runs from now on, once it is whole, checked and trusted; weights of another plan serve no longer."""

    async def statistics(self) -> WearableStatistics:
        """Counters and high-water marks since the wearable's start."""

    def events(self) -> AsyncIterator[DeviceEvent]:
        """All that the agent has not acknowledged, oldest first, then new ones; repeated after a reconnection."""

    async def acknowledge(self, boot: int, seq: int) -> None:
        """The wearable may forget its events up to `seq` of `boot`."""

    def reports(self) -> AsyncIterator[WindowReport]:
        """Windows that the wearable recorded by itself, in order; ids that are missing were lost.

        Ends when the wearable has stopped to record, and with the connection.
        """

    async def start_recording(self, first: int = 0) -> None:
        """The wearable records by itself from now on, on its own clock, and numbers its windows from `first` at least.

        One that records already goes on with its own numbers.
        """

    async def stop_recording(self) -> None:
        """It goes on to serve; windows come from the agent again."""

    async def close(self) -> None:
        """Ends the connection; the wearable goes on by itself."""


@runtime_checkable
class KeepsKeys(Wearable, Protocol):
    """A wearable that can be given the keys of its site."""

    @property
    def capabilities(self) -> Capability:
        """What this firmware can do."""

    async def keys(self) -> DeviceKeys:
        """What the device trusts."""

    async def trust(self, key_set: bytes, secret: bytes = b"") -> None:
        """Trust this set of keys; the first one comes with 32 random bytes, of which the device makes its secret."""


@runtime_checkable
class KeepsWearers(Wearable, Protocol):
    """A wearable that holds several people's weights."""

    async def wearers(self) -> Wearers:
        """Whose weights it holds, and whose serve. Raises WearableError UNSUPPORTED where firmware knows one only."""

    async def choose_wearer(self, name: str) -> int:
        """That person's weights serve from now on, their version; 0 for none. The ring is empty then."""

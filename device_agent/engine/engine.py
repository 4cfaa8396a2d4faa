"""The firmware's training engine through ctypes: for tests, evaluation and benchmarks."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from device_agent.engine.library import LIBRARY, find_native
from schemas.errors import UserError
from schemas.plan import NO_FEATURES, Plan, Region, read_plan
from schemas.weights import read_weights

MAX_CLASSES, MAX_FEATURES = 64, 64
SERVING, CANDIDATE = 0, 1
#: AVX-512, AVX2, any processor, and the plain loops that the others are compared with. All give the same bits; the
#: first that the processor runs is taken.
KERNEL_SETS = ("v4", "v3", "base", "plain")
LARGEST_BF16 = (2 - 2**-7) * 2.0**127
Floats = npt.NDArray[np.float32]


class EngineError(Exception):
    """The engine refused or failed; `code` is the firmware's status name."""

    def __init__(self, code: str, doing: str) -> None:
        super().__init__(f"{doing}: {code}")
        self.code = code


class _Window(ctypes.Structure):
    _fields_ = [("counts", ctypes.c_void_p), ("scale", ctypes.c_void_p)]


class _Optimizer(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_float) for name in ("learning_rate", "momentum", "weight_decay")),
        ("nesterov", ctypes.c_uint32),
        *((name, ctypes.c_float) for name in ("beta_1", "beta_2", "epsilon", "clip_norm")),
    ]


class _Prediction(ctypes.Structure):
    _fields_ = [
        ("classes", ctypes.c_uint32),
        ("predicted", ctypes.c_uint32),
        ("probabilities", ctypes.c_float * MAX_CLASSES),
        ("margin", ctypes.c_float),
        ("entropy", ctypes.c_float),
        ("feature_count", ctypes.c_uint32),
        ("features", ctypes.c_float * MAX_FEATURES),
    ]


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of one window."""

    predicted: int
    probabilities: Floats
    margin: float
    """Largest probability minus the second largest."""
    entropy: float
    """Nats."""
    features: Floats
    """What the last layer sees; empty where the plan names none."""


@cache
def load_library() -> ctypes.CDLL:
    """The shared library with the signatures that this file uses. Raises UserError when it was not built."""
    library = ctypes.CDLL(str(find_native(LIBRARY)))
    u32, pointer, status = ctypes.c_uint32, ctypes.c_void_p, ctypes.c_int
    signatures: dict[str, tuple[Any, Sequence[Any]]] = {
        "bt_handle_open": (pointer, (ctypes.c_char_p, u32, u32, u32, u32, ctypes.POINTER(status))),
        "bt_handle_close": (None, (pointer,)),
        "bt_handle_engine": (pointer, (pointer,)),
        "bt_handle_region": (pointer, (pointer, u32)),
        "bt_handle_region_bytes": (u32, (pointer, u32)),
        "bt_handle_l2_used": (u32, (pointer,)),
        "bt_handle_seed": (None, (pointer, u32)),
        "bt_handle_use_kernels": (ctypes.c_bool, (pointer, ctypes.c_char_p)),
        "bt_engine_weights": (pointer, (pointer, status)),
        "bt_engine_infer": (status, (pointer, status, _Window, ctypes.POINTER(_Prediction))),
        "bt_engine_promote": (None, (pointer,)),
        "bt_engine_training_bytes": (u32, (pointer,)),
        "bt_fit_begin": (status, (pointer,)),
        "bt_fit_sample": (status, (pointer, _Window, u32, ctypes.POINTER(ctypes.c_float))),
        "bt_fit_find_fault": (
            status,
            (pointer, ctypes.POINTER(_Window), ctypes.POINTER(u32), ctypes.POINTER(u32)),
        ),
        "bt_fit_batch": (
            status,
            (pointer, ctypes.POINTER(_Window), ctypes.POINTER(u32), ctypes.POINTER(ctypes.c_float)),
        ),
        "bt_fit_step": (status, (pointer, _Optimizer)),
        "bt_handle_train": (
            status,
            (pointer, ctypes.POINTER(_Window), ctypes.POINTER(u32), u32, _Optimizer, ctypes.POINTER(ctypes.c_float)),
        ),
        "bt_scheduled_rate": (ctypes.c_float, (u32, ctypes.c_float, u32, u32, u32)),
        "bt_cosine_rate": (ctypes.c_float, (ctypes.c_float, u32, u32)),
        "bt_expf": (ctypes.c_float, (ctypes.c_float,)),
        "bt_logf": (ctypes.c_float, (ctypes.c_float,)),
        "bt_cospif": (ctypes.c_float, (ctypes.c_float,)),
        "bt_status_name": (ctypes.c_char_p, (status,)),
        "bt_crc32": (u32, (u32, ctypes.c_char_p, u32)),
        "bt_sha256": (None, (ctypes.c_char_p, u32, ctypes.c_char_p)),
        "bt_shuffle": (None, (ctypes.POINTER(ctypes.c_uint64), ctypes.POINTER(u32), u32)),
    }
    for name, (result, arguments) in signatures.items():
        if not hasattr(library, name):
            raise UserError(
                f"{LIBRARY} is older than this biotrain (it has no {name}): build it again with `make setup`"
            )
        function = getattr(library, name)
        function.restype, function.argtypes = result, list(arguments)
    return library


class Engine:
    """One plan in memory of the device's sizes. Not safe for use from several threads at once."""

    def __init__(
        self, plan: bytes, weights: bytes | None = None, *, l1: int = 128_000, l2: int = 1_500_000, l3: int = 8_000_000
    ) -> None:
        """Raises EngineError when the plan is refused, WeightsError when the weights are not for it."""
        self._library = load_library()
        status = ctypes.c_int(0)
        self._steps = 0
        self._handle = self._library.bt_handle_open(plan, len(plan), l1, l2, l3, ctypes.byref(status))
        if not self._handle:
            raise EngineError(self._name(status.value), "opening the plan")
        self._engine = self._library.bt_handle_engine(self._handle)
        self.plan: Plan = read_plan(plan)
        if weights is not None:
            self.set_values(read_weights(weights, self.plan.hash).values)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._handle:
            self._library.bt_handle_close(self._handle)
            self._handle = None

    def use_kernels(self, name: str) -> bool:
        """Use one of `KERNEL_SETS`. False where this processor cannot run it."""
        return bool(self._library.bt_handle_use_kernels(self._handle, name.encode()))

    @property
    def l2_used(self) -> int:
        return int(self._library.bt_handle_l2_used(self._handle))

    @property
    def training_bytes(self) -> int:
        """High-water mark of the training state, as the executor counts it while it runs; the plan's before a step."""
        return int(self._library.bt_engine_training_bytes(self._engine))

    def values(self, bank: int = SERVING) -> bytes:
        """The weights of a bank, as a weights file holds them."""
        return ctypes.string_at(self._weights(bank), self.plan.header.region_bytes[Region.WEIGHTS])

    def set_values(self, values: bytes, bank: int = SERVING) -> None:
        ctypes.memmove(self._weights(bank), values, self.plan.header.region_bytes[Region.WEIGHTS])

    def region(self, region: Region) -> Floats:
        """The region's memory itself, not a copy."""
        size = self.plan.header.region_bytes[region]
        address = self._library.bt_handle_region(self._handle, int(region))
        return np.ctypeslib.as_array((ctypes.c_float * (size // 4)).from_address(address))

    def infer(self, counts: npt.NDArray[np.int16], scale: Floats, bank: int = SERVING) -> tuple[int, Floats]:
        """Predicted class and probabilities of one window, counts [channels, samples]."""
        prediction = self.predict(counts, scale, bank)
        return prediction.predicted, prediction.probabilities

    def predict(self, counts: npt.NDArray[np.int16], scale: Floats, bank: int = SERVING) -> Prediction:
        """All that the device says of one window, counts [channels, samples]."""
        out = _Prediction()
        self._check(
            self._library.bt_engine_infer(self._engine, bank, self._window(counts, scale), ctypes.byref(out)),
            "inference",
        )
        return Prediction(
            int(out.predicted),
            np.array(out.probabilities[: out.classes], np.float32),
            float(out.margin),
            float(out.entropy),
            np.array(out.features[: out.feature_count], np.float32),
        )

    def begin_fit(self, dropout_seed: int = 0) -> None:
        self._library.bt_handle_seed(self._handle, dropout_seed)
        self._check(self._library.bt_fit_begin(self._engine), "beginning a fit")
        self._steps = 0

    def fit_sample(self, counts: npt.NDArray[np.int16], scale: Floats, label: int) -> float:
        """Adds one window's gradients; returns its loss. Raises EngineError, with the layer that went wrong."""
        loss = ctypes.c_float()
        window = self._window(counts, scale)
        status = self._library.bt_fit_sample(self._engine, window, label, ctypes.byref(loss))
        if status and self._name(status) == "BT_NOT_FINITE":
            place = self._find_fault((_Window * 1)(window), (ctypes.c_uint32 * 1)(label))
            raise EngineError("BT_NOT_FINITE", f"a training window of step {self._steps + 1}, {place}")
        self._check(status, "a training window")
        return float(loss.value)

    def _find_fault(self, windows: ctypes.Array[_Window], labels: ctypes.Array[ctypes.c_uint32]) -> str:
        """Where in the network a number that is not finite comes up first."""
        offset = ctypes.c_uint32()
        if self._library.bt_fit_find_fault(self._engine, windows, labels, ctypes.byref(offset)):
            return "in the loss"
        before = [p for p in self.plan.names.get("parameters", []) if p["offset"] <= offset.value]
        if offset.value == NO_FEATURES or not before:
            return "in the window itself"
        layer, _, parameter = max(before, key=lambda p: p["offset"])["name"].rpartition(".")
        return f"in layer {layer or parameter}{self._most()}"

    def _most(self) -> str:
        """What a number may be where activations are kept narrow: a little less than in float32."""
        narrowed = self.plan.names.get("narrowed")
        return f" (what is kept as bf16 can be at most {LARGEST_BF16:.4e}: {', '.join(narrowed)})" if narrowed else ""

    def fit_batch(self, counts: npt.NDArray[np.int16], scale: Floats, labels: Sequence[int]) -> float:
        """A whole batch [windows, channels, samples] of a plan with exact batch norm; returns its mean loss."""
        batch = self.plan.header.batch
        if len(counts) != batch or len(labels) != batch:
            raise ValueError(f"the plan trains on {batch} windows at once, got {len(counts)} and {len(labels)} labels")
        held = [(self._window(window, scale), self._counts, self._scale) for window in counts]
        windows = (_Window * batch)(*(window for window, _, _ in held))
        loss = ctypes.c_float()
        numbers = (ctypes.c_uint32 * batch)(*map(int, labels))
        status = self._library.bt_fit_batch(self._engine, windows, numbers, ctypes.byref(loss))
        if status and self._name(status) == "BT_NOT_FINITE":
            place = self._find_fault(windows, numbers)
            raise EngineError("BT_NOT_FINITE", f"the training batch of step {self._steps + 1}, {place}")
        self._check(status, "a training batch")
        return float(loss.value)

    def fit_step(
        self,
        learning_rate: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        clip_norm: float = 0.0,
    ) -> None:
        """One step of the plan's optimiser; `clip_norm` 0 clips nothing."""
        settings = _Optimizer(learning_rate, momentum, weight_decay, nesterov, *betas, epsilon, clip_norm)
        self._check(self._library.bt_fit_step(self._engine, settings), f"optimiser step {self._steps + 1}")
        self._steps += 1

    def prepared_step(
        self,
        counts: npt.NDArray[np.int16],
        scale: Floats,
        labels: Sequence[int],
        learning_rate: float,
        momentum: float = 0.9,
        weight_decay: float = 1e-3,
    ) -> Callable[[], float]:
        """A function that runs one whole optimiser step over `counts` [windows, channels, samples] in one call of the
        library and returns the mean loss: what a benchmark times. Begin a fit first."""
        held = [(self._window(window, scale), self._counts, self._scale) for window in counts]
        windows = (_Window * len(held))(*(window for window, _, _ in held))
        numbers = (ctypes.c_uint32 * len(held))(*map(int, labels))
        settings = _Optimizer(learning_rate, momentum, weight_decay)
        loss = ctypes.c_float()
        train, handle = self._library.bt_handle_train, self._handle

        def step(held: object = held) -> float:  # the windows' arrays live as long as the function
            self._check(train(handle, windows, numbers, len(numbers), settings, ctypes.byref(loss)), "a training step")
            return float(loss.value)

        return step

    def cosine_rate(self, base: float, step: int, steps: int) -> float:
        """The learning rate of `step` (0-based) of `steps`, as the device computes it."""
        return float(self._library.bt_cosine_rate(base, step, steps))

    def scheduled_rate(self, base: float, step: int, steps: int, *, warm_up: int = 0, cosine: bool = True) -> float:
        """The learning rate of `step` of `steps`: a linear warm-up, then cosine or constant."""
        return float(self._library.bt_scheduled_rate(int(cosine), base, warm_up, step, steps))

    def promote(self) -> None:
        """The fitted weights serve from now on."""
        self._library.bt_engine_promote(self._engine)

    def _weights(self, bank: int) -> Any:
        return self._library.bt_engine_weights(self._engine, bank)

    def _window(self, counts: npt.NDArray[np.int16], scale: Floats) -> _Window:
        expected = (self.plan.header.channels, self.plan.header.samples)
        if counts.shape != expected or counts.dtype != np.int16:
            raise ValueError(f"counts are {counts.dtype}{counts.shape}, the plan takes int16{expected}")
        # kept on self: the structure holds bare addresses
        self._counts, self._scale = np.ascontiguousarray(counts), np.ascontiguousarray(scale, np.float32)
        return _Window(self._counts.ctypes.data, self._scale.ctypes.data)

    def _check(self, status: int, doing: str) -> None:
        if status:
            raise EngineError(self._name(status), doing)

    def _name(self, status: int) -> str:
        return str(self._library.bt_status_name(status).decode())

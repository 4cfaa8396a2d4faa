"""What a training step should take on GAP9: a model of its cluster, from counted instructions.

GAP9 cannot be measured here. `instructions` are those of one core on RV32IMAFC after another, the busiest of eight in
every piece of work that the cores share (`biotrain bench gap9` counts them on the image that trains). The cluster needs
`CYCLES_PER_INSTRUCTION` cycles for each: stalls on L1 banks, on shared floating-point units, on load latency.

That one constant is fitted (least squares of the relative errors) to the three kernels of PULP-TrainLib for which both
figures are known, and then frozen. Every figure made with it says `basis: model`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

CORES = 8
"""GAP9's cluster, without the ninth core that hands out the work."""
FLOATING_POINT_UNITS = 4
"""Shared by the cores, one operation a cycle each. Rossi et al., "Vega", IEEE JSSC 57(1), 2022: the same cluster."""
DMA_BYTES_PER_CYCLE = 8
"""Between L2 and L1. Rossi et al., 2022; double-buffered, so that it costs only where it takes longer than the work."""
L2_STALL_CYCLES = 14
"""A core waits so much longer for a word from L2 than for one from L1 (published for GAP9's cluster)."""
MEETING_CYCLES = 50
"""To hand out a piece of work and to meet again: an allowance, ten times what the cluster's event unit takes for a
barrier (Glaser et al., IEEE TPDS 32(3), 2021)."""

REFERENCE = {
    "forward": (2.58, 0.489),
    "weight_gradient": (2.29, 0.450),
    "input_gradient": (6.63, 2.09),
}
"""PULP-TrainLib's best float32 kernels of a (1,16) convolution: instructions a multiply-accumulate on one core (gcc 12,
rv32imafc), and cycles on a simulated cluster of eight cores with its data in L1."""


def fit_cycles_per_instruction() -> float:
    """The c that makes sum (c * instructions / cores / cycles - 1)^2 least."""
    shares = [instructions / CORES / cycles for instructions, cycles in REFERENCE.values()]
    return sum(shares) / sum(share * share for share in shares)


CYCLES_PER_INSTRUCTION = 1.698
"""`fit_cycles_per_instruction()`, frozen."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A clock and the voltage that it needs. Published for sibling works of the paper."""

    frequency_hz: int
    volts: float


FASTEST, THRIFTIEST = OperatingPoint(370_000_000, 0.80), OperatingPoint(240_000_000, 0.65)
POWER_MW = 46.9
"""At the fastest point: the mean of the paper's four measured training runs (45.2, 43.8, 50.4 and 48.2 mW), whose clock
is not known."""


def power_mw(point: OperatingPoint) -> float:
    """Switching power goes with frequency and the square of the voltage."""
    return POWER_MW * (point.frequency_hz / FASTEST.frequency_hz) * (point.volts / FASTEST.volts) ** 2


@dataclass(frozen=True, slots=True)
class Gap9Estimate:
    """What the model says of one plan, for one trained window."""

    frequency_hz: int
    cycles_per_sample: int
    """As the firmware runs."""
    l2_stall_cycles_per_sample: int
    """Of these, waiting for words of what is read where it lies, in L2."""
    copy_wait_cycles_per_sample: int
    """Of these, waiting for copies between L2 and L1 that take longer than the work beside them."""
    cycles_with_dma_per_sample: int
    """Without either: were everything copied to L1 beside the work."""
    samples_per_second: float
    power_mw: float
    energy_mj_per_sample: float
    basis: str


def cycles(path: float, meetings: float = 0.0, macs: float = 0.0, moved_bytes: float = 0.0) -> float:
    """Of instructions one after the other (`path`), with everything else that could take longer than they do."""
    work = max(path * CYCLES_PER_INSTRUCTION, macs / FLOATING_POINT_UNITS)
    return max(work + meetings * MEETING_CYCLES, moved_bytes / DMA_BYTES_PER_CYCLE)


def l2_stall_cycles(read_or_written_bytes: float) -> int:
    """What reaching operands in L2 word by word adds, each once, where no DMA brings them; eight cores wait at once."""
    return round(read_or_written_bytes / 4 * L2_STALL_CYCLES / CORES)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Cycles of a training window in which cores wait for memory."""

    for_l2: int
    for_copies: int


def at(point: OperatingPoint, with_dma: float, waiting: Waiting, how: str) -> Gap9Estimate:
    """Rate, power and energy at a clock; `how` the cycles of a sample came about."""
    cycles = with_dma + waiting.for_l2 + waiting.for_copies
    rate = point.frequency_hz / cycles
    power = power_mw(point)
    basis = (
        f"model: {how}; copies at {DMA_BYTES_PER_CYCLE} bytes a cycle beside the work; of what else lies in L2 each "
        f"operand read once, in place, at {L2_STALL_CYCLES} cycles a word"
    )
    return Gap9Estimate(
        point.frequency_hz, round(cycles), waiting.for_l2, waiting.for_copies, round(with_dma), round(rate, 1),
        round(power, 1), round(power / rate, 4), basis,
    )  # fmt: skip


def estimate(path: float, meetings: float, macs: int, l2_bytes: int, copied_bytes: int, waited: float) -> Gap9Estimate:
    """One training window, from instructions that `instructions.py` estimates; nothing is counted."""
    with_dma = cycles(path, meetings, macs, l2_bytes + copied_bytes)
    how = "instructions estimated by operation (`biotrain bench gap9` counts them)"
    return at(FASTEST, with_dma, Waiting(l2_stall_cycles(l2_bytes), round(waited)), how)


@dataclass(frozen=True, slots=True)
class Fit:
    """How far the model is from what was measured or simulated elsewhere; errors are model / theirs - 1."""

    what: str
    theirs: float
    model: float

    @property
    def error(self) -> float:
        return self.model / self.theirs - 1

    def report(self) -> dict[str, Any]:
        return {**asdict(self), "error": round(self.error, 3), "model": round(self.model, 4)}


#: The paper's full fine-tuning with group norm: milliseconds a window, mW; and multiply-accumulates of each pass.
_PAPER = {
    "mi-bminet": (469.6 / 8, 43.8, (8_634_688, 8_634_688, 8_148_288)),
    "epidenet": (93.6 / 8, 48.2, (341_072, 341_072, 309_168)),
}


def against_published() -> list[Fit]:
    """The rows that the constant was fitted to, and the paper's own figures with the kernels that the paper used."""
    rows = [
        Fit(
            f"PULP-TrainLib, {kind}, cycles a multiply-accumulate",
            theirs,
            instructions / CORES * CYCLES_PER_INSTRUCTION,
        )
        for kind, (instructions, theirs) in REFERENCE.items()
    ]
    for model, (milliseconds, milliwatts, macs) in _PAPER.items():
        spent = sum(count * row[0] for count, row in zip(macs, REFERENCE.values(), strict=True)) / CORES
        model_ms = 1e3 * cycles(spent) / FASTEST.frequency_hz
        rows.append(Fit(f"the paper, {model}, ms a window (convolutions alone, at 370 MHz)", milliseconds, model_ms))
        rows.append(Fit(f"the paper, {model}, mW", milliwatts, power_mw(FASTEST)))
    return rows

"""What a training step should cost on GAP9, from multiply-accumulates and published cycle counts.

A first floor: it knows convolution and linear layers only. Every output that shows it says `basis: model`.
"""

from __future__ import annotations

from dataclasses import dataclass

FREQUENCY_HZ = 370_000_000
"""GAP9's highest cluster clock."""
FORWARD_CYCLES_PER_MAC, WEIGHT_GRADIENT_CYCLES_PER_MAC, INPUT_GRADIENT_CYCLES_PER_MAC = 0.489, 0.450, 2.09
"""PULP-TrainLib's best float32 kernels on a simulated cluster of eight cores, data in L1."""
POWER_MW = 50.0
"""The envelope that the paper's measured training runs stay within (43.8 to 50.4 mW)."""


@dataclass(frozen=True, slots=True)
class Gap9Estimate:
    frequency_hz: int
    cycles_per_sample: int
    samples_per_second: float
    power_mw: float
    energy_mj_per_sample: float
    basis: str


def estimate(forward: int, weight_gradient: int, input_gradient: int) -> Gap9Estimate:
    """One training window, from its multiply-accumulates in each kind of pass."""
    cycles = round(
        forward * FORWARD_CYCLES_PER_MAC
        + weight_gradient * WEIGHT_GRADIENT_CYCLES_PER_MAC
        + input_gradient * INPUT_GRADIENT_CYCLES_PER_MAC
    )
    rate = FREQUENCY_HZ / cycles
    basis = "model: multiply-accumulates x PULP-TrainLib's simulated cycles; norms, pools and copies not counted"
    return Gap9Estimate(FREQUENCY_HZ, cycles, round(rate, 1), POWER_MW, round(POWER_MW / rate, 4), basis)

"""A seeded wearer of an EOG band: two derived channels, eleven eye movements, people and days that differ.

The eye is a dipole that turns: its two angles (horizontal, vertical, degrees) are what the two channels see, through
electrodes that sit a little differently on every person and every day. What differs: the gain of each channel, how
far the electrode axes are turned against the eye's (crosstalk), the electrodes' offset and slow wander, noise, how
quickly and how far the person looks, and how a blink looks. A network trained on other people confuses neighbouring
directions of a new person, and again when the band has been put on anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device_agent.sources.recording import Recording

SAMPLING_RATE_HZ = 500.0
SAMPLES = 1000
CHANNELS = ("horizontal", "vertical")
CLASSES = (
    "rest",
    "left",
    "right",
    "up",
    "down",
    "up_left",
    "up_right",
    "down_left",
    "down_right",
    "blink",
    "double_blink",
)
#: Where each class of movement looks: (horizontal, vertical), unit vector; right and up are positive.
_DIRECTIONS = {1: 180.0, 2: 0.0, 3: 90.0, 4: 270.0, 5: 135.0, 6: 45.0, 7: 225.0, 8: 315.0}
_MICROVOLTS_PER_DEGREE = 16.0
_MICROVOLTS_PER_COUNT = 0.1
_GAP_S = 1.0
"""Between the end of a trial and the start of the next."""


@dataclass(frozen=True, slots=True)
class _Band:
    """How the electrodes sit and how the person moves on one day."""

    gain: npt.NDArray[np.float64]
    turn_deg: float
    crosstalk: npt.NDArray[np.float64]
    offset_uv: npt.NDArray[np.float64]
    noise_uv: float
    wander_uv: float
    amplitude_deg: float
    latency_s: float
    hold_s: float
    blink_uv: float
    blink_s: float


class SimulatedPerson:
    """One person, wholly determined by `seed`; `session(number)` is a day, determined by both."""

    def __init__(self, seed: int) -> None:
        if seed < 0:
            raise ValueError(f"seed is {seed}, expected 0 or more")
        self.seed = seed
        traits = np.random.default_rng([20_260, seed])
        self._gain = np.exp(traits.normal(0.0, 0.22, 2))
        self._turn_deg = float(traits.choice([-1.0, 1.0]) * traits.uniform(12.0, 38.0))
        self._alone_deg = float(-np.sign(self._turn_deg) * traits.uniform(24.0, 31.0))
        self._crosstalk = traits.normal(0.0, 0.10, 2)
        self._noise_uv = float(traits.uniform(8.0, 22.0))
        self._amplitude_deg = float(traits.uniform(16.0, 30.0))
        self._latency_s = float(traits.uniform(0.20, 0.50))
        self._hold_s = float(traits.uniform(0.45, 0.95))
        self._blink_uv = float(traits.uniform(250.0, 520.0))
        self._blink_s = float(traits.uniform(0.16, 0.30))

    @property
    def name(self) -> str:
        return f"sim{self.seed}"

    def session(self, number: int, trials: int = 220) -> Recording:
        """Day `number` (from 1): `trials` movements in random order, every class equally often as far as it goes."""
        if number < 1 or trials < 1:
            raise ValueError(f"session {number} with {trials} trials: expected both 1 or more")
        random = np.random.default_rng([20_261, self.seed, number])
        band = self._put_on(random, number)
        labels = np.concatenate([random.permutation(len(CLASSES)) for _ in range(-(-trials // len(CLASSES)))])[:trials]
        microvolts = np.stack([self._trial(random, band, int(label)) for label in labels])
        limits = np.iinfo(np.int16)
        counts = np.clip(np.rint(microvolts / _MICROVOLTS_PER_COUNT), limits.min, limits.max).astype(np.int16)
        return Recording(
            counts=counts,
            scale=np.full(2, _MICROVOLTS_PER_COUNT, np.float32),
            labels=labels.astype(np.int64),
            onsets_s=np.arange(trials, dtype=np.float64) * (SAMPLES / SAMPLING_RATE_HZ + _GAP_S),
            classes=CLASSES,
            channels=CHANNELS,
            sampling_rate_hz=SAMPLING_RATE_HZ,
            subject=self.name,
            session=number,
            unit="uV",
        )

    def _put_on(self, random: np.random.Generator, number: int) -> _Band:
        """A day's band: the person's traits, and what putting it on anew changes.

        On day 1 somebody helps; from then on the wearer puts it on alone, always turned to the same side.
        """
        alone_deg = 0.0 if number == 1 else self._alone_deg + float(random.uniform(-4.0, 4.0))
        return _Band(
            gain=self._gain * np.exp(random.normal(0.0, 0.18, 2)),
            turn_deg=self._turn_deg + alone_deg,
            crosstalk=self._crosstalk + random.normal(0.0, 0.06, 2),
            offset_uv=random.normal(0.0, 120.0, 2),
            noise_uv=self._noise_uv * float(random.uniform(0.8, 1.4)),
            wander_uv=float(random.uniform(8.0, 25.0)),
            amplitude_deg=self._amplitude_deg * float(random.uniform(0.8, 1.2)),
            latency_s=self._latency_s * float(random.uniform(0.7, 1.4)),
            hold_s=self._hold_s * float(random.uniform(0.8, 1.25)),
            blink_uv=self._blink_uv * float(random.uniform(0.75, 1.3)),
            blink_s=self._blink_s * float(random.uniform(0.85, 1.2)),
        )

    def _trial(self, random: np.random.Generator, band: _Band, label: int) -> npt.NDArray[np.float64]:
        """Microvolts [2, samples] of one movement."""
        time_s = np.arange(SAMPLES) / SAMPLING_RATE_HZ
        start_s = band.latency_s + float(random.normal(0.0, 0.05))
        eye = np.zeros((2, SAMPLES))
        if label in _DIRECTIONS:
            angle = np.deg2rad(_DIRECTIONS[label] + random.normal(0.0, 4.0))
            size_deg = band.amplitude_deg * float(random.normal(1.0, 0.10))
            course = _saccade(time_s, start_s, size_deg) - _saccade(time_s, start_s + band.hold_s, size_deg)
            eye += np.outer([np.cos(angle), np.sin(angle)], course) * _MICROVOLTS_PER_DEGREE
        blinks = {9: [start_s], 10: [start_s, start_s + 1.6 * band.blink_s]}.get(label, [])
        for begin_s in blinks:
            # Eyelids move up over the cornea: a one-sided bump on the vertical axis, with a little on the other.
            bump = np.exp(-0.5 * ((time_s - begin_s - band.blink_s / 2) / (band.blink_s / 4)) ** 2)
            eye += np.outer([0.06, 1.0], bump) * band.blink_uv * float(random.normal(1.0, 0.12))
        turn = np.deg2rad(band.turn_deg)
        electrodes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        electrodes = electrodes + np.array([[0.0, band.crosstalk[0]], [band.crosstalk[1], 0.0]])
        signal = band.gain[:, None] * (electrodes @ eye)
        steps = random.normal(0.0, 1.0, (2, SAMPLES)).cumsum(axis=1) / np.sqrt(SAMPLES)
        noise = random.normal(0.0, band.noise_uv, (2, SAMPLES))
        return np.asarray(signal + band.offset_uv[:, None] + band.wander_uv * steps + noise)


def _saccade(time_s: npt.NDArray[np.float64], start_s: float, size_deg: float) -> npt.NDArray[np.float64]:
    """A step of `size_deg`; larger saccades last longer (main sequence: about 21 ms + 2.2 ms a degree)."""
    duration_s = 0.021 + 0.0022 * abs(size_deg)
    course = np.clip((time_s - start_s) / duration_s, 0.0, 1.0)
    return np.asarray(size_deg * course * course * (3.0 - 2.0 * course))

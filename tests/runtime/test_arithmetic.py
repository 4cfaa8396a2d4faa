"""The device's own functions against float64, and its checksums and shuffles against independent ones."""

from __future__ import annotations

import ctypes
import hashlib
import math
import zlib

import numpy as np

from device_agent.engine.engine import load_library


def own(name: str):
    """One of the device's functions of one float."""
    function = getattr(load_library(), name)
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return function


def errors(function, exact, points) -> float:
    """Largest error in units of the last place of float32."""
    worst = 0.0
    for x in points:
        x = float(np.float32(x))
        true = exact(x)
        worst = max(worst, abs(function(x) - true) / float(np.spacing(np.float32(abs(true)))))
    return worst


def test_exp_is_within_two_units_of_the_last_place():
    points = np.linspace(-86, 80, 20011)
    assert errors(load_library().bt_expf, math.exp, points) <= 2


def test_exp_of_very_negative_numbers_is_zero():
    assert load_library().bt_expf(-200.0) == 0.0


def test_log_is_within_two_units_of_the_last_place():
    points = np.concatenate([np.logspace(-30, 30, 20011), np.linspace(0.5, 2, 4001)[1:]])
    points = points[np.abs(points - 1) > 1e-3]
    assert errors(load_library().bt_logf, math.log, points) <= 2


def test_log_near_one_has_a_small_absolute_error():
    for x in np.linspace(0.999, 1.001, 501):
        x = float(np.float32(x))
        assert abs(load_library().bt_logf(x) - math.log(x)) <= 2e-10


def test_exp_minus_one_erf_and_tanh_are_within_their_stated_bounds():
    near, far = np.linspace(-1e-3, 1e-3, 2000), np.linspace(-6, 6, 20011)
    assert errors(own("bt_expm1f"), math.expm1, [*near, *np.linspace(-20, 5, 20011)]) <= 3
    assert errors(own("bt_erff"), math.erf, [*near, *far]) <= 2
    assert errors(own("bt_tanhf"), math.tanh, [*near, *np.linspace(-12, 12, 20011)]) <= 2


def test_own_functions_pass_nan_on_and_end_at_their_limits():
    for function in map(own, ("bt_expf", "bt_expm1f", "bt_erff", "bt_tanhf")):
        assert math.isnan(function(math.nan))
    for function in map(own, ("bt_erff", "bt_tanhf")):
        assert (function(math.inf), function(-math.inf), function(0.0)) == (1.0, -1.0, 0.0)
    assert own("bt_expm1f")(-200.0) == -1.0


def test_the_cosine_schedule_is_torchs_to_a_millionth():
    rate = load_library().bt_cosine_rate
    for step in range(750):
        assert abs(rate(1.0, step, 750) - 0.5 * (1 + math.cos(math.pi * step / 750))) < 1e-6
    assert rate(0.005, 0, 10) == np.float32(0.005)


def test_checksums_are_the_standard_ones():
    library, rng = load_library(), np.random.default_rng(0)
    for length in (*range(70), 119, 120, 1000, 4096):
        data = rng.bytes(length)
        digest = ctypes.create_string_buffer(32)
        library.bt_sha256(data, length, digest)
        assert digest.raw == hashlib.sha256(data).digest()
        assert library.bt_crc32(0, data, length) == zlib.crc32(data)


def test_the_shuffle_is_the_one_that_is_specified():
    """splitmix64 and Fisher-Yates, written again from docs/arithmetic.md."""
    mask = (1 << 64) - 1
    state, count = 42, 100
    expected = list(range(count))
    for i in range(count - 1, 0, -1):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        j = ((z ^ z >> 31) >> 32) * (i + 1) >> 32
        expected[i], expected[j] = expected[j], expected[i]
    generator, indices = ctypes.c_uint64(42), (ctypes.c_uint32 * count)()
    load_library().bt_shuffle(ctypes.byref(generator), indices, count)
    assert list(indices) == expected
    assert sorted(expected) == list(range(count))

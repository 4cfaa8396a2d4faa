"""Every way through a convolution gives the bits of its plain loops: tiles, edges, vectors, dots, any shape."""

from __future__ import annotations

import numpy as np
import pytest

from biotrain.bench.layers import CONVOLUTION, LINEAR, REFERENCE, Layer
from biotrain.bench.single import single_plan
from device_agent.engine.engine import CANDIDATE, KERNEL_SETS, Engine
from schemas.plan import Region


def conv(x, cout, kernel, padding=(0, 0, 0, 0), *, stride=(1, 1), dilation=(1, 1), groups=1, bias=False) -> Layer:
    """`padding` top, bottom, left, right."""
    spans = (x[1] + padding[0] + padding[1], x[2] + padding[2] + padding[3])
    y = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(spans, kernel, stride, dilation, strict=True)]
    settings = (*stride, *padding, *dilation, groups)
    return Layer("", "conv2d", x, (cout, x[0] // groups, *kernel), (cout, *y), settings, bias)


LAYERS = [
    REFERENCE,
    conv((1, 2, 100), 4, (1, 4)),
    conv((4, 2, 40), 16, (1, 16), bias=True),
    conv((16, 2, 27), 16, (1, 8)),
    conv((16, 2, 5), 16, (2, 1)),
    conv((16, 1, 5), 16, (1, 1), bias=True),
    conv((4, 2, 5), 12, (2, 1)),  # products of matrices: five positions, several rows, sums of no whole four
    conv((8, 1, 5), 8, (1, 1)),
    conv((8, 2, 5), 8, (2, 1), stride=(2, 1)),  # as high as the map, and with a stride all the same
    conv((6, 3, 11), 8, (1, 1), bias=True),
    conv((3, 3, 77), 8, (3, 1)),
    conv((4, 3, 9), 4, (2, 1)),  # lower than the map
    conv((1, 8, 190), 32, (8, 1)),
    conv((8, 1, 77), 32, (1, 1)),  # many positions of many channels: tiles of sums in eight lanes
    conv((4, 2, 20), 8, (1, 8), (0, 0, 7, 7)),  # the last three or four outputs are reached by few taps
    conv((4, 1, 28), 8, (1, 12)),  # taps left behind the eights: a four
    conv((8, 1, 190), 8, (1, 128), (0, 0, 63, 64), groups=8),
    conv((8, 1, 23), 8, (1, 16), (0, 0, 7, 8), groups=8),
    conv((4, 1, 300), 4, (1, 128), (0, 0, 63, 64), groups=4),
    conv((1, 2, 60), 2, (1, 4)),
    conv((1, 8, 60), 4, (8, 1)),
    conv((6, 3, 37), 10, (3, 5), (1, 1, 2, 2), groups=2, bias=True),
    conv((3, 4, 3), 7, (3, 11), (2, 1, 9, 8)),  # a kernel wider than the map
    conv((5, 2, 19), 6, (1, 25), (0, 0, 12, 12)),
    conv((4, 5, 21), 5, (3, 3), (2, 2, 2, 2), dilation=(2, 1)),
    conv((4, 1, 70), 4, (1, 9), (0, 0, 8, 0), dilation=(1, 3)),
    conv((4, 3, 41), 6, (3, 9), (1, 1, 4, 4), stride=(2, 2), bias=True),
    conv((3, 1, 12), 3, (1, 7), (0, 0, 1, 0), stride=(1, 3)),
    Layer("", "linear", (928,), (2, 928), (2,), (), True, LINEAR),
    Layer("", "linear", (16,), (11, 16), (11,), (), True, LINEAR),
    Layer("", "linear", (16,), (3, 16), (3,), passes=LINEAR),
    Layer("", "linear", (3, 19), (11, 19), (3, 11), (), True, LINEAR),
]


EACH = [(layer, which) for layer in LAYERS for which in layer.passes]


def name_of(layer: Layer) -> str:
    return "-".join(map(str, layer.x + layer.weight[:1] + layer.weight[2:]))


FAST = [kernels for kernels in KERNEL_SETS if kernels != "plain"]


def outcome(layer: Layer, which: str, kernels: str, seed: int = 0) -> tuple[bytes, bytes]:
    """What a pass leaves in the activations and in the accumulators."""
    rng = np.random.default_rng(seed)
    with Engine(single_plan(layer, which)) as engine:
        if not engine.use_kernels(kernels):
            pytest.skip(f"this processor does not run {kernels}")
        values = rng.normal(size=engine.plan.header.region_bytes[Region.WEIGHTS] // 4).astype(np.float32)
        engine.set_values(values.tobytes())
        engine.begin_fit()
        for region in (Region.ARENA, Region.GRADIENTS):
            memory = engine.region(region)
            memory[:] = rng.normal(size=memory.shape)
        engine.fit_sample(np.zeros((1, 1), np.int16), np.ones(1, np.float32), 0)
        assert engine.values(CANDIDATE) == values.tobytes()
        return engine.region(Region.ARENA).tobytes(), engine.region(Region.GRADIENTS).tobytes()


@pytest.mark.parametrize("kernels", FAST)
@pytest.mark.parametrize(("layer", "which"), EACH, ids=[f"{name_of(layer)}-{which}" for layer, which in EACH])
def test_every_set_of_kernels_gives_the_bits_of_the_plain_loops(layer, which, kernels):
    assert outcome(layer, which, kernels) == outcome(layer, which, "plain")


def random_layer(rng: np.random.Generator) -> Layer:
    """Kernels, padding, strides, gaps and groups of any kind over a map that is just large enough, or larger."""
    groups, kernel = (
        int(rng.integers(1, 4)),
        (int(rng.integers(1, 4)), int(rng.choice([1, 2, 3, 4, 7, 8, 9, 16, 17, 25]))),
    )
    padding = (0, 0, 0, 0)
    if rng.random() < 0.6:
        padding = (*map(int, rng.integers(0, 3, 2)), *map(int, rng.integers(0, kernel[1] + 1, 2)))
    stride = (1, 1) if rng.random() < 0.7 else (int(rng.integers(1, 3)), int(rng.integers(1, 4)))
    dilation = (1, 1) if rng.random() < 0.7 else (2, int(rng.integers(1, 3)))
    least = [
        d * (k - 1) + 1 - p for d, k, p in zip(dilation, kernel, (sum(padding[:2]), sum(padding[2:])), strict=True)
    ]
    x = (
        groups * int(rng.integers(1, 6)),
        max(1, least[0]) + int(rng.integers(4)),
        max(1, least[1]) + int(rng.integers(90)),
    )
    cout = groups * int(rng.integers(1, 10))
    return conv(
        x, cout, kernel, padding, stride=stride, dilation=dilation, groups=groups, bias=bool(rng.random() < 0.3)
    )


@pytest.mark.parametrize("kernels", FAST)
def test_any_convolution_gives_the_same_bits_and_writes_nowhere_else(kernels):
    rng = np.random.default_rng(1)
    for number in range(150):
        layer = random_layer(rng)
        for which in CONVOLUTION:
            assert outcome(layer, which, kernels, number) == outcome(layer, which, "plain", number), (which, layer)

"""The benchmarks say what they promise to say; what they say stands in tests/bench/test_kernel_costs.py."""

from __future__ import annotations

import json

import pytest

from biotrain.bench.kernels import time_kernels
from biotrain.bench.layers import REFERENCE, layers_of
from biotrain.bench.single import single_plan
from biotrain.cli import main
from device_agent.engine.engine import Engine


def run(capsys, *words: str) -> dict[str, object]:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *words, "--json"])
    assert ended.value.code == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_a_step_is_timed_against_every_eager_way(capsys):
    report = run(capsys, "step", "--model", "epidenet", "--batch", "2", "--rounds", "3", "--no-torch-compile")
    ways = report["torch_eager_ways_ms"]
    assert set(ways) == {"conv2d", "conv2d, channels last", "conv1d"}
    assert report["torch_eager_ms"] == min(ways.values()) == ways[report["torch_eager_way"]]
    assert 0 < report["ours_ms"] < report["torch_eager_ms"]
    assert report["times_faster_than_eager"] == pytest.approx(report["torch_eager_ms"] / report["ours_ms"], rel=0.05)
    assert report["torch_compile_ms"] is None


@pytest.mark.parametrize("words", [("leg",), ("step",), ("kernels", "--port", "arm"), ("step", "--model", "none")])
def test_a_wrong_word_is_answered_with_the_right_ones(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", *words])
    assert ended.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith("biotrain: ")
    assert "epidenet" in said or "step or kernels" in said or "host or riscv" in said


def test_conv1d_forms_of_the_paper_networks_are_the_same_networks():
    torch = pytest.importorskip("torch")
    from biotrain.bench.torch_ways import _EpiDeNet1d, _MIBMInet1d
    from device_agent.models import SIZES, build_model
    from device_agent.models.norms import with_group_norm

    for name, form in (("epidenet", _EpiDeNet1d), ("mi-bminet", _MIBMInet1d)):
        module = with_group_norm(build_model(name)).double()
        for child in module.modules():
            if isinstance(child, torch.nn.Dropout):
                child.p = 0.0
        size = SIZES[name]
        x = torch.randn(2, 1, size.channels, size.samples, dtype=torch.float64)
        torch.testing.assert_close(form(module)(x), module(x))


def test_each_distinct_layer_of_both_networks_is_measured_once():
    layers = layers_of(["epidenet", "mi-bminet"])
    assert [layer.macs for layer in layers] == [
        31_904, 223_232, 81_920, 2_560, 1_280, 176, 486_400, 7_782_400, 121_344, 242_688, 1_856,
    ]  # fmt: skip
    assert REFERENCE.macs == 1_785_856
    for layer in (REFERENCE, *layers):
        for which in (None, *layer.passes):
            Engine(single_plan(layer, which)).close()  # the verifier accepts it


def test_kernels_are_timed_without_torch():
    (cost,) = time_kernels([REFERENCE])
    assert all(0 < ns < 1 for ns in cost.per_mac().values())  # a multiply-accumulate takes less than a nanosecond

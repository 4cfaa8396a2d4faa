"""What `biotrain plan` shows to people: layers, and the picture of the arena."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from biotrain.cli import main
from biotrain.commands.plan import PASSES
from device_agent.compiler.compile import compile_model
from device_agent.compiler.stream.choice import ALL
from device_agent.compiler.timeline import draw_timeline
from device_agent.compiler.training_options import Activations
from device_agent.models import SIZES, build_model
from tests.compiled import signal


@pytest.fixture(scope="module")
def plan():
    size = SIZES["epidenet"]
    return compile_model(build_model("epidenet"), signal(size.channels, size.samples, size.classes), name="epidenet")


def test_layers_say_what_is_kept_and_computed_again(plan):
    layers = {(layer.name, layer.kind): layer for layer in plan.layers}
    first, second = layers["block_1.0", "conv2d"], layers["block_2.0", "conv2d"]
    assert (first.output, first.parameters, first.macs) == ((4, 2, 997), 16, 31_904)
    assert first.kept_bytes == 0
    assert first.runs == "2 parts, 2 × again"
    assert second.kept_bytes == 4 * 16 * 2 * 109
    assert sum(layer.macs for layer in plan.layers) == plan.report["macs"]["forward"]
    assert sum(layer.parameters for layer in plan.layers) == 4179
    assert first.bytes == 4 * 4 * 2 * 997
    assert first.recomputed_macs == 2 * 31_904
    assert sum(layer.recomputed_macs for layer in plan.layers) == plan.report["macs"]["recompute"]
    assert first.l1_tile == (2, 2, 997), "two of its four channels at a time"


def test_modelled_cycles_of_layers_add_up_to_those_of_the_window(plan):
    """But for the meetings of the cores, which belong to no layer."""
    rest = {layer.name for layer in plan.layers if not layer.kind}
    assert rest == {"preprocessing", "loss", "optimiser"}
    of_layers, whole = sum(layer.cycles for layer in plan.layers), plan.report["gap9"]
    assert of_layers < whole["cycles_with_dma_per_sample"] < 1.02 * of_layers
    together = whole["cycles_with_dma_per_sample"] + whole["l2_stall_cycles_per_sample"]
    assert abs(together - whole["cycles_per_sample"]) <= 1


@pytest.mark.slow
def test_every_pass_can_be_printed(capsys):
    size, printed = SIZES["epidenet-short"], {}
    windows = signal(size.channels, size.samples, size.classes)
    compile_model(
        build_model("epidenet-short"), windows, name="epidenet-short", activations=Activations.BF16_ALL,
        watch=printed.__setitem__,
    )  # fmt: skip
    assert tuple(printed) == PASSES
    with pytest.raises(SystemExit) as ended:
        main(["plan", "epidenet-short", "--activations", "bf16-all", "--dump-ir", "place"])
    assert not ended.value.code
    assert capsys.readouterr().out.strip() == printed["place"]
    assert printed["stage"] == printed["narrow"] or printed["stage"] == printed["schedule"], "it fits into L1"
    others = [text for name, text in printed.items() if name != "stage"]
    assert len(set(others)) == len(others), "each of them does something"
    assert "norm_relu_pool_forward" not in printed["differentiate"]
    assert "norm_relu_pool_forward" in printed["fuse"]
    assert "narrow" not in printed["fuse"]
    assert "narrow" in printed["narrow"]
    assert "in place" in printed["schedule"]
    assert "@ l1+" in printed["place"]
    assert "scalars+" not in printed["place"]
    assert "scalars+" in printed["allocate"]


@pytest.mark.slow
def test_the_table_and_the_json_have_every_layer(plan, capsys):
    with pytest.raises(SystemExit):
        main(["plan", "epidenet", "--json"])
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert [layer["name"] for layer in layers] == [layer.name for layer in plan.layers]
    with pytest.raises(SystemExit):
        main(["plan", "epidenet"])
    table = capsys.readouterr().out
    row = next(line for line in table.splitlines() if "block_1.0" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")][2:10] == [
        "4×2×997", "16", "31,904", "2 parts, 2 × again", "63,808", "31,904", "", "2×2×997",
    ]  # fmt: skip
    assert "together" in table


@pytest.mark.parametrize("without_reuse", [False, True])
def test_the_picture_has_a_box_for_every_buffer(plan, without_reuse):
    problem, offsets = plan.arena.together()
    drawn = ElementTree.fromstring(  # noqa: S314 - our own
        draw_timeline(problem, offsets, plan.arena.labels, "a <title>", 50_000, without_reuse, plan.arena.bytes)
    )
    titles = [title.text for title in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == len(problem.buffers)
    assert any(title.startswith("input: 8,000 bytes at ") for title in titles)
    texts = " ".join(text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text"))
    assert ("peak 31,936 bytes" in texts) != without_reuse
    assert ("above: 23,936 bytes in L1" in texts) != without_reuse
    assert "a <title>" in texts
    assert "L2" in texts


def test_the_command_draws_and_switches_techniques_off(tmp_path):
    picture = tmp_path / "arena.svg"
    words = ["plan", "epidenet-short", "--timeline", str(picture), "--without", "all"]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code
    assert picture.read_text().startswith("<svg")
    size = SIZES["epidenet-short"]
    windows = signal(size.channels, size.samples, size.classes)
    plain = compile_model(build_model("epidenet-short"), windows, name="epidenet-short", techniques=frozenset())
    assert plain.report["macs"]["recompute"] == 0
    best = compile_model(build_model("epidenet-short"), windows, name="epidenet-short", techniques=ALL)
    assert best.report["memory"]["total_bytes"] < plain.report["memory"]["total_bytes"]

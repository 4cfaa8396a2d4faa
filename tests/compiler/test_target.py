"""A plan for a device that is too small is refused with a number that works."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from biotrain.cli import main
from biotrain.target import must_fit
from device_agent.compiler.compile import compile_model
from device_agent.compiler.normalise import Norm
from device_agent.compiler.stream.choice import ALL
from device_agent.engine.engine import CANDIDATE, Engine
from schemas.errors import UserError
from schemas.plan import read_plan
from schemas.plan_room import GAP9, Room, needs_of, too_small, what_it_needs
from tests.compiled import random_windows, signal


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(4, 8, 5), nn.BatchNorm1d(8), nn.ReLU(), nn.AvgPool1d(4), nn.Flatten(), nn.Linear(8 * 24, 3)
    )


def compiled(batch: int, budget: int | None):
    return compile_model(
        network(), signal(4, 100, 3), name="net", norm=Norm.BATCH, batch=batch, budget=budget, input_shape=(4, 100)
    )


def test_the_sizes_of_gap9_are_those_of_its_firmware(repository: Path) -> None:
    settings = (repository / "device_agent/firmware/port/gap9/settings.h").read_text()
    for name, there in (("L1", GAP9.l1), ("L2", GAP9.l2), ("L3", GAP9.l3)):
        assert re.search(rf"BT_{name}_BYTES = (\d+)", settings)[1] == str(there)
    layout = (repository / "device_agent/firmware/app/layout.h").read_text()
    pages = re.search(r"BT_PLAN_SLOT_BYTES = (\d+) \* 4096", layout)
    assert int(pages[1]) * 4096 == GAP9.storage


def test_the_batch_that_works_is_named_and_works() -> None:
    plan = compiled(16, None)
    needs = needs_of(read_plan(plan.file), len(plan.file))
    room = Room(needs.l1, needs.l2 * 2 // 3, needs.l3, needs.storage)
    with pytest.raises(UserError, match=rf"net|{needs.l2:,} bytes of L2 where there are {room.l2:,}") as refused:
        must_fit(plan, room, "band", 16, compiled)
    found = re.search(r"--(batch|budget) (\d+) works", str(refused.value))
    number = int(found[2])
    smaller = compiled(number, None) if found[1] == "batch" else compiled(16, number)
    must_fit(smaller, room, "band", number, compiled)
    if found[1] == "batch":
        with pytest.raises(UserError):
            must_fit(compiled(number + 1, None), room, "band", number + 1, compiled)


def test_a_device_on_which_nothing_fits_is_told_so() -> None:
    plan = compiled(2, None)
    with pytest.raises(UserError, match=r"L2 where there are 2,000: take a smaller network"):
        must_fit(plan, Room(80_000, 2_000, 0, 100_000), "band", 2, compiled)


def test_every_level_that_is_too_small_is_named() -> None:
    assert too_small(Room(5, 6, 7, 8), Room(5, 6, 7, 8)) == []
    told = too_small(Room(5, 6_000, 7, 8), Room(4, 5_000, 6, 7))
    assert [word.rsplit(" ", 1)[0] for word in told] == [
        "5 bytes of L1 where there are",
        "6,000 bytes of L2 where there are",
        "7 bytes of L3 where there are",
        "8 bytes of storage where there are",
    ]


def test_a_file_that_is_no_plan_has_a_length_at_least() -> None:
    assert what_it_needs(bytes(600_000)) == "the file has 600,000 bytes"


@pytest.mark.slow
def test_the_command_refuses_what_gap9_has_no_room_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "too-large.plan"
    with pytest.raises(SystemExit) as ended:
        main(["plan", "deep-convnet", "--target", "gap9", "--out", str(out)])
    assert ended.value.code == 2
    assert re.search(r"does not fit gap9: it needs [\d,]+ bytes of L2 .* smaller network", capsys.readouterr().err)
    assert not out.exists()
    with pytest.raises(SystemExit) as ended:
        main(["plan", "epidenet", "--target", "gap9", "--json"])
    assert ended.value.code == 0


@pytest.mark.slow
def test_the_command_puts_into_l3_what_gap9_has_no_room_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", "mi-bminet", "--norm", "batch", "--batch", "16", "--target", "gap9", "--json"])
    assert ended.value.code == 0
    memory = json.loads(capsys.readouterr().out)["memory"]
    assert memory["l3_bytes"] > 0
    assert memory["total_bytes"] - memory["l3_bytes"] - memory["l1_bytes"] + memory["weights_bytes"] < GAP9.l2


@pytest.mark.parametrize("norm", [Norm.BATCH, Norm.GROUP])
def test_what_lies_in_l3_trains_to_the_same_bits_and_is_counted(norm: Norm) -> None:
    torch.manual_seed(3)
    module, windows = network(), random_windows(4, 4, 100, 3)
    weights, l3, l2 = [], [], []
    for aside in (0, 3_000, 1_000_000):  # the last is more than there is: all goes that may
        plan = compile_model(
            module, signal(4, 100, 3), name="net", norm=norm, batch=4, input_shape=(4, 100), aside=aside,
            techniques=ALL - {"l1"},
        )  # fmt: skip
        memory = plan.report["memory"]
        with Engine(plan.file, plan.weights_file(module)) as engine:
            engine.begin_fit()
            if norm is Norm.BATCH:
                engine.fit_batch(windows.counts, windows.scale, [int(label) for label in windows.labels])
            else:
                for counts, label in zip(windows.counts, windows.labels, strict=True):
                    engine.fit_sample(counts, windows.scale, int(label))
            engine.fit_step(0.05)
            assert engine.training_bytes == memory["total_bytes"]
            weights.append(engine.values(CANDIDATE))
        l3.append(memory["l3_bytes"])
        l2.append(memory["arena_bytes"])
    assert len(set(weights)) == 1
    assert l3[0] == 0 < l3[1] < l3[2]
    assert l2[1] <= l2[0] - 3_000
    assert l2[2] < l2[1]

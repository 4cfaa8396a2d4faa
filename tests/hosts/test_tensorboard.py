"""TensorBoard's own reader finds every adaptation of a store, with its loss and its outcome."""

from __future__ import annotations

import struct
from collections import defaultdict
from functools import partial
from pathlib import Path

import pytest

from schemas.adaptation import Adaptation
from schemas.errors import UserError
from service.export import export
from service.store.alert_rows import Channels
from service.store.batch import Batch
from service.store.database import Database
from service.store.writer import write_batch
from tests.service.story import Story
from tests.service.test_store import arrived

pytest.importorskip("tensorboardX")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (step, value): event files are records of length, its CRC, a protocol buffer, its CRC."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for file in sorted(folder.glob("events.*")):
        content, at = file.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            event = Event.FromString(content[at + 12 : at + 12 + length])
            for value in event.summary.value:
                found[value.tag].append((event.step, value.simple_value))
            at += length + 16
    return found


async def stored(folder: Path) -> tuple[str, list[Adaptation]]:
    """A store with two devices' stories, and what they said of adaptations."""
    store = f"sqlite:///{folder / 'x.db'}"
    told = [one for name in ("band-1", "band-2") for one in Story(device=name).whole()]
    async with Database(store) as database:
        await database.in_writer_thread(
            partial(write_batch, batch=Batch([arrived(one) for one in told]), channels=Channels())
        )
    return store, [one.message for one in told if isinstance(one.message, Adaptation)]


async def test_each_fits_loss_and_each_adaptations_outcome_stand_in_its_runs(tmp_path: Path) -> None:
    store, told = await stored(tmp_path)
    counts = export(store, tmp_path / "runs", "tensorboard", [], since=None, progress=lambda rows: None)
    assert counts == {"adaptations": len(told)}
    for device in ("band-1", "band-2"):
        folder = tmp_path / "runs" / "lab" / device
        mine = [one for one in told if one.device == device]
        ends = [one for one in mine if one.phase in ("committed", "rolled_back", "failed")]
        outcome = scalars(folder)
        assert outcome["adaptation/committed"] == [(n, float(e.phase == "committed")) for n, e in enumerate(ends, 1)]
        judged = [e.guard.after_correct / e.guard.held_out for e in ends if e.guard]
        assert [value for _, value in outcome["adaptation/accuracy_after"]] == pytest.approx(judged)
        losses = {one.adaptation_id: [] for one in mine if one.loss is not None}
        for one in mine:
            if one.loss is not None:
                losses[one.adaptation_id].append((one.step, pytest.approx(one.loss)))
        assert losses
        for fit, expected in losses.items():
            assert scalars(folder / fit)["fit/loss"] == expected


async def test_an_export_into_a_folder_with_runs_is_refused(tmp_path: Path) -> None:
    store, _ = await stored(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "x").write_text("x")
    with pytest.raises(UserError, match=r"runs: is not empty.*choose another --out"):
        export(store, tmp_path / "runs", "tensorboard", [], since=None, progress=lambda rows: None)

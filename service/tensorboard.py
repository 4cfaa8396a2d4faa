"""Adaptations of a store as TensorBoard's event files: a run for each device, and one for each fit's loss curve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from schemas.adaptation import Adaptation, Phase
from schemas.errors import UserError
from schemas.topics import Kind
from service.store import tables

_ENDS = (Phase.COMMITTED, Phase.ROLLED_BACK, Phase.FAILED)


def write_tensorboard(
    connection: Connection, folder: Path, since: datetime | None, progress: Callable[[int], None]
) -> int:
    """Messages read. `folder/SITE/DEVICE` has a point for each adaptation, `folder/SITE/DEVICE/ID` its loss by step.

    Raises UserError where something lies in `folder` already: event files only grow, and would show all twice.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise UserError("TensorBoard needs tensorboardX: pip install 'biotrain[tensorboard]'") from None
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: is not empty, and TensorBoard would show everything twice: choose another --out")
    writers: dict[Path, Any] = {}
    ended: dict[Path, int] = {}

    def writer(place: Path) -> Any:
        if place not in writers:
            writers[place] = SummaryWriter(str(place))
        return writers[place]

    count = 0
    try:
        for told in _messages(connection, since):
            device, wall_s = folder / told.site / told.device, told.time.timestamp()
            if told.loss is not None:
                writer(device / told.adaptation_id).add_scalar("fit/loss", told.loss, told.step, walltime=wall_s)
            if told.phase in _ENDS:
                number = ended[device] = ended.get(device, 0) + 1
                for tag, value in _outcome(told):
                    writer(device).add_scalar(tag, value, number, walltime=wall_s)
            count += 1
            progress(1)
    finally:
        for one in writers.values():
            one.close()
    return count


def _outcome(told: Adaptation) -> Iterator[tuple[str, float]]:
    yield "adaptation/committed", float(told.phase is Phase.COMMITTED)
    if told.duration_s is not None:
        yield "adaptation/duration_s", told.duration_s
    if told.guard is not None and told.guard.held_out:
        yield "adaptation/accuracy_before", told.guard.before_correct / told.guard.held_out
        yield "adaptation/accuracy_after", told.guard.after_correct / told.guard.held_out
    if told.to_version is not None:
        yield "adaptation/weights_version", float(told.to_version)


def _messages(connection: Connection, since: datetime | None) -> Iterator[Adaptation]:
    messages = tables.messages
    query = select(messages.c.payload).where(messages.c.kind == Kind.ADAPTATION).order_by(messages.c.id)
    if since is not None:
        query = query.where(messages.c.received >= since)
    for (payload,) in connection.execute(query):
        yield Adaptation.model_validate_json(payload, extra="ignore")

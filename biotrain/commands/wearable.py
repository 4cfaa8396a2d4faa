"""`biotrain wearable`: the virtual wearable, the device's C as a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from biotrain.riscv.port import Port


def main(
    storage: Annotated[Path, typer.Option(help="File that stands for the device's flash; made when missing.")],
    listen: Annotated[str, typer.Option(help="HOST:PORT for one agent at a time; port 0 takes a free one.")] = (
        "127.0.0.1:0"
    ),
    serial: Annotated[
        Path | None, typer.Option(help="Terminal device to speak over instead, e.g. /dev/ttyUSB0 or a pseudo-terminal.")
    ] = None,
    log: Annotated[Path | None, typer.Option(help="JSON line for each event of the device's own log.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Plan to start with, where storage holds another or none.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Weights to start with, where storage holds none.")] = None,
    trusted_keys: Annotated[
        Path | None, typer.Option(help="The site's trusted.keys: from then on it takes only what they have signed.")
    ] = None,
    device_id: Annotated[str, typer.Option(help="At most 23 letters.")] = "wearable-1",
    record: Annotated[
        Path | None, typer.Option(help="Recording (.npz) that the device plays to itself when asked to record.")
    ] = None,
    speed: Annotated[float, typer.Option(help="How much faster than real time it plays.", min=0.01)] = 1.0,
    port: Annotated[
        Port, typer.Option(help="This computer's processor, or an emulated RV32IMAFC machine.")
    ] = Port.HOST,
    cores: Annotated[int, typer.Option(help="Cores that share the work: 1, 2, 4 or 8; for --port riscv.")] = 1,
    uart: Annotated[
        bool, typer.Option("--uart", help="The link goes over the emulated board's UART; for --port riscv.")
    ] = False,
    watchdog: Annotated[
        float, typer.Option(help="Start again when nothing was served for so many seconds; 0: never.", min=0, max=3600)
    ] = 30.0,
    battery: Annotated[
        str | None, typer.Option(help="Charge of its cell at the start, e.g. 20%; without it the device cannot tell.")
    ] = None,
    charging: Annotated[bool, typer.Option("--charging", help="On its charger all the time.")] = False,
    charger: Annotated[
        str | None, typer.Option(help="On its charger from and to, seconds since the start, e.g. 60-3600.")
    ] = None,
    capacity: Annotated[int, typer.Option(help="Of the cell, mAh at 3.7 V.", min=1, max=100_000)] = 150,
    power: Annotated[
        float, typer.Option(help="Drawn all the time, mW: an assumption, not a measurement.", min=0, max=10_000)
    ] = 20.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line on stdout when it is ready.")] = False,
) -> None:
    """Run a virtual wearable: it stands for the real device, with the same C, memory sizes and link.

    Its storage outlives it: started again with the same file, it serves the weights that were committed last.

    Example:

        biotrain wearable --storage wearable.flash --listen 127.0.0.1:7777 --json
        biotrain wearable --storage wearable.flash --port riscv --cores 2
        biotrain wearable --storage wearable.flash --battery 20% --charger 60-3600
    """
    from biotrain.cell import read_cell
    from schemas.errors import UserError

    if not 1 <= len(device_id.encode()) <= 23:
        raise UserError(f"--device-id {device_id!r} has {len(device_id.encode())} bytes: choose one of 1 to 23")
    for name, path in (("--storage", storage), ("--log", log)):
        if path is not None and not path.absolute().parent.is_dir():
            raise UserError(f"{name} {path}: the folder {path.absolute().parent} does not exist; make it first")
    if cores != 1 and port is Port.HOST:
        raise UserError("--cores is for --port riscv: on this computer the wearable is one thread")
    if uart and port is Port.HOST:
        raise UserError("--uart is for --port riscv: on this computer the link goes to --listen or --serial itself")
    if trusted_keys is not None and port is Port.RISCV:
        raise UserError(
            "--trusted-keys is for this computer's port: give the emulated one its keys with `biotrain trust`"
        )
    if battery is not None and port is Port.RISCV:
        raise UserError(
            "--battery is for this computer's port: the emulated board has no cell; give its agent --conditions FILE"
        )
    cell = read_cell(battery, charging, charger, capacity, power, plan)
    told = None if cell is None else cell.settings(1.0 if record is None else speed)
    recording = None if record is None else _convert(record, storage)
    if port is Port.RISCV:
        from biotrain.riscv.wearable import RiscvWearable

        RiscvWearable(
            storage,
            listen,
            log,
            plan,
            weights,
            device_id,
            recording,
            speed,
            cores,
            as_json,
            serial,
            uart,
            watchdog,
        ).run()
    else:
        _become_host_wearable(
            storage,
            listen,
            serial,
            log,
            trusted_keys,
            plan,
            weights,
            device_id,
            recording,
            speed,
            watchdog,
            as_json,
            told,
        )


def _become_host_wearable(
    storage: Path,
    listen: str,
    serial: Path | None,
    log: Path | None,
    trusted_keys: Path | None,
    plan: Path | None,
    weights: Path | None,
    device_id: str,
    recording: Path | None,
    speed: float,
    watchdog: float,
    as_json: bool,
    cell: tuple[int, ...] | None,
) -> None:
    import os

    from device_agent.engine.library import WEARABLE, find_native

    binary = str(find_native(WEARABLE))
    words = [
        binary,
        "--watchdog",
        f"{watchdog:g}",
        "--listen",
        listen,
        "--storage",
        str(storage),
        "--device-id",
        device_id,
    ]
    if serial is not None:
        words += ["--serial", str(serial)]
    for option, file in (("--log", log), ("--trusted-keys", trusted_keys), ("--plan", plan), ("--weights", weights)):
        if file is not None:
            words += [option, str(file)]
    if recording is not None:
        words += ["--recording", str(recording), "--speed", f"{speed:g}"]
    if cell is not None:
        words += ["--cell", ",".join(map(str, cell))]
    if as_json:
        words.append("--json")
    # the same process from here on: signals and exit code are the wearable's own
    os.execv(binary, words)  # noqa: S606  no shell, fixed arguments


def _convert(record: Path, storage: Path) -> Path:
    """The recording as the device reads it, kept beside its storage."""
    from biotrain.files import write_whole
    from device_agent.sources.recording import load_recording
    from device_agent.wearable.recording_file import pack_recording

    recording = load_recording(record)
    file = storage.with_name(storage.name + ".btrc")
    write_whole(file, pack_recording(recording.counts, recording.scale, recording.labels, recording.sampling_rate_hz))
    return file

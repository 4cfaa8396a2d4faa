"""`biotrain wearer`: the people of one device, each with weights, references and history of their own."""

from __future__ import annotations

import asyncio
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import UserError

if TYPE_CHECKING:
    from device_agent.state import WearerMemory
    from device_agent.wearable.client import LinkWearable


class Action(StrEnum):
    """What to do with the people that a wearable knows."""

    LIST = "list"
    CREATE = "create"
    CHOOSE = "choose"
    BACKUP = "backup"
    RESTORE = "restore"
    ERASE = "erase"


def main(
    action: Annotated[
        Action,
        typer.Argument(
            help="list all; create one with --weights; choose who wears it; backup to a file, restore from it (also "
            "to another device); erase all that is kept of one."
        ),
    ],
    name: Annotated[str | None, typer.Argument(help="The wearer.")] = None,
    wearable: Annotated[str, typer.Option(help="tcp://HOST:PORT, serial:///dev/..., ble://NAME.")] = (
        "tcp://127.0.0.1:7777"
    ),
    weights: Annotated[Path | None, typer.Option(help="create: what the wearer begins with.")] = None,
    file: Annotated[Path | None, typer.Option(help="backup, restore: the profile; NAME.profile by default.")] = None,
    state_dir: Annotated[Path, typer.Option(help="The agent's: what is normal for a wearer lies there.")] = Path(
        "agent-state"
    ),
    key_file: Annotated[Path | None, typer.Option(help="The agent's, where its state is encrypted.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="erase: do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Choose, create, move to another device, back up and erase wearers. The agent must not run meanwhile.

    To choose another wearer empties the device's ring of windows: they belong to the person who was recorded.
    A profile holds weights, and is personal: only its owner may read the file.

    Example:

        biotrain wearer list --wearable tcp://127.0.0.1:7777
        biotrain wearer create anna --weights eog.weights
        biotrain wearer backup anna --file anna.profile
        biotrain wearer restore --file anna.profile --wearable tcp://127.0.0.1:7778
        biotrain wearer erase anna --yes
    """
    from device_agent.wearable.api import WearableError

    if name is None and action not in (Action.LIST, Action.RESTORE):
        raise UserError(f"{action}: whose? biotrain wearer {action} NAME")
    if action is Action.ERASE and not yes and not typer.confirm(f"Erase all that is kept of {name}?"):
        raise typer.Exit(2)
    try:
        said = asyncio.run(_do(action, name or "", wearable, weights, file, state_dir, key_file))
    except WearableError as error:
        raise UserError(f"{wearable}: {error}") from None
    if as_json:
        print(json.dumps(said))
    else:
        _print(action, said)


async def _do(
    action: Action,
    name: str,
    address: str,
    weights: Path | None,
    file: Path | None,
    state_dir: Path,
    key_file: Path | None,
) -> dict[str, Any]:
    from device_agent.profile import give_profile, pack_profile, read_profile, take_profile
    from device_agent.sealing import Seal
    from device_agent.wearable.connect import connect

    seal = None if key_file is None else Seal.load(key_file)
    profile = read_profile(file or Path(f"{name}.profile")) if action is Action.RESTORE else None
    begin = _weights(weights) if action is Action.CREATE else b""
    device = await connect(address)
    try:
        match action:
            case Action.LIST:
                return await _list(device, state_dir, seal)
            case Action.CREATE:
                if name in {one.name for one in (await device.wearers()).known}:
                    raise UserError(f"wearer {name!r} is there already: choose it, or erase it first")
                await device.choose_wearer(name)
                try:
                    await device.write_weights(begin)
                except Exception:
                    await device.erase_wearer(name)  # nothing half-made stays
                    raise
                return {"wearer": name, "version": device.info.weights_version}
            case Action.CHOOSE:
                if name not in {one.name for one in (await device.wearers()).known}:
                    raise UserError(f"wearer {name!r} is not on the device: create it, or restore its profile")
                return {"wearer": name, "version": await device.choose_wearer(name)}
            case Action.BACKUP:
                out = file or Path(f"{name}.profile")
                made = await take_profile(device, name, _memory(state_dir, seal, name))
                _write(out, pack_profile(made))
                return {"wearer": name, "file": str(out), "weights": len(made.weights)}
            case Action.RESTORE:
                assert profile is not None
                version = await give_profile(device, profile)
                _keep(state_dir, seal, profile.wearer, profile.memory)
                return {"wearer": profile.wearer, "version": version, "from": profile.device_id}
            case Action.ERASE:
                version = await device.erase_wearer(name)
                _keep(state_dir, seal, name, None)
                return {"erased": name, "active_version": version}
    finally:
        await device.close()


async def _list(device: LinkWearable, state_dir: Path, seal: Any) -> dict[str, Any]:
    told = await device.wearers()
    rows = []
    for one in told.known:
        memory = _memory(state_dir, seal, one.name)
        rows.append(
            {
                "wearer": one.name,
                "active": one.name == told.active,
                "version": one.serving,
                "previous": one.previous,
                "usual_error": memory.reference_error,
                "history": [entry.model_dump() for entry in memory.history],
            }
        )
    return {"device": device.info.device_id, "places": told.places, "wearers": rows}


def _memory(state_dir: Path, seal: Any, name: str) -> WearerMemory:
    from device_agent.kept_state import read_state
    from device_agent.state import WearerMemory

    state = read_state(state_dir, seal)
    return WearerMemory() if state is None else state.memory_of(name)


def _keep(state_dir: Path, seal: Any, name: str, memory: WearerMemory | None) -> None:
    from device_agent.kept_state import change_state

    change_state(state_dir, seal, lambda state: state.with_memory(name, memory))


def _weights(path: Path | None) -> bytes:
    from schemas.weights import read_weights

    if path is None:
        raise UserError("create: give --weights FILE, e.g. those that `biotrain pretrain` has written")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"--weights {path}: cannot be read ({error.strerror}): check the path") from None
    read_weights(content)
    return content


def _write(out: Path, content: bytes) -> None:
    from biotrain.files import write_whole

    write_whole(out, content, mode=0o600)


def _print(action: Action, said: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    if action is not Action.LIST:
        print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in said.items()))
        return
    table = Table("wearer", "", "weights", "before", "usual error", "last change")
    for row in said["wearers"]:
        last = row["history"][-1] if row["history"] else None
        table.add_row(
            row["wearer"] or "(unnamed)",
            "active" if row["active"] else "",
            str(row["version"] or "–"),
            str(row["previous"] or "–"),
            "–" if row["usual_error"] is None else f"{row['usual_error']:.0%}",
            "–" if last is None else f"{last['what']} {last['time']}",
        )
    Console().print(table)
    print(f"{said['device']}: {len(said['wearers'])} of {said['places']} places")

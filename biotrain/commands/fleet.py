"""`biotrain fleet`: plans handed to a supervisor, pushed to devices, and rolled out."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from schemas.errors import UserError


class Action(StrEnum):
    """What to ask the supervisor for."""

    PLANS = "plans"
    ADD = "add"
    PUSH = "push"
    BACK = "back"
    ROLLOUT = "rollout"
    STATUS = "status"
    PAUSE = "pause"
    RESUME = "resume"
    ADVANCE = "advance"
    STOP = "stop"
    ERASE = "erase"


def main(
    action: Annotated[
        Action,
        typer.Argument(
            help="plans: those that are there; add one; push one to a device or a group, or back to the one before; "
            "rollout: share by share; status of roll-outs; pause, resume, advance or stop one; "
            "erase all that is stored of a device."
        ),
    ],
    name: Annotated[
        str | None, typer.Argument(help="add, push, rollout: the plan's name. status and after: the roll-out's number.")
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="add: the plan file.")] = None,
    weights: Annotated[Path | None, typer.Option(help="add: what devices begin with.")] = None,
    site: Annotated[str, typer.Option(help="push, back, rollout, erase: the devices' site.")] = "home",
    device: Annotated[str | None, typer.Option(help="push, back, erase: one device.")] = None,
    group: Annotated[str | None, typer.Option(help="push, back, rollout: a group; `all` is everybody.")] = None,
    shares: Annotated[str, typer.Option(help="rollout: share of the devices at each stage.")] = "0.05,0.25,1",
    canary: Annotated[list[str] | None, typer.Option(help="rollout: a device of the first stage; repeatable.")] = None,
    hold: Annotated[float, typer.Option(help="rollout: seconds that a stage lasts at least.", min=0)] = 3600.0,
    min_labelled: Annotated[int, typer.Option(help="rollout: labelled windows that a stage needs.", min=1)] = 300,
    margin: Annotated[float, typer.Option(help="rollout: loss of accuracy that is no reason to stop.")] = 0.02,
    risk: Annotated[float, typer.Option(help="rollout: that a harmless plan is stopped.")] = 0.05,
    return_to: Annotated[
        str | None, typer.Option(help="rollout: the plan to return to; each device's own from before without.")
    ] = None,
    expires: Annotated[float, typer.Option(help="push, back: seconds after which no reply is shown.", min=1)] = 3600.0,
    wait: Annotated[bool, typer.Option("--wait", help="push, back: until every device has answered, or has not.")] = (
        False
    ),
    yes: Annotated[bool, typer.Option("--yes", help="erase: without being asked.")] = False,
    url: Annotated[str, typer.Option(help="The supervisor's page.")] = "http://127.0.0.1:8000",
    token: Annotated[
        str | None,
        typer.Option(help="One with the role operate; admin to erase.", envvar="BIOTRAIN_TOKEN", show_envvar=True),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Bring a plan to devices: to one, to a group, or share by share with a way back.

    A roll-out begins with a canary share, compares each device with itself before and with those that do not have the
    plan yet, and returns by itself when accuracy falls.

    Example:

        biotrain fleet add eog-2 --plan eog.plan --weights eog.weights
        biotrain fleet push eog-2 --site lab --device band-1 --wait
        biotrain fleet rollout eog-2 --site lab --group all --shares 0.05,0.25,1 --hold 3600
        biotrain fleet status
        biotrain fleet erase --site lab --device band-1
    """
    from biotrain.fleet.api import SupervisorApi
    from biotrain.fleet.words import plan_line, rollout_lines

    api = SupervisorApi(url, token)
    result: Any
    lines: list[str]
    match action:
        case Action.PLANS:
            result = api.get("/api/plans")
            lines = [plan_line(one) for one in result["items"]] or ["no plan has been handed in yet"]
        case Action.ADD:
            result = api.post("/api/plans", _files(name, plan, weights))
            lines = [plan_line(result)]
        case Action.PUSH | Action.BACK:
            body: dict[str, Any] = {"expires_s": expires}
            body |= {"back": True} if action is Action.BACK else {"plan": _plan_id(api, name)}
            result = api.post(_target(site, device, group), body)
            if wait:
                result["replies"] = _replies(api, site, result, expires)
            lines = [f"command {result['command_id']} to {len(result['devices'])} device(s)"]
            lines += [f"  {d}: {' '.join(reply).strip()}" for d, reply in result.get("replies", {}).items()]
        case Action.ROLLOUT:
            settings = {
                "shares": _shares(shares), "canaries": canary or [], "hold_s": hold, "min_labelled": min_labelled,
                "margin": margin, "risk": risk,
            }  # fmt: skip
            begin = {"site": site, "group": group or "all", "plan": _plan_id(api, name), "settings": settings}
            if return_to is not None:
                begin["return_to"] = _plan_id(api, return_to)
            result = api.post("/api/rollouts", begin)
            lines = rollout_lines(result)
        case Action.ERASE:
            if device is None:
                raise UserError("erase: name the device with --device (and its --site)")
            if not yes and not typer.confirm(
                f"Erase everything that is stored of {site}/{device}? There is no way back."
            ):
                raise UserError("nothing was erased")
            result = api.delete(f"/api/devices/{site}/{device}")
            lines = [
                f"{result['messages']} messages of {site}/{device} are erased, and all that followed from them; "
                "its agent's --state-dir and the wearable (biotrain wearer erase) have their own"
            ]
        case Action.STATUS if name is None:
            result = api.get("/api/rollouts")
            lines = [line for one in result["items"] for line in rollout_lines(one)] or ["no roll-out yet"]
        case Action.STATUS:
            result = api.get(f"/api/rollouts/{_number(name)}")
            lines = rollout_lines(result)
        case _:
            result = api.post(f"/api/rollouts/{_number(name)}/{action}")
            lines = rollout_lines(result)
    print(json.dumps(result) if as_json else "\n".join(lines))


def _files(name: str | None, plan: Path | None, weights: Path | None) -> dict[str, Any]:
    if name is None or plan is None:
        raise UserError("add: a name and --plan FILE are needed: biotrain fleet add eog-2 --plan eog.plan")
    found = {}
    for what, path in (("plan", plan), ("weights", weights)):
        try:
            found[what] = None if path is None else b64encode(path.read_bytes()).decode()
        except OSError as error:
            raise UserError(f"--{what} {path}: cannot be read ({error.strerror}): check the path") from None
    return {"name": name, **found}


def _plan_id(api: Any, name: str | None) -> int:
    found = api.get(f"/api/plans?name={quote(name)}")["items"] if name else []
    if not found:
        there = ", ".join(one["name"] for one in api.get("/api/plans")["items"]) or "none yet"
        raise UserError(f"plan {name!r} is not known to the supervisor (the newest: {there}): biotrain fleet add")
    return int(found[0]["id"])


def _target(site: str, device: str | None, group: str | None) -> str:
    if (device is None) is (group is None):
        raise UserError("name either --device or --group")
    return f"/api/devices/{site}/{device}/plan" if device is not None else f"/api/groups/{site}/{group}/plan"


def _replies(api: Any, site: str, pushed: dict[str, Any], expires_s: float) -> dict[str, tuple[str, str]]:
    """The last word of every device; `no_reply` where its time has run out."""
    said: dict[str, tuple[str, str]] = {}
    end = time.monotonic() + expires_s + 5
    while len(said) < len(pushed["devices"]) and time.monotonic() < end:
        for device in (one for one in pushed["devices"] if one not in said):
            row = api.get(f"/api/devices/{site}/{device}/commands/{pushed['command_id']}")
            if row["status"] in ("done", "refused", "failed", "no_reply"):
                said[device] = (row["status"], row["detail"])
        time.sleep(0.3)
    return said


def _shares(text: str) -> list[float]:
    try:
        return [float(one) for one in text.split(",")]
    except ValueError:
        raise UserError(f"--shares {text}: expected numbers like 0.05,0.25,1") from None


def _number(name: str | None) -> int:
    if name is None or not name.isdigit():
        raise UserError(f"the number of a roll-out is needed, not {name!r}: biotrain fleet status lists them")
    return int(name)

"""What a device should be set to and what it says that it is; and where the model on it comes from."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Request, Response
from pydantic import BaseModel, Field

from messaging import PublishError
from schemas.adaptation import Adaptation, Guard, Phase
from schemas.desired import Desired, DeviceSettings, Reported
from schemas.state import State
from schemas.topics import DeviceTopic, Kind
from service.api.auth import identity_of
from service.api.context import Context
from service.api.parameters import DeviceName, SiteName
from service.store import audit
from service.store.desired import desired_of, set_desired
from service.store.overview import fleet
from service.store.series import Cut, device_series


class DesiredView(BaseModel):
    """`in_step` when the device has taken up the newest version."""

    version: int = Field(description="0 before anything was asked for")
    settings: DeviceSettings
    time: datetime | None
    reported_version: int
    reported: Reported | None
    in_step: bool


class Ancestor(BaseModel):
    """One version of the weights on a device."""

    version: int
    parent: int | None = Field(description="null for the weights that it came with: the pre-trained ones")
    origin: str = Field(description="`pre-trained`, or `adapted` on this device")
    since: datetime
    plan_hash: str | None = Field(description="the plan that these weights belong to")
    adaptation_id: str | None
    trigger: str | None
    mode: str | None
    train_windows: int | None
    guard: Guard | None = Field(description="the comparison that let it through")


class Lineage(BaseModel):
    """What served, newest first; each version's parent is further down, to the pre-trained one of its plan."""

    items: list[Ancestor]


def router(context: Context) -> APIRouter:
    """What a device should be set to, and what it says that it is."""
    routes = APIRouter(prefix="/api/devices/{site}/{device}", tags=["desired state"])

    @routes.get("/desired", summary="What the device should be set to, and what it says that it is")
    async def read(site: SiteName, device: DeviceName, response: Response) -> DesiredView:
        await _known(context, site, device)
        view = await _view(context, site, device)
        response.headers["ETag"] = f'"{view.version}"'
        return view

    @routes.put(
        "/desired",
        summary="Set it: retained and versioned, so that a device that is away finds it when it comes back",
        responses={409: {"description": "somebody else was quicker"}, 503: {"description": "the broker is not there"}},
    )
    async def change(
        http: Request,
        site: SiteName,
        device: DeviceName,
        settings: DeviceSettings,
        if_match: Annotated[
            str | None, Header(max_length=30, description="the version that was read, in quotes; changed since: 409")
        ] = None,
    ) -> DesiredView:
        await _known(context, site, device)
        before = await _view(context, site, device)
        if if_match is not None and if_match.strip('W/"') != str(before.version):
            raise HTTPException(409, f"the version is {before.version} meanwhile: read it again")
        document = await set_desired(context.database, site, device, settings)
        by = identity_of(http)
        text = f"version {document.version}: {settings.model_dump_json(exclude_none=True)}"
        await audit.note(context.database, by.name, by.role, "desired", site=site, device=device, detail=text)
        try:
            await context.broker.publish(str(DeviceTopic(site, device, Kind.DESIRED)), document.to_json(), retain=True)
        except PublishError as error:
            raise HTTPException(
                503, f"kept as version {document.version}, and not sent: {error}; send it again"
            ) from None
        return await _view(context, site, device)

    @routes.get("/lineage", summary="Every version of the weights on the device, back to its pre-training")
    async def lineage(site: SiteName, device: DeviceName) -> Lineage:
        await _known(context, site, device)
        return Lineage(items=await _lineage(context, site, device))

    return routes


async def _known(context: Context, site: str, device: str) -> None:
    if not await fleet(context.database, site, device):
        raise HTTPException(404, f"nothing has been heard from device {device!r} of site {site!r}")


async def _view(context: Context, site: str, device: str) -> DesiredView:
    row = await desired_of(context.database, site, device)
    wanted = Desired.model_validate_json(row["payload"]) if row is not None and row["payload"] else None
    reported = (
        Reported.model_validate_json(row["reported"], extra="ignore") if row is not None and row["reported"] else None
    )
    version, told = (wanted.version if wanted else 0), (reported.version if reported else 0)
    return DesiredView(
        version=version,
        settings=wanted.settings if wanted else DeviceSettings(),
        time=wanted.time if wanted else None,
        reported_version=told,
        reported=reported,
        in_step=told >= version,
    )


async def _lineage(context: Context, site: str, device: str) -> list[Ancestor]:
    """In the order in which the device said it: a pushed plan begins a line of its own, and numbers may come again."""
    cut = Cut(limit=5000, newest=True)
    rows = [
        *await device_series(context.database, site, device, [Kind.STATE], cut),
        *await device_series(context.database, site, device, [Kind.ADAPTATION], cut),
    ]
    read: dict[str, type[State | Adaptation]] = {Kind.STATE.value: State, Kind.ADAPTATION.value: Adaptation}
    told = sorted(
        (read[row.kind].model_validate_json(row.payload, extra="ignore") for row in rows), key=lambda m: (m.boot, m.seq)
    )
    found: list[Ancestor] = []
    runs: Ancestor | None = None
    for message in told:
        if isinstance(message, State):
            version = message.weights_version
            if version is None:
                continue
            if runs is None or (runs.version, runs.plan_hash) != (version, message.plan_hash):
                if runs is not None and runs.version == version and runs.plan_hash is None:
                    runs.plan_hash = message.plan_hash
                    continue
                runs = _earlier(found, message) or _pre_trained(version, message.plan_hash, message.time)
                found.append(runs)
        elif isinstance(message, Adaptation):
            if runs is None:
                runs = _pre_trained(message.from_version, None, message.time)
                found.append(runs)
            if message.phase is Phase.COMMITTED and message.to_version is not None:
                runs = _adapted(message, message.to_version, runs.plan_hash)
                found.append(runs)
    return found[::-1]


def _earlier(found: list[Ancestor], state: State) -> Ancestor | None:
    """Weights that come back, by a roll back or with their plan."""
    same = [one for one in found if (one.version, one.plan_hash) == (state.weights_version, state.plan_hash)]
    return same[-1].model_copy(update={"since": state.time}) if same else None


def _adapted(run: Adaptation, version: int, plan_hash: str | None) -> Ancestor:
    return Ancestor(
        version=version,
        parent=run.from_version,
        origin="adapted",
        since=run.time,
        plan_hash=plan_hash,
        adaptation_id=run.adaptation_id,
        trigger=run.trigger.value,
        mode=run.mode,
        train_windows=run.train_windows,
        guard=run.guard,
    )


def _pre_trained(version: int, plan_hash: str | None, since: datetime) -> Ancestor:
    nothing = dict.fromkeys(("parent", "adaptation_id", "trigger", "mode", "train_windows", "guard"))
    fields = {"version": version, "origin": "pre-trained", "since": since, "plan_hash": plan_hash}
    return Ancestor.model_validate({**fields, **nothing})

"""A wearer's profile as one file: weights that serve and those before them, what is normal for the person, history.

A ZIP with `profile.json` and the weights files as they lay on the device. Weights name their plan: a profile goes only
to a device that holds the same plan, and keeps versions and lineage there.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device_agent.state import WearerMemory
from device_agent.wearable.api import Bank, WearableError
from device_agent.wearable.client import LinkWearable
from schemas.base import Name
from schemas.errors import UserError
from schemas.weights import read_weights

_FORMAT = "biotrain.profile/1"
_FILES = {Bank.SERVING: "serving.weights", Bank.PREVIOUS: "previous.weights"}
_MOST_BYTES = 64_000_000
"""Of one file in a profile, unpacked."""


class _Description(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: str = _FORMAT
    wearer: Name
    model: str
    plan_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    device_id: str
    memory: WearerMemory = WearerMemory()


@dataclass(frozen=True, slots=True)
class Profile:
    """All that a wearer has taught a device: weights of each bank, and what calibration has learned."""

    wearer: str
    model: str
    plan_hash: str
    device_id: str
    """Where it comes from."""
    memory: WearerMemory
    weights: dict[Bank, bytes]


async def take_profile(wearable: LinkWearable, wearer: str, memory: WearerMemory) -> Profile:
    """Of a wearer that the device knows; whoever was active is active again afterwards. Raises UserError."""
    known = await wearable.wearers()
    if wearer not in {one.name for one in known.known}:
        names = ", ".join(one.name or "(unnamed)" for one in known.known)
        raise UserError(f"wearer {wearer!r}: the device knows {names}")
    if known.active != wearer:
        await wearable.choose_wearer(wearer)
    try:
        weights: dict[Bank, bytes] = {}
        for bank in _FILES:
            try:
                weights[bank] = await wearable.read_weights(bank)
            except WearableError as error:
                if bank is Bank.SERVING:
                    raise UserError(f"wearer {wearer!r}: has no weights on this device ({error})") from None
        info = wearable.info
        return Profile(wearer, info.model, info.plan_hash, info.device_id, memory, weights)
    finally:
        if known.active != wearer:
            await wearable.choose_wearer(known.active)


async def give_profile(wearable: LinkWearable, profile: Profile) -> int:
    """Write it to the device under its name, which is active then; returns the version that serves.

    Raises UserError where the device holds another plan, or has weights of that name that the profile does not have.
    """
    info = wearable.info
    if info.plan_hash != profile.plan_hash:
        raise UserError(
            f"the profile was made with plan {profile.plan_hash[:12]} ({profile.model}), the device holds "
            f"{info.plan_hash[:12] or 'none'} ({info.model or 'no model'}): write that plan to the device first"
        )
    there = {one.name: one.serving for one in (await wearable.wearers()).known}
    mine = read_weights(profile.weights[Bank.SERVING]).version
    if there.get(profile.wearer, 0) > mine:
        raise UserError(
            f"wearer {profile.wearer!r} is on the device with version {there[profile.wearer]}, the profile has {mine}: "
            "erase the wearer there first if the older weights are wanted"
        )
    await wearable.choose_wearer(profile.wearer)
    for bank in (Bank.PREVIOUS, Bank.SERVING):  # what served before becomes the bank that roll back leads to
        if bank in profile.weights:
            await wearable.write_weights(profile.weights[bank])
    return mine


def pack_profile(profile: Profile) -> bytes:
    """As one ZIP file."""
    described = _Description(
        wearer=profile.wearer,
        model=profile.model,
        plan_hash=profile.plan_hash,
        device_id=profile.device_id,
        memory=profile.memory,
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("profile.json", described.model_dump_json(indent=1))
        for bank, content in profile.weights.items():
            file.writestr(_FILES[bank], content)
    return packed.getvalue()


def read_profile(path: Path) -> Profile:
    """Raises UserError for a file that is none, or whose weights belong to another plan than it says."""
    try:
        with zipfile.ZipFile(path) as file:
            sizes = {entry.filename: entry.file_size for entry in file.infolist()}
            if max(sizes.values(), default=0) > _MOST_BYTES:
                raise UserError(f"{path}: {max(sizes, key=lambda n: sizes[n])} is larger than any profile's file")
            described = _Description.model_validate_json(file.read("profile.json"))
            weights = {bank: file.read(name) for bank, name in _FILES.items() if name in sizes}
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: profile.json: {where}: {first['msg']}: was it written by a later version?") from None
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: is no wearer's profile ({error}): `biotrain wearer backup` writes them") from None
    if described.format != _FORMAT:
        raise UserError(f"{path}: profile.json: format: is {described.format!r}, this biotrain reads {_FORMAT!r}")
    if Bank.SERVING not in weights:
        raise UserError(f"{path}: holds no {_FILES[Bank.SERVING]}: make the backup again")
    for content in weights.values():
        read_weights(content, described.plan_hash)
    return Profile(
        described.wearer, described.model, described.plan_hash, described.device_id, described.memory, weights
    )

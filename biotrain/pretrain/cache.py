"""Results of pre-training, kept by what they depend on: data, settings, and the code that made them."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import biotrain.pretrain
import device_agent
import schemas


def default_cache() -> Path:
    """BIOTRAIN_CACHE, or the platform's folder for what can be made again."""
    if named := os.environ.get("BIOTRAIN_CACHE"):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "biotrain"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "biotrain"


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_digest() -> str:
    """Of all code that shapes plan and weights: a plan made by yesterday's compiler is not today's."""
    rooms = [
        *_sources(device_agent, "compiler"),
        *_sources(device_agent, "models"),
        *_sources(device_agent, "sources"),
        *_sources(biotrain.pretrain, "."),
        *_sources(schemas, "."),
    ]
    digest = hashlib.sha256()
    for path in sorted(rooms):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _sources(package: object, room: str) -> Iterable[Path]:
    for folder in getattr(package, "__path__", []):
        yield from (Path(folder) / room).rglob("*.py")


def cache_key(inputs: dict[str, object]) -> str:
    """16 hex digits over everything that the result depends on."""
    whole = json.dumps({**inputs, "code": code_digest()}, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]

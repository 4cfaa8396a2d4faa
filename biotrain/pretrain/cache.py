"""Results of pre-training, kept by what they depend on: data, settings, and the code that made them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import biotrain
import device_agent
import schemas


def file_digest(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


#: What shapes the trained values.
TRAINING_CODE = (
    "biotrain/pretrain/blank.py",
    "biotrain/pretrain/filters.py",
    "biotrain/pretrain/people.py",
    "biotrain/pretrain/training.py",
    "device_agent/adaptation/alignment.py",
    "device_agent/preprocessing/steps.py",
    "device_agent/models/*.py",
    "device_agent/sources/dataset.py",
    "device_agent/sources/formats.py",
    "device_agent/sources/recording.py",
    "device_agent/sources/shape.py",
    "device_agent/sources/simulator.py",
)
#: What else shapes plan and weights: a plan made by yesterday's compiler is not today's.
COMPILING_CODE = ("device_agent/compiler/**/*.py", "schemas/plan*.py", "schemas/weights.py")


def code_digest(patterns: Sequence[str]) -> str:
    """Of the files that the patterns name, wherever the packages are installed."""
    digest = hashlib.sha256()
    for pattern in patterns:
        room, _, rest = pattern.partition("/")
        package = _PACKAGES[room]
        for folder in package.__path__:
            for path in sorted(Path(folder).glob(rest)):
                digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


_PACKAGES: dict[str, ModuleType] = {"biotrain": biotrain, "device_agent": device_agent, "schemas": schemas}


def cache_key(inputs: dict[str, object], code: Sequence[str]) -> str:
    """16 hex digits over everything that a result depends on."""
    whole = json.dumps({**inputs, "code": code_digest(code)}, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]

"""Where the built C parts lie: the shared library and the virtual wearable's executable."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from schemas.errors import UserError

LIBRARY = "libbiotrain_device.dylib" if sys.platform == "darwin" else "libbiotrain_device.so"
WEARABLE = "biotrain-wearable"


def find_native(name: str) -> Path:
    """The path of a built file: in BIOTRAIN_NATIVE_DIR when that is set, else beside the installed package."""
    override = os.environ.get("BIOTRAIN_NATIVE_DIR")
    places = [Path(override)] if override else [Path(entry or ".") / "device_agent" / "engine" for entry in sys.path]
    for place in places:
        if (place / name).is_file():
            return place / name
    looked = override or "the installed package"
    raise UserError(f"{name} was not found in {looked}: build it with `make setup`, or install the biotrain wheel")

"""Files that are whole or not there, written beside their place and moved into it; and the folder for caches."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def write_whole(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` in one step; a crash leaves the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner may read; these are ordinary ones.
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def default_cache() -> Path:
    """BIOTRAIN_CACHE, or the platform's folder for what can be made again."""
    if named := os.environ.get("BIOTRAIN_CACHE"):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "biotrain"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "biotrain"

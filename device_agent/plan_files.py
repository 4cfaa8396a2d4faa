"""Plans and weights that were pushed, and the ones before them, as files of the agent's state folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from device_agent.sealing import Seal


def digest(content: bytes) -> str:
    """SHA-256, as a push names its files."""
    return hashlib.sha256(content).hexdigest()


class PlanFiles:
    """Each file is named by its SHA-256. Only its owner may read them: weights before a push are a person's own."""

    def __init__(self, state_dir: Path, seal: Seal | None = None) -> None:
        self._folder, self._seal = state_dir / "plans", seal

    def load(self, sha256: str) -> bytes | None:
        """None when it is not here, or is no longer what it was."""
        try:
            content = (self._folder / sha256).read_bytes()
        except OSError:
            return None
        if self._seal is not None:
            content = self._seal.open(content, f"plans/{sha256}")
        return content if digest(content) == sha256 else None

    def save(self, content: bytes) -> str:
        """Whole or not at all; returns its name."""
        name = digest(content)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._folder / f"{name}.new"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content if self._seal is None else self._seal.seal(content, f"plans/{name}"))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._folder / name)
        return name

    def keep_only(self, names: Iterable[str | None]) -> None:
        """Remove the others: there are never more than two plans and two weights files."""
        wanted = set(names)
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if path.name not in wanted:
                path.unlink(missing_ok=True)

"""The agent's kept state while no agent runs: what the command line reads and changes of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from device_agent.outbox_file import meta, opened_text, sealed_text
from device_agent.sealing import Seal
from device_agent.state import AgentState
from schemas.errors import UserError


def read_state(folder: Path, seal: Seal | None) -> AgentState | None:
    """None where no agent has kept any. Raises UserError."""
    found: list[AgentState] = []

    def keep(state: AgentState) -> None:
        found.append(state)

    _open(folder, seal, keep)
    return found[0] if found else None


def change_state(folder: Path, seal: Seal | None, change: Callable[[AgentState], AgentState]) -> bool:
    """Whole or not at all; False where there is none to change. Raises UserError, also while an agent runs."""
    return _open(folder, seal, change)


def _open(folder: Path, seal: Seal | None, change: Callable[[AgentState], AgentState | None]) -> bool:
    path = folder / "outbox.db"
    if not path.is_file():
        return False
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=0.5)
        try:
            db.execute("BEGIN IMMEDIATE")
            known = meta(db, "key")
            if (known is None) != (seal is None) or (seal is not None and known != seal.key_id):
                raise UserError(f"{path}: is {'not ' if known is None else ''}encrypted: give the agent's --key-file")
            kept = meta(db, "state")
            if kept is None:
                return False
            state = change(AgentState.model_validate_json(opened_text(seal, kept, "state")))
            if state is not None:
                text = sealed_text(seal, state.model_dump_json(), "state")
                db.execute("UPDATE meta SET value = ? WHERE key = 'state'", (text,))
            db.execute("COMMIT")
            return True
        finally:
            db.close()
    except sqlite3.OperationalError as error:
        raise UserError(f"{path}: an agent uses it ({error}): stop the agent first") from None
    except (sqlite3.DatabaseError, ValidationError) as error:
        raise UserError(f"{path}: its state cannot be read ({str(error)[:200]})") from None

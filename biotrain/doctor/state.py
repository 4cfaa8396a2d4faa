"""May the agent keep what it must not lose, and is it alone with it?"""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

from biotrain.doctor.finding import Deployment, Finding, Verdict
from device_agent.disk import LOW_BYTES, Disk


def check_state(deployment: Deployment) -> list[Finding]:
    """Whether the agent's folder can be written, what waits in it, and how much room there is."""
    folder = deployment.state_dir
    if folder is None:
        return [Finding("agent's state", Verdict.SKIPPED, "no --state-dir given")]
    above = folder
    while not above.exists():
        above = above.absolute().parent
    if not above.is_dir():
        return [Finding("agent's state", Verdict.FAILED, f"{above} is no folder", "choose another --state-dir")]
    if not os.access(above, os.W_OK | os.X_OK):
        detail = f"{above} cannot be written by this user"
        return [
            Finding("agent's state", Verdict.FAILED, detail, "run the doctor as the agent's user; or mend the rights")
        ]
    found = [_outbox(folder), _room(above)]
    if folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        detail = f"{folder} can be read by others: it tells of a person"
        found.append(Finding("privacy of the state", Verdict.WARNING, detail, f"chmod 700 {folder}"))
    return found


def _outbox(folder: Path) -> Finding:
    file = folder / "outbox.db"
    if not file.exists():
        return Finding("agent's state", Verdict.OK, f"{folder} holds no outbox yet; the agent will make it")
    try:
        database = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=1)
        try:
            waiting, pressure = (
                database.execute("SELECT COUNT(*) FROM message").fetchone()[0],
                database.execute("SELECT value FROM meta WHERE key = 'pressure'").fetchone(),
            )
        finally:
            database.close()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return Finding("agent's state", Verdict.OK, f"an agent is using {folder}")
        return Finding("agent's state", Verdict.FAILED, f"{file}: {error}", "choose another --state-dir")
    except sqlite3.DatabaseError as error:
        return Finding("agent's state", Verdict.FAILED, f"{file}: {error}", "choose another --state-dir")
    detail = f"{waiting} messages wait to be stored"
    if pressure is not None and pressure[0] != "none":
        return Finding(
            "agent's state", Verdict.WARNING, f"{detail}; the outbox is {pressure[0]}", "is a supervisor there?"
        )
    return Finding("agent's state", Verdict.OK, detail)


def _room(folder: Path) -> Finding:
    free = Disk(folder).free_bytes
    detail = f"{free / 1e6:.0f} MB free at {folder}"
    if free < LOW_BYTES:
        return Finding("agent's disk", Verdict.FAILED, detail, "make room: the agent begins no adaptation")
    return Finding("agent's disk", Verdict.OK, detail)

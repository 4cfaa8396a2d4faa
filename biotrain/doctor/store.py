"""Is the supervisor's database there, whole, and of this version?"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from biotrain.doctor.finding import Deployment, Finding, Verdict
from schemas.errors import UserError
from service.store.place import Place, find_place

_LOW_BYTES = 1_000_000_000
_PATIENCE_S = 5


def check_store(deployment: Deployment) -> list[Finding]:
    """Looks only: nothing is made, migrated or locked."""
    if deployment.store is None:
        return [Finding("database", Verdict.SKIPPED, "no --store given")]
    try:
        place = find_place(deployment.store)
    except UserError as error:
        return [Finding("database", Verdict.FAILED, str(error))]
    if place.path is None:
        return [_server(place)]
    return [_file(place.path), _room(place.path.parent)]


def _file(path: Path) -> Finding:
    if not path.exists():
        if os.access(path.parent, os.W_OK):
            return Finding("database", Verdict.OK, f"{path} is not there yet; the supervisor will make it")
        return Finding("database", Verdict.FAILED, f"{path.parent} cannot be written", "give its user the folder")
    if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK):
        detail = f"{path} or its folder cannot be read and written by this user"
        return Finding(
            "database", Verdict.FAILED, detail, "run the doctor as the supervisor's user; or mend the rights"
        )
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=_PATIENCE_S)
        try:
            state = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
            messages = database.execute("SELECT COUNT(*) FROM messages").fetchone()[0] if state == "ok" else 0
        finally:
            database.close()
    except sqlite3.Error as error:
        return Finding(
            "database", Verdict.FAILED, f"{path}: {error}", "is it a database of biotrain? Bring back a copy"
        )
    if state != "ok":
        return Finding("database", Verdict.FAILED, f"{path} is damaged: {state}", "bring back a copy")
    return Finding("database", Verdict.OK, f"{path} is whole, {messages} messages")


def _room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free at {folder}"
    if free < _LOW_BYTES:
        return Finding("disk of the database", Verdict.WARNING, detail, "make room, or move the database")
    return Finding("disk of the database", Verdict.OK, detail)


def _server(place: Place) -> Finding:
    from sqlalchemy import create_engine, inspect, text
    from sqlalchemy.exc import SQLAlchemyError

    engine = create_engine(place.writing, connect_args={"connect_timeout": _PATIENCE_S})
    try:
        with engine.connect() as connection:
            version = str(connection.execute(text("SHOW server_version")).scalar_one())
            there = inspect(connection).has_table("messages")
            may = bool(connection.execute(text("SELECT has_schema_privilege(current_schema(), 'CREATE')")).scalar_one())
    except SQLAlchemyError as error:
        reason = str(error).partition("\n")[0]
        return Finding("database", Verdict.FAILED, f"{place.shown}: {reason}", place.advice)
    finally:
        engine.dispose()
    if not may:
        return Finding("database", Verdict.FAILED, f"{place.shown}: this user may not make tables", "grant CREATE")
    return Finding(
        "database", Verdict.OK, f"PostgreSQL {version}" + ("" if there else "; the tables are made at start")
    )

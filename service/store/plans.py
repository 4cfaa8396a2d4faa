"""Plans and weights that may be pushed, kept by what is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, RowMapping, insert, select

from schemas.base import utc_now
from schemas.errors import UserError
from schemas.plan import read_plan
from schemas.plan_push import LARGEST_FILE_BYTES, FileRef
from schemas.weights import read_weights
from service.store.database import Database
from service.store.tables_operations import plan_files, plans


async def add_plan(database: Database, name: str, plan: bytes, weights: bytes | None, by: str) -> RowMapping:
    """Kept under its name. Raises UserError for a file that is none, weights of another plan, and a name that is taken
    by other files; the same files under the same name once more change nothing."""
    for what, file in (("plan", plan), ("weights", weights or b"")):
        if len(file) > LARGEST_FILE_BYTES:
            raise UserError(f"{what}: {len(file)} bytes, a device takes {LARGEST_FILE_BYTES} at most")
    read = read_plan(plan)
    if weights is not None:
        read_weights(weights, read.hash)

    def work(connection: Connection) -> RowMapping:
        files = {"plan": _keep(connection, plan), "weights": None if weights is None else _keep(connection, weights)}
        known = connection.execute(select(plans).where(plans.c.name == name)).mappings().first()
        if known is not None:
            if (known["plan"], known["weights"]) != (files["plan"], files["weights"]):
                raise UserError(f"the name {name!r} is taken by other files: choose another one")
            return known
        values = {"name": name, "plan_hash": read.hash, "model": read.header.model, "created_by": by}
        row = connection.execute(insert(plans).values({**files, **values, "created": utc_now()}).returning(plans))
        return row.mappings().one()

    return await database.in_writer_thread(work)


async def list_plans(
    database: Database, *, name: str | None = None, before: int | None = None, limit: int = 1000
) -> Sequence[RowMapping]:
    """Newest first, those with an id below `before`."""
    query = select(plans).order_by(plans.c.id.desc()).limit(limit)
    if name is not None:
        query = query.where(plans.c.name == name)
    if before is not None:
        query = query.where(plans.c.id < before)
    async with database.read() as connection:
        return (await connection.execute(query)).mappings().all()


async def plan_names(database: Database, numbers: Collection[int]) -> dict[int, str]:
    """Names of plans by their ids."""
    query = select(plans.c.id, plans.c.name).where(plans.c.id.in_(numbers))
    async with database.read() as connection:
        return {row[0]: row[1] for row in await connection.execute(query)}


async def plan_by_id(database: Database, number: int) -> RowMapping | None:
    """None when there is no such plan."""
    async with database.read() as connection:
        return (await connection.execute(select(plans).where(plans.c.id == number))).mappings().first()


async def file_of(database: Database, sha256: str) -> bytes | None:
    """A file's content by its SHA-256; None when it is not here."""
    query = select(plan_files.c.content).where(plan_files.c.sha256 == sha256)
    async with database.read() as connection:
        found: bytes | None = (await connection.execute(query)).scalar()
    return None if found is None else bytes(found)


def refs_of(connection: Connection, plan: RowMapping) -> tuple[FileRef, FileRef | None]:
    """Plan and weights, as a device is told of them."""

    def ref(sha256: str) -> FileRef:
        size = connection.execute(select(plan_files.c.size).where(plan_files.c.sha256 == sha256)).scalar_one()
        return FileRef(sha256=sha256, size=size)

    return ref(plan["plan"]), None if plan["weights"] is None else ref(plan["weights"])


def _keep(connection: Connection, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    if connection.execute(select(plan_files.c.sha256).where(plan_files.c.sha256 == sha256)).first() is None:
        connection.execute(insert(plan_files).values(sha256=sha256, size=len(content), content=content))
    return sha256

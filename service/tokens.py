"""Who may do what: tokens with roles. Only their SHA-256 is kept."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError

from schemas.base import utc_now
from service.store.database import Database
from service.store.tables_operations import tokens

#: A revoked token works so long at most.
_REMEMBER_S = 5.0


class Role(StrEnum):
    """Each may do what those before it may."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"

    def may(self, wanted: Role) -> bool:
        return _RANK[self] >= _RANK[wanted]


_RANK = {Role.READ: 0, Role.OPERATE: 1, Role.ADMIN: 2}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, as its token says."""

    name: str
    role: Role


#: Everybody, where no tokens are asked for.
ANYBODY = Identity("anybody", Role.ADMIN)


class TokenDesk:
    """`admin_token` is the first one, from the environment; it makes the others. Without it nobody is asked."""

    def __init__(self, database: Database, admin_token: str | None) -> None:
        self._database = database
        self._admin = None if admin_token is None else _hash(admin_token)
        self._known: dict[bytes, tuple[float, Identity | None]] = {}
        self._proven: set[bytes] = set()

    @property
    def required(self) -> bool:
        return self._admin is not None

    def is_proven(self, token: str) -> bool:
        """It was known when it was last looked up: no guess, whatever else comes from its address."""
        return _hash(token) in self._proven

    async def identify(self, token: str) -> Identity | None:
        identity = await self._identify(key := _hash(token))
        if identity is None:
            self._proven.discard(key)
        else:
            if len(self._proven) > 1000:
                self._proven.clear()
            self._proven.add(key)
        return identity

    async def _identify(self, key: bytes) -> Identity | None:
        if self._admin is not None and secrets.compare_digest(key, self._admin):
            return Identity("admin", Role.ADMIN)
        known = self._known.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        query = select(tokens.c.name, tokens.c.role).where(tokens.c.hash == key, tokens.c.revoked.is_(None))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        identity = None if row is None else Identity(row.name, Role(row.role))
        if len(self._known) > 1000:
            self._known.clear()
        self._known[key] = (time.monotonic() + _REMEMBER_S, identity)
        return identity

    async def create(self, name: str, role: Role, created_by: str) -> str | None:
        """The token, shown this once; None when the name is taken."""
        token = f"bt_{secrets.token_urlsafe(32)}"
        row = {"name": name, "role": role.value, "hash": _hash(token), "created": utc_now(), "created_by": created_by}
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(tokens).values(row))
        except IntegrityError:
            return None
        return token

    async def revoke(self, name: str) -> bool:
        self._known.clear()
        async with self._database.write() as connection:
            done = await connection.execute(
                update(tokens).where(tokens.c.name == name, tokens.c.revoked.is_(None)).values(revoked=utc_now())
            )
        return bool(done.rowcount)

    async def list(self) -> Sequence[RowMapping]:
        async with self._database.read() as connection:
            return (await connection.execute(select(tokens).order_by(tokens.c.name))).mappings().all()


def _hash(token: str) -> bytes:
    """The tokens are random and long: a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).digest()

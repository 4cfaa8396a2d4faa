"""Every certificate that an authority has ever signed, and which of them have been taken back: one JSON file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from biotrain.files import write_whole
from schemas.errors import UserError
from schemas.principal import Principal, Role


class Issued(BaseModel):
    """One certificate."""

    model_config = ConfigDict(extra="forbid")

    serial: str = Field(pattern=r"^[0-9a-f]+$", description="hexadecimal, as `openssl x509 -serial` prints it")
    role: Role
    name: str
    hosts: list[str] = Field(default_factory=list, description="of a broker: the names and addresses it answers to")
    issued: AwareDatetime
    not_after: AwareDatetime
    revoked: AwareDatetime | None = None

    @property
    def principal(self) -> Principal:
        return Principal(self.role, self.name)

    def status(self, now: datetime) -> str:
        return "revoked" if self.revoked else "expired" if now >= self.not_after else "valid"


class Register(BaseModel):
    """`load`, change, `save`; whoever does holds the authority's lock."""

    model_config = ConfigDict(extra="forbid")

    site: str
    issued: list[Issued] = Field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Register:
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UserError(f"{path}: {where}: {first['msg']}: bring the file back from a copy") from None
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror})") from None

    def save(self, path: Path) -> None:
        write_whole(path, self.model_dump_json(indent=1, exclude_none=True).encode() + b"\n", mode=0o600)

    def of(self, principal: Principal) -> list[Issued]:
        return [entry for entry in self.issued if entry.principal == principal]

    def valid(self, now: datetime | None = None) -> list[Issued]:
        now = now or datetime.now(UTC)
        return [entry for entry in self.issued if entry.status(now) == "valid"]

    def allowed(self, now: datetime | None = None) -> list[Principal]:
        """Who holds a certificate that is neither revoked nor expired, each once."""
        found = {entry.principal for entry in self.valid(now)}
        return sorted(found, key=lambda principal: (principal.role, principal.name))

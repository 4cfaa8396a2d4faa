"""The supervisor's word that messages are in its database: only then may the outbox forget them."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from schemas.base import Document, Payload


class SeqRange(Payload):
    """`first` to `last`, both included, of one boot."""

    boot: int = Field(ge=1)
    first: int = Field(ge=1)
    last: int = Field(ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"range runs backwards: first {self.first} > last {self.last}")
        return self


class Stored(Document):
    """Acknowledges ranges after the database has committed them, and asks once more for what is missing."""

    SCHEMA: ClassVar[str] = "biotrain.stored/1"

    ranges: list[SeqRange] = Field(default_factory=list, max_length=500)
    missing: list[SeqRange] = Field(
        default_factory=list, max_length=500, description="not in the database: send them again, if they are there"
    )

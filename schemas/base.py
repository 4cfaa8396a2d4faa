"""What every MQTT payload has in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

#: No payload is larger than this; a larger one is a poison message, never a truncated one.
MAX_PAYLOAD_BYTES = 64_000

#: One level of an MQTT topic: no separators, no wildcards, nothing a shell or a path would misread.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


def utc_now() -> datetime:
    """The time now, with its zone: messages refuse times without one."""
    return datetime.now(UTC)


class Payload(BaseModel):
    """A JSON document that refuses NaN, infinity and unknown fields, and cannot be changed once made."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        ser_json_inf_nan="null",
        populate_by_name=True,
    )


class Document(Payload):
    """A payload that names its own schema, so that a reader years later knows what it holds."""

    SCHEMA: ClassVar[str]

    schema_name: str = Field(default="", alias="schema", description="name and major version, e.g. `biotrain.drift/1`")
    site: Name
    device: Name
    time: AwareDatetime = Field(default_factory=utc_now, description="when it happened, UTC, the publisher's clock")

    @model_validator(mode="after")
    def _check_schema(self) -> Self:
        # Filled in here and not before the validation, which would have to see the whole document twice.
        if "schema_name" not in self.__pydantic_fields_set__:
            self.__dict__["schema_name"] = self.SCHEMA
        if self.schema_name != self.SCHEMA:
            raise ValueError(f"schema is {self.schema_name!r}, expected {self.SCHEMA!r}")
        return self

    def to_json(self) -> bytes:
        """The payload as it goes over MQTT: compact JSON, `schema` under its public name, nulls left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


class DeviceEventId(Payload):
    """Which entry of the wearable's own event log a message tells of."""

    boot: int = Field(ge=0, description="the wearable's boot counter")
    seq: int = Field(ge=1, description="the wearable's event number within that boot")


class Sequenced(Document):
    """What a device publishes through its outbox; unique by (`site`, `device`, `boot`, `seq`).

    `seq` 0 is kept for the last will, which the broker sends when the device cannot.
    """

    wearer: Name | None = Field(default=None, description="who wears it; null before anyone does")
    boot: int = Field(ge=1, description="counts the agent's starts")
    seq: int = Field(ge=0, description="counts the messages of one boot, from 1, without gaps")
    device_event: DeviceEventId | None = Field(
        default=None, description="set when the message passes on an entry of the wearable's own log"
    )

"""Who a certificate speaks for: the role and the name that stand in its common name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

#: X.509 allows no longer common name (RFC 5280, ub-common-name).
MAX_COMMON_NAME = 64
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")


class Role(StrEnum):
    """What its holder may do at the broker."""

    BROKER = "broker"
    """Be the broker."""
    DEVICE = "device"
    """Publish as one device, and hear what is meant for it."""
    SUPERVISOR = "supervisor"
    """Read the whole site, acknowledge, alert and command."""
    VIEWER = "viewer"
    """Read the whole site, and nothing else."""


class PrincipalError(ValueError):
    """A role or name that no certificate of ours carries."""


@dataclass(frozen=True, slots=True)
class Principal:
    """`device:left-arm`: no name has a colon, so that no device can be called like a supervisor."""

    role: Role
    name: str

    def __post_init__(self) -> None:
        longest = MAX_COMMON_NAME - len(self.role) - 1
        if not _NAME.fullmatch(self.name):
            raise PrincipalError(f"{self.role} name {self.name!r}: use letters, digits, '.', '_', '-'")
        if len(self.name) > longest:
            raise PrincipalError(f"{self.role} name {self.name!r} is longer than the {longest} characters that fit")
        if self.role is Role.DEVICE and self.name == "group":
            raise PrincipalError("'group' is no device name: that topic level is kept for groups")

    def __str__(self) -> str:
        return f"{self.role}:{self.name}"

    @classmethod
    def parse(cls, common_name: str) -> Self:
        role, colon, name = common_name.partition(":")
        if not colon or role not in tuple(Role):
            raise PrincipalError(f"{common_name!r} names no role: one of {', '.join(Role)}, a colon and a name")
        return cls(Role(role), name)

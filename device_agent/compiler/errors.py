"""What the compiler says to the people whose models it gets."""

from __future__ import annotations

from schemas.errors import UserError


class CompileError(UserError):
    """A model, shape or setting that cannot be compiled; says where it stands and what works instead."""

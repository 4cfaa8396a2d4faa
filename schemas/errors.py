"""The one error that is shown to a person without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something a person can mend: says what is wrong, what was expected, and what to do."""

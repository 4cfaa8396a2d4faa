"""One site, and another one beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.principal import Role
from tests.trust.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Two devices, a supervisor, a viewer; the broker is up."""
    site = Site(tmp_path / "home")
    for role, name in (
        (Role.DEVICE, "left"),
        (Role.DEVICE, "right"),
        (Role.SUPERVISOR, "main"),
        (Role.VIEWER, "screen"),
    ):
        site.issue(role, name)
    site.start()
    yield site
    site.stop()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Site:
    """Another site's authority, under the same name; its broker is not up."""
    site = Site(tmp_path / "elsewhere")
    site.issue(Role.DEVICE, "left")
    site.issue(Role.SUPERVISOR, "main")
    return site

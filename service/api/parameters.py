"""Path and query parameters that several handlers share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Query
from pydantic import AwareDatetime

from schemas.base import Name
from service.store.series import Cut

LARGEST = 2**62

SiteName = Annotated[Name, Path(description="the site's name, as in the topic")]
GroupName = Annotated[Name, Path(description="the group's name, as agents were told it")]
DeviceName = Annotated[Name, Path(description="the device's name, as in the topic")]
Limit = Annotated[int, Query(ge=1, le=1000, description="rows at most")]
Before = Annotated[int | None, Query(ge=1, le=LARGEST, description="only rows with a smaller `id`: the next page")]
After = Annotated[int, Query(ge=0, le=LARGEST, description="only rows with a greater `id`")]


def _cut(
    after: After = 0,
    since: Annotated[AwareDatetime | None, Query(description="not before this time of the device's clock")] = None,
    until: Annotated[AwareDatetime | None, Query(description="before this time of the device's clock")] = None,
    from_window: Annotated[int | None, Query(ge=0, le=LARGEST, description="from this window on")] = None,
    to_window: Annotated[int | None, Query(ge=0, le=LARGEST, description="up to this window, included")] = None,
    wearer: Annotated[Name | None, Query(description="only this person's")] = None,
    boot: Annotated[int | None, Query(ge=1, le=LARGEST, description="only this start of the agent")] = None,
    limit: Annotated[int, Query(ge=1, le=5000, description="rows at most")] = 500,
    newest: Annotated[bool, Query(description="the newest rows instead of the oldest; still oldest first")] = False,
) -> Cut:
    bounds: tuple[datetime | None, datetime | None] = (since, until)
    return Cut(after, *bounds, from_window, to_window, wearer, boot, limit, newest)


SeriesCut = Annotated[Cut, Depends(_cut)]

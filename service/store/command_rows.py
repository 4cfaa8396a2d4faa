"""What a device's reply does to the command it answers."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from schemas.command import Reply, ReplyStatus
from service.store.tables_operations import commands

#: Statuses that end a command; nothing follows them.
FINAL = (ReplyStatus.DONE, ReplyStatus.REFUSED, ReplyStatus.FAILED)


def take_reply(connection: Connection, reply: Reply) -> None:
    """A device that answers to a command of its group gets a row of its own with the first answer."""
    mine = (commands.c.site == reply.site, commands.c.command_id == reply.command_id)
    values = {"status": reply.status.value, "detail": reply.detail, "answered": reply.time}
    known = connection.execute(
        update(commands)
        .where(*mine, commands.c.device == reply.device, commands.c.status.not_in([one.value for one in FINAL]))
        .values(values)
    ).rowcount
    if known or connection.execute(select(commands.c.id).where(*mine, commands.c.device == reply.device)).first():
        return
    to_group = connection.execute(select(commands).where(*mine, commands.c.device == "")).mappings().first()
    if to_group is not None:
        row = {name: value for name, value in to_group.items() if name != "id"}
        connection.execute(insert(commands).values({**row, "device": reply.device, **values}))

"""systemd's watchdog (sd_notify(3)): says that we are up, and goes on saying so for as long as the event loop turns.

A process whose loop hangs says nothing, and is killed and started again (`WatchdogSec` in deploy/systemd). Without
systemd, which names a socket in the environment, nothing is done.
"""

from __future__ import annotations

import asyncio
import os
import socket


def notify(state: str) -> None:
    """One line to systemd, as `READY=1`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # Linux's abstract names
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.setblocking(False)
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return  # systemd is busy or gone: the next line will do


async def keep_saying() -> None:
    """For a task: twice in the time that systemd allows."""
    allowed_us = os.environ.get("WATCHDOG_USEC", "")
    if not allowed_us.isdecimal() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(int(allowed_us) / 2e6)

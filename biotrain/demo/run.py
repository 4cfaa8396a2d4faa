"""The demo from first process to summary."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator

from rich.console import Console
from rich.live import Live

from biotrain.demo.check import check_logs
from biotrain.demo.model import plan_and_weights
from biotrain.demo.picture import Picture, follow
from biotrain.demo.processes import Child, Household
from biotrain.demo.scenario import agent_words, broker_words, supervisor_words, wearable_words
from biotrain.demo.settings import DEVICE, SITE, DemoSettings, Ports
from biotrain.demo.summary import Json, summarize
from biotrain.demo.table import render
from schemas.errors import UserError

console = Console(stderr=True)
"""Results go to stdout, everything else here."""


async def run_demo(settings: DemoSettings, *, headless: bool, keep: bool) -> Json:
    """Raises UserError; every process is gone when it returns or raises, whatever happened."""
    with _ending_on_signals():
        for folder in ("supervisor", "wearable", "agent", "logs"):
            (settings.folder / folder).mkdir(parents=True, exist_ok=True)
        plan, weights = await plan_and_weights(settings)
        if settings.riscv:
            from biotrain.riscv.image import WEARABLE_IMAGE, image

            await asyncio.to_thread(image, WEARABLE_IMAGE)  # before a stream waits for it
        ports = Ports.free()
        household = Household(settings.status_file)
        logs = settings.folder / "logs"

        def child(words: list[str]) -> Child:
            return Child(words[0], words, logs / f"{words[0]}.log")

        try:
            await household.add(child(broker_words(ports)))
            supervisor = await household.add(child(supervisor_words(settings, ports)))
            await household.add(child(wearable_words(settings, ports)))
            agent = child(agent_words(settings, ports, plan, weights))
            await household.add(agent, until=lambda _, code: code == 0)
            url = str(supervisor.ready["url"])
            console.print(f"page: {url}", highlight=False)
            picture = Picture()
            async with _shown(picture, url, household, headless):
                await household.run_until(asyncio.create_task(household.finished(agent)))
            if "windows" not in agent.last:
                raise UserError(f"the agent ended without its totals: see {agent.log_file}")
            check = check_logs(settings.wearable_log, settings.agent_log, settings.store, SITE, DEVICE)
            summary = summarize(agent.last, check, household.restarts, url)
            if keep:
                await _keep_page(url, household)
            return summary
        finally:
            await household.stop()


async def _keep_page(url: str, household: Household) -> None:
    """Until Ctrl-C."""
    console.print(f"The page stays at {url} until Ctrl-C.", highlight=False)
    with contextlib.suppress(asyncio.CancelledError):
        await household.run_until(asyncio.create_task(asyncio.Event().wait()))


@contextlib.asynccontextmanager
async def _shown(picture: Picture, url: str, household: Household, headless: bool) -> AsyncIterator[None]:
    """The live table, unless nobody wants it or there is no terminal to draw it on."""
    if headless or not console.is_terminal:
        yield
        return
    following = asyncio.create_task(follow(picture, url), name="follow")
    live = Live(console=console, get_renderable=lambda: render(picture, url, household.restarts), refresh_per_second=4)
    try:
        with live:
            yield
            await asyncio.sleep(1.0)  # the last messages are stored; let them be drawn
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[None]:
    """SIGTERM and Ctrl-C cancel the demo, once, so that it ends its processes before it ends."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def cancel_once() -> None:
        if not task.cancelling():
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, cancel_once)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

"""The page in a real browser."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright, expect

from schemas.command import Reply, ReplyStatus, Verb
from tests.brokers import Mosquitto
from tests.service.devices import SenderWithLog
from tests.service.story import Story, publish_form
from tests.supervisors import SupervisorProcess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]


@pytest.fixture
def faults() -> list[str]:
    return []


@pytest.fixture
async def page(faults: list[str]) -> AsyncIterator[Page]:
    """A page on which every error and every request to another host fails the test."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page(viewport={"width": 1400, "height": 1200})
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: None if "127.0.0.1" in request.url else faults.append(request.url))
        yield page
        await browser.close()
    assert faults == []


async def test_the_page_shows_drift_alert_and_recovery_and_commands_reach_the_device(
    mosquitto: Mosquitto, supervisor: SupervisorProcess, page: Page
) -> None:
    async with SenderWithLog(mosquitto.port) as device, asyncio.timeout(60):
        await device.broker.next_connection()
        await device.send(Story().whole())
        await device.drain()

        await page.goto(supervisor.url)
        await expect(page.locator("#live-text")).to_have_text("live")
        card = page.locator("a.device")
        await expect(card).to_have_count(1)
        await card.click()

        await expect(page.locator("h1")).to_have_text("band-1")
        chart = page.locator(".chart svg")
        for line in ("adapted", "frozen", "statistic", "threshold"):
            drawn = await chart.locator(f"path.line.{line}").get_attribute("d")
            assert drawn is not None
            assert drawn.count("L") > 100, line
        for flag in ("signal changed", "committed", "rolled back"):
            await expect(chart.locator(".flag", has_text=flag)).to_have_count(1)
        await expect(chart.locator("rect.band")).to_have_count(2)
        lead = page.locator(".lead")
        await expect(lead).to_contain_text("The signal changed at window 650")
        await expect(lead).to_contain_text("The whole network was fine-tuned on the device in 83.4 KB")
        await expect(page.locator("[aria-label=Alerts]")).to_contain_text("The signal has drifted since window 600")
        await expect(page.locator("[aria-label=Memory]")).to_contain_text("125.3 KB")
        await expect(page.locator("[aria-label=Memory]")).to_contain_text("85.4 mJ")
        await expect(page.locator(".meta", has_text="battery 62 %")).to_be_visible()
        quality = page.locator("[aria-label='Sensor quality']")
        await expect(quality.locator("tr", has_text="ch1")).to_contain_text("100 %")
        await expect(quality.locator("tr", has_text="ch2")).to_contain_text("An electrode gives a flat line, 12")

        # Arrow keys walk along the lines.
        await chart.focus()
        await chart.press("End")
        await expect(page.locator(".tip")).to_contain_text("Window 1,539")

        # A button press arrives at the device, and its reply at the page.
        await page.get_by_role("button", name="Adapt now").click()
        while not device.commands:
            await asyncio.sleep(0.02)
        command = device.commands[0]
        assert command.verb is Verb.ADAPT
        commands = page.locator("[aria-label=Commands]")
        await expect(commands).to_contain_text("sent, waiting for the device")
        reply = Reply(
            site="lab",
            device="band-1",
            boot=2,
            seq=1,
            command_id=command.command_id,
            status=ReplyStatus.REFUSED,
            detail="only 3 labelled windows, 40 are needed",
        )
        await device.send([publish_form(reply)])
        await expect(commands).to_contain_text("refused")
        await expect(commands).to_contain_text("only 3 labelled windows, 40 are needed")

        # Rolling back asks once more.
        await page.get_by_role("button", name="Roll back").click()
        await page.get_by_role("button", name="Really roll back?").click()
        while len(device.commands) < 2:
            await asyncio.sleep(0.02)
        assert device.commands[1].verb is Verb.ROLL_BACK


async def test_many_short_fits_are_drawn_and_told_as_one_course(
    mosquitto: Mosquitto, supervisor: SupervisorProcess, page: Page, faults: list[str]
) -> None:
    story = Story()
    async with SenderWithLog(mosquitto.port) as device, asyncio.timeout(60):
        await device.broker.next_connection()
        await device.send([*story.days(40, accuracy=0.9, frozen=0.9), story.drift()])
        for number in range(12):
            await device.send([*story.adapt(committed=number != 3), *story.days(1, accuracy=0.9, frozen=0.5)])
        await device.drain()
    await page.goto(f"{supervisor.url}/#/lab/band-1")
    chart = page.locator(".chart")
    await expect(chart.locator("line.stroke.good")).to_have_count(11)
    await expect(chart.locator("line.stroke.bad")).to_have_count(1)
    await expect(chart.locator("rect.band")).to_have_count(1)
    await expect(chart.locator(".flag text")).to_have_text(["signal changed"])
    await expect(page.locator("[aria-label='What happened']")).to_contain_text(
        "12 short fine-tunings followed each other"
    )
    await expect(page.locator("[aria-label='What happened']")).to_contain_text(
        "11 gave new weights, 1 were rolled back"
    )
    assert faults == []


async def test_the_page_follows_what_is_published_and_finds_a_restarted_supervisor(
    mosquitto: Mosquitto, supervisor: SupervisorProcess, page: Page, faults: list[str]
) -> None:
    story = Story()
    async with SenderWithLog(mosquitto.port) as device, asyncio.timeout(60):
        await device.broker.next_connection()
        await device.send([story.state_now(), *story.days(5, accuracy=0.9, frozen=0.9)])
        await device.drain()
        await page.goto(f"{supervisor.url}/#/lab/band-1")
        windows = page.locator(".figure:has(dt:text-is('Windows')) dd")
        await expect(windows).to_contain_text("50")
        await device.send(story.days(5, accuracy=0.9, frozen=0.9))
        await expect(windows).to_contain_text("100")
        await device.send([story.drift()])
        await expect(page.locator("[aria-label=Alerts]")).to_contain_text("The signal has drifted")

        # What is published while the supervisor is away is on the page when it is back.
        supervisor.kill()
        await expect(page.locator("#live-text")).to_have_text("supervisor not reachable, trying again")
        await device.send(story.days(5, accuracy=0.9, frozen=0.9))
        await asyncio.to_thread(supervisor.start)
        await device.drain()
        await expect(page.locator("#live-text")).to_have_text("live", timeout=15_000)
        await expect(windows).to_contain_text("150")
        faults.clear()  # the browser reports the connection that was refused


async def test_the_page_fits_a_phone_and_has_a_dark_side(
    mosquitto: Mosquitto, supervisor: SupervisorProcess, page: Page
) -> None:
    async with SenderWithLog(mosquitto.port) as device, asyncio.timeout(60):
        await device.broker.next_connection()
        await device.send(Story().whole())
        await device.drain()
    await page.set_viewport_size({"width": 375, "height": 800})
    await page.emulate_media(color_scheme="dark")
    for path in ("/", "/#/lab/band-1", "/#/alerts", "/#/rollouts"):
        await page.goto(supervisor.url + path)
        await expect(page.locator("h1")).to_be_visible()
        await expect(page.locator(".stack")).not_to_have_count(0)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 375, path
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 19, 25)"

"""Cues in Chromium: what a wearer sees, what is written down, what is told and what is cut agree to within a sample."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import secrets
import shutil
import urllib.error
import urllib.request

import numpy as np
import pytest

from device_agent.cueing.markers import MarkerOutlet
from device_agent.cueing.page import PageDisplay
from device_agent.cueing.protocol import Protocol
from device_agent.cueing.session import Conductor
from device_agent.sources.lsl import LslMarkers
from schemas.errors import UserError
from tests.cueing.amplifier import RATE, Amplifier

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CUES = {"left": "Look <left>", "right": "Look & right"}
BEFORE = 50
#: The wearer: sees what a frame has brought when the next one begins, and notes it by the browser's clock.
WEARER = """
const cue = document.getElementById("cue");
new MutationObserver(() => requestAnimationFrame(stamp =>
  window.seen(cue.textContent, (performance.timeOrigin + stamp) / 1000)
)).observe(cue, {childList: true, characterData: true, subtree: true});
"""


def protocol(**changed: object) -> Protocol:
    return Protocol.model_validate(
        {
            "channels": ["level", "count"],
            "sampling_rate_hz": RATE,
            "cues": CUES,
            "repetitions": 2,
            "window": {"start_s": -BEFORE / RATE, "length_s": 0.4},
            "timing": {"ready_s": 0.2, "cue_s": 0.4, "rest_s": 0.1},
            **changed,
        }
    )


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
async def test_cues_markers_and_windows_agree_with_what_a_wearer_sees_to_within_a_sample() -> None:
    pytest.importorskip("pylsl")
    from playwright.async_api import async_playwright

    amplifier = Amplifier({CUES["left"]: 100, CUES["right"]: 200})
    seen: list[tuple[str, float]] = []
    name = f"cues-{secrets.token_hex(4)}"
    outlet, marks = MarkerOutlet(name), LslMarkers(name)
    await marks.open()
    display = PageDisplay("127.0.0.1", 0)
    address = await display.open()
    conductor = Conductor(protocol(), amplifier, display, mark=outlet.push)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page()

        def notice(text: str, at_s: float) -> None:
            seen.append((text, at_s))
            amplifier.sees(text, at_s)

        await page.expose_function("seen", notice)
        task = asyncio.create_task(conductor.run())
        await page.goto(address)
        await page.evaluate(WEARER)
        async with asyncio.timeout(60):
            await task
        await browser.close()
    await display.close()
    told = await marks.read()
    await marks.close()
    made = conductor.session
    cues = [(text, at_s) for text, at_s in seen if text in CUES.values()]
    assert [text for text, _ in cues] == [CUES[shown.label] for shown in made.shown]
    assert len(cues) == len(made.windows) == len(told) == 4
    assert (made.lost_windows, made.lost_samples) == (0, 0)
    sample_s = 1 / RATE
    for (_, seen_s), shown, (told_s, label), window in zip(cues, made.shown, told, made.windows, strict=True):
        assert abs(seen_s - shown.seen_s) < sample_s
        assert abs(told_s - shown.seen_s) < sample_s
        assert label == shown.label == ("left", "right")[window.label]
        level = np.rint(window.values[0])
        (jump,) = np.flatnonzero(np.diff(level)) + 1
        assert abs(jump - BEFORE) <= 1, "the cue stands in the window where it was seen"
        assert level[-1] == {"left": 100, "right": 200}[label]


async def test_the_page_is_served_and_nothing_else_and_no_other_page_may_answer_for_a_wearer() -> None:
    import websockets

    display = PageDisplay("127.0.0.1", 0)
    address = await display.open()
    try:
        with await asyncio.to_thread(urllib.request.urlopen, address, timeout=5) as answer:
            assert b"biotrain calibrate" in answer.read()
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            await asyncio.to_thread(urllib.request.urlopen, address + "secret", timeout=5)
        socket = address.replace("http", "ws")
        with pytest.raises(websockets.exceptions.InvalidStatus, match="403"):
            await websockets.connect(socket, origin="http://elsewhere.example")
        async with websockets.connect(socket) as page:
            for nonsense in ("{", "[1]", '{"painted": 77, "at": 1}'):
                await page.send(nonsense)
            await page.send(json.dumps({"ask": 1.0}))
            assert json.loads(await page.recv())["asked"] == 1.0
    finally:
        await display.close()


async def test_a_page_that_paints_nothing_or_was_closed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import websockets

    monkeypatch.setattr("device_agent.cueing.page._PAINT_S", 0.1)
    monkeypatch.setattr("device_agent.cueing.page._COME_BACK_S", 0.2)
    display = PageDisplay("127.0.0.1", 0)
    socket = (await display.open()).replace("http", "ws")
    try:
        async with websockets.connect(socket) as page:
            await page.send('{"ready": true}')
            await display.wait_for_wearer()
            with pytest.raises(UserError, match="bring its tab to the front"):
                await display.show("cue", "Look left")
        await asyncio.sleep(0.05)
        with pytest.raises(UserError, match="was closed and did not come back"):
            await display.show("cue", "Look left")
    finally:
        await display.close()


@pytest.mark.parametrize(
    ("fault", "said"),
    [("ends_after_s", "the stream has ended after 1 cues"), ("stalls_after_s", "given no samples for 0.3 s, after 1")],
)
async def test_a_stream_that_ends_or_stalls_is_told_and_what_was_recorded_is_kept(
    fault: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from device_agent.cueing.display import TerminalDisplay

    monkeypatch.setattr("device_agent.cueing.session._STALLED_S", 0.3)
    amplifier = Amplifier({})
    setattr(amplifier, fault, 1.4)
    conductor = Conductor(protocol(timing={"ready_s": 0.2, "cue_s": 2.0, "rest_s": 0.1}), amplifier, TerminalDisplay())
    with pytest.raises(UserError, match=said):
        await conductor.run()
    assert len(conductor.session.shown) == len(conductor.session.windows) == 1
    assert "Look" in capsys.readouterr().out


async def test_a_session_from_brainflows_board_is_taken_like_any_other(tmp_path) -> None:
    pytest.importorskip("brainflow")
    from biotrain.commands.calibrate import _run
    from device_agent.sources.dataset import open_dataset

    asked = protocol(
        channels=["Fz", "C3"], sampling_rate_hz=250.0, cues=["blink", "rest"], repetitions=1, window={"length_s": 0.3}
    )
    with contextlib.redirect_stdout(io.StringIO()):
        await _run(asked, "anna", 2, tmp_path / "anna_session2.npz", "brainflow", "synthetic", None, None, True)
    session = open_dataset(tmp_path).load("anna", 2)
    assert (session.channels, session.samples, session.classes) == (("Fz", "C3"), 75, ("blink", "rest"))
    assert sorted(session.labels.tolist()) == [0, 1]
    cues = json.loads((tmp_path / "anna_session2.cues.json").read_text())
    assert len(cues["cues"]) == len(cues["windows"]) == 2

"""The agent's `--record`: every window, label and alert into a spool, and a file of it whenever the agent stops."""

from __future__ import annotations

from pathlib import Path

import structlog

from device_agent.recorder.files import check_target, write_recording
from device_agent.recorder.spool import KeptLabel, KeptNote, KeptWindow, Spool, StreamFacts
from device_agent.sources.window import Window
from device_agent.wearable.api import WearableInfo, WindowReport
from schemas.errors import UserError

_log = structlog.get_logger("agent")


class Recorder:
    """The spool lies beside the file, with `.spool` behind its name. It goes when the stream has ended; until then a
    restarted agent appends to it, and the file holds all of it."""

    def __init__(self, path: Path) -> None:
        check_target(path)
        self._path, self._spool_path = path, path.with_name(path.name + ".spool")
        self._spool: Spool | None = None
        self._begun = False

    def open(self, info: WearableInfo, *, speed: float, wearer: str | None, unit: str) -> None:
        """Raises UserError where there is no writing."""
        facts = StreamFacts(info.channels, info.samples, info.sampling_rate_hz, info.classes, speed, wearer or "", unit)
        self._spool, self._begun = Spool.open(self._spool_path, facts), True

    def window(self, window: Window, report: WindowReport, faulty: bool) -> None:
        self._put(
            KeptWindow(
                window.id,
                window.time_s,
                window.label,
                report.predicted,
                report.probabilities[report.predicted],
                report.weights_version,
                faulty,
                window.sample,
                window.scale,
                window.counts,
            )
        )

    def label(self, window: int, label: int) -> None:
        self._put(KeptLabel(window, label))

    def note(self, window: int, text: str) -> None:
        self._put(KeptNote(window, text))

    def close(self, *, ended: bool) -> None:
        """Write the file. A stream that has not `ended` keeps its spool."""
        if not self._begun:
            return
        if self._spool is not None:
            self._spool.close()
            self._spool = None
        try:
            write_recording(self._spool_path, self._path)
        except UserError as error:
            _log.warning("the recording stays a spool", spool=str(self._spool_path), reason=str(error))
            return
        if ended:
            self._spool_path.unlink(missing_ok=True)

    def _put(self, kept: KeptWindow | KeptLabel | KeptNote) -> None:
        """A full disk ends the recording, never the stream."""
        if self._spool is None:
            return
        try:
            match kept:
                case KeptWindow():
                    self._spool.window(kept)
                case KeptLabel():
                    self._spool.label(kept)
                case KeptNote():
                    self._spool.note(kept)
        except OSError as error:
            _log.error("recording has stopped", spool=str(self._spool_path), reason=error.strerror)
            self._spool.close()
            self._spool = None

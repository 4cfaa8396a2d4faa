"""`python -m benchmarks.soak_child FILE COMMAND ...`: `biotrain COMMAND ...`, its asyncio tasks counted into FILE."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path

from biotrain.cli import main

_PERIOD_S = 0.5


class _Remembered(asyncio.DefaultEventLoopPolicy):
    loop: asyncio.AbstractEventLoop | None = None

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        self.loop = super().new_event_loop()
        return self.loop


def _count(policy: _Remembered, file: Path) -> None:
    while True:
        time.sleep(_PERIOD_S)
        if policy.loop is not None:
            part = file.with_suffix(".part")
            part.write_text(str(len(asyncio.all_tasks(policy.loop))))
            part.replace(file)


if __name__ == "__main__":
    policy = _Remembered()
    asyncio.set_event_loop_policy(policy)
    threading.Thread(target=_count, args=(policy, Path(sys.argv[1])), daemon=True).start()
    main(sys.argv[2:])

"""`python -m biotrain.demo.child PARENT COMMAND ...`: `biotrain COMMAND ...` that does not outlive its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from biotrain.cli import main

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Ask the kernel for SIGTERM when the parent is gone, however it ended (Linux; elsewhere nothing is done)."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel knew
        sys.exit(0)


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    main(sys.argv[2:])

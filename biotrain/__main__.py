"""`python -m biotrain` is `biotrain`."""

from __future__ import annotations

from biotrain.cli import main

main()

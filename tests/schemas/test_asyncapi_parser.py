"""AsyncAPI's own parser, which knows nothing of us, reads the document without a complaint."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from schemas.topics import Kind


@pytest.mark.slow
def test_the_asyncapi_projects_parser_finds_nothing_to_complain_of(repository: Path) -> None:
    place = os.environ.get("ASYNCAPI_PARSER", str(repository / ".venv" / "node"))
    if shutil.which("node") is None or not (Path(place) / "node_modules" / "@asyncapi" / "parser").is_dir():
        pytest.skip("@asyncapi/parser is not installed: npm install --prefix .venv/node @asyncapi/parser")
    done = subprocess.run(
        ["node", "tools/check_asyncapi.mjs", "docs/schemas/asyncapi.json"],
        cwd=repository, capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "ASYNCAPI_PARSER": place},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["version"].startswith("3.")
    assert said["channels"] == len(Kind) + 1, "and that of groups"

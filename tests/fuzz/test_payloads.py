"""atheris (libFuzzer for Python) over the MQTT payloads that supervisor and agent read: no exception, no hang.

More of it: BIOTRAIN_FUZZ_PAYLOADS=1000000 .venv/bin/python -m pytest tests/fuzz/test_payloads.py
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.command import Command, GroupCommand, Verb
from schemas.desired import Desired, DeviceSettings
from schemas.messages import SEQUENCED
from schemas.topics import Kind
from tests.service.story import Story

RUNS = int(os.environ.get("BIOTRAIN_FUZZ_PAYLOADS", "3000"))


def seeds(corpus: Path) -> None:
    """One whole message of each kind that is published, behind the byte that names its topic."""
    kinds = list(Kind)
    schema = {model.SCHEMA: kind for kind, model in SEQUENCED.items()}
    found = {schema[one.message.schema_name]: one.payload for one in Story().whole()}
    found[Kind.COMMAND] = Command(site="lab", device="band-1", command_id="c-1", verb=Verb.PING).to_json()
    found[Kind.DESIRED] = Desired(site="lab", device="band-1", version=1, settings=DeviceSettings()).to_json()
    for kind, payload in found.items():
        (corpus / kind).write_bytes(bytes([kinds.index(kind)]) + payload)
    group = GroupCommand(site="lab", group="all", command_id="c-2", verb=Verb.ADAPT).to_json()
    (corpus / "group").write_bytes(b"\0" + group)
    (corpus / "deep").write_bytes(bytes([kinds.index(Kind.TELEMETRY)]) + b"[" * 4000)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_no_payload_raises_what_its_parser_does_not_promise(repository: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris has no wheel for this Python")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    seeds(corpus)
    before = len(list(corpus.iterdir()))
    program = repository / "tests" / "fuzz" / "payloads.py"
    ran = subprocess.run(
        [sys.executable, str(program), str(RUNS), "1", str(corpus)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(repository)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-4000:]
    match = re.search(r"Done (\d+) runs", ran.stderr)
    assert match is not None
    assert int(match.group(1)) >= RUNS
    assert len(list(corpus.iterdir())) > before, "the fuzzer must have found new paths"

"""`biotrain model`: an adapted model for other programs, as ONNX or as torch's `.pt`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import UserError


def main(
    plan: Annotated[Path, typer.Argument(help="The plan that the weights were adapted with.")],
    weights: Annotated[Path, typer.Argument(help="A weights file, or a profile of `biotrain wearer backup`.")],
    out: Annotated[Path, typer.Argument(help="FILE.onnx or FILE.pt.")],
    module: Annotated[
        str | None, typer.Option(help="FILE.py:CLASS, where the plan's model is your own and not of the zoo.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as one JSON object.")] = False,
) -> None:
    """Export weights from a device with the plan's preprocessing: windows in, logits out.

    ONNX takes `window` float32 [N, channels, samples] in the source's unit and gives `logits`
    [N, classes]; class names, versions and hashes stand in its metadata. A `.pt` file holds the
    state dict, and the preprocessing's values.

    Example:

        biotrain model eog.plan anna.profile anna.onnx
        biotrain model eog.plan eog.weights eog.pt
    """
    from biotrain.files import write_whole

    try:
        from device_agent.compiler.export_model import describe, rebuild, to_onnx, to_pt
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UserError("exporting needs torch, which is not installed: pip install 'biotrain[torch]'") from None
    writers = {".onnx": to_onnx, ".pt": to_pt}
    if out.suffix not in writers:
        raise UserError(f"{out}: write a name that ends in {' or '.join(writers)}")
    own = None
    if module is not None:
        from device_agent.compiler.user_module import load_module

        file, _, name = module.rpartition(":")
        own = load_module(Path(file), name)
    exported, read, mine = rebuild(_read(plan), _weights(weights), own)
    write_whole(out, writers[out.suffix](exported, read, mine), mode=0o600)
    said = {"file": str(out), **describe(read, mine)}
    print(json.dumps(said) if as_json else f"{out}: {read.header.model}, weights version {mine.version}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): check the path") from None


def _weights(path: Path) -> bytes:
    content = _read(path)
    if not content.startswith(b"PK"):
        return content
    from device_agent.profile import read_profile
    from device_agent.wearable.api import Bank

    return read_profile(path).weights[Bank.SERVING]

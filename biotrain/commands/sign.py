"""`biotrain sign`: a site's signature over a plan or weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import UserError


def main(
    file: Annotated[Path, typer.Argument(help="The plan, or the weights.")],
    weights: Annotated[
        Path | None, typer.Option(help="Of a plan: the weights that it begins with; its signature covers them.")
    ] = None,
    folder: Annotated[
        Path, typer.Option("--dir", help="The authority's folder; its newest signing key is used.")
    ] = Path("certs"),
    key: Annotated[Path | None, typer.Option(help="Sign with this key file instead.")] = None,
    device: Annotated[str | None, typer.Option(help="Of weights: only this device may take them.")] = None,
    number: Annotated[
        int | None,
        typer.Option(min=1, max=2**32 - 1, help="Grows from plan to plan; seconds since 1970 when left out."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write here; over the file when left out.")] = None,
    passphrase: Annotated[
        str | None,
        typer.Option(envvar="BIOTRAIN_CA_PASSPHRASE", show_envvar=True, hidden=True, help="Of the key."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Sign a plan, with the weights it begins with, or weights alone.

    A device with keys takes nothing else. It refuses a plan that was signed before the one it runs:
    to go back to an older plan, sign that one again.

    Example:

        biotrain certs signing-key
        biotrain sign eog.plan --weights eog.weights
        biotrain sign anna.weights --device left-arm
    """
    from biotrain.files import write_whole
    from biotrain.trust.signer import open_signer

    signer = open_signer(key or folder, passphrase)
    from biotrain.trust.signing import public_of, sign_plan, sign_weights
    from schemas.plan import read_plan
    from schemas.signature import key_id
    from schemas.weights import read_weights

    content = _read(file)
    is_plan = content[:4] == b"BTPL"
    if is_plan and device is not None:
        raise UserError("--device is for weights: a plan holds nothing of a person, and is signed for every device")
    if not is_plan and weights is not None:
        raise UserError(f"--weights is for a plan, and {file} is none")
    if is_plan:
        begin = None if weights is None else _read(weights)
        signed = sign_plan(content, signer, weights=begin, number=number)
        signature = read_plan(signed).signature
    else:
        signed = sign_weights(content, signer, device=device or "", number=number)
        signature = read_weights(signed).signature
    assert signature is not None
    target = out or file
    write_whole(target, signed, mode=file.stat().st_mode & 0o777)
    told = {"file": str(target), "key": key_id(public_of(signer)), "number": signature.number, "weights": bool(weights)}
    words = f"{target}: signed with {told['key']}, number {signature.number}"
    if is_plan and weights is None:
        words += "; it covers no weights: devices take only weights that are signed themselves"
    print(json.dumps(told) if as_json else words)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): check the path") from None

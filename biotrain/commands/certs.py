"""`biotrain certs`: a site's own certificate authority."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import UserError
from schemas.principal import Principal, PrincipalError, Role

if TYPE_CHECKING:
    from biotrain.trust.authority import Authority
    from biotrain.trust.register import Issued


class Action(StrEnum):
    """What to do with the site's authority and its signing keys."""

    INIT = "init"
    ISSUE = "issue"
    REQUEST = "request"
    RENEW = "renew"
    REVOKE = "revoke"
    LIST = "list"
    MOSQUITTO = "mosquitto"
    SIGNING_KEY = "signing-key"
    RETIRE = "retire"
    KEYS = "keys"


def main(
    action: Annotated[
        Action,
        typer.Argument(
            help="init an authority; issue, renew or revoke a certificate; make a request for one where its key shall "
            "stay; list all; write the mosquitto configuration. Make a signing-key, retire one, list the keys."
        ),
    ],
    role: Annotated[Role | None, typer.Argument(help="Whose: of a broker, device, supervisor or viewer.")] = None,
    name: Annotated[str | None, typer.Argument(help="Its name; a device's is the one in its topics.")] = None,
    folder: Annotated[Path, typer.Option("--dir", help="The authority's folder. Keep it away from the broker.")] = Path(
        "certs"
    ),
    site: Annotated[str | None, typer.Option(help="init: the site, a level of all its topics.")] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=36500, help="Valid so long; 90 for a certificate, 3650 for an authority.")
    ] = None,
    host: Annotated[
        list[str] | None, typer.Option(help="issue broker: a name or address that clients reach it by (repeat it).")
    ] = None,
    request: Annotated[Path | None, typer.Option(help="issue: the request that the holder has made.")] = None,
    serial: Annotated[str | None, typer.Option(help="revoke: this one only, not all of the holder.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="request: the holder's folder. mosquitto: the file; else it is printed.")
    ] = None,
    broker_files: Annotated[
        Path | None, typer.Option(help="mosquitto: where DIR/broker lies on the broker's machine, when elsewhere.")
    ] = None,
    listen: Annotated[str, typer.Option(help="mosquitto: the devices' listener.")] = "0.0.0.0:8883",
    supervisors: Annotated[
        str, typer.Option(help="mosquitto: the supervisors' listener; best where no device reaches it.")
    ] = "127.0.0.1:8884",
    state_dir: Annotated[Path, typer.Option(help="mosquitto: where the broker keeps its state.")] = Path(
        "/var/lib/mosquitto"
    ),
    key: Annotated[str | None, typer.Option(help="retire: the signing key's id.")] = None,
    passphrase: Annotated[
        str | None,
        typer.Option(envvar="BIOTRAIN_CA_PASSPHRASE", show_envvar=True, hidden=True, help="Of the authority's key."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Make a site's certificates, and the broker's list of who may do what.

    Each holder gets a folder with certificate, key and the authority's certificate, for `--identity`
    of agent and supervisor. The broker's folder follows every change: send Mosquitto SIGHUP then.
    With BIOTRAIN_CA_PASSPHRASE set, the authority's key is encrypted.

    Example:

        biotrain certs init --site home
        biotrain certs issue broker main --host broker.example --host 127.0.0.1
        biotrain certs issue device left-arm
        biotrain certs issue supervisor main
        biotrain certs mosquitto --out certs/broker/mosquitto.conf
        biotrain certs revoke device left-arm
        biotrain certs signing-key
        biotrain certs retire --key 91d4d1c0a76d0d37
    """
    if find_spec("cryptography") is None:
        raise UserError("certificates need the package cryptography: install it with `pip install 'biotrain[trust]'`")
    from biotrain.trust.authority import Authority

    match action:
        case Action.INIT:
            if site is None:
                raise UserError("an authority is one of a site: add --site NAME")
            Authority.create(folder, site, days=days or 3650, passphrase=passphrase)
            _say({"site": site, "dir": str(folder)}, f"authority of {site} in {folder}", as_json)
        case Action.REQUEST:
            _request(_principal(role, name), out, as_json)
        case Action.SIGNING_KEY | Action.RETIRE | Action.KEYS:
            _signing(action, Authority.open(folder, passphrase), passphrase, key, as_json)
        case Action.LIST:
            _list(Authority.open(folder, passphrase), as_json)
        case Action.MOSQUITTO:
            _mosquitto(folder, broker_files, listen, supervisors, state_dir, out, as_json)
        case Action.ISSUE:
            principal = _principal(role, name)
            authority = Authority.open(folder, passphrase)
            asked = _read(request) if request is not None else None
            entry = authority.issue(principal, hosts=host or (), days=days or 90, request=asked)
            _tell_issued(authority, entry, as_json)
        case Action.RENEW:
            authority = Authority.open(folder, passphrase)
            _tell_issued(authority, authority.renew(_principal(role, name), days=days or 90), as_json)
        case Action.REVOKE:
            authority = Authority.open(folder, passphrase)
            gone = authority.revoke(_principal(role, name), serial=serial)
            words = (
                f"{gone[0].principal}: {len(gone)} certificate{'s' * (len(gone) > 1)} revoked\n"
                f"now give the broker the new {authority.broker_folder} and send it SIGHUP"
            )
            _say({"revoked": [entry.model_dump(mode="json") for entry in gone]}, words, as_json)


def _signing(action: Action, authority: Authority, passphrase: str | None, key: str | None, as_json: bool) -> None:
    from biotrain.trust.signing import SigningKeys

    keys = SigningKeys(authority.folder, authority.register.site, passphrase)
    if action is Action.RETIRE and key is None:
        raise UserError("retire: which key? add --key ID; `biotrain certs keys` lists them")
    with authority.lock():
        made = keys.add() if action is Action.SIGNING_KEY else None
        if action is Action.RETIRE and key is not None:
            keys.retire(key)
    sets = keys.sets
    newest = sets[-1].key_ids if sets else ()
    retired = [each for each in dict.fromkeys(i for s in sets for i in s.key_ids) if each not in newest]
    told = {"trusted": list(newest), "retired": retired, "number": len(sets), "file": str(keys.trusted)}
    words = [f"{made or key}: {'made' if made else 'retired'}"] if action is not Action.KEYS else []
    words += [f"{each}  trusted" for each in newest] + [f"{each}  retired" for each in retired]
    if action is not Action.KEYS:
        words.append(f"now give {keys.trusted} to agents (--trusted-keys), and to devices with `biotrain trust`")
    _say(told, "\n".join(words) or "no signing keys: make one with `biotrain certs signing-key`", as_json)


def _principal(role: Role | None, name: str | None) -> Principal:
    if role is None or name is None:
        raise UserError("say whose certificate: a role and a name, e.g. `device left-arm`")
    try:
        return Principal(role, name)
    except PrincipalError as error:
        raise UserError(str(error)) from None


def _tell_issued(authority: Authority, entry: Issued, as_json: bool) -> None:
    folder = authority.holder_folder(entry.principal)
    words = f"{entry.principal}: valid until {entry.not_after:%Y-%m-%d}, in {folder}"
    if entry.role is not Role.BROKER:
        words += f"\nnow give the broker the new {authority.broker_folder} and send it SIGHUP"
    _say({**entry.model_dump(mode="json"), "dir": str(folder)}, words, as_json)


def _list(authority: Authority, as_json: bool) -> None:
    register, now = authority.register, datetime.now(UTC)
    rows = [{**entry.model_dump(mode="json"), "status": entry.status(now)} for entry in register.issued]
    if as_json:
        print(json.dumps({"site": register.site, "certificates": rows}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("holder", "status", "until", "days left", title=f"certificates of {register.site}")
    table.add_column("serial", overflow="fold")
    for entry in register.issued:
        left = str((entry.not_after - now).days) if entry.status(now) == "valid" else ""
        table.add_row(str(entry.principal), entry.status(now), f"{entry.not_after:%Y-%m-%d}", left, entry.serial)
    Console().print(table)


def _request(principal: Principal, out: Path | None, as_json: bool) -> None:
    from biotrain.files import write_whole
    from biotrain.trust import x509
    from messaging.identity import KEY_FILE

    if principal.role is Role.BROKER:
        raise UserError("a broker's certificate is made with its key: use `biotrain certs issue broker`")
    folder = out or Path(f"{principal.role}-{principal.name}")
    if (folder / KEY_FILE).exists():
        raise UserError(f"{folder / KEY_FILE} is there already: choose another --out, or move it away")
    key, file = x509.new_key(), folder / "request.pem"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(folder / KEY_FILE, x509.key_to_pem(key), mode=0o600)
    write_whole(file, x509.to_pem(x509.new_request(principal, key)))
    words = (
        f"request in {file}; the key beside it stays here. Where the authority is:\n"
        f"biotrain certs issue {principal.role} {principal.name} --request request.pem\n"
        f"then bring ca.crt and client.crt back to {folder}"
    )
    _say({"request": str(file), "dir": str(folder)}, words, as_json)


def _mosquitto(
    folder: Path,
    elsewhere: Path | None,
    listen: str,
    supervisors: str,
    state_dir: Path,
    out: Path | None,
    as_json: bool,
) -> None:
    from biotrain.files import write_whole
    from biotrain.trust.broker import configuration
    from messaging.settings import SUPERVISOR_PORT, TLS_PORT, parse_address

    here = (folder / "broker").absolute()
    text = configuration(
        here,
        devices=parse_address(listen, what="--listen", default_port=TLS_PORT),
        supervisors=parse_address(supervisors, what="--supervisors", default_port=SUPERVISOR_PORT),
        state_dir=state_dir.absolute(),
    )
    if elsewhere is not None:
        text = text.replace(f"{here}/", f"{elsewhere}/")
    if out is None:
        print(text, end="")
        return
    write_whole(out, text.encode())
    _say({"file": str(out)}, f"written: {out}", as_json)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"--request {file} cannot be read ({error.strerror})") from None


def _say(result: dict[str, Any], words: str, as_json: bool) -> None:
    print(json.dumps(result) if as_json else words)

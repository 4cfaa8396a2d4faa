"""`biotrain certs`: what an operator does with it, and what it says when it cannot be done."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from biotrain.trust.authority import Authority
from messaging import ClientIdentity
from messaging.certificate import read_certificate
from schemas.errors import UserError
from schemas.principal import Principal, PrincipalError, Role

LEFT = Principal(Role.DEVICE, "left")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "certs", "home", days=365)


def certs(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "biotrain", "certs", *words],
        capture_output=True, text=True, timeout=60, check=False, cwd=cwd, env={"PATH": "/usr/bin:/bin", **environment},
    )  # fmt: skip


@pytest.mark.slow
def test_the_whole_life_of_a_certificate_from_the_command_line(tmp_path: Path) -> None:
    secret = {"BIOTRAIN_CA_PASSPHRASE": "correct horse"}
    assert certs("init", "--site", "home", cwd=tmp_path, **secret).returncode == 0
    assert "ENCRYPTED" in (tmp_path / "certs" / "ca.key").read_text()
    wrong = certs("issue", "device", "left", cwd=tmp_path)
    assert (wrong.returncode, "BIOTRAIN_CA_PASSPHRASE" in wrong.stderr) == (2, True)
    asked = certs("request", "device", "left", "--out", "edge", cwd=tmp_path)
    assert asked.returncode == 0, asked.stderr
    done = certs("issue", "device", "left", "--request", "edge/request.pem", "--json", cwd=tmp_path, **secret)
    folder = tmp_path / json.loads(done.stdout)["dir"]
    assert not (folder / "client.key").exists(), "the key stays where it was made"
    for name in ("ca.crt", "client.crt"):
        shutil.copy(folder / name, tmp_path / "edge")
    identity = ClientIdentity.load(tmp_path / "edge")
    assert (identity.site, identity.principal) == ("home", LEFT)
    assert certs("revoke", "device", "left", cwd=tmp_path, **secret).returncode == 0
    listed = json.loads(certs("list", "--json", cwd=tmp_path).stdout)
    assert [entry["status"] for entry in listed["certificates"]] == ["revoked"]
    again = certs("revoke", "device", "left", cwd=tmp_path, **secret)
    assert (again.returncode, "Traceback" in again.stderr) == (2, False)


def test_openssl_agrees_with_what_is_written_and_with_what_is_read(authority: Authority) -> None:
    entry = authority.issue(LEFT, days=10)
    file = authority.holder_folder(LEFT) / "client.crt"
    words = ["openssl", "verify", "-CAfile", str(authority.folder / "ca.crt"), "-purpose", "sslclient", str(file)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.endswith("OK\n")
    words = ["openssl", "x509", "-in", str(file), "-noout", "-serial", "-enddate", "-dateopt", "iso_8601"]
    serial, end = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    ours = read_certificate(file.read_text())
    assert int(serial.removeprefix("serial="), 16) == int(entry.serial, 16)
    assert end.removeprefix("notAfter=") == f"{ours.not_after:%Y-%m-%d %H:%M:%S}Z"
    assert (ours.common_name, ours.organization) == ("device:left", "home")
    revoked = str(authority.broker_folder / "revoked.crl")
    authority.revoke(LEFT)
    said = subprocess.run(["openssl", "crl", "-in", revoked, "-noout", "-text"], capture_output=True, text=True)
    assert f"{int(entry.serial, 16):X}" in said.stdout.replace(":", "").upper()


def test_renewing_gives_a_new_key_and_revoking_one_serial_leaves_the_other(authority: Authority) -> None:
    first = authority.issue(LEFT, days=10)
    key = (authority.holder_folder(LEFT) / "client.key").read_bytes()
    second = authority.renew(LEFT, days=20)
    assert (authority.holder_folder(LEFT) / "client.key").read_bytes() != key
    assert second.not_after > first.not_after
    authority.revoke(LEFT, serial=first.serial.upper())
    now = datetime.now(UTC)
    assert [entry.status(now) for entry in authority.register.issued] == ["revoked", "valid"]
    assert "user device:left\n" in (authority.broker_folder / "access.acl").read_text()
    authority.revoke(LEFT)
    assert "user" not in (authority.broker_folder / "access.acl").read_text()


def test_only_its_owner_may_read_a_key(authority: Authority) -> None:
    authority.issue(LEFT, days=10)
    authority.issue(Principal(Role.BROKER, "main"), hosts=["broker.example"], days=10)
    keys = sorted(authority.folder.rglob("*.key"))
    assert [key.name for key in keys] == ["server.key", "ca.key", "client.key"]
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert authority.folder.stat().st_mode & 0o777 == 0o700


def test_what_makes_no_sense_is_refused_and_changes_nothing(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds an authority already"):
        Authority.create(authority.folder, "other", days=1)
    with pytest.raises(UserError, match="add --host"):
        authority.issue(Principal(Role.BROKER, "main"), days=1)
    with pytest.raises(UserError, match="neither a name nor an address"):
        authority.issue(Principal(Role.BROKER, "main"), hosts=["a b\nuser x"], days=1)
    with pytest.raises(UserError, match="has no certificate here"):
        authority.renew(LEFT, days=1)
    with pytest.raises(UserError, match="no certificate request"):
        authority.issue(LEFT, days=1, request=b"nonsense")
    with pytest.raises(UserError, match="holds no authority"):
        Authority.open(tmp_path / "nowhere")
    assert authority.register.issued == []
    (authority.folder / "register.json").write_text('{"site": "home", "issued": [{}]}')
    with pytest.raises(UserError, match=r"issued\.0\.serial"):
        authority.issue(LEFT, days=1)


NO_NAMES = ["a b", "a/b", "+", "#", "a\n", "a\nuser supervisor:x", "", "supervisor:main", "group", "x" * 58]


@pytest.mark.parametrize("name", NO_NAMES)
def test_no_name_can_stand_for_another_or_break_the_access_list(name: str) -> None:
    with pytest.raises(PrincipalError):
        Principal(Role.DEVICE, name)


def test_an_identity_says_what_is_wrong_with_it(authority: Authority, tmp_path: Path) -> None:
    authority.issue(LEFT, days=10)
    folder = shutil.copytree(authority.holder_folder(LEFT), tmp_path / "left")
    now = datetime.now(UTC)
    assert ClientIdentity.load(folder).principal == LEFT
    with pytest.raises(UserError, match=r"expired on .* certs renew"):
        ClientIdentity.load(folder, now=now + timedelta(days=11))
    with pytest.raises(UserError, match="set the clock"):
        ClientIdentity.load(folder, now=now - timedelta(days=1))
    (folder / "client.key").chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        ClientIdentity.load(folder)
    (folder / "client.key").chmod(0o600)
    authority.renew(LEFT, days=10)
    shutil.copy(authority.holder_folder(LEFT) / "client.crt", folder)
    with pytest.raises(UserError, match="do not fit together"):
        ClientIdentity.load(folder)
    whole = (folder / "client.crt").read_text()
    for spoilt in ("", "hello", whole[: len(whole) // 2], whole.replace("M", "N")):
        (folder / "client.crt").write_text(spoilt)
        with pytest.raises(UserError, match=r"client\.crt cannot be used|do not fit|by `biotrain certs`"):
            ClientIdentity.load(folder)
    (folder / "client.crt").unlink()
    with pytest.raises(UserError, match="is missing"):
        ClientIdentity.load(folder)


def test_emqx_gets_the_same_rights_and_denies_the_rest(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "certs", "home", days=30)
    authority.issue(Principal(Role.DEVICE, "left"), days=30)
    authority.issue(Principal(Role.VIEWER, "page"), days=30)
    mosquitto = (authority.broker_folder / "access.acl").read_text()
    rules = (authority.broker_folder / "acl.conf").read_text().splitlines()
    named = {topic for line in rules for topic in re.findall(r'"(biotrain/[^"]+)"', line)}
    assert named == set(re.findall(r"^topic \w+ (.+)$", mosquitto, re.MULTILINE))
    assert [re.findall(r'username, "([^"]+)"}, (\w+)', line) for line in rules[1:-1]] == [
        [("device:left", "publish")], [("device:left", "subscribe")], [("viewer:page", "subscribe")],
    ]  # fmt: skip
    assert rules[-1] == "{deny, all}.", "EMQX takes the first rule that fits"
    authority.revoke(Principal(Role.DEVICE, "left"))
    assert "left" not in (authority.broker_folder / "acl.conf").read_text()

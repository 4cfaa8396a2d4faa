"""Signing keys and signatures from the command line to a wearable, and what agent and doctor say of them."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from biotrain.cli import main
from biotrain.doctor.finding import Deployment, Verdict
from biotrain.doctor.wearable import check_wearable
from biotrain.trust.authority import Authority
from biotrain.trust.signing import SigningKeys, sign_plan
from device_agent.admission import admit
from device_agent.keys import look_at_keys
from device_agent.trusted import TrustedKeys
from device_agent.wearable.connect import connect
from schemas.errors import UserError
from schemas.plan import read_plan
from schemas.signature import read_key_sets
from tests.wearable.conftest import Process

ASSETS = Path(__file__).parents[2] / "biotrain" / "demo" / "assets"
PLAN, WEIGHTS = (ASSETS / "eog.plan").read_bytes(), (ASSETS / "eog.weights").read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Authority.create(tmp_path / "certs", "home", days=10)
    (tmp_path / "eog.plan").write_bytes(PLAN)
    (tmp_path / "eog.weights").write_bytes(WEIGHTS)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], folder: Path, *words: object) -> dict[str, object]:
    with pytest.raises(SystemExit) as left:
        main([*map(str, words), "--json"])
    assert left.value.code in (0, None)
    told: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return told


def test_keys_are_made_retired_and_kept_for_their_owner(folder, capsys):
    certs = ("--dir", folder / "certs")
    first = run(capsys, folder, "certs", "signing-key", *certs)["trusted"]
    both = run(capsys, folder, "certs", "signing-key", *certs)["trusted"]
    assert (len(first), len(both)) == (1, 2)
    assert run(capsys, folder, "certs", "retire", "--key", first[0], *certs)["retired"] == first
    sets = read_key_sets((folder / "certs" / "trusted.keys").read_bytes())
    assert [each.number for each in sets] == [1, 2, 3]
    assert TrustedKeys(sets).newest.key_ids == (both[1],)
    for key in (folder / "certs" / "signing").iterdir():
        assert key.stat().st_mode & 0o077 == 0
    with pytest.raises(UserError, match="last key cannot be retired"):
        SigningKeys(folder / "certs", "home").retire(both[1])
    with pytest.raises(UserError, match="no trusted key of home"):
        SigningKeys(folder / "certs", "home").retire(first[0])
    with pytest.raises(UserError, match="not signed by a key of the set before"):
        TrustedKeys((sets[0], sets[2]))


def test_what_is_made_is_signed_at_once(folder, capsys, tmp_path):
    certs = ("--dir", folder / "certs")
    (key,) = run(capsys, folder, "certs", "signing-key", *certs)["trusted"]
    run(capsys, folder, "plan", "epidenet", "--out", tmp_path / "new.plan", "--sign", folder / "certs")
    signature = read_plan((tmp_path / "new.plan").read_bytes()).signature
    assert (signature.key_id, signature.about) == (key, bytes(32))  # it covers no weights
    words = ["--simulator", "--people", "2", "--trials", "22", "--sessions", "1", "--epochs", "1", "--name", "eog"]
    words += ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path)]
    (file,) = (folder / "certs" / "signing").iterdir()
    told = run(capsys, folder, "pretrain", *words, "--sign", file)
    begun = (tmp_path / "eog.weights").read_bytes()
    signature = read_plan(Path(told["plan"]).read_bytes()).signature
    assert (signature.key_id, signature.about) == (key, sha256(begun).digest())
    with pytest.raises(SystemExit) as left:
        main(["plan", "epidenet", "--sign", str(file)])
    assert left.value.code == 2
    assert "give --out" in capsys.readouterr().err


def test_a_signed_plan_goes_to_a_wearable_with_keys_and_no_other(folder, capsys, tmp_path):
    certs, trusted = ("--dir", folder / "certs"), folder / "certs" / "trusted.keys"
    run(capsys, folder, "certs", "signing-key", *certs)
    told = run(capsys, folder, "sign", folder / "eog.plan", "--weights", folder / "eog.weights", *certs)
    assert read_plan((folder / "eog.plan").read_bytes()).signature.key_id == told["key"]
    process = Process(tmp_path)
    process.start()
    address = f"tcp://{process.address}"
    try:
        assert run(capsys, folder, "trust", "--wearable", address)["mode"] == "development"
        assert run(capsys, folder, "trust", "--wearable", address, "--keys", trusted)["mode"] == "signed"
        run(capsys, folder, "certs", "signing-key", *certs)
        assert run(capsys, folder, "trust", "--wearable", address, "--keys", trusted)["number"] == 2
    finally:
        process.stop()
    process.arguments = ["--trusted-keys", str(trusted), "--plan", str(folder / "eog.plan")]
    process.arguments += ["--weights", str(folder / "eog.weights")]
    process.start()
    try:
        (finding,) = check_wearable(Deployment(wearable=address, trusted_keys=trusted))
        assert finding.verdict is Verdict.OK, finding
        run(capsys, folder, "certs", "retire", "--key", told["key"], *certs)
        (finding,) = check_wearable(Deployment(wearable=address, trusted_keys=trusted))
        assert (finding.verdict, "does not trust" in finding.detail) == (Verdict.FAILED, True)
    finally:
        process.stop()
    (folder / "eog.plan").write_bytes(PLAN)
    other = Process(tmp_path, ["--storage", str(tmp_path / "second"), *process.arguments])
    with pytest.raises((AssertionError, json.JSONDecodeError)):
        other.start()  # it ends with code 2 and a word, before it listens
    assert other.running is not None
    assert other.running.wait(timeout=5) == 2
    assert other.running.stdout is not None
    other.running.stdout.close()


async def test_the_agent_checks_before_the_wearable_does(folder):
    keys = SigningKeys(folder / "certs", "home")
    keys.add()
    trusted = TrustedKeys.load(keys.trusted)
    plan = sign_plan(PLAN, keys.load(), weights=WEIGHTS)
    wearable = await connect("local")
    await wearable.write_plan(PLAN)
    info = wearable.info
    assert await look_at_keys(wearable, trusted) == "development"
    await wearable.close()
    assert admit(plan, WEIGHTS, info, trusted).plan.hash == read_plan(PLAN).hash
    altered = bytearray(plan)
    altered[-1] ^= 1
    stranger = SigningKeys(folder / "other", "home")
    stranger.add()
    other = bytearray(WEIGHTS)
    other[80] += 1
    cases = [
        (PLAN, WEIGHTS, "nobody has signed it"),
        (bytes(altered), WEIGHTS, "altered after it was signed"),
        (sign_plan(PLAN, stranger.load(), weights=WEIGHTS), WEIGHTS, "does not trust"),
        (sign_plan(PLAN, keys.load()), WEIGHTS, "neither those that the plan was signed with"),
        (plan, bytes(other), "altered"),
    ]
    for plan_file, weights_file, reason in cases:
        with pytest.raises(UserError, match=reason):
            admit(plan_file, weights_file, info, trusted)

"""The page over TLS with a certificate of the site's authority, and the headers that keep browsers in bounds."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import httpx
import pytest

from biotrain.trust.authority import Authority
from schemas.errors import UserError
from schemas.principal import Principal, Role
from service.web_certificate import WebCertificate
from tests.brokers import Mosquitto
from tests.supervisors import SupervisorProcess


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority.create(tmp_path / "certs", site="home", days=30)
    made.issue(Principal(Role.BROKER, "main"), hosts=["127.0.0.1"], days=30)
    return made


def files(authority: Authority) -> tuple[Path, Path]:
    return authority.broker_folder / "server.crt", authority.broker_folder / "server.key"


@pytest.mark.slow
def test_a_client_that_trusts_the_site_is_served_and_no_other_is(
    tmp_path: Path, mosquitto: Mosquitto, authority: Authority
) -> None:
    certificate, key = files(authority)
    options = ("--certificate", str(certificate), "--key", str(key), "--admin-token", "a-token-for-tests")
    supervisor = SupervisorProcess(tmp_path, mosquitto.address, *options)
    supervisor.start()
    try:
        assert supervisor.url.startswith("https://127.0.0.1:")
        ours = ssl.create_default_context(cafile=str(authority.folder / "ca.crt"))
        with httpx.Client(base_url=supervisor.url, verify=ours) as client:
            page = client.get("/")
            assert page.status_code == 200
            assert page.headers["strict-transport-security"].startswith("max-age=")
            began = client.post("/api/session", json={"token": "a-token-for-tests"})
            cookie = began.headers["set-cookie"].lower()
            assert all(word in cookie for word in ("httponly", "secure", "samesite=strict"))
            assert client.get("/api/me").json()["name"] == "admin", "the cookie is enough"
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            httpx.get(f"{supervisor.url}/healthz")
        with pytest.raises(httpx.HTTPError):
            httpx.get(supervisor.url.replace("https", "http") + "/healthz")
    finally:
        supervisor.stop()


def test_renewed_files_serve_and_spoilt_ones_do_not_replace_them(authority: Authority) -> None:
    certificate, key = files(authority)
    web = WebCertificate(certificate, key)

    def served() -> bytes:
        """The serial number that a client is shown, over memory instead of a socket."""
        context = ssl.create_default_context(cafile=str(authority.folder / "ca.crt"))
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
        server = web.context.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(4):
            for side in (client, server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        shown = client.getpeercert(binary_form=True)
        assert shown is not None
        return shown

    first = served()
    authority.renew(Principal(Role.BROKER, "main"), days=30)
    web.look()
    second = served()
    assert second != first
    key.write_bytes(b"half of a k")
    web.look()
    assert served() == second


def test_files_that_cannot_serve_are_named(authority: Authority, tmp_path: Path) -> None:
    certificate, key = files(authority)
    with pytest.raises(UserError, match=r"nothing\.pem is missing"):
        WebCertificate(tmp_path / "nothing.pem", None)
    other = tmp_path / "other.key"
    shutil.copy(authority.folder / "ca.key", other)
    other.chmod(0o600)
    with pytest.raises(UserError, match="cannot be used together"):
        WebCertificate(certificate, other)
    key.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        WebCertificate(certificate, key)


@pytest.mark.slow
def test_every_answer_says_what_a_browser_may_do_with_it(supervisor: SupervisorProcess) -> None:
    elsewhere = {"Origin": "http://elsewhere"}
    for path, headers in (("/", {}), ("/api/devices", {}), ("/api/nothing", {}), ("/api/devices", elsewhere)):
        told = httpx.get(supervisor.url + path, headers=headers).headers
        assert "default-src 'self'" in told["content-security-policy"], path
        assert "frame-ancestors 'none'" in told["content-security-policy"]
        assert told["x-content-type-options"] == "nosniff"
        assert told["referrer-policy"] == "no-referrer"
        assert told["cross-origin-opener-policy"] == "same-origin"
        assert "strict-transport-security" not in told, "that is for TLS alone"
        assert "server" not in told

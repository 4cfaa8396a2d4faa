"""Asks a supervisor, and says in a person's words what it refuses."""

from __future__ import annotations

from typing import Any

from schemas.errors import UserError

_TIMEOUT_S = 30.0


class SupervisorApi:
    """A supervisor's REST interface at `url`, with a token where it asks for one."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._ask("POST", path, body or {})

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path, None)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        """Raises UserError for a supervisor that is not there, and for what it refuses."""
        import httpx

        try:
            answer = httpx.request(method, self.url + path, json=body, headers=self._headers, timeout=_TIMEOUT_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UserError(f"--url {self.url}: the supervisor does not answer ({error}): is it running?") from None
        if answer.is_success:
            return answer.json()
        try:
            detail = answer.json()["detail"]
        except (ValueError, KeyError, TypeError):
            detail = answer.text[:200]
        if isinstance(detail, list):
            detail = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in detail)
        if answer.status_code in (401, 403):
            detail = f"{detail} (--token, or BIOTRAIN_TOKEN)"
        raise UserError(f"{self.url}: {detail}")

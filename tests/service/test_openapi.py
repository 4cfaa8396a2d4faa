"""The OpenAPI document is complete, and no request that it allows, or forbids, makes the supervisor fail."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.brokers import running_mosquitto
from tests.service.devices import SenderWithLog
from tests.service.story import Story
from tests.supervisors import SupervisorProcess

#: A supervisor of its own: not for every quick run.
pytestmark = pytest.mark.slow

#: For each operation; many more by hand: BIOTRAIN_FUZZ_REQUESTS=300 pytest tests/service/test_openapi.py -s
REQUESTS = int(os.environ.get("BIOTRAIN_FUZZ_REQUESTS", "12"))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("openapi")

    async def fill(port: int) -> None:
        async with SenderWithLog(port) as sender:
            await sender.broker.next_connection()
            await sender.send(list(Story().whole())[:80])
            await sender.drain()

    with running_mosquitto(folder / "broker") as mosquitto:
        supervisor = SupervisorProcess(folder, mosquitto.address, "--log-level", "error")
        supervisor.start()
        try:
            asyncio.run(fill(mosquitto.port))
            yield supervisor.url
        finally:
            supervisor.kill()


def test_everything_is_described_and_errors_have_a_body(api: str) -> None:
    document = httpx.get(f"{api}/api/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation.get("summary"), where
            assert operation.get("operationId"), where
            for parameter in operation.get("parameters", []):
                assert parameter.get("description"), f"{where}: {parameter['name']}"
            for status in ("401", "403", "422", "503"):
                assert operation["responses"][status]["content"]["application/json"]["schema"], f"{where}: {status}"
    assert document["components"]["schemas"]["Refusal"]["properties"]["detail"]["examples"]


@pytest.mark.slow
@pytest.mark.timeout(180 if REQUESTS <= 12 else 0)
def test_no_request_makes_the_supervisor_fail(api: str) -> None:
    schema: Any = schemathesis.openapi.from_url(f"{api}/api/openapi.json")
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path == "/api/live":  # it never ends
            continue

        @settings(
            max_examples=REQUESTS, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck), derandomize=True,
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal tried
            tried += 1
            response = case.call(base_url=api, timeout=10)
            assert response.status_code < 500 or response.status_code == 503, (response.status_code, case)
            case.validate_response(response, checks=[schemathesis.checks.not_a_server_error])

        ask()
    print(f"{tried} requests")
    assert tried > 200

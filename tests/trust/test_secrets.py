"""The repository holds no secret: detect-secrets over every file of it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

#: Detectors that look for what a secret is written like. Those by entropy find hashes, of which a lock file is full.
DETECTORS = (
    "ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "DiscordBotTokenDetector",
    "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "KeywordDetector", "NpmDetector",
    "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SlackDetector", "StripeDetector",
    "TelegramBotTokenDetector",
)  # fmt: skip
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".sh", ".service", ".conf", ".ini", ".env", ".json", ""}
#: A file with none of these has nothing that a detector could find; most have none, and the detectors take seconds.
WORDS = re.compile(
    r"secret|passw|pwd|token|api.?key|private.?key|_pass|://[^/\s]*:[^/\s]*@|gh[pousr]_|glpat|akia|xox|sk[-_]|eyj|bearer",
    re.IGNORECASE,
)
#: Words for a test's own site, or an event's name; file and what stands there.
KNOWN = {
    ("service/webhook.py", "_SECRET_PREFIX"),
    ("tests/agent/test_sealing.py", "SECRET"),
    ("tests/doctor/test_doctor.py", "://"),
    ("deploy/kubernetes/broker.yaml", "secretName"),
    ("deploy/kubernetes/supervisor.yaml", "secretName"),
    ("tests/service/test_one_supervisor.py", "://"),
    ("tests/service/test_webhooks.py", "SECRET"),
}


def found_in(files: list[Path]) -> list[tuple[Path, int, str]]:
    """File, line and kind of each."""
    from detect_secrets.core.secrets_collection import SecretsCollection
    from detect_secrets.settings import transient_settings

    with transient_settings({"plugins_used": [{"name": name} for name in DETECTORS]}):
        collection = SecretsCollection()
        for file in files:
            collection.scan_file(str(file))
    return [(Path(name), secret.line_number, secret.type) for name, secret in collection]


def _may_hold(file: Path) -> bool:
    return WORDS.search(file.read_text(encoding="utf-8", errors="replace")) is not None


@pytest.fixture(autouse=True)
def _scanner() -> None:
    if importlib.util.find_spec("detect_secrets") is None:
        pytest.skip("detect-secrets is not installed")


@pytest.mark.slow
def test_no_file_of_the_repository_holds_a_secret(repository: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=False
    ).stdout
    if not listed:
        pytest.skip("the files of the repository are told by git, and there is none here")
    files = [repository / name for name in listed.split("\0") if name and Path(name).suffix in TEXT]
    assert len(files) > 300
    suspicious = []
    for path, number, kind in found_in([file for file in files if file.is_file() and _may_hold(file)]):
        line = path.read_text(encoding="utf-8", errors="replace").splitlines()[number - 1]
        name = str(path.relative_to(repository))
        if not any(name == known and word in line for known, word in KNOWN):
            suspicious.append(f"{name}:{number}: {kind}")
    assert suspicious == []


def test_a_key_a_token_and_a_password_would_be_found(tmp_path: Path) -> None:
    lines = {
        "key.py": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE\n",
        "token.sh": "export T=" + "ghp_" + "a1B2" * 9 + "\n",
        "settings.toml": "admin_pass" + "word" + ' = "correct-horse-battery"\n',
        "url.md": "postgresql://biotrain:" + "hunter22secret@db/biotrain\n",
    }
    for name, text in lines.items():
        (tmp_path / name).write_text(text)
    assert {path.name for path, _, _ in found_in([tmp_path / name for name in lines])} == set(lines)

#!/usr/bin/env bash
# Writes deploy/requirements.lock anew: every package of agent and supervisor, with version and hashes, for Linux on
# every processor. Needs uv (pip install uv) and a package index.
set -euo pipefail
cd "$(dirname "$0")/.."
extras=(river trust postgres parquet ble)
exec uv pip compile --quiet pyproject.toml "${extras[@]/#/--extra=}" --upgrade --generate-hashes --universal \
  --python-version 3.11 --custom-compile-command tools/lock.sh --output-file deploy/requirements.lock

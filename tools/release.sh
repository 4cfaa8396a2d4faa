#!/usr/bin/env bash
# A release, step by step: tools/release.sh VERSION. It changes nothing outside dist/ and the working copy's tag; what is
# to be uploaded is printed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?usage: tools/release.sh VERSION, e.g. 0.2.0}
fail() { echo "release: $*" >&2; exit 1; }
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "'$version' is no version: MAJOR.MINOR.PATCH"
[ -z "$(git status --porcelain)" ] || fail "the working copy has changes: commit them first"
grep -q "^version = \"$version\"$" pyproject.toml || fail "pyproject.toml does not say version = \"$version\""
grep -q "^## \[$version\]" CHANGELOG.md || fail "CHANGELOG.md has no section [$version]: give [Unreleased] its name"
git rev-parse -q --verify "refs/tags/v$version" >/dev/null && fail "there is a tag v$version already"

make test                                                    # every check there is
.venv/bin/biotrain schema --out docs/schemas --check         # contracts are current
.venv/bin/python tools/what_leaves.py --check                # and what leaves
rm -rf dist
.venv/bin/python -m pip wheel . --no-deps --no-build-isolation -q -w dist
.venv/bin/python - "$PWD" <<'PY'
import sys
from scikit_build_core.build import build_sdist
build_sdist(sys.argv[1] + "/dist")
PY
scratch=$(mktemp -d); trap 'rm -rf "$scratch"' EXIT
.venv/bin/python -m venv "$scratch/env"
"$scratch/env/bin/pip" install -q dist/biotrain-"$version"-*.whl
(cd "$scratch" && env/bin/biotrain demo --headless --json --trials 110 --speed 60 >/dev/null) || fail "the demo of the wheel fails"
(cd dist && sha256sum ./* > SHA256SUMS)
git tag -s "v$version" -m "biotrain $version" 2>/dev/null || git tag -a "v$version" -m "biotrain $version"
ls -l dist
echo "release: v$version is ready. Wheels for other platforms: cibuildwheel. Then: git push origin v$version"

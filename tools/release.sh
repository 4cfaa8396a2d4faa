#!/usr/bin/env bash
# The release checklist, as a script:  tools/release.sh VERSION [--dry-run]
# It changes nothing outside dist/ and this clone's tags; what is to be uploaded is printed at the end. With --dry-run
# everything but `make test` and the tag, on whatever stands in the working copy. A package index is needed.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:-}; mode=${2:-}
step() { echo "== $*" >&2; }
fail() { echo "release: $*" >&2; exit 1; }
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ && $mode =~ ^(--dry-run)?$ ]] ||
  fail "usage: tools/release.sh MAJOR.MINOR.PATCH [--dry-run], e.g. tools/release.sh 0.2.0"
bin=$PWD/.venv/bin
[ -x "$bin/python" ] || fail "there is no .venv: make setup, then $bin/pip install -e '.[dev]'"
for tool in build cibuildwheel pipx; do
  "$bin/python" -c "import $tool" 2>/dev/null || fail "$tool is missing: .venv/bin/pip install -e '.[dev]'"
done
git rev-parse -q --verify "refs/tags/v$version" >/dev/null && fail "there is a tag v$version already"

if [ -z "$mode" ]; then
  step "working copy and changelog"
  [ -z "$(git status --porcelain)" ] || fail "the working copy has changes: commit them first"
  grep -q "^## \[$version\]" CHANGELOG.md || fail "CHANGELOG.md has no section [$version]: give [Unreleased] its name"
  step "every check there is"
  make test
fi

step "what is generated is current: contracts, what leaves, licences, bill of materials"
"$bin/biotrain" schema --out docs/schemas --check >/dev/null
"$bin/python" tools/what_leaves.py --check
"$bin/python" tools/licences.py --check
"$bin/python" tools/sbom.py --check

step "source distribution, and a wheel from it"
rm -rf dist
# the tag comes last, when all of this has succeeded
export SETUPTOOLS_SCM_PRETEND_VERSION_FOR_BIOTRAIN=$version
"$bin/python" -m build --quiet --outdir dist .
unset SETUPTOOLS_SCM_PRETEND_VERSION_FOR_BIOTRAIN
wheel=$(echo dist/biotrain-"$version"-py3-none-*.whl); [ -f "$wheel" ] || fail "no wheel of $version: $(ls dist)"
[ -f "dist/biotrain-$version.tar.gz" ] || fail "no sdist of $version: $(ls dist)"

step "an empty environment, no compiler on the path, no torch: the demo runs"
scratch=$(mktemp -d); trap 'rm -rf "$scratch"' EXIT
"$bin/python" -m venv "$scratch/env"
PATH=$scratch/nothing "$scratch/env/bin/pip" install -q --disable-pip-version-check "$wheel"
[ "$("$scratch/env/bin/biotrain" --version)" = "biotrain $version" ] || fail "it says $("$scratch/env/bin/biotrain" --version)"
"$scratch/env/bin/python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is not None)' || fail "torch came along"
(cd "$scratch" && PATH=$scratch/nothing env/bin/biotrain demo --headless --json --trials 110 --speed 60 >/dev/null) ||
  fail "the demo of the wheel fails"

step "pipx gives the command line"
export PIPX_HOME=$scratch/pipx PIPX_BIN_DIR=$scratch/bin PIPX_MAN_DIR=$scratch/man
"$bin/python" -m pipx install --quiet "$wheel" >/dev/null
[ "$("$scratch/bin/biotrain" --version)" = "biotrain $version" ] || fail "pipx installed something else"

step "wheels that cibuildwheel will make"
for platform in "linux x86_64" "linux aarch64" "macos x86_64" "macos arm64"; do
  "$bin/python" -m cibuildwheel --print-build-identifiers --platform "${platform% *}" --archs "${platform#* }" . |
    grep . || fail "none for $platform: [tool.cibuildwheel] in pyproject.toml"
done

(cd dist && sha256sum ./* >SHA256SUMS)
ls -l dist
if [ -n "$mode" ]; then
  echo "release: v$version could be made; nothing was tagged"
else
  git tag -s "v$version" -m "biotrain $version" 2>/dev/null || git tag -a "v$version" -m "biotrain $version"
  echo "release: v$version is ready. Wheels for other platforms: cibuildwheel. Then: git push origin v$version"
fi

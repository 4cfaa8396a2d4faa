#!/usr/bin/env bash
# Puts what is needed into .venv:  tools/setup.sh demo|data|test
#   demo   the package with its C parts; no torch
#   data   and torch, for pre-training on recordings
#   test   and all that the tests use: type checker, linters, river, Mosquitto, Chromium, RISC-V compiler and emulator
# Quick when nothing has changed; run it as often as you like.
set -euo pipefail
cd "$(dirname "$0")/.."
level=${1:-test}
case $level in
  demo) extras="" higher="data test" ;;
  data) extras="[torch]" higher="test" ;;
  test) extras="[test]" higher="" ;;
  *) echo "setup: unknown level '$level': demo, data or test" >&2; exit 2 ;;
esac

say() { echo "setup: $*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# What the installation depends on; the stamp of a level holds this.
inputs() {
  { find device_agent/firmware -name '*.[ch]' -o -path '*firmware*' -name CMakeLists.txt | LC_ALL=C sort
    echo CMakeLists.txt; echo pyproject.toml; echo tools/setup.sh
  } | xargs cksum | cksum
}
state=$(inputs)
for done_level in $level $higher; do
  [ "$(cat ".venv/.setup-$done_level" 2>/dev/null || true)" = "$state" ] && exit 0
done

# System packages, through apt where there is one and we may use it.
install_system() {
  local what=$1; shift
  have apt-get || fail "$what is missing, and there is no apt-get here: please install it ($*), then run this again"
  local root=()
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || fail "$what is missing: please run 'sudo apt-get install $*', then run this again"
    root=(sudo -n)
  fi
  say "installing $what ($*)"
  "${root[@]}" apt-get update -qq || say "the package lists could not be refreshed; trying with those at hand"
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
    fail "$what could not be installed: please run 'apt-get install $*' and look at what it says"
}
suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
find_python() {
  local name
  for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if have "$name" && suits "$name"; then echo "$name"; return; fi
  done
  return 1
}

have cc || have gcc || have clang || install_system "a C compiler" build-essential
if [ "$level" = test ]; then
  # Debian keeps mosquitto in /usr/sbin, which is not on everybody's PATH.
  have mosquitto || [ -x /usr/sbin/mosquitto ] || install_system "the Mosquitto broker" mosquitto
  # The tests start a private cluster of their own; the system's is never touched.
  have postgres || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || install_system "PostgreSQL" postgresql
  have chromium || have chromium-browser || have google-chrome || install_system "Chromium" chromium
  { have riscv64-unknown-elf-gcc && [ -d /usr/lib/picolibc/riscv64-unknown-elf ]; } ||
    install_system "the RISC-V compiler" gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf
  have qemu-system-riscv32 || install_system "the RISC-V emulator" qemu-system-misc
fi
# What only single tests use: without it they are skipped and say so.
try_system() {
  local what=$1; shift
  [ "$level" = test ] || return 0
  say "installing $what, if apt can"
  local root=()
  [ "$(id -u)" = 0 ] || root=(sudo -n)
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null 2>&1 ||
    say "$what could not be installed: the tests that use it will be skipped"
}
have mosquitto_sub || try_system "Mosquitto's clients" --no-install-recommends mosquitto-clients
have clang || try_system "clang with libFuzzer" clang  # libFuzzer is one of the packages that clang recommends
{ have aarch64-linux-gnu-gcc && have qemu-aarch64-static; } || try_system "the arm64 compiler and emulator" \
  --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
fetch_promtool() {  # named so that `have promtool` asks for the program; from Debian's package of Prometheus, whose service nobody here needs
  [ "$level" = test ] && [ ! -x .venv/bin/promtool ] && ! have promtool && have apt-get && have dpkg-deb || return 0
  local place=$PWD/.venv/promtool
  mkdir -p "$place" && (cd "$place" && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb .) >/dev/null 2>&1 &&
    mv "$place/usr/bin/promtool" .venv/bin/ || say "promtool is not to be had: the checks of alert rules will be skipped"
  rm -rf "$place"
}
fetch_asyncapi_parser() {
  [ "$level" = test ] && [ ! -d .venv/node/node_modules ] && have npm || return 0
  timeout 90 npm install --silent --no-audit --no-fund --prefix .venv/node @asyncapi/parser >/dev/null 2>&1 ||
    say "@asyncapi/parser is not to be had: its check of the AsyncAPI document will be skipped"
}
if [ ! -x .venv/bin/python ]; then
  python=$(find_python) || { install_system "Python 3.11 or newer" python3 python3-venv; python=$(find_python); } ||
    fail "Python 3.11 or newer is needed; name it with PYTHON=/path/to/python3 make setup"
  "$python" -c 'import ensurepip, venv' 2>/dev/null || install_system "Python's venv module" python3-venv
  say "creating .venv with $("$python" --version)"
  "$python" -m venv .venv
fi
suits .venv/bin/python || fail ".venv holds $(.venv/bin/python --version); 3.11 or newer is needed: make clean, then again"

build_tools=("scikit-build-core>=0.10" "setuptools-scm>=8")
have ninja || have make || build_tools+=(ninja)
new_enough() { have cmake && [ "$(printf '%s\n' 3.21 "$(cmake --version | sed -n '1s/.*version //p')" | sort -V | head -1)" = 3.21 ]; }
new_enough || build_tools+=("cmake>=3.21")

pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
say "installing biotrain$extras into .venv (the first time takes some minutes)"
# Without build isolation, so that a second build compiles only what has changed.
PATH="$PWD/.venv/bin:$PATH"
pip install -q "${build_tools[@]}"
pip install -q --no-compile --no-build-isolation -e ".$extras" ||
  fail "the installation failed; what pip said stands above"
# Byte code on every core, where pip uses one; some packages hold templates that are no Python.
.venv/bin/python -m compileall -qq -j 0 .venv/lib/python3*/site-packages >/dev/null || true
.venv/bin/biotrain --version >/dev/null
fetch_promtool
fetch_asyncapi_parser
echo "$state" > ".venv/.setup-$level"
say "done"

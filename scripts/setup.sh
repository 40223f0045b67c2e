#!/usr/bin/env bash
# Set up everything that the make targets need, in .venv: the locked packages, the project itself
# (editable) and its Jupyter kernel. `scripts/setup.sh browser` gets the browser
# that prints the book and tests the site, and the Java that checks the EPUB.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
needed_mb=9000

die() {
  echo "setup: $*" >&2
  exit 1
}

# Install a Debian package when we may, else say what to install.
need_package() {
  local package=$1 purpose=$2
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup: installing $package ($purpose)"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package"; } \
      >/dev/null || die "apt-get could not install $package ($purpose); install it by hand"
  else
    die "$package is missing ($purpose); install it, on Debian or Ubuntu with: sudo apt-get install $package"
  fi
}

environment() {
  command -v "$python" >/dev/null || die "$python is not here; install Python 3.11 to 3.13"
  "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    die "$("$python" --version) will not do; name a Python 3.11 to 3.13 with: make PYTHON=python3.11"
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    need_package "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv" \
      "virtual environments"
  if [ ! -x .venv/bin/python ]; then
    local free_mb
    free_mb=$(df -Pm . | awk 'NR == 2 {print $4}')
    [ "$free_mb" -ge "$needed_mb" ] ||
      die "only ${free_mb} MB are free here; the environment needs ${needed_mb} MB (PyTorch with CUDA)"
    "$python" -m venv .venv
  fi
  echo "setup: installing the locked packages into .venv (about 6 GB, minutes)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
  .venv/bin/python -m ipykernel install --sys-prefix --name python3 --display-name "Python 3 (convnets)" \
    >/dev/null
  touch .venv/.ready
}

# Ubuntu has no headless shell.
smallest_chromium() {
  apt-get update -qq >/dev/null 2>&1 || true
  if [ -n "$(apt-cache search --names-only '^chromium-headless-shell$' 2>/dev/null)" ]; then
    echo chromium-headless-shell
  else
    echo chromium
  fi
}

browser() {
  command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null ||
    command -v chromium-browser >/dev/null ||
    need_package "$(smallest_chromium)" "a browser for the PDF and the tests of the site"
  command -v java >/dev/null || need_package default-jre-headless "the test of the EPUB"
}

case ${1:-environment} in
  environment) environment ;;
  browser) browser ;;
  *) die "usage: scripts/setup.sh [environment|browser]" ;;
esac

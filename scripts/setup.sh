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

# Install the first of these Debian packages that exists, when we may, else say what to install.
need_package() {
  local purpose=$1 package
  shift
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq >/dev/null || die "apt-get update failed; install $* ($purpose) by hand"
    for package; do
      [ -n "$(apt-cache search --names-only "^$package\$")" ] || continue
      echo "setup: installing $package ($purpose)"
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >/dev/null && return
    done
    die "apt-get could not install $* ($purpose); install it by hand"
  else
    package=${!#}
    die "$package is missing ($purpose); install it, on Debian or Ubuntu with: sudo apt-get install $package"
  fi
}

environment() {
  command -v "$python" >/dev/null || die "$python is not here; install Python 3.11 to 3.13"
  "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
    die "$("$python" --version) will not do; name a Python 3.11 to 3.13 with: make PYTHON=python3.11"
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    need_package "virtual environments" \
      "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
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

browser() {
  command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null ||
    command -v chromium-browser >/dev/null ||
    need_package "a browser for the PDF and the tests of the site" chromium-headless-shell chromium
  command -v java >/dev/null || need_package "the test of the EPUB" default-jre-headless
}

case ${1:-environment} in
  environment) environment ;;
  browser) browser ;;
  *) die "usage: scripts/setup.sh [environment|browser]" ;;
esac

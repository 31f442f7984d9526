#!/bin/sh
# Installs what the build and the tests need from Debian or Ubuntu, if it is missing.
#
# Usage: system_packages.sh PYTHON 'PACKAGE:PROOF' ...
# PROOF is a command that must exist, or one of the names in present().
set -eu

python=$1
shift

present() {
    case $1 in
    python.h) "$python" -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' ;;
    python-venv) "$python" -c 'import ensurepip, venv' ;;
    clang-fuzzer) test -e "$(clang -print-file-name=libclang_rt.fuzzer-x86_64.a)" ;;
    *) command -v "$1" ;;
    esac >/dev/null 2>&1
}

missing=
for entry; do
    present "${entry#*:}" || missing="$missing ${entry%%:*}"
done
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
if ! command -v apt-get >/dev/null; then
    echo "Missing on this machine; install what your distribution calls:$missing" >&2
    exit 1
elif [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo=sudo
else
    echo "Missing on this machine. Run: sudo apt-get update && sudo $install" >&2
    exit 1
fi
echo "Installing$missing"
export DEBIAN_FRONTEND=noninteractive
# -E would be refused by some sudo configurations; env is not.
$sudo apt-get -q update
$sudo env DEBIAN_FRONTEND=noninteractive $install

for entry; do
    present "${entry#*:}" && continue
    echo "${entry%%:*} is installed, and still there is no ${entry#*:} for $python" >&2
    exit 1
done

# Sourced by demo.sh and test.sh: makes the virtual environment .venv in the checkout and installs into it.
# Give the extra to install as $1; safe to run again, and quick when nothing has changed.

set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "== $*"; }
die() { printf '%s\n' "error: $*" >&2; exit 1; }

find_python() {
    for name in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$name"
            return
        fi
    done
    die "Python 3.11 or newer is needed; on Debian, as root: apt-get install python3 python3-venv"
}

make_venv() {
    python=$(find_python)
    say "making the virtual environment .venv with $("$python" --version)"
    "$python" -c 'import ensurepip' 2>/dev/null ||
        die "$python cannot make virtual environments; on Debian, as root: apt-get install python3-venv"
    rm -rf .venv
    "$python" -m venv .venv
}

# OpenCV's wheel needs libraries that a desktop has and a bare server has not.
check_libraries() {
    missing=$(.venv/bin/python -c 'import cv2' 2>&1) && return
    case $missing in
        *libGL.so*) package=libgl1 ;;
        *libgthread* | *libglib*) package=libglib2.0-0 ;;
        *libxcb.so*) package=libxcb1 ;;
        *) die "OpenCV does not start: $missing" ;;
    esac
    die "OpenCV needs the system library of the package $package. On Debian, as root:
       apt-get install libgl1 libglib2.0-0 libxcb1    (all that it needs), then run this again.
       What it said: $(printf '%s' "$missing" | tail -n 1)"
}

install() {
    extras=$1
    [ -x .venv/bin/python ] && .venv/bin/python -c 'import pip' 2>/dev/null || make_venv
    stamp=.venv/installed-$extras
    if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
        say "installing ethostore[$extras] into .venv (a minute or two the first time)"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$extras]"
        touch "$stamp"
    else
        say "ethostore is installed in .venv already"
    fi
    check_libraries
}

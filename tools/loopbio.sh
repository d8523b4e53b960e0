#!/bin/sh
# Installs loopbio's imgstore, the package ours replaces, into an environment of its own, .venv/loopbio, for the tests
# that pass stores between the two. Prints the path of its Python on the last line.

. "$(dirname "$0")/setup.sh"
[ -x .venv/bin/python ] || die "run tools/demo.sh or tools/test.sh first: there is no .venv"
if [ ! -e .venv/loopbio/installed-h5py ]; then
    rm -rf .venv/loopbio
    .venv/bin/python -m venv .venv/loopbio
    .venv/loopbio/bin/python -m pip install --quiet --disable-pip-version-check imgstore==0.4.0 opencv-python h5py
    touch .venv/loopbio/installed-h5py
fi
printf '%s\n' "$PWD/.venv/loopbio/bin/python"

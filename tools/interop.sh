#!/bin/sh
# Installs the packages that read what we export (ethoscopy, SLEAP's sleap-io, movement, nwbinspector) into an
# environment of their own, .venv/interop, for the tests of exports: they want other versions of pandas than we do, and
# take some 2 GB. Prints the path of its Python on the last line.

. "$(dirname "$0")/setup.sh"
[ -x .venv/bin/python ] || die "run tools/demo.sh or tools/test.sh first: there is no .venv"
if [ ! -e .venv/interop/installed ]; then
    rm -rf .venv/interop
    .venv/bin/python -m venv .venv/interop
    say "installing ethoscopy, sleap-io, movement and nwbinspector into .venv/interop (some minutes)"
    .venv/interop/bin/python -m pip install --quiet --disable-pip-version-check \
        ethoscopy==2.0.5 sleap-io==0.9.5 movement==0.15.0 nwbinspector==0.7.2 pynwb==4.2.0 ndx-pose==0.4.0 h5netcdf
    touch .venv/interop/installed
fi
printf '%s\n' "$PWD/.venv/interop/bin/python"

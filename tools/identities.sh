#!/bin/sh
# Installs trackpy and norfair, whose linkers people use, and TrackEval, which judges them, into an environment of their
# own, .venv/identities, for tools/bench/identities.py. Prints the path of its Python on the last line.

. "$(dirname "$0")/setup.sh"
[ -x .venv/bin/python ] || die "run tools/demo.sh or tools/test.sh first: there is no .venv"
judges=.venv/identities

if [ ! -e $judges/installed ]; then
    rm -rf $judges
    .venv/bin/python -m venv $judges
    say "installing trackpy, norfair and TrackEval into $judges"
    $judges/bin/python -m pip --disable-pip-version-check install --quiet trackpy==0.7 norfair==2.3.0 trackeval
    $judges/bin/python -c 'import trackpy, norfair, trackeval'
    touch $judges/installed
fi
printf '%s\n' "$PWD/$judges/bin/python"

#!/bin/sh
# Runs the test suite of loopbio's imgstore 0.4.0, unchanged, on our package of that name. Nothing of theirs is
# installed: their package is unpacked into a temporary folder, and only `imgstore.tests` is taken from there.
# Arguments go to pytest: sh tools/loopbio-suite.sh -k seek

. "$(dirname "$0")/setup.sh"
[ -x .venv/bin/python ] || die "run tools/demo.sh or tools/test.sh first: there is no .venv"
python=$PWD/.venv/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

say "fetching the suite of loopbio's imgstore 0.4.0"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" imgstore==0.4.0
"$python" -m pip install --quiet --disable-pip-version-check --target "$work/libraries" pytz
"$python" -m zipfile -e "$work"/imgstore-0.4.0-*.whl "$work/theirs"

cat >"$work/suite.py" <<'PYTHON'
import sys

ours, work, *arguments = sys.argv[1:]
sys.path[:0] = [ours]
sys.path.append(f"{work}/libraries")
import imgstore  # noqa: E402
import pytest  # noqa: E402

if not imgstore.__file__.startswith(ours):
    sys.exit(f"error: imgstore comes from {imgstore.__file__}, not from this checkout")
imgstore.__path__.append(f"{work}/theirs/imgstore")
alone = ["-c", "/dev/null", "--rootdir", work, "-p", "no:cacheprovider", "--disable-warnings", "-ra"]
sys.exit(pytest.main([*alone, "--pyargs", "imgstore.tests", *arguments]))
PYTHON
say "running it on our imgstore"
cd "$work"
"$python" suite.py "$OLDPWD" "$work" "$@"

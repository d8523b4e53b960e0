#!/bin/sh
# Installs ethostore and the tools for its tests into .venv in this checkout, then runs all checks and tests.
# Arguments go to pytest: sh tools/test.sh -k seek

. "$(dirname "$0")/setup.sh"
install dev
PATH=$PWD/.venv/bin:$PATH
say "the programs that read our exports, in an environment of their own, beside what follows"
sh tools/interop.sh >.venv/interop.log 2>&1 &
interop=$!
say "ruff: format and lint"
ruff format --check .
ruff check .
say "mypy: types, beside what follows"
mypy >.venv/mypy.log 2>&1 &
types=$!
say "import-linter: who imports whom"
lint-imports
say "loopbio's imgstore, in an environment of its own, to pass stores to and fro"
ETHOSTORE_LOOPBIO_PYTHON=$(sh tools/loopbio.sh | tail -n 1)
export ETHOSTORE_LOOPBIO_PYTHON
say "loopbio's own tests, unchanged, on our imgstore"
sh tools/loopbio-suite.sh
wait $types || { cat .venv/mypy.log; exit 1; }
cat .venv/mypy.log
wait $interop || { cat .venv/interop.log; exit 1; }
ETHOSTORE_INTEROP_PYTHON=$(tail -n 1 .venv/interop.log)
export ETHOSTORE_INTEROP_PYTHON
say "pytest: tests"
exec pytest -n auto --maxprocesses 8 --dist worksteal "$@"

#!/bin/sh
# Installs ethostore into .venv in this checkout, then films a simulated arena, tracks it, scores and plots it.
# Arguments go to `ethostore demo`: sh tools/demo.sh --out DIR --seconds 60

. "$(dirname "$0")/setup.sh"
install parquet
say "running: ethostore demo${*:+ $*}"
exec .venv/bin/ethostore demo "$@"

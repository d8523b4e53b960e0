#!/bin/sh
# Installs ataraxis-video-system, another recorder of cameras, into an environment of its own, .venv/axvs, for
# tools/bench/recorder.py. It needs Python 3.12 to 3.14, which AXVS_PYTHON may name, and ffmpeg on the PATH. Prints the
# path of its Python on the last line.

. "$(dirname "$0")/setup.sh"
axvs=.venv/axvs

find_newer_python() {
    for name in ${AXVS_PYTHON:-} python3.14 python3.13 python3.12 "$HOME"/.pyenv/versions/3.14.*/bin/python \
        "$HOME"/.pyenv/versions/3.13.*/bin/python "$HOME"/.pyenv/versions/3.12.*/bin/python; do
        if "$name" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 15))' 2>/dev/null; then
            printf '%s' "$name"
            return
        fi
    done
    die "ataraxis-video-system needs Python 3.12 to 3.14; name one with AXVS_PYTHON"
}

command -v ffmpeg >/dev/null || die "ataraxis-video-system needs ffmpeg; on Debian, as root: apt-get install ffmpeg"
if [ ! -e $axvs/installed ]; then
    rm -rf $axvs
    python=$(find_newer_python)
    say "installing ataraxis-video-system into $axvs with $("$python" --version)"
    mkdir -p .venv
    "$python" -m venv $axvs
    $axvs/bin/python -m pip install --quiet --disable-pip-version-check ataraxis-video-system==5.2.0
    $axvs/bin/python -c 'import ataraxis_video_system'
    touch $axvs/installed
fi
printf '%s\n' "$PWD/$axvs/bin/python"

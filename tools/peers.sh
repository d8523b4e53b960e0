#!/bin/sh
# Installs torchcodec and decord, which read videos as the store does, into an environment of their own, .venv/peers, for
# tools/bench/store.py. Takes some 1 GB: torch is large. Prints the path of its Python on the last line.
#
# Torchcodec takes FFmpeg from the system; here it is shown the one that PyAV brings. On the CPU it needs a torch
# without CUDA: the newest "+cpu" that pip finds, or the plain one where there is none.

. "$(dirname "$0")/setup.sh"
[ -x .venv/bin/python ] || die "run tools/demo.sh or tools/test.sh first: there is no .venv"
peers=.venv/peers
pip="$peers/bin/python -m pip --disable-pip-version-check"

newest_cpu_torch() {
    $pip index versions torch 2>/dev/null | tr -d ' ' | tr ',:' '\n\n' | sed -n '/+cpu$/{p;q;}'
}

# Torchcodec asks for libavcodec.so.62; PyAV's file is libavcodec-5e6b81c2.so.62.28.102.
name_ffmpeg() {
    for file in "$1"/libav*-*.so.* "$1"/libsw*-*.so.*; do
        name=${file##*/}
        major=${name#*.so.}
        ln -sf "$name" "$1/${name%%-*}.so.${major%%.*}"
    done
}

if [ ! -e $peers/installed ]; then
    rm -rf $peers
    .venv/bin/python -m venv $peers
    cpu=$(newest_cpu_torch)
    say "installing torch${cpu:+ $cpu}, torchcodec and decord into $peers (some minutes)"
    $pip install --quiet "torch${cpu:+==$cpu}" "torchcodec==0.11.1" av==18.1.0 numpy # later torchcodecs need CUDA
    $pip install --quiet decord || $pip install --quiet decord2
    libraries=$(cd "$($peers/bin/python -c 'import av; print(av.__path__[0])')/../av.libs" && pwd)
    name_ffmpeg "$libraries"
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$libraries" "$PWD/$peers/bin/python" >$peers/bin/peer-python
    chmod +x $peers/bin/peer-python
    $peers/bin/peer-python -c 'import torchcodec, decord'
    touch $peers/installed
fi
printf '%s\n' "$PWD/$peers/bin/peer-python"

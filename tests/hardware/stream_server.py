"""A camera on the network: sends pictures that show their own number. Run as a program, it prints its port.

Every client gets the same pictures, from number 0 on.
"""

import argparse
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import BinaryIO

import av
import numpy as np

SHAPE = (96, 128)
BITS = 8
RATE = 50
RTP_CLOCK = 90_000
KEYFRAME_EVERY = 10
DARK, BRIGHT = 40, 210


def picture(number: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Return a grey image of bars that say `number` modulo 256, lowest bit first."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    columns = np.arange(shape[1]) * BITS // shape[1]
    row = np.where(np.array(bits)[columns] == 1, BRIGHT, DARK).astype(np.uint8)
    return np.tile(row, (shape[0], 1))


def number_of(image: np.ndarray) -> int:
    """Return what a picture says, however it was encoded; colour or grey."""
    grey = image if image.ndim == 2 else image.mean(axis=2)
    bars = np.array_split(grey, BITS, axis=1)
    return sum(int(np.median(bar) > (DARK + BRIGHT) / 2) << bit for bit, bar in enumerate(bars))


def encoded(codec: str, args: argparse.Namespace) -> Iterator[tuple[int, av.Packet]]:
    """Yield number and packet of each picture when it is due."""
    context, began = None, time.monotonic()
    for number in range(args.frames):
        changed = number == args.resize_at
        if context is None or changed:
            shape = SHAPE if number < args.resize_at else (2 * SHAPE[0], 2 * SHAPE[1])
            context = open_encoder(codec, shape)
        time.sleep(max(began + number / RATE - time.monotonic(), 0))
        frame = av.VideoFrame.from_ndarray(picture(number, shape), format="gray")
        frame = frame.reformat(format=context.pix_fmt)
        frame.pts = number
        for packet in context.encode(frame):
            if number == args.damage_at:
                data = bytes(packet)
                half = data[: len(data) // 2]
                damaged = av.Packet(half)
                damaged.pts, damaged.dts, damaged.time_base = packet.pts, packet.dts, packet.time_base
                packet = damaged
            yield number, packet
        while number == args.silent_after:
            time.sleep(1)


def open_encoder(codec: str, shape: tuple[int, int]) -> av.VideoCodecContext:
    """Return an encoder that gives a packet for every picture at once."""
    context = av.CodecContext.create(codec, "w")
    context.height, context.width = shape
    context.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    context.time_base, context.framerate = Fraction(1, RATE), Fraction(RATE)
    context.thread_count = 1
    if codec == "libx264":
        context.options = {
            "tune": "zerolatency",
            "g": str(KEYFRAME_EVERY),
            "preset": "ultrafast",
            "crf": "20",
        }
    return context


def send_mjpeg(connection: socket.socket, args: argparse.Namespace) -> None:
    """Answer a request with JPEGs, one after the other."""
    connection.recv(65536)
    if args.unauthorized:
        connection.sendall(b'HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="camera"\r\n\r\n')
        return
    if args.playlist:
        send_playlist(connection)
        return
    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=next\r\n\r\n")
    for _, packet in encoded("mjpeg", args):
        data = bytes(packet)
        connection.sendall(
            b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data)
        )


def send_playlist(connection: socket.socket) -> None:
    """Answer with a list that leads to a file of the client's own machine."""
    body = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
    head = b"HTTP/1.0 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\nContent-Length: %d\r\n\r\n"
    connection.sendall(head % len(body) + body)


class SocketFile:
    """What PyAV writes to."""

    name = "stream.ts"

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def write(self, data: bytes) -> int:
        self._connection.sendall(data)
        return len(data)


def send_mpegts(target: SocketFile | str, args: argparse.Namespace) -> None:
    """Send H.264 in MPEG-TS."""
    with av.open(target, "w", format="mpegts", options={"flush_packets": "1"}) as container:
        template = open_encoder("libx264", SHAPE)
        stream = container.add_stream("libx264", rate=RATE)
        stream.height, stream.width = SHAPE
        stream.pix_fmt = template.pix_fmt
        for _, packet in encoded("libx264", args):
            packet.stream = stream
            container.mux(packet)


SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    f"a=rtpmap:96 H264/{RTP_CLOCK}\r\na=fmtp:96 packetization-mode=1\r\na=framerate:{RATE}\r\n"
    "a=control:track\r\n"
)


def send_rtsp(connection: socket.socket, args: argparse.Namespace) -> None:
    """Answer RTSP requests (RFC 2326), then send RTP on the same connection until the client leaves."""
    with connection.makefile("rb") as requests:
        while request := _read_request(requests):
            method, count = request
            head, body = f"RTSP/1.0 200 OK\r\nCSeq: {count}\r\nSession: 1\r\n", ""
            if method == "OPTIONS":
                head += "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif method == "DESCRIBE":
                head, body = head + "Content-Type: application/sdp\r\n", SDP
            elif method == "SETUP":
                head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            if method == "PLAY":
                send_rtp(connection, args)
                return


def _read_request(requests: BinaryIO) -> tuple[str, str] | None:
    """Return method and sequence number; None when the client has left."""
    method = requests.readline().decode().partition(" ")[0]
    count = ""
    while line := requests.readline().decode().strip():
        name, _, value = line.partition(":")
        count = value.strip() if name.lower() == "cseq" else count
    return (method, count) if method else None


def send_rtp(connection: socket.socket, args: argparse.Namespace) -> None:
    """Send H.264, a unit to a packet (RFC 6184), each with its length before it (RFC 2326, 10.12)."""
    sequence = 0
    for number, packet in encoded("libx264", args):
        units = [unit for unit in re.split(rb"\x00\x00\x00?\x01", bytes(packet)) if unit]
        for unit in units:
            marker = 0x80 if unit is units[-1] else 0
            stamp = number * RTP_CLOCK // RATE
            header = struct.pack(">BBHII", 0x80, 96 | marker, sequence & 0xFFFF, stamp, 7)
            connection.sendall(struct.pack(">cBH", b"$", 0, len(header + unit)) + header + unit)
            sequence += 1


def serve(kind: str, args: argparse.Namespace) -> None:
    """Serve one client after the other, for ever."""
    send: dict[str, Callable[[socket.socket], None]] = {
        "mjpeg": lambda connection: send_mjpeg(connection, args),
        "mpegts": lambda connection: send_mpegts(SocketFile(connection), args),
        "rtsp": lambda connection: send_rtsp(connection, args),
        "mute": lambda connection: connection.recv(1 << 30, socket.MSG_WAITALL),
    }
    with socket.create_server(("127.0.0.1", args.port)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection, _ = server.accept()
            with connection:
                try:
                    send[kind](connection)
                except (OSError, av.FFmpegError):  # the client left
                    continue


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["mjpeg", "mpegts", "rtsp", "udp", "mute"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--unauthorized", action="store_true")
    parser.add_argument("--playlist", action="store_true")
    parser.add_argument("--frames", type=int, default=1 << 30)
    for name in ("silent-after", "resize-at", "damage-at"):
        parser.add_argument(f"--{name}", type=int, default=1 << 30)
    args = parser.parse_args()
    if args.kind == "udp":
        print(args.port, flush=True)
        while True:
            send_mpegts(f"udp://127.0.0.1:{args.port}?pkt_size=1316", args)
    serve(args.kind, args)


if __name__ == "__main__":
    main()

"""A stand-in for picamera2 0.3: what our camera asks of the library behaves as it does there.

Images are completed by one thread, the sensor's, and handed to the callbacks by another, Picamera2's, as in
the library. A buffer whose request is released is written over at once: a view that somebody kept shows it.
The sensor does not wait. If no request is queued when an image is due, the image is lost.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

RELEASED = 0xDD
PADDING = 0xEE
SENSOR = (3280, 2464)
USUAL_US = 33_333


def luma(sequence: int, rows: int, columns: int) -> np.ndarray:
    """Return the grey image that the sensor takes as number `sequence`."""
    return ((np.arange(rows)[:, None] * 3 + np.arange(columns) + 11 * sequence) % 220).astype(np.uint8)


@dataclass
class Scene:
    """What happens.

    Attributes
    ----------
    infos : the cameras that are connected, as `global_camera_info` tells.
    skipped : images, counted from the start, that never come and leave a gap in the sequence.
    unseen : the same, but the sequence goes on as if nothing were missing.
    silent_after : how many images come before there are no more.
    first_sequence : of the first image.
    clock_ahead_ns : of the sensor's clock before the monotonic one.
    stride : bytes that rows are rounded up to.
    formats : formats that are given instead of those that are asked for.
    busy : another process has the camera.
    memory : bytes of contiguous memory.
    start_fails, stop_fails : whether `start` and `stop` raise.
    unmappable : the sequence of an image whose buffer cannot be read.
    """

    infos: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {
                "Model": "imx219",
                "Location": 2,
                "Rotation": 180,
                "Id": "/base/soc/i2c0mux/i2c@1/imx219@10",
                "Num": 0,
            }
        ]
    )
    skipped: frozenset[int] = frozenset()
    unseen: frozenset[int] = frozenset()
    silent_after: int | None = None
    first_sequence: int = 0
    clock_ahead_ns: int = 0
    stride: int = 64
    formats: Mapping[str, str] = field(default_factory=dict)
    controls: frozenset[str] = frozenset(
        {"ExposureTime", "AnalogueGain", "AwbEnable", "AwbMode", "ColourGains", "NoiseReductionMode"}
    )
    busy: bool = False
    memory: int = 64 << 20
    start_fails: bool = False
    stop_fails: bool = False
    unmappable: int | None = None


class StandIn:
    """What `import picamera2` gives."""

    def __init__(self, scene: Scene | None = None) -> None:
        self.scene = scene or Scene()
        self.opened: list[Picamera2] = []
        self.MappedArray = MappedArray
        self.Picamera2 = _Class(self)


class _Class:
    """The class Picamera2, which knows the cameras without being made."""

    def __init__(self, library: StandIn) -> None:
        self._library = library

    def global_camera_info(self) -> list[dict[str, Any]]:
        return list(self._library.scene.infos)

    def __call__(self, camera_num: int = 0) -> "Picamera2":
        if camera_num >= len(self._library.scene.infos):
            raise RuntimeError(f"No camera number {camera_num} found")
        camera = Picamera2(self._library.scene)
        self._library.opened.append(camera)
        return camera


class Picamera2:
    """One camera."""

    def __init__(self, scene: Scene) -> None:
        if scene.busy:
            reason = RuntimeError("Failed to acquire camera: Device or resource busy")
            raise RuntimeError("Camera __init__ sequence did not complete.") from reason
        self.scene = scene
        self.pre_callback: Callable[[CompletedRequest], None] | None = None
        self.post_callback: Callable[[CompletedRequest], None] | None = None
        self.camera_config: dict[str, Any] = {}
        self.controls: dict[str, Any] = {}
        self.is_open = True
        self.started = False
        self.stop_count = 0
        self.request_lock = threading.Lock()
        self.starved = 0
        self.images = 0
        self.condition = threading.Condition()
        self.free: deque[Request] = deque()
        self.completed: deque[CompletedRequest] = deque()
        self.kept: list[CompletedRequest] = []
        self.threads: list[threading.Thread] = []

    @property
    def camera_controls(self) -> dict[str, tuple[Any, Any, Any]]:
        size = self.camera_config["main"]["size"] if self.camera_config else SENSOR
        shortest = 47_183 if size[0] * size[1] > SENSOR[0] * SENSOR[1] // 4 else 1_000
        known = {
            "FrameDurationLimits": (shortest, 1_000_000, None),
            "ExposureTime": (75, 11_766_829, None),
            "AnalogueGain": (1.0, 10.666, None),
            "AwbEnable": (False, True, None),
            "AwbMode": (0, 7, 0),
            "ColourGains": (0.0, 32.0, None),
            "NoiseReductionMode": (0, 4, 0),
            "AfMode": (0, 2, 0),
            "LensPosition": (0.0, 32.0, 1.0),
        }
        return {
            key: value for key, value in known.items() if key in {"FrameDurationLimits", *self.scene.controls}
        }

    def create_preview_configuration(self) -> dict[str, Any]:
        return {"colour_space": "<libcamera.ColorSpace 'sYCC'>"}

    def create_video_configuration(
        self,
        main: dict[str, Any] | None = None,
        lores: dict[str, Any] | None = None,
        raw: dict[str, Any] | None = None,
        buffer_count: int = 6,
        controls: dict[str, Any] | None = None,
        queue: bool = True,
    ) -> dict[str, Any]:
        main = {"format": "XBGR8888", "size": (1280, 720), "preserve_ar": True} | (main or {})
        streams = [main]
        if lores is not None:
            lores = {"format": "YUV420", "size": main["size"], "preserve_ar": False} | lores
            streams.append(lores)
        for stream in streams:
            columns, rows = stream["size"]
            stream["size"] = (columns - columns % 2, rows - rows % 2)
        return {
            "colour_space": "<libcamera.ColorSpace 'SMPTE170M'>",
            "buffer_count": buffer_count,
            "queue": queue,
            "main": main,
            "lores": lores,
            "raw": raw,
            "controls": {"NoiseReductionMode": 1, "FrameDurationLimits": (USUAL_US, USUAL_US)}
            | (controls or {}),
        }

    def configure(self, camera_config: dict[str, Any]) -> None:
        if self.started:
            raise RuntimeError("Camera must be stopped before configuring")
        config = dict(camera_config)
        main, lores = config["main"], config["lores"]
        if lores is not None and (lores["size"][0] > main["size"][0] or lores["size"][1] > main["size"][1]):
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        needed = 0
        for name in _streams(config):
            config[name] = self._adjusted(config[name])
            needed += config[name]["framesize"] * config["buffer_count"]
        if needed > self.scene.memory:
            raise OSError(12, "Cannot allocate memory")
        self.camera_config = config
        self.controls = {}
        self.set_controls(config["controls"])

    def _adjusted(self, stream: dict[str, Any]) -> dict[str, Any]:
        columns, rows = (min(pair) for pair in zip(stream["size"], SENSOR, strict=True))
        name = self.scene.formats.get(stream["format"], stream["format"])
        used = columns * {"RGB888": 3, "BGR888": 3, "XRGB8888": 4, "XBGR8888": 4, "YUYV": 2}.get(name, 1)
        stride = -(-used // self.scene.stride) * self.scene.stride
        planar = name in ("YUV420", "YVU420", "NV12", "NV21")
        size = stride * (rows * 3 // 2 if planar else rows)
        return stream | {"format": name, "size": (columns, rows), "stride": stride, "framesize": size}

    def camera_configuration(self) -> dict[str, Any]:
        return self.camera_config

    def set_controls(self, controls: dict[str, Any]) -> None:
        for name, value in controls.items():
            if name not in self.camera_controls:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
            self.controls[name] = value

    def start(self) -> None:
        if not self.camera_config:
            raise RuntimeError("Camera has not been configured")
        if self.scene.start_fails:
            raise RuntimeError("Failed to start camera: Broken pipe")
        count = self.camera_config["buffer_count"]
        self.free = deque(Request(self.camera_config) for _ in range(count))
        self.started = True
        self.threads = [
            threading.Thread(target=self._expose, name="sensor"),
            threading.Thread(target=self._run, name="picamera2 events"),
        ]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        if not self.started:
            return
        with self.condition:
            self.started = False
            self.stop_count += 1
            self.condition.notify_all()
        for thread in self.threads:
            thread.join()
        self.threads = []
        for request in [*self.completed, *self.kept]:
            request.release()
        self.completed.clear()
        self.kept.clear()
        if self.scene.stop_fails:
            raise RuntimeError("Failed to stop camera: Broken pipe")

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            fails, self.scene.stop_fails = self.scene.stop_fails, False
            self.stop()
            self.scene.stop_fails = fails

    def _expose(self) -> None:
        """Take images at the pace of FrameDurationLimits, into the buffers that are there."""
        duration_us = self.controls["FrameDurationLimits"][0]
        began_ns = time.monotonic_ns()
        sequence = self.scene.first_sequence
        number = 0
        while number != self.scene.silent_after:
            due_ns = began_ns + (number + 1) * duration_us * 1000  # at the end of the first exposure
            with self.condition:
                self.condition.wait_for(lambda: not self.started, max(due_ns - time.monotonic_ns(), 0) / 1e9)
                if not self.started:
                    return
                if number not in self.scene.skipped | self.scene.unseen:
                    self._complete(sequence, due_ns, duration_us)
            sequence = (sequence + (number not in self.scene.unseen)) % 2**32
            number += 1

    def _complete(self, sequence: int, due_ns: int, duration_us: int) -> None:
        if not self.free:
            self.starved += 1
            return
        request = self.free.popleft()
        self.images += 1
        exposure_us = self.controls.get("ExposureTime", min(duration_us, 10_000) // 2)
        request.fill(sequence)
        request.metadata = {
            "SensorTimestamp": due_ns + self.scene.clock_ahead_ns,
            "ExposureTime": exposure_us,
            "FrameDuration": duration_us,
            "AnalogueGain": self.controls.get("AnalogueGain", 1.5),
            "ColourGains": self.controls.get("ColourGains", (1.6, 1.9)),
        }
        if "LensPosition" in self.controls:
            request.metadata["LensPosition"] = self.controls["LensPosition"]
        self.completed.append(CompletedRequest(request, self))
        self.condition.notify_all()

    def _run(self) -> None:
        """Hand over what is complete; an exception of a callback ends it, as it ends the library's."""
        while True:
            with self.condition:
                self.condition.wait_for(lambda: self.completed or not self.started)
                if not self.started:
                    return
                requests = list(self.completed)
                self.completed.clear()
            for request in requests:
                self.kept.append(request)
                request.acquire()
                if self.pre_callback:
                    self.pre_callback(request)
            for request in requests:
                if self.post_callback:
                    self.post_callback(request)
                request.release()
            while len(self.kept) > (1 if self.camera_config["queue"] else 0):
                self.kept.pop(0).release()


class Request:
    """libcamera's request: buffers, which are used again and again."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = {name: config[name] for name in _streams(config)}
        self.buffers = {name: FrameBuffer(stream["framesize"]) for name, stream in self.config.items()}
        self.metadata: dict[str, Any] = {}

    def fill(self, sequence: int) -> None:
        """Write the image with this number into all buffers."""
        for name, buffer in self.buffers.items():
            stream = self.config[name]
            columns, rows = stream["size"]
            buffer.metadata.sequence = sequence
            buffer.memory[:] = PADDING
            image = luma(sequence, rows, columns)
            plane = buffer.memory[: rows * stream["stride"]].reshape(rows, stream["stride"])
            if stream["format"] in ("YUV420", "YVU420", "NV12", "NV21", "R8"):
                plane[:, :columns] = image
                buffer.memory[rows * stream["stride"] :] = 128
            else:
                plane[:, : image.size // rows * _bytes(stream["format"])] = _packed(stream["format"], image)

    def reuse(self) -> None:
        """The camera writes into the buffers again."""
        for buffer in self.buffers.values():
            buffer.memory[:] = RELEASED


def _bytes(name: str) -> int:
    return {"RGB888": 3, "BGR888": 3, "XRGB8888": 4, "XBGR8888": 4, "YUYV": 2}[name]


def _packed(name: str, image: np.ndarray) -> np.ndarray:
    """Return rows of bytes: blue is the image, green half of it, red what is left to 255."""
    blue, green, red, fourth = image, image // 2, 255 - image, np.full_like(image, 255)
    order = {
        "RGB888": (blue, green, red),
        "BGR888": (red, green, blue),
        "XRGB8888": (blue, green, red, fourth),
        "XBGR8888": (red, green, blue, fourth),
        "YUYV": (image, np.full_like(image, 128)),
    }[name]
    return np.stack(order, axis=-1).reshape(len(image), -1)


class FrameBuffer:
    """A buffer of libcamera."""

    def __init__(self, size: int) -> None:
        self.memory = np.full(size, RELEASED, np.uint8)
        self.metadata = _Metadata()


class _Metadata:
    """Of a buffer."""

    def __init__(self) -> None:
        self.sequence = 0


class CompletedRequest:
    """What callbacks get."""

    def __init__(self, request: Request, camera: Picamera2) -> None:
        self.request: Request | None = request
        self.picam2 = camera
        self.config = dict(request.config)
        self.ref_count = 1
        self.stop_count = camera.stop_count

    def acquire(self) -> None:
        with self.picam2.request_lock:
            if self.ref_count == 0:
                raise RuntimeError("CompletedRequest: acquiring lock with ref_count 0")
            self.ref_count += 1

    def release(self) -> None:
        with self.picam2.request_lock:
            self.ref_count -= 1
            if self.ref_count < 0:
                raise RuntimeError("CompletedRequest: lock now has negative ref_count")
            if self.ref_count:
                return
            request, self.request = self.request, None
        request.reuse()
        if self.stop_count == self.picam2.stop_count:
            with self.picam2.condition:
                self.picam2.free.append(request)
                self.picam2.condition.notify_all()

    def get_metadata(self) -> dict[str, Any]:
        return dict(self.request.metadata)

    def make_buffer(self, name: str) -> np.ndarray:
        return self.request.buffers[name].memory.copy()

    def make_array(self, name: str) -> np.ndarray:
        stream = self.config[name]
        if stream["format"] not in ("YUV420", "YVU420"):
            raise RuntimeError(f"Format {stream['format']} not supported")
        return self.make_buffer(name).reshape(stream["size"][1] * 3 // 2, stream["stride"])


class MappedArray:
    """The memory of a buffer, not a copy."""

    def __init__(
        self, request: CompletedRequest, stream: str, reshape: bool = True, write: bool = True
    ) -> None:
        if reshape:
            raise NotImplementedError("the stand-in gives bytes")
        buffer = request.request.buffers[stream]
        if buffer.metadata.sequence == request.picam2.scene.unmappable:
            raise RuntimeError("failed to lock-sync-write dma buf")
        self._memory = buffer.memory
        self.array: np.ndarray | None = None

    def __enter__(self) -> "MappedArray":
        self.array = self._memory[:]
        return self

    def __exit__(self, *_: object) -> None:
        self.array = None


def _streams(config: Mapping[str, Any]) -> list[str]:
    return [name for name in ("main", "lores") if config[name] is not None]

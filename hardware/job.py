"""All that has to be known to record one camera: a value that goes to another process."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hardware.address import without_secrets
from hardware.callback import Callback, FrameFunction, as_record, find_function
from hardware.callback_process import CallbackProcess
from hardware.camera import Camera, CameraSettings, open_camera
from hardware.disk import DiskGuard, FolderMeter
from hardware.errors import SettingError
from hardware.feed.writer import FeedWriter
from hardware.frame import CameraFrame
from hardware.place import check_place
from hardware.recorder import Recorder
from hardware.recording import DEFAULT_MEMORY, RecordLimit, Saving
from hardware.store_sink import StoreSink, StoreSpec, check_store
from imgstore import FORMATS, FrameSink, FrameSpec

DEFAULT_RESERVE = 1_000_000_000
DEFAULT_SILENCE_S = 5.0

_ANY_SPEC = FrameSpec((960, 1280))


@dataclass(frozen=True, slots=True)
class CameraJob:
    """What to record, and how.

    Attributes
    ----------
    name : of the camera in its rig.
    source, settings : see `open_camera`.
    stores : where its frames go; two for a pair of cameras side by side in one picture.
    limit, saving : when to end, and when to write.
    memory : bytes of frames that may wait to be written.
    silence_s, give_up_s : see `Recorder`.
    reserve : bytes that are left free on the disk.
    queue_frames : how many frames may wait, instead of `memory`.
    feed : name of the live feed for other processes; None for none.
    callback : "package.module:function" that looks at each frame, see `Callback`; what it returns goes into
        the extra data. None for none.
    callback_last : how many of the last frames it gets.
    callback_process : whether it runs in a process of its own.
    """

    name: str
    source: str
    stores: tuple[StoreSpec, ...]
    settings: CameraSettings = field(default_factory=CameraSettings)
    limit: RecordLimit = field(default_factory=RecordLimit)
    saving: Saving = field(default_factory=Saving)
    memory: int = DEFAULT_MEMORY
    silence_s: float = DEFAULT_SILENCE_S
    give_up_s: float | None = None
    reserve: int = DEFAULT_RESERVE
    queue_frames: int | None = None
    feed: str | None = None
    callback: str | None = None
    callback_last: int = 1
    callback_process: bool = False

    def __post_init__(self) -> None:
        if not self.stores:
            raise SettingError(f"{self.name} records into no store; give at least one")
        if self.memory < 1 or self.reserve < 0 or not self.silence_s > 0:
            raise SettingError(
                f"memory and silence of {self.name} are above 0 and its reserve not below, "
                f"not {self.memory} bytes, {self.silence_s} s and {self.reserve} bytes"
            )

        if self.give_up_s is not None and not self.give_up_s >= 0:
            raise SettingError(f"{self.name} is given up after 0 seconds or more, not {self.give_up_s}")

    def camera(self) -> Camera:
        """Return the camera; it is not started. Raises what `open_camera` raises."""
        return open_camera(self.source, self.settings)

    def recorder(self) -> Recorder:
        """Return what records it; nothing is opened.

        Raises what `open_camera` and `check_place` raise, and SettingsError for settings that a format has
        not: saving may begin hours from now.
        """
        for store in self.stores:
            check_place(store.path, self.reserve)
            FORMATS.get(store.format).settings(_ANY_SPEC, store.settings)
        camera = self.camera()
        function = None if self.callback is None else find_function(self.callback)
        meters = [FolderMeter(store.path) for store in self.stores]
        recorder = Recorder(
            camera,
            lambda spec: self._open_stores(camera, spec),
            limit=self.limit,
            saving=self.saving,
            memory=self.memory,
            queue_frames=self.queue_frames,
            silence_s=self.silence_s,
            give_up_s=self.give_up_s,
            disk=DiskGuard(self.stores[0].path, reserve=self.reserve),
            size=lambda: sum(meter.bytes() for meter in meters),
            open_taps=lambda spec: self._open_taps(spec, function, recorder),
        )
        return recorder

    def _open_taps(
        self, spec: FrameSpec, function: FrameFunction | None, recorder: Recorder
    ) -> Sequence[FrameSink]:
        for store in self.stores:
            check_store(store, spec)  # which may be made hours from now
        taps: list[FrameSink] = []
        feed, process = self.feed, None
        if self.callback is not None and self.callback_process:
            feed = feed or f"callback-{os.getpid()}-{self.name}"
            process = CallbackProcess(
                feed, self.callback, last=self.callback_last, results=recorder.append_extra
            )
        elif function is not None:

            def keep(frame: CameraFrame, result: Mapping[str, object]) -> None:
                recorder.append_extra(as_record(self.callback or "", frame, result))

            taps.append(Callback(function, last=self.callback_last, results=keep))
        if feed is not None:
            writer = FeedWriter(feed, spec)
            writer.start()  # after what may be refused, which so leaves no feed behind
            taps.append(writer)
        if process is not None:
            process.start()
            taps.append(process)
        return taps

    def _open_stores(self, camera: Camera, spec: FrameSpec) -> Sequence[FrameSink]:
        identity = camera.identity
        known = {
            "source": without_secrets(self.source),
            "camera": {
                **{"name": self.name, "driver": identity.driver},
                **{"model": identity.model, "serial": identity.serial, "rate": camera.rate},
                **{"given": _plain(camera.given)},
            },
        }
        sinks: list[FrameSink] = []
        try:
            for store in self.stores:
                told = replace(store, metadata={**known, **store.metadata})
                sinks.append(StoreSink(told, spec, camera.rate))
        except BaseException:
            for sink in sinks:
                sink.close()
            raise
        return sinks


def renamed(job: CameraJob, attempt: int) -> CameraJob:
    """Return a job for stores beside those of an attempt before, whose process died: `NAME-2`."""
    stores = tuple(replace(store, path=beside(store.path, attempt)) for store in job.stores)
    return replace(job, stores=stores)


def beside(path: Path, attempt: int) -> Path:
    """Return the folder of the store of a later attempt."""
    return path if attempt == 1 else path.with_name(f"{path.name}-{attempt}")


def _plain(value: object) -> object:
    """Return what metadata can hold."""
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)

"""ataraxis-video-system as contenders of `tools.bench.recorder`. It runs in an environment of its own."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from tools.bench.exposures import Exposures, Script, Tally
from tools.bench.mark import Grey
from tools.bench.peer import UnableError
from tools.bench.recorders import QUALITY, Carried, Rig, Take, carried, mark_of, wait_until

_PACKAGES = ("ataraxis-video-system", "opencv-python", "numpy")
_NOMINAL_RATE = 30  # for the header of its file
_POLL_S = 0.005


class SaverAlone:
    """Its saver, which pipes frames to ffmpeg, fed from memory in the same process."""

    packages = _PACKAGES

    def record(self, take: Take) -> None:
        from ataraxis_video_system.video.saver import VideoSaver

        if take.script.rate is not None:
            raise UnableError("has no camera that would not wait for it")
        rows, columns = take.shape
        saver = VideoSaver(
            system_id=1,
            output_file=take.path,
            frame_width=columns,
            frame_height=rows,
            frame_rate=_NOMINAL_RATE,
            input_pixel_format="gray",
            **_encoding(),
        )
        exposures = Exposures(take.script)
        take.begin()
        saver.start()
        while (exposure := exposures.take()) is not None:
            saver.save_frame(exposure.image)
            take.tally.saved += 1
        saver.stop()
        take.end()

    def carry(self, rig: Rig) -> Carried:
        raise UnableError("has no cameras")


class WholeSystem:
    """Its camera process, queue and saver process as they are; the camera is ours, and the saver counts."""

    packages = _PACKAGES

    def record(self, take: Take) -> None:
        with ExitStack() as stack:
            logger = _logger(take.path.parent, stack)
            arrivals = take.path.with_suffix(".npy")
            system = _system(take.script, take.shape, take.path.parent, logger, 1, arrivals)
            system.start()
            system.start_frame_saving()
            wait_until(lambda: bool(take.tally.has_camera))
            take.begin()
            wait_until(lambda: bool(take.tally.ended_ns), take.script.seconds)
            _finish(system, take.tally)
            take.end()
            system.video_file_path.rename(take.path)
            take.arrivals.extend(map(tuple, np.load(arrivals).tolist()))

    def carry(self, rig: Rig) -> Carried:
        scripts = [rig.script() for _ in range(rig.count)]
        with ExitStack() as stack:
            logger = _logger(rig.folder, stack)
            systems = [
                _system(script, rig.shape, rig.folder, logger, place + 1)
                for place, script in enumerate(scripts)
            ]
            for system in systems:
                system.start()
                system.start_frame_saving()

            def finish() -> None:
                for system, script in zip(systems, scripts, strict=True):
                    _finish(system, script.tally)

            return carried(rig, scripts, finish)


class ScriptCamera:
    """What `tools.bench.exposures` shows, behind the interface of its mock camera."""

    pixel_color_format = "gray"

    def __init__(self, script: Script, shape: tuple[int, int]) -> None:
        self._script = script
        self._shape = shape
        self._exposures = Exposures(script)

    def connect(self) -> None:
        """There is nothing to connect to."""

    def disconnect(self) -> None:
        """There is nothing to let go of."""

    def grab_frame(self) -> Grey:
        """Return the next frame when it is due; after the last, an empty one once nobody saves it."""
        exposure = self._exposures.take()
        if exposure is not None:
            return exposure.image
        while not self._script.tally.is_closing:
            time.sleep(_POLL_S)
        return np.zeros(self._shape, np.uint8)


class CountingSaver:
    """Its saver, which tells the camera how many frames its encoder has taken, and when they came.

    Parameters
    ----------
    arrivals : file for numbers of frames, and the monotonic nanoseconds at which they came; None for none.
    """

    def __init__(self, saver: Any, tally: Tally, arrivals: Path | None) -> None:
        self._saver = saver
        self._tally = tally
        self._file = arrivals
        self._arrivals: list[tuple[int, int]] = []

    def start(self) -> None:
        """Start ffmpeg."""
        self._saver.start()
        self._tally.has_saver = 1

    def save_frame(self, frame: Grey) -> None:
        """Hand a frame to ffmpeg."""
        if self._file is not None:
            self._arrivals.append((mark_of(frame), time.monotonic_ns()))
        self._saver.save_frame(frame=frame)
        self._tally.saved += 1

    def stop(self) -> None:
        """Wait for ffmpeg to end."""
        self._saver.stop()
        if self._file is not None:
            np.save(self._file, np.array(self._arrivals, np.int64).reshape(-1, 2))


def _logger(folder: Path, stack: ExitStack) -> Any:
    from ataraxis_data_structures import DataLogger

    logger = DataLogger(output_directory=folder, instance_name="bench")
    logger.start()
    stack.callback(logger.stop)
    return logger


def _system(
    script: Script,
    shape: tuple[int, int],
    folder: Path,
    logger: Any,
    place: int,
    arrivals: Path | None = None,
) -> Any:
    """Return a system with our camera in place of its mock camera."""
    from ataraxis_video_system import VideoSystem

    rows, columns = shape
    system = VideoSystem(
        system_id=np.uint8(place),
        data_logger=logger,
        name=f"camera-{place}",
        output_directory=folder,
        camera_interface="mock",
        frame_width=columns,
        frame_height=rows,
        frame_rate=_NOMINAL_RATE,
        color=False,
        **_encoding(),
    )
    system._camera = ScriptCamera(script, shape)  # it takes no camera of others
    system._saver = CountingSaver(system._saver, script.tally, arrivals)
    return system


def _encoding() -> dict[str, Any]:
    return {
        "video_encoder": "H264",
        "encoder_speed_preset": 1,  # veryfast
        "output_pixel_format": "yuv420p",
        "quantization_parameter": QUALITY,
    }


def _finish(system: Any, tally: Tally) -> None:
    system.stop_frame_saving()
    tally.is_closing = 1
    system.stop()

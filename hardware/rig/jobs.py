"""What the recorder is told to record the cameras of a rig."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from hardware.job import CameraJob
from hardware.recording import DEFAULT_MEMORY, RecordLimit, Saving
from hardware.rig.spec import CameraSpec, RigSpec
from hardware.store_sink import StoreSpec


def rig_jobs(
    rig: RigSpec,
    began: float,
    ends: float | None,
    zone: ZoneInfo,
    metadata: Mapping[str, object],
    *,
    at_once: bool = True,
) -> list[CameraJob]:
    """Return a job for each camera.

    Parameters
    ----------
    began : Unix time at which the recording, or its window, begins; it names the stores.
    ends : Unix time at which it ends, whatever the other limits; None if no clock ends it.
    zone : in which the names of stores say the time.
    metadata : to keep in all stores, over what the rig says: answers to what it asks, the run's id.
    at_once : whether saving begins by itself.
    """
    return [
        CameraJob(
            camera.name,
            camera.source,
            _stores(rig, camera, began, zone, {**rig.metadata, **camera.metadata, **metadata}),
            camera.camera_settings,
            limit=RecordLimit(
                frames=rig.limits.frames,
                seconds=None if rig.schedule.daily else rig.limits.seconds,
                bytes=None if rig.limits.size is None else max(rig.limits.size // len(rig.cameras), 1),
                until=ends,
            ),
            saving=Saving(at_once=at_once, pre_trigger_s=camera.pre_trigger_s),
            queue_frames=camera.queue.frames,
            memory=camera.queue.bytes or DEFAULT_MEMORY,
            reserve=rig.disk_reserve,
            feed=camera.feed_name,
        )
        for camera in rig.cameras
    ]


def _stores(
    rig: RigSpec, camera: CameraSpec, began: float, zone: ZoneInfo, metadata: Mapping[str, object]
) -> tuple[StoreSpec, ...]:
    names = camera.stores
    return tuple(
        StoreSpec(
            rig.store_path(name, began, zone),
            format=camera.format,
            settings=camera.settings,
            chunksize=camera.chunksize,
            chunk_s=camera.chunk_s,
            metadata=metadata,
            crop=camera.crop,
            part=(place, len(names)),
        )
        for place, name in enumerate(names)
    )

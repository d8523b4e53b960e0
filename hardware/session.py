"""The writing side of one recording: what of the queue goes into the sinks, and when it ends."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal

from hardware.acquisition import Acquisition, Entry
from hardware.disk import DiskGuard, DiskState
from hardware.frame import CameraFrame
from hardware.losses import CAUSES, Cause, Loss, Note, add_loss
from hardware.recording import (
    ProgressCallback,
    RecordLimit,
    RecordProgress,
    RecordSummary,
    Saving,
    StopFlag,
    StoppedBy,
)
from hardware.sinks import Sinks

_REPORT_S = 0.25
_LOOK_S = 1.0  # between looks at the disk and the size
_RATE_REPORTS = 20  # reports over which rates are taken
_LIMIT_SLACK_S = 1e-6  # Unix times are no more exact than that
_REST_S = 30.0  # that may be spent on what is queued when the recording is asked to end


@dataclass(frozen=True, slots=True)
class Command:
    """What the recorder was asked while it runs.

    Attributes
    ----------
    what : to start or stop saving, to write down a mark, or a record of extra data.
    text : the reason, or the mark.
    record : the record.
    at_ns : when, by the monotonic clock: frames that arrived before are treated as if it had not been.
    """

    what: Literal["start", "stop", "mark", "record"]
    text: str
    at_ns: int
    record: Mapping[str, object] | None = None


class Session:
    """Takes frames out of the queue of an acquisition and writes them.

    Parameters
    ----------
    acquisition, sinks : where frames come from and go to.
    commands : from other threads.
    limit, saving : when to end, and what to write.
    queue_frames : how many frames may wait; as many are kept for before a trigger, at most.
    disk, size : see `Recorder`.
    progress : called a few times per second, and at the end.
    """

    def __init__(
        self,
        acquisition: Acquisition,
        sinks: Sinks,
        commands: SimpleQueue[Command],
        *,
        limit: RecordLimit,
        saving: Saving,
        queue_frames: int,
        disk: DiskGuard | None,
        size: Callable[[], int] | None,
        progress: ProgressCallback | None,
    ) -> None:
        self._acquisition = acquisition
        self._sinks = sinks
        self._arriving = commands
        self._commands: deque[Command] = deque()
        self._limit = limit
        self._saving = saving
        self._kept: deque[Entry] = deque(maxlen=queue_frames)
        self._queue_frames = queue_frames
        self._disk = disk
        self._size = size
        self._progress = progress
        self._is_saving = False
        self._began = self._looked = time.monotonic()
        self._reports = deque([(self._began, 0, 0)], maxlen=_RATE_REPORTS)
        self._disk_state: DiskState | None = None
        self._is_warned = False
        self._first: CameraFrame | None = None
        self._last: CameraFrame | None = None
        self._seen: CameraFrame | None = None
        self._written = 0
        self._lost: dict[Cause, int] = dict.fromkeys(CAUSES, 0)
        self._stopped_by: StoppedBy | None = None
        self._ended: float | None = None
        self.progress_error: Exception | None = None

    def summary(self) -> RecordSummary:
        """Return what the recording came to."""
        seconds = (self._ended or time.monotonic()) - self._began
        return RecordSummary(
            frames=self._written, lost=dict(self._lost), seconds=seconds, stopped_by=self._stopped_by
        )

    def run(self, flags: Mapping[StoppedBy, StopFlag | None]) -> StoppedBy:
        """Write frames until there is a reason to end, then what is queued."""
        try:
            if self._saving.at_once and self._saving.start_at is None:
                self._start(None)
            stopped_by = self._until_stopped(flags)
            self._acquisition.request_stop()
            if stopped_by in ("interrupt", "stop", "disk"):
                self._write_rest()
            self._stopped_by = stopped_by
        except BaseException:
            self._give_up_rest()
            raise
        finally:
            self._ended = time.monotonic()
            self._report(last=True)
        return stopped_by

    def finish(self, stopped_by: StoppedBy) -> None:
        """Write what was still ordered, and how it ended. The camera and the taps have ended."""
        self._obey(None)
        summary = self.summary()
        lost = {cause: count for cause, count in summary.lost.items() if count}
        detail = {"captured": summary.captured, "written": summary.frames, "lost": lost, "reason": stopped_by}
        self._sinks.note(Note(self._acquisition.wall.now(), "recording_ended", detail))

    def _until_stopped(self, flags: Mapping[StoppedBy, StopFlag | None]) -> StoppedBy:
        try:
            for entry in self._acquisition.entries():
                self._obey(entry)
                if entry is not None and not self._handle(entry):
                    return "limit"
                self._report()
                reason = self._look(is_idle=entry is None) or next(
                    (reason for reason, flag in flags.items() if flag is not None and flag.is_set()), None
                )
                if reason is not None:
                    return reason
        except KeyboardInterrupt:
            return "interrupt"
        return "end"

    def _write_rest(self) -> None:
        deadline = time.monotonic() + _REST_S
        losses: list[Loss] = []
        for entry in self._acquisition.entries():
            if entry is None:
                continue
            if time.monotonic() < deadline:
                if not self._handle(entry):
                    return
            elif self._is_saving:
                for loss in entry.losses:
                    add_loss(losses, loss)
                if (frame := entry.frame) is not None:
                    add_loss(losses, Loss(self._sinks.drop_cause(), frame.number, frame.number, frame.time))
        for loss in losses:
            self._lose(loss)

    def _give_up_rest(self) -> None:
        """Count what is queued as lost, since something failed."""
        self._acquisition.request_stop()
        for entry in self._acquisition.entries():
            if self._is_saving and entry is not None:
                for loss in entry.losses:
                    self._lost[loss.cause] += loss.count
                self._lost[self._sinks.drop_cause()] += entry.frame is not None

    def _obey(self, entry: Entry | None) -> None:
        """Do what was asked before this entry came."""
        while True:
            try:
                self._commands.append(self._arriving.get_nowait())
            except Empty:
                break
        if entry is None:
            now_ns = time.monotonic_ns()
        elif entry.frame is not None:
            now_ns = entry.frame.arrived_ns
        else:
            return
        while self._commands and self._commands[0].at_ns <= now_ns:
            command = self._commands.popleft()
            moment = self._acquisition.wall.at(command.at_ns)
            if command.what == "start":
                self._start(Note(moment, "saving_started", {"reason": command.text}))
            elif command.what == "stop":
                self._stop(Note(moment, "saving_stopped", {"reason": command.text}))
            elif self._is_saving and command.record is not None:
                self._sinks.record(command.record)
            elif self._is_saving:
                self._sinks.note(Note(moment, "mark", {"text": command.text}))

    def _start(self, note: Note | None) -> None:
        """Begin to write, what was kept first."""
        if self._is_saving:
            return
        self._sinks.open()
        self._is_saving = True
        if note is not None:
            self._sinks.note(note)
        for place, entry in enumerate(self._kept):
            if not self._save(entry, whole=place > 0):
                break
        self._kept.clear()

    def _stop(self, note: Note) -> None:
        if self._is_saving:
            self._sinks.note(note)
            self._is_saving = False

    def _handle(self, entry: Entry) -> bool:
        """Write or keep an entry; return False once the limit is reached."""
        self._seen = entry.frame or self._seen
        if self._is_saving:
            return self._save(entry)
        start_at = self._saving.start_at
        if (
            start_at is not None
            and entry.frame is not None
            and entry.frame.time >= start_at
            and not self._written
        ):
            whole = bool(self._kept)  # what was lost since the last that was kept
            self._start(Note(entry.frame.time, "saving_started", {"reason": "it was time"}))
            return self._save(entry, whole=whole)
        for note in entry.notes:
            self._sinks.note(note)  # if any is open
        self._keep(entry)
        return True

    def _keep(self, entry: Entry) -> None:
        """Keep an entry for as long as it may be asked for."""
        if not self._saving.pre_trigger_s:
            return
        self._kept.append(Entry(entry.frame, entry.losses))
        if entry.frame is None:
            return
        oldest = entry.frame.time - self._saving.pre_trigger_s
        while (first := self._kept[0].frame) is None or first.time < oldest:
            self._kept.popleft()

    def _save(self, entry: Entry, *, whole: bool = True) -> bool:
        """Write an entry; return False once the limit is reached.

        Parameters
        ----------
        whole : with what was lost before its frame; not so for the first that is saved.
        """
        if self._written == self._limit.frames:
            return False
        end = self._end_time()
        frame = entry.frame
        if whole:
            for note in entry.notes:
                self._sinks.note(note)
            for loss in entry.losses:
                if loss.time < end:
                    self._lose(loss)
        if frame is None:
            return True
        if frame.time >= end:
            return False
        self._write(frame)
        return self._written != self._limit.frames

    def _write(self, frame: CameraFrame) -> None:
        try:
            taken = self._sinks.append(frame)
        except BaseException:
            self._lost[self._sinks.drop_cause()] += 1
            raise
        if not taken:
            self._lose(Loss("encoder", frame.number, frame.number, frame.time))
            return
        self._first = self._first or frame
        self._last = frame
        self._written += 1

    def _end_time(self) -> float:
        """Return the time from which frames are beyond the limit."""
        until = float("inf") if self._limit.until is None else self._limit.until
        if self._limit.seconds is None or self._first is None:
            return until
        return min(until, self._first.time + self._limit.seconds - _LIMIT_SLACK_S)

    def _now(self) -> float:
        """Return what time it is by the frames: those of a recording that is played come from the past."""
        if self._seen is None:
            return self._acquisition.wall.now()
        return self._seen.time + (time.monotonic_ns() - self._seen.arrived_ns) / 1e9

    def _lose(self, loss: Loss) -> None:
        self._lost[loss.cause] += loss.count
        self._sinks.note(loss.note())

    def _look(self, *, is_idle: bool) -> StoppedBy | None:
        """Look at disk, size and clock, once a second; return why to end, if there is a reason."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return None
        self._looked = now
        if is_idle and self._now() > self._end_time() + _LOOK_S:
            return "limit"  # no frame comes that would tell
        if self._limit.bytes is not None and self._size is not None and self._size() >= self._limit.bytes:
            return "limit"
        return self._look_at_disk(self._disk) if self._disk is not None else None

    def _look_at_disk(self, disk: DiskGuard) -> StoppedBy | None:
        state = self._disk_state = disk.look()
        if not self._is_saving:
            return None
        if state.free < disk.reserve:
            return "disk"
        if not self._is_warned and state.seconds_left is not None and state.seconds_left < disk.warn_s:
            self._is_warned = True
            detail = {"free": state.free, "seconds_left": round(state.seconds_left)}
            self._sinks.note(Note(self._acquisition.wall.now(), "disk_low", detail))
        return None

    def _report(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if self._progress is None or not (last or now - self._reports[-1][0] >= _REPORT_S):
            return
        since, written, taken = self._reports[0]
        self._reports.append((now, self._written, self._acquisition.taken))
        span = now - since
        progress = RecordProgress(
            frames=self._written,
            taken=self._acquisition.taken,
            seconds=now - self._began,
            rate=(self._written - written) / span if span > 0 else 0.0,
            camera_rate=(self._acquisition.taken - taken) / span if span > 0 else 0.0,
            time=None if self._last is None else self._last.time,
            lost=dict(self._lost),
            queued=self._acquisition.queued,
            queue_frames=self._queue_frames,
            saving=self._is_saving,
            camera=self._acquisition.state,
            disk=self._disk_state,
        )
        try:
            self._progress(progress)
        except Exception as exc:  # noqa: BLE001  # raised by the recorder, when it has ended
            self._progress, self.progress_error = None, exc

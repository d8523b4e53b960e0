"""The writing side of one recording: what of the queue goes into the sinks, and when it ends."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from queue import Empty, SimpleQueue
from typing import Literal

from hardware.acquisition import Acquisition, Entry
from hardware.disk import DiskGuard, DiskState
from hardware.frame import CameraFrame
from hardware.losses import CAUSES, TIME_SLACK_S, Cause, Loss, Note, merged
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
from hardware.spans import SavedSpans
from imgstore import ImgstoreError

_REPORT_S = 0.25
_LOOK_S = 1.0  # between looks at the disk and the size
_RATE_REPORTS = 20  # reports over which rates are taken
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
        self._handled: Entry | None = None  # what of an entry is not accounted for yet
        self._upcoming: Entry | None = None  # one that came, and waits for what was ordered before
        self._queue_frames = queue_frames
        self._disk = disk
        self._size = size
        self._progress = progress
        self._is_complete = False
        self._spans = SavedSpans()
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
            frames=self._written,
            lost=dict(self._lost),
            seconds=seconds,
            stopped_by=self._stopped_by,
            unwritten=self._sinks.unwritten,
        )

    def run(self, flags: Mapping[StoppedBy, StopFlag | None]) -> StoppedBy:
        """Write frames until there is a reason to end, then what is queued."""
        try:
            if self._saving.at_once and self._saving.start_at is None:
                self._start(None, -math.inf)
            stopped_by = self._until_stopped(flags)
            self._acquisition.request_stop()
            if stopped_by != "end" and not self._is_complete:
                self._write_rest()
            self._stopped_by = stopped_by
        except BaseException:
            self._give_up()
            raise
        finally:
            self._ended = time.monotonic()
            self._report(last=True)
        return stopped_by

    def finish(self, stopped_by: StoppedBy) -> None:
        """Write what was still ordered, and how it ended. The camera and the taps have ended."""
        with ExitStack() as ending:  # from the last to the first, whatever goes wrong
            ending.callback(self._note_end, stopped_by)
            ending.callback(self._lose_unkept)
            ending.callback(self._sinks.settle)
            ending.callback(self._obey, None)

    def _note_end(self, reason: str) -> None:
        self._sinks.end(self._acquisition.wall.now(), reason)

    def _until_stopped(self, flags: Mapping[StoppedBy, StopFlag | None]) -> StoppedBy:
        try:
            for entry in self._acquisition.entries():
                self._upcoming = entry
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
        rest = chain(self._take_unfinished(), self._acquisition.entries())
        for entry in rest:
            if entry is None:
                continue
            if time.monotonic() >= deadline:
                self._drop(chain([entry], rest), self._sinks.drop_cause())
                return
            if not self._handle(entry):
                return

    def _drop(self, entries: Iterable[Entry | None], cause: Cause) -> None:
        """Count entries without writing them; then write down what was lost."""
        losses: list[Loss] = []
        notes: list[Note] = []
        for entry in entries:
            if entry is None:
                continue
            notes += entry.notes
            losses += self._of_recording(entry.losses)
            if entry.frame is not None and self._spans.is_open:
                losses += self._of_recording([Loss.of(cause, entry.frame)])
        self._write_down(notes, merged(losses))

    def _give_up(self) -> None:
        """Count what is queued as lost, since something failed, and write down what can be."""
        self._acquisition.request_stop()
        with ExitStack() as ending:  # from the last to the first
            ending.callback(_attempt, partial(self._note_end, "error"))
            ending.callback(self._lose_unkept)
            ending.callback(_attempt, self._sinks.settle)
            rest = chain(self._take_unfinished(), self._acquisition.entries())
            ending.callback(_attempt, partial(self._drop, rest, self._sinks.drop_cause()))

    def _take_unfinished(self) -> list[Entry | None]:
        """Return what came and is not accounted for, since something was raised meanwhile."""
        left = [self._handled, *(self._kept if self._spans.is_open else ()), self._upcoming]
        self._handled = self._upcoming = None
        self._kept.clear()
        return left

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
                since = self._time_at(command.at_ns, entry)
                self._start(Note(moment, "saving_started", {"reason": command.text}), since)
            elif command.what == "stop":
                until = self._time_at(command.at_ns, entry)
                self._stop(Note(moment, "saving_stopped", {"reason": command.text}), until)
            elif self._spans.is_open and command.record is not None:
                self._sinks.record(command.record)
            elif self._spans.is_open:
                self._sinks.note(Note(moment, "mark", {"text": command.text}))

    def _start(self, note: Note | None, since: float) -> None:
        """Begin to write, what was kept first.

        Parameters
        ----------
        since : the time from which frames are to be saved, unless earlier ones were kept.
        """
        if self._spans.is_open:
            return
        self._sinks.open()
        kept = next((entry.frame.time for entry in self._kept if entry.frame is not None), since)
        self._spans.begin(min(since, kept))
        if note is not None:
            self._sinks.note(note)
        while self._kept and not self._is_complete:
            self._save(self._kept.popleft())
        self._kept.clear()

    def _stop(self, note: Note, until: float) -> None:
        """Write no more frames, but count those before `until` that turn out to be lost."""
        if self._spans.is_open:
            self._spans.end(until)
            self._sinks.note(note)

    def _handle(self, entry: Entry) -> bool:
        """Write or keep an entry; return False once the recording is complete."""
        self._seen = entry.frame or self._seen
        start_at = self._saving.start_at
        if start_at is not None and entry.frame is not None and self._is_due(entry.frame, start_at):
            self._start(Note(entry.frame.time, "saving_started", {"reason": "it was time"}), start_at)
        self._upcoming = None
        if self._spans.is_open:
            self._save(entry)
            return not self._is_complete
        self._write_down(entry.notes, self._of_recording(entry.losses))  # of before saving was stopped
        self._keep(entry)
        return True

    def _is_due(self, frame: CameraFrame, start_at: float) -> bool:
        """Return whether saving begins with a frame, since it is time."""
        return not self._spans.is_open and not self._written and frame.time >= start_at

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

    def _save(self, entry: Entry) -> None:
        """Write an entry, as far as it belongs to the recording."""
        if self._is_complete:
            return
        frame = entry.frame
        losses = self._of_recording(entry.losses)
        self._handled = None if frame is None else Entry(frame)
        self._write_down(entry.notes, losses)
        self._handled = None
        if frame is None:
            return
        is_wanted = frame.time < self._end_time()
        if is_wanted:
            self._write(frame)
        self._spans.forget(frame.time)
        self._is_complete = not is_wanted or self._written == self._limit.frames

    def _write(self, frame: CameraFrame) -> None:
        try:
            taken = self._sinks.append(frame)
        except BaseException:
            self._lost[self._sinks.drop_cause()] += 1
            raise
        if not taken:
            self._lost["encoder"] += 1
            return
        self._first = self._first or frame
        self._last = frame
        self._written += 1

    def _write_down(self, notes: Sequence[Note], losses: Sequence[Loss]) -> None:
        """Count what was lost, whether or not it can be written down, and then write down all."""
        for loss in losses:
            self._lost[loss.cause] += loss.count
        with ExitStack() as stack:
            stack.callback(self._sinks.lose, *losses)
            self._sinks.note(*notes)

    def _of_recording(self, losses: Iterable[Loss]) -> list[Loss]:
        """Return those of the lost frames that were to be saved."""
        return self._spans.parts(losses, self._end_time())

    def _lose_unkept(self) -> None:
        """Count what the disk had taken and did not keep."""
        count = self._sinks.lose_unkept()
        self._written -= count
        self._lost["disk"] += count

    def _time_at(self, at_ns: int, entry: Entry | None) -> float:
        """Return the time that a frame has that arrives at a moment, by the clock of the nearest one."""
        frame = self._seen if entry is None else entry.frame
        if frame is None:
            return self._acquisition.wall.at(at_ns)
        return frame.time + (at_ns - frame.arrived_ns) / 1e9

    def _end_time(self) -> float:
        """Return the time from which frames are beyond the limit."""
        until = float("inf") if self._limit.until is None else self._limit.until
        if self._limit.seconds is None or self._first is None:
            return until
        return min(until, self._first.time + self._limit.seconds - TIME_SLACK_S)

    def _now(self) -> float:
        """Return what time it is by the frames: those of a recording that is played come from the past."""
        return self._time_at(time.monotonic_ns(), None)

    def _look(self, *, is_idle: bool) -> StoppedBy | None:
        """Look at disk, size and clock, once a second; return why to end, if there is a reason."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return None
        self._looked = now
        self._lose_unkept()
        if is_idle and self._now() > self._end_time() + _LOOK_S:
            return "limit"  # no frame comes that would tell
        if self._limit.bytes is not None and self._size is not None and self._size() >= self._limit.bytes:
            self._is_complete = True
            return "limit"
        return self._look_at_disk(self._disk) if self._disk is not None else None

    def _look_at_disk(self, disk: DiskGuard) -> StoppedBy | None:
        state = self._disk_state = disk.look()
        if not self._spans.is_open:
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
            saving=self._spans.is_open,
            camera=self._acquisition.state,
            disk=self._disk_state,
        )
        try:
            self._progress(progress)
        except Exception as exc:  # noqa: BLE001  # raised by the recorder, when it has ended
            self._progress, self.progress_error = None, exc


def _attempt(action: Callable[[], None]) -> None:
    """Do something that may fail: what is raised is what went wrong first."""
    with suppress(ImgstoreError, OSError):
        action()

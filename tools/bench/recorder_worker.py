"""What runs one contender of `tools.bench.recorder`, in a process of its own with the contender's Python."""

import sys
from collections.abc import Callable
from pathlib import Path

from tools.bench.axvs import SaverAlone, WholeSystem
from tools.bench.exposures import Script, new_tally
from tools.bench.peer import Answer, installed, serve
from tools.bench.recorders import Ours, Queued, Recording, Rig, Take

CONTENDERS: dict[str, Callable[[], Recording]] = {
    "ethostore": Ours,
    "axvs": WholeSystem,
    "axvs_saver": SaverAlone,
    "queue": lambda: Queued(is_managed=False),
    "manager": lambda: Queued(is_managed=True),
}


class Worker:
    """Records with one contender."""

    def __init__(self, contender: Recording) -> None:
        self._contender = contender

    def answer(self, request: Answer) -> Answer:
        """Do what a request says under "do"."""
        tasks: dict[str, Callable[..., Answer]] = {
            "hello": self._hello,
            "record": self._record,
            "carry": self._carry,
        }
        return tasks[request.pop("do")](**request)

    def _hello(self) -> Answer:
        return {"versions": {name: installed(name) for name in self._contender.packages}}

    def _record(
        self,
        images: str,
        shape: list[int],
        rate: float | None,
        seconds: float,
        path: str,
        feed: str | None = None,
    ) -> Answer:
        """Record, and say what was counted; times by the monotonic clock."""
        script = Script(Path(images), rate, seconds, new_tally())
        take = Take(script, (shape[0], shape[1]), Path(path), feed)
        self._contender.record(take)
        return take.plain()

    def _carry(
        self, images: str, shape: list[int], rate: float, seconds: float, folder: str, count: int
    ) -> Answer:
        """Record several cameras, and say what of them was lost or late."""
        rig = Rig(Path(images), (shape[0], shape[1]), rate, seconds, Path(folder), count)
        return dict(self._contender.carry(rig)._asdict())


def main() -> None:
    """Answer requests until the input ends."""
    serve(lambda: Worker(CONTENDERS[sys.argv[1]]()).answer)

"""Detecting on a cluster, through Dask."""

import pickle
import shutil
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from imgstore import MissingDependencyError
from tracking.blocks import Block, Detector
from tracking.errors import ClusterError, WorkerDiedError
from tracking.workers import never

if TYPE_CHECKING:
    from dask_jobqueue import SLURMCluster
    from distributed import Client

_FEWEST_AHEAD = 4
_AHEAD = 3  # blocks per thread of the cluster that may be done before their turn
_SLURM_CORES, _SLURM_MEMORY = 1, "4GB"
_CONNECT_S = 30
_LOOK_S = 0.05


class DaskWorkers:
    """The workers of a Dask cluster; they have to see the recording at the same path.

    What a worker that dies was doing, others do again; Dask gives up on a block of which several died.

    Parameters
    ----------
    client : connected.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client

    def detect(
        self, detector: Detector, blocks: Sequence[range], until: Callable[[], bool] = never
    ) -> Iterator[Block]:
        """Yield what is detected in each block, in order. Raises WorkerDiedError, or what a worker raised."""
        from distributed import Future, KilledWorker
        from distributed.client import FutureCancelledError

        # As a task of its own and not scattered: what dies with a worker is made again.
        payload = self._client.submit(bytes, zlib.compress(pickle.dumps(detector), 1), pure=False)
        waiting = deque(blocks)
        running: deque[Future] = deque()
        try:
            while waiting or running:
                while waiting and len(running) < self._ahead():
                    running.append(self._client.submit(_detect, payload, waiting.popleft(), pure=False))
                while not running[0].done():
                    if until():
                        return
                    time.sleep(_LOOK_S)
                yield running[0].result()
                running.popleft().release()
        except KilledWorker as exc:
            raise WorkerDiedError(
                f"several workers of the cluster died with the same frames ({exc}); give each more memory. "
                "What was tracked is kept: --resume goes on with it"
            ) from exc
        except (FutureCancelledError, OSError) as exc:
            raise ClusterError(
                f"the connection to the Dask scheduler was lost ({exc}). What was tracked is kept: --resume "
                "goes on with it"
            ) from exc
        finally:
            self._client.cancel([*running, payload])

    def _ahead(self) -> int:
        threads = sum(int(count) for count in self._client.nthreads().values())
        return max(_FEWEST_AHEAD, _AHEAD * threads)


def _detect(payload: bytes, indices: range) -> Block:
    """Detect on a worker, which opens the recording for every block: opening costs little of one's time."""
    detector: Detector = pickle.loads(zlib.decompress(payload))  # noqa: S301  # Dask unpickles all, this too
    try:
        return detector.detect(indices)
    finally:
        detector.frames.close()


@contextmanager
def open_scheduler(address: str) -> Iterator[DaskWorkers]:
    """Connect to a Dask scheduler, "tcp://HOST:PORT". Raises ClusterError, MissingDependencyError."""
    Client = _client_class()  # noqa: N806  # a class
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as exc:
        raise ClusterError(
            f"there is no Dask scheduler at {address} ({exc}); start one with `dask scheduler`, workers with "
            "`dask worker ADDRESS`, and give the address that it prints"
        ) from exc
    with client:
        yield DaskWorkers(client)


@contextmanager
def open_slurm(jobs: int) -> Iterator[DaskWorkers]:
    """Start so many SLURM jobs as workers, by Dask's jobqueue.yaml; they end with the context.

    Raises MissingDependencyError, or ClusterError where there is no SLURM.
    """
    Client = _client_class()  # noqa: N806  # a class
    with _slurm_cluster() as cluster:
        if shutil.which("sbatch") is None:
            raise ClusterError(
                "there is no command sbatch on this machine; run --slurm where you submit SLURM jobs, or "
                "start workers yourself and give their scheduler with --scheduler tcp://HOST:PORT"
            )
        cluster.scale(jobs=jobs)
        with Client(cluster, set_as_default=False) as client:
            yield DaskWorkers(client)


def slurm_script() -> str:
    """Return the script that `open_slurm` submits for each job. Raises MissingDependencyError."""
    with _slurm_cluster() as cluster:
        return str(cluster.job_script())


def _slurm_cluster() -> "SLURMCluster":
    """Return a cluster without jobs, as jobqueue.yaml describes it, one core and 4 GB if it does not."""
    try:
        import dask
        from dask_jobqueue import SLURMCluster
    except ImportError as exc:
        raise MissingDependencyError("--slurm needs dask-jobqueue: pip install dask-jobqueue") from exc
    cores = dask.config.get("jobqueue.slurm.cores", None) or _SLURM_CORES
    memory = dask.config.get("jobqueue.slurm.memory", None) or _SLURM_MEMORY
    return SLURMCluster(cores=cores, memory=memory)


def _client_class() -> "type[Client]":
    try:
        from distributed import Client
    except ImportError as exc:
        raise MissingDependencyError(
            "tracking on a cluster needs Dask: pip install 'ethostore[dask]'"
        ) from exc
    found: type[Client] = Client
    return found

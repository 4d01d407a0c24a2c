"""The engine `ray`: Ray Data hands parts to workers, on this machine or on every one of a cluster.

A worker holds the model and writes a part as the local engine would; only the numbers of parts travel. Where Ray does
a part twice, after a worker was lost, the second file takes the place of the first, whole. On a cluster the model, the
input and the output lie where every machine sees them under the same names.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from ...core.errors import DataError, IsthmusError, OptionError
from .manifest import Part
from .parts import Job, PartWriter, Written, one_thread


class Worker:
    """One process of Ray's."""

    def __init__(self, job: Job):
        one_thread()
        self.failure: str | None = None
        try:
            self.writer = PartWriter(job)
        except IsthmusError as failure:
            self.failure = str(failure)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Write the parts of a batch. What the user can mend comes back as words: Ray would wrap it in its own."""
        return {"result": [json.dumps(self._written(Part(**json.loads(text)))) for text in batch["part"]]}

    def _written(self, part: Part) -> dict[str, Any] | str:
        if self.failure is not None:
            return self.failure
        try:
            return asdict(self.writer.write(part))
        except IsthmusError as failure:
            return str(failure)


def check_installed() -> None:
    """Raise OptionError, with what to install, if Ray Data is not there."""
    # Its own complaints are about memory layouts that do not matter here; what fails comes back as an exception.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray.data  # noqa: F401  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        raise OptionError(
            '--engine ray: Ray is not installed; install it with pip install "isthmus[ray]", or leave the option away'
        ) from None


def write(job: Job, parts: list[Part], workers: int | None = None) -> Iterator[Written]:
    """Write parts on so many workers (None: one for each processor of the cluster), and tell each as it is done.

    A cluster that RAY_ADDRESS names is used; otherwise one is started on this machine, and ended at the end.
    """
    import ray  # pyright: ignore[reportMissingImports]
    import ray.data  # pyright: ignore[reportMissingImports]

    started = not ray.is_initialized()
    if started:
        with _silent():
            ray.init(log_to_driver=False, include_dashboard=False, logging_level="ERROR")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        at_once = min(len(parts), workers or int(ray.cluster_resources().get("CPU", 1)))
        items = [{"part": json.dumps(asdict(part))} for part in parts]
        done = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            Worker,
            fn_constructor_args=(job,),
            batch_size=1,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=at_once),
        )
        for row in done.iter_rows():
            result = json.loads(row["result"])
            if isinstance(result, str):
                raise DataError(result)
            yield Written(**result)
    finally:
        if started:
            ray.shutdown()


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing on stderr, not even from libraries in C++: starting, Ray says which level of its log was asked for."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)

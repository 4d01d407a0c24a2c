"""Several processes that train one model: what they tell each other, and what they do when one of them is lost.

Each has the whole model and takes its share of every batch; gradients are averaged before the step, so all models stay
the same. `torchrun` starts the processes and says in environment variables which of them each one is.
"""

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as communication
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store, _get_default_store

from ..core.errors import IsthmusError, LostProcessError, OptionError
from ..core.randomness import Randomness

Thing = TypeVar("Thing")

# A process that is killed is noticed at once, by its closed connection; one that hangs, after this long.
SECONDS_UNTIL_LOST = 60
# How long the others may take to read their data, or the first one to write the model.
SECONDS_UNTIL_MET = 3_600
# How long the first one waits for the others before it ends.
SECONDS_UNTIL_LEFT = 5


class Workers:
    """One of `size` processes, that of number `rank` from 0; alone, its methods do nothing.

    Every process must call the same methods in the same order: each waits for all.
    Methods raise LostProcessError when another process is gone, and KeyboardInterrupt, in all of them at the same
    place, after one of them was interrupted.
    """

    def __init__(self, rank: int = 0, size: int = 1, store: Store | None = None):
        self.rank, self.size = rank, size
        self._store = store
        self._interrupted = False
        self._meetings = 0

    @property
    def alone(self) -> bool:
        """Whether there is one process only."""
        return self.size == 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and speaks to the user."""
        return self.rank == 0

    # Training.

    def share(self, batch: Tensor) -> Tensor:
        """This process' rows of a batch that all have: consecutive ones, as many as the others have or one more."""
        return batch if self.alone else batch.tensor_split(self.size)[self.rank]

    def check_batch_size(self, size: int) -> None:
        """Raise OptionError if some process would have no rows."""
        if size < self.size:
            raise OptionError(f"batches of {size} rows are too few for {self.size} processes; start fewer")

    def noise(self, randomness: Randomness) -> Randomness:
        """A stream of this process' own, beside one that all have."""
        return randomness if self.alone else randomness.child("process", self.rank)

    def averaged(self, tensors: Sequence[Tensor], weight: float) -> Sequence[Tensor]:
        """For each tensor the sum over processes of that tensor times the process' weight.

        Gradients of mean losses, weighted by the share of the batch's rows that each mean is over, become the gradient
        of the whole batch's mean. All tensors travel as one, and what comes back are its parts.
        """
        if self.alone:
            return tensors
        flat = torch.cat([*(tensor.reshape(-1) for tensor in tensors), tensors[0].new_zeros(1)])
        flat *= weight
        flat[-1] = self._interrupted
        self._reduce(flat)
        # On a GPU, looking would make every step wait for it; there an interruption takes effect when an epoch ends.
        if flat.device.type == "cpu":
            self._check_interrupted(flat[-1])
        parts = flat[:-1].split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for tensor, part in zip(tensors, parts, strict=True)]

    def summed(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """Numbers by name, each summed over the processes, in double precision."""
        if self.alone or not sums:
            return sums
        values = [value.double() for value in sums.values()]
        flat = torch.stack([*values, torch.zeros_like(values[0])])
        flat[-1] = self._interrupted
        self._reduce(flat)
        self._check_interrupted(flat[-1].sum())
        return dict(zip(sums, flat[:-1], strict=True))

    def broadcast_(self, tensors: Sequence[Tensor]) -> None:
        """Give every process the first one's tensors, in place."""
        if not self.alone:
            with _loss_named(self.size):
                for tensor in tensors:
                    communication.broadcast(tensor, 0)

    def told(self, thing: Thing) -> Thing:
        """The first process' thing, whatever this one has: so that all decide alike."""
        if self.alone:
            return thing
        things: list[Any] = [thing]
        with _loss_named(self.size):
            communication.broadcast_object_list(things, 0)
        return things[0]

    # The program around it.

    def meet(self) -> None:
        """Wait until all processes are here; patiently, since reading data or writing a model may take its time."""
        if self._store is None:
            return
        self._meetings += 1
        names = [f"met {self._meetings}, process {rank}" for rank in range(self.size)]
        with _loss_named(self.size):
            self._store.set(names[self.rank], "here")
            end = time.monotonic() + SECONDS_UNTIL_MET
            # Asked again and again: a wait inside the library would not let Ctrl-C through.
            while not self._store.check(names):
                if time.monotonic() > end:
                    raise RuntimeError(f"no answer in {SECONDS_UNTIL_MET} seconds")
                time.sleep(0.05)

    def _part(self) -> None:
        """The last word: the first process, which may keep the store, leaves after all others, or after a while."""
        if self._store is None:
            return
        with suppress(RuntimeError):
            self._store.set(f"leaving, process {self.rank}", "now")
            others = [f"leaving, process {rank}" for rank in range(1, self.size)]
            end = time.monotonic() + SECONDS_UNTIL_LEFT
            while self.leads and not self._store.check(others) and time.monotonic() < end:
                time.sleep(0.05)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While this is entered, Ctrl-C in any process raises KeyboardInterrupt in all of them, at one place."""
        if self.alone or threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(*_: Any) -> None:
            self._interrupted = True

        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def one_voice(self) -> Iterator[None]:
        """While this is entered, only the first process prints; an error that ends several is told by one of them."""
        if self.alone:
            yield
            return

        def ended(*_: Any) -> None:
            raise LostProcessError(_lost(self.size, "the launcher ends the rest"))

        with ExitStack() as stack:
            stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, ended))
            if not self.leads:
                nowhere = stack.enter_context(Path(os.devnull).open("w"))
                stack.enter_context(redirect_stdout(nowhere))
                stack.enter_context(redirect_stderr(nowhere))
            try:
                yield
            except IsthmusError:
                if not self._first_to_tell():
                    raise SystemExit(2) from None
                raise

    def _first_to_tell(self) -> bool:
        try:
            return self._store is None or self._store.add("told", 1) == 1
        except RuntimeError:  # the store is gone with the process that kept it
            return True

    def _reduce(self, flat: Tensor) -> None:
        with _loss_named(self.size):
            communication.all_reduce(flat)

    def _check_interrupted(self, number: Tensor) -> None:
        if float(number) > 0:
            self._interrupted = False
            raise KeyboardInterrupt


ALONE = Workers()


@contextmanager
def joined() -> Iterator[Workers]:
    """The processes that torchrun started together with this one; this one alone if it was not started so.

    Raises OptionError if they cannot reach each other.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "RANK" not in os.environ:
        yield ALONE
        return
    place = int(os.environ.get("LOCAL_RANK", "0"))
    with_gpus = torch.cuda.is_available() and torch.cuda.device_count() >= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if with_gpus:
        torch.cuda.set_device(place)  # what "cuda" means from now on
    try:
        communication.init_process_group(
            "cpu:gloo,cuda:nccl" if with_gpus else "gloo", timeout=timedelta(seconds=SECONDS_UNTIL_LOST)
        )
    except (RuntimeError, ValueError) as failure:
        raise OptionError(
            f"the {size} processes cannot reach each other at {os.environ.get('MASTER_ADDR')} "
            f"({_first_line(failure)}); start them together with torchrun"
        ) from failure
    rank = communication.get_rank()
    workers = Workers(rank, size, PrefixStore("isthmus", _get_default_store()))
    lost = False
    try:
        yield workers
    except LostProcessError:
        lost = True
        raise
    finally:
        # Taking leave of a process that is gone may abort this one: `leave` does without.
        if not lost:
            workers._part()
            communication.destroy_process_group()


def leave(status: int) -> NoReturn:
    """End this process at once, when all that it should write is written.

    The interpreter's own end waits for threads of the communication, which, after a loss above all, may abort the
    process with a signal, or never come back.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@contextmanager
def _loss_named(size: int) -> Iterator[None]:
    """What communication raises when a process is gone, as one line."""
    try:
        yield
    except RuntimeError as failure:
        raise LostProcessError(_lost(size, _first_line(failure))) from failure


def _lost(size: int, why: str) -> str:
    return f"one of the {size} processes was lost ({why}); the same command with --resume goes on from the checkpoint"


def _first_line(failure: Exception) -> str:
    text = (str(failure).splitlines() or [type(failure).__name__])[0]
    # Without the place in the library's own source, and without its advice.
    return re.sub(r"^\[[^\]]*\.cc:\d+\] ", "", text).partition(". ")[0][:160]

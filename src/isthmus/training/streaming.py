"""Rows to learn from that stay in their files: in another order each epoch, and decoded ahead of training."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..core.randomness import Randomness
from .batches import Batches

# The shuffle buffer: at most this many rows, and about this many bytes.
BUFFER_ROWS = 2**20
BUFFER_BYTES = 128 * 2**20
# Blocks of shuffled rows that are ready before training asks for them.
BLOCKS_AHEAD = 3
# How often a thread that has nothing to do looks whether it should end, in seconds.
PATIENCE = 0.1

Thing = TypeVar("Thing")


class Slice(Protocol):
    """Some rows in a row, and the number of the first among all rows."""

    @property
    def first(self) -> int: ...

    @property
    def rows(self) -> Any: ...


class Source(Protocol):
    """Rows in chunks, as `files.streaming.Stream` has them."""

    @property
    def rows(self) -> int: ...

    @property
    def chunk_count(self) -> int: ...

    def slices(
        self, order: Sequence[int] | None = None, choose: Callable[[int], int] | None = None
    ) -> Iterator[Slice]: ...


class StreamedBatches(Batches):
    """Rows of a source, but those held out; each once an epoch, through a shuffle buffer.

    An epoch takes the chunks in a random order, several at a time, and mixes their rows in a buffer, from which they
    are drawn at random. Rows that lie in chunks far apart in that order do not meet in a batch, unless the buffer holds
    all rows: then the order is as random as that of resident rows, though not the same.
    `tensors` makes the models' tensors from rows, in a thread of its own; `digest` stands for the rows in checkpoints.
    """

    def __init__(
        self,
        source: Source,
        tensors: Callable[[Any], Tensor],
        held_out: np.ndarray,
        device: torch.device,
        digest: str,
        buffer_rows: int | None = None,
        buffer_bytes: int | None = None,
    ):
        self.source, self.tensors = source, tensors
        self.held_out = np.sort(held_out)
        self.rows, self.device, self.digest = source.rows - len(held_out), device, digest
        self.buffer_rows = min(buffer_rows or BUFFER_ROWS, max(1, self.rows))
        self.buffer_bytes = buffer_bytes or BUFFER_BYTES
        self._ahead: _Ahead[Tensor] | None = None

    def epoch(self, size: int, randomness: Randomness) -> Iterator[Tensor]:
        self.close()
        # Of the stream's key alone: training draws its noise from the same stream in the meantime.
        generator = randomness.child("order of rows").numpy()
        with _Ahead(self._shuffled(generator), BLOCKS_AHEAD) as self._ahead:
            yield from batched((block.to(self.device) for block in self._ahead), size)

    def close(self) -> None:
        """End the thread of an epoch that was left before its end."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def __enter__(self) -> "StreamedBatches":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _shuffled(self, generator: np.random.Generator) -> Iterator[Tensor]:
        return shuffled(self._learned(generator), self.buffer_rows, self.buffer_bytes, generator)

    def _learned(self, generator: np.random.Generator) -> Iterator[Tensor]:
        """All rows to learn from, slice by slice."""
        order = generator.permutation(self.source.chunk_count)
        choices = generator.spawn(1)[0]
        for part in self.source.slices(order.tolist(), lambda count: int(choices.integers(count))):
            x = self.tensors(part.rows)
            start, end = np.searchsorted(self.held_out, (part.first, part.first + len(x)))
            if start < end:
                kept = np.ones(len(x), dtype=bool)
                kept[self.held_out[start:end] - part.first] = False
                x = x[torch.from_numpy(kept)]
            if len(x):
                yield x


def shuffled(
    pieces: Iterator[Tensor], most_rows: int, most_bytes: int, generator: np.random.Generator
) -> Iterator[Tensor]:
    """Rows in pieces → the same rows in blocks, mixed: a full buffer gives random rows away for those that come."""
    buffer, filled = torch.empty(0), 0
    for piece in pieces:
        if not filled:
            fitting = most_bytes // max(1, piece[0].nbytes)
            buffer = piece.new_empty(max(1, min(most_rows, fitting)), *piece.shape[1:])
        # In parts, so that no more rows leave the buffer at a time than are in it.
        for part in piece.split(max(1, len(buffer) // 4)):
            room = min(len(part), len(buffer) - filled)
            buffer[filled : filled + room] = part[:room]
            filled += room
            coming = part[room:]
            if len(coming):
                places = torch.from_numpy(generator.choice(len(buffer), len(coming), replace=False))
                block = buffer[places]
                buffer[places] = coming
                yield block
    for places in torch.from_numpy(generator.permutation(filled)).split(max(1, len(buffer) // 4)):
        yield buffer[places]


def batched(blocks: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """Rows in blocks → the same rows in batches of `size`, the last one filled up with rows of the first."""
    rest: Tensor | None = None
    first: Tensor | None = None
    for block in blocks:
        rows = block if rest is None else torch.cat([rest, block])
        whole = len(rows) // size * size
        for batch in rows[:whole].split(size) if whole else ():
            first = batch.clone() if first is None else first
            yield batch
        rest = rows[whole:]
    if rest is not None and len(rest):
        first = rest if first is None else first
        yield torch.cat([rest, first[: size - len(rest)]])


class _Ahead(Iterator[Thing]):
    """Things made in a thread, a few ahead of who takes them. What is raised there is raised to who takes them.

    The thread ends when all is made, when something is raised, and on `close`.
    """

    def __init__(self, things: Iterator[Thing], count: int):
        self._things = things
        self._made: queue.Queue[tuple[str, Any]] = queue.Queue(count)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._make, name="isthmus reading ahead", daemon=True)
        self._thread.start()

    def __next__(self) -> Thing:
        while True:
            try:
                what, thing = self._made.get(timeout=PATIENCE)
            except queue.Empty:
                if self._closing.is_set():
                    raise StopIteration from None
                continue
            break
        if what == "made":
            return thing
        self.close()
        if what == "raised":
            raise thing
        raise StopIteration

    def __enter__(self) -> "_Ahead[Thing]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread, and wait until it has ended."""
        self._closing.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _make(self) -> None:
        try:
            for thing in self._things:
                if not self._put("made", thing):
                    return
            self._put("all", None)
        except BaseException as failure:
            self._put("raised", failure)
        finally:
            # Generators close what they hold open; the last thing is not held until the next epoch.
            getattr(self._things, "close", lambda: None)()

    def _put(self, what: str, thing: Any) -> bool:
        while not self._closing.is_set():
            try:
                self._made.put((what, thing), timeout=PATIENCE)
                return True
            except queue.Full:
                continue
        return False

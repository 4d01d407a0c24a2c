"""Streamed batches: every row once an epoch, in an order that the epoch alone decides; no thread outlives its use."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from isthmus.core.errors import DataError
from isthmus.core.randomness import Randomness
from isthmus.training.batches import ResidentBatches
from isthmus.training.checkpoint import Checkpoint
from isthmus.training.loop import train
from isthmus.training.run import Plan
from isthmus.training.streaming import StreamedBatches, batched, shuffled

from .test_resume import FINGERPRINT, assert_same_end, interrupt_at, without_seconds
from .toys import as_is, model, rows


@dataclass(frozen=True)
class Part:
    first: int
    rows: Any


@dataclass
class Chunks:
    """Rows in memory that behave as files do: chunks of these sizes, in slices of at most `slice_rows`."""

    x: Tensor
    sizes: list[int]
    slice_rows: int = 7
    read: list[int] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.x)

    @property
    def chunk_count(self) -> int:
        return len(self.sizes)

    def slices(self, order: Sequence[int] | None = None, choose: Callable[[int], int] | None = None) -> Iterator[Part]:
        starts = np.cumsum([0, *self.sizes])
        for chunk in order if order is not None else range(len(self.sizes)):
            for first in range(starts[chunk], starts[chunk + 1], self.slice_rows):
                self.read.append(first)
                yield Part(first, self.x[first : min(first + self.slice_rows, starts[chunk + 1])])


def streamed(source: Any, held_out: Sequence[int] = (), tensors: Any = None, **limits: int) -> StreamedBatches:
    numbers = np.array(held_out, dtype=np.int64)
    return StreamedBatches(source, tensors or (lambda x: x), numbers, torch.device("cpu"), "digest", **limits)


def numbered(sizes: list[int], **options: Any) -> Chunks:
    return Chunks(torch.arange(sum(sizes)).float()[:, None], sizes, **options)


def epoch(batches: StreamedBatches, size: int, seed: int = 0) -> list[list[int]]:
    return [batch[:, 0].int().tolist() for batch in batches.epoch(size, Randomness(seed, "epoch"))]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("isthmus")]


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_every_row_comes_once_an_epoch_and_the_last_batch_is_full(data):
    sizes = data.draw(st.lists(st.integers(1, 20), min_size=1, max_size=8))
    total = sum(sizes)
    held_out = data.draw(st.sets(st.integers(0, total - 1), max_size=total - 1))
    limits = {"buffer_rows": data.draw(st.integers(1, 40)), "buffer_bytes": data.draw(st.sampled_from([1, 50, 10**9]))}
    batches = streamed(numbered(sizes, slice_rows=data.draw(st.integers(1, 9))), sorted(held_out), **limits)
    size = batches.size(data.draw(st.integers(1, 30)))
    seen = epoch(batches, size)
    assert len(seen) == batches.steps(size)
    assert all(len(batch) == size for batch in seen)
    order = [number for batch in seen for number in batch]
    assert sorted(order[: batches.rows]) == [number for number in range(total) if number not in held_out]
    assert not held_out & set(order)
    assert not threads()


def test_the_order_is_the_epochs_alone_and_another_in_each():
    batches = streamed(numbered([30] * 10), buffer_rows=64)
    first = epoch(batches, 16)
    drawn_from = Randomness(0, "epoch")
    drawn_from.normal(1000)  # noise that training has drawn by then
    assert [batch[:, 0].int().tolist() for batch in batches.epoch(16, drawn_from)] == first
    assert epoch(batches, 16, seed=1) != first
    iterator = batches.epoch(16, Randomness(0, "epoch"))
    slow = []
    for batch in iterator:
        time.sleep(0.002)  # however far ahead the thread gets
        slow.append(batch[:, 0].int().tolist())
    assert slow == first


def test_a_buffer_of_all_rows_gives_every_order_alike():
    """Each row is as likely at every place; χ² over 300 shuffles of 8 rows, 49 degrees of freedom."""
    counts = np.zeros((8, 8))
    for seed in range(300):
        (batch,) = epoch(streamed(numbered([3, 5], slice_rows=2)), 8, seed)
        for place, number in enumerate(batch):
            counts[number, place] += 1
    expected = 300 / 8
    assert ((counts - expected) ** 2 / expected).sum() < 85.4  # the 99.9% point


def test_a_small_buffer_mixes_neighbours():
    order = [
        number for batch in epoch(streamed(numbered([2000], slice_rows=100), buffer_rows=500), 50) for number in batch
    ]
    # In file order the mean step is 1, in random order a third of the rows; a quarter of them are in the buffer.
    assert np.abs(np.diff(order)).mean() > 100


def test_the_buffer_keeps_within_its_bounds():
    taken = given_back = held = 0

    def pieces() -> Iterator[Tensor]:
        nonlocal taken
        for _ in range(40):
            taken += 50
            yield torch.zeros(50, 4)

    for block in shuffled(pieces(), 10**9, 64 * 16, np.random.default_rng(0)):  # 64 rows of 16 bytes
        given_back += len(block)
        held = max(held, taken - given_back)
        assert len(block) <= 16
    assert given_back == taken == 2000
    assert held <= 64 + 50


@pytest.mark.parametrize("size", [1, 3, 10])
def test_batches_of_blocks_are_full(size):
    blocks = [torch.arange(start, end) for start, end in ((0, 4), (4, 5), (5, 11))]
    batches = list(batched(iter(blocks), size))
    assert all(len(batch) == size for batch in batches)
    order = torch.cat(batches).tolist()
    assert order[:11] == list(range(11))
    assert order[11:] == order[: len(order) - 11]


def toy_batches(**limits: int) -> StreamedBatches:
    return streamed(Chunks(rows(), [25, 25, 20]), **limits)


@pytest.mark.parametrize("stopped_at", [1, 4])
def test_a_resumed_run_sees_the_same_rows_to_the_last_bit(tmp_path, stopped_at):
    plan = Plan(6, 16, 1e-2, seed=1, checkpoint_seconds=0.0)

    def run(variant, path: Path, *observers):
        with toy_batches(buffer_rows=30) as batches:
            checkpoint = Checkpoint(path, FINGERPRINT)
            return train(variant, batches, rows(30, seed=9), plan, as_is, observers, checkpoint)

    whole, parted = model(), model()
    uninterrupted = run(whole, tmp_path / "a")
    assert run(parted, tmp_path / "b", interrupt_at(stopped_at)).interrupted
    parted = model(seed=5)
    resumed = run(parted, tmp_path / "b")
    assert_same_end(whole, uninterrupted, parted, resumed)
    assert without_seconds(resumed.history) == without_seconds(uninterrupted.history)
    assert not threads()


def test_streamed_rows_teach_as_much_as_resident_ones():
    """With a buffer of all rows both orders are uniformly random, if not the same: losses on held-out rows differ as
    those of other seeds do."""
    x, validation = rows(600), rows(300, seed=9)

    def loss(batches: Any, seed: int) -> float:
        outcome = train(model(seed=seed), batches, validation, Plan(12, 32, 1e-2, seed=seed), as_is)
        return outcome.history[outcome.best_epoch - 1]["validation"]["loss"]

    resident = np.array([loss(ResidentBatches(x), seed) for seed in range(6)])
    streaming = np.array([loss(streamed(Chunks(x, [200, 300, 100])), seed) for seed in range(6)])
    difference = streaming - resident  # paired: the same weights to start from, and the same noise
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert abs(difference.mean()) < max(4 * error, 0.002 * abs(resident.mean()))
    assert abs(difference.mean()) < 0.02 * abs(resident.mean())


def test_what_is_raised_while_reading_is_raised_in_training():
    def broken(x: Tensor) -> Tensor:
        if x[0, 0] >= 50:
            raise DataError("part-7.parquet: is damaged; copy it anew")
        return x

    batches = streamed(numbered([10] * 10), tensors=broken)
    with pytest.raises(DataError, match="part-7"):
        epoch(batches, 8)
    assert not threads()


def test_an_epoch_that_is_left_ends_its_thread():
    source = numbered([10] * 1000)
    batches = streamed(source, buffer_rows=10)
    iterator = batches.epoch(10, Randomness(0, "epoch"))
    next(iterator)
    assert threads()
    iterator.close()
    assert not threads()
    read = len(source.read)
    assert read < 1500  # of 2,000: the thread did not go on to the end

    with batches:
        kept = batches.epoch(10, Randomness(0, "epoch"))
        next(kept)
        assert threads()
    assert not threads()
    kept = batches.epoch(10, Randomness(0, "epoch"))
    next(kept)
    again = batches.epoch(10, Randomness(1, "epoch"))  # as where training starts an epoch anew
    next(again)
    assert len(threads()) == 1
    batches.close()
    assert not threads()


@pytest.mark.parametrize("step", [1, 9])
def test_ctrl_c_ends_the_thread(step):
    taken = 0

    def interrupting(x: Tensor, randomness: Randomness) -> Tensor:
        nonlocal taken
        taken += 1
        if taken == step:
            raise KeyboardInterrupt
        return x

    with toy_batches() as batches:
        if step == 1:  # before the first epoch has ended it is raised
            with pytest.raises(KeyboardInterrupt):
                train(model(), batches, None, Plan(4, 16), interrupting)
        else:
            assert train(model(), batches, None, Plan(4, 16), interrupting).interrupted
    assert not threads()

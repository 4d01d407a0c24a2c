"""A run that stops, however it stops, goes on as if it had not."""

import contextlib
import multiprocessing
import os
import random
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from isthmus import variants
from isthmus.core.errors import ModelFileError
from isthmus.files.tensor_file import write_tensors
from isthmus.training.checkpoint import Checkpoint
from isthmus.training.loop import train
from isthmus.training.run import EpochRecord, Outcome, Plan
from isthmus.training.state import TrainingState
from isthmus.variants.base import Variant

from .toys import Fragile, as_is, model, rows

EPOCHS = 9
PLAN = Plan(EPOCHS, 16, 1e-2, seed=1, checkpoint_seconds=0.0)  # saved after every epoch
FINGERPRINT = {"data": "d1", "options": {"beta": 1.0}}


def interrupt_at(epoch: int) -> Any:
    def observe(record: EpochRecord, plan: Plan) -> None:
        if record["epoch"] == epoch:
            raise KeyboardInterrupt

    return observe


def run(variant: Variant, path: Path | None, *observers: Any, validated: bool = True, plan: Plan = PLAN) -> Outcome:
    checkpoint = None if path is None else Checkpoint(path, FINGERPRINT)
    return train(variant, rows(), rows(30, seed=9) if validated else None, plan, as_is, observers, checkpoint)


def without_seconds(history: list[EpochRecord]) -> list[EpochRecord]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


def assert_same_end(one: Variant, first: Outcome, other: Variant, second: Outcome) -> None:
    """Weights, optimisers' moments, best weights, counters and history, to the last bit."""
    for mine, theirs in ((one.state_dict(), other.state_dict()), (first.state.tensors, second.state.tensors)):
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            assert torch.equal(value, theirs[name]), name
    counters = [outcome.state.counters | {"history": None} for outcome in (first, second)]
    assert counters[0] == counters[1]
    assert without_seconds(first.history) == without_seconds(second.history)
    assert (first.best_epoch, first.recoveries) == (second.best_epoch, second.recoveries)


@pytest.mark.parametrize("epoch", [1, 4, EPOCHS - 1, EPOCHS])
@pytest.mark.parametrize("name", variants.names())
@pytest.mark.slow
def test_resuming_equals_not_stopping(name: str, epoch: int, tmp_path: Path) -> None:
    whole, stopped, resumed = model(name), model(name), model(name, seed=5)
    expected = run(whole, None)
    run(stopped, tmp_path / "c", interrupt_at(epoch))
    assert_same_end(whole, expected, resumed, run(resumed, tmp_path / "c"))


def test_stopping_after_every_epoch_equals_not_stopping(tmp_path: Path) -> None:
    whole = model("factor_vae")
    expected = run(whole, None, validated=False)
    for epoch in range(1, EPOCHS + 1):
        last = model("factor_vae", seed=epoch - 1)  # only the first one's initial weights may matter
        outcome = run(last, tmp_path / "c", interrupt_at(epoch), validated=False)
    assert_same_end(whole, expected, last, outcome)


def test_resuming_after_a_recovery_equals_not_stopping(tmp_path: Path) -> None:
    whole = model(Fragile)
    expected = run(whole, None)
    run(model(Fragile), tmp_path / "c", interrupt_at(6))
    healthy = model("vae")  # the fragile one breaks once, and it has done so before the interruption
    resumed = run(healthy, tmp_path / "c")
    assert resumed.recoveries == 1
    assert_same_end(whole, expected, healthy, resumed)


def test_a_finished_run_resumes_to_itself(tmp_path: Path) -> None:
    first, second = model(), model(seed=5)
    expected = run(first, tmp_path / "c", plan=Plan(EPOCHS, 16, 0.1, patience=2, seed=1, checkpoint_seconds=0.0))
    again = run(second, tmp_path / "c", plan=Plan(EPOCHS, 16, 0.1, patience=2, seed=1, checkpoint_seconds=0.0))
    assert_same_end(first, expected, second, again)


def test_nothing_is_saved_before_it_is_time(tmp_path: Path) -> None:
    run(model(), tmp_path / "c", plan=Plan(EPOCHS, 16, 1e-2, checkpoint_seconds=1e6))
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("fingerprint", [FINGERPRINT | {"data": "d2"}, FINGERPRINT | {"options": {"beta": 2.0}}])
def test_the_checkpoint_of_another_run_is_refused(fingerprint: dict[str, Any], tmp_path: Path) -> None:
    run(model(), tmp_path / "c")
    with pytest.raises(ModelFileError) as failure:
        Checkpoint(tmp_path / "c", fingerprint).load()
    message = str(failure.value)
    changed = next(name for name in FINGERPRINT if fingerprint[name] != FINGERPRINT[name])
    assert "\n" not in message and str(tmp_path / "c") in message and changed in message


def state(number: float) -> TrainingState:
    return TrainingState({"model.w": torch.full((3,), number)}, {"epoch": int(number)})


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "truncated":
        content = content[: len(content) // 2]
    elif how == "emptied":
        content = bytearray()
    else:
        content[-3] ^= 4
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("how", ["truncated", "emptied", "flipped"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(how: str, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", FINGERPRINT)
    checkpoint.save([state(1.0)])
    checkpoint.save([state(2.0)])
    damage(checkpoint.path, how)
    loaded = checkpoint.load()
    assert loaded is not None and loaded[0].counters == {"epoch": 1}
    assert torch.equal(loaded[0].tensors["model.w"], torch.ones(3))
    # The damaged file does not push the good one out.
    checkpoint.save([state(3.0)])
    damage(checkpoint.path, how)
    again = checkpoint.load()
    assert again is not None and again[0].counters["epoch"] == 1
    damage(checkpoint.previous, how)
    with pytest.raises(ModelFileError) as failure:
        checkpoint.load()
    assert "\n" not in str(failure.value)


def test_a_save_that_fails_leaves_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "c", FINGERPRINT)
    checkpoint.save([state(1.0)])

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Exception, match="No space left"):
        checkpoint.save([state(2.0)])
    loaded = checkpoint.load()
    assert loaded is not None and loaded[0].counters == {"epoch": 1}


def test_removing_leaves_nothing(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", FINGERPRINT)
    assert checkpoint.load() is None
    checkpoint.save([state(1.0)])
    checkpoint.save([state(2.0)])
    checkpoint.remove()
    assert list(tmp_path.iterdir()) == []
    checkpoint.remove()


def train_and_report(checkpoint: Path, result: Path, reports: Connection) -> None:
    """What the killed processes do: train with the opponent, save after every epoch, tell every epoch."""
    torch.set_num_threads(1)
    variant = model("factor_vae")
    plan = Plan(80, 16, 1e-2, seed=1, checkpoint_seconds=0.0)
    outcome = run(variant, checkpoint, lambda record, plan: reports.send(record["epoch"]), plan=plan)
    torch.save((variant.state_dict(), outcome.state.tensors, outcome.best_epoch), result)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_killed_at_random_moments_it_finishes_with_the_same_bits(tmp_path: Path) -> None:
    """Ten kills, while it trains and while it saves, which it does all the time."""
    delays = random.Random(0)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["isthmus.training.loop"])  # torch is imported once, not twelve times

    def start(name: str) -> tuple[BaseProcess, Connection]:
        reports, sender = processes.Pipe(duplex=False)
        paths = (tmp_path / name, tmp_path / f"{name}.pt")
        process = processes.Process(target=train_and_report, args=(*paths, sender))
        process.start()
        sender.close()
        return process, reports

    first_epochs = []
    for _ in range(10):
        process, reports = start("killed")
        first_epochs.append(reports.recv())
        for _ in range(delays.randrange(4)):
            reports.recv()
        time.sleep(delays.uniform(0.0, 0.05))
        process.kill()
        process.join()
        assert process.exitcode == -9, "it finished before it was killed: the test needs more epochs"
    assert first_epochs[0] == 1
    # An epoch is told before it is saved: killed between the two, it is begun again.
    assert sorted(first_epochs) == first_epochs, "a kill lost epochs that were on the disk"
    assert first_epochs[-1] > 10, "next to nothing was on the disk"
    for name in ("killed", "whole"):
        process, reports = start(name)
        while process.is_alive():
            if reports.poll(1.0):
                with contextlib.suppress(EOFError):
                    reports.recv()
        process.join()
        assert process.exitcode == 0
    killed, whole = (torch.load(tmp_path / f"{name}.pt") for name in ("killed", "whole"))
    assert killed[2] == whole[2]
    for mine, theirs in zip(killed[:2], whole[:2], strict=True):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[name]) for name, value in mine.items())


def test_states_are_copies() -> None:
    """What an outcome holds does not change when the model trains on."""
    variant = model()
    outcome = run(variant, None)
    held: dict[str, Tensor] = {name: value.clone() for name, value in outcome.state.tensors.items()}
    train(variant, rows(), None, PLAN, as_is)
    assert all(torch.equal(value, held[name]) for name, value in outcome.state.tensors.items())


@pytest.mark.parametrize("resume", [True, False])
def test_what_is_no_checkpoint_is_refused_in_one_line(resume: bool, tmp_path: Path) -> None:
    """A model file where a checkpoint should be, damage, and a folder."""
    place = tmp_path / "c"
    if not resume:
        place.mkdir()
        with pytest.raises(ModelFileError, match="a folder, where a checkpoint would be written"):
            Checkpoint(place, FINGERPRINT).remove()
        return
    write_tensors(place, {"w": torch.ones(3)}, {"variant": "vae"})
    with pytest.raises(ModelFileError, match=r"c: a file of isthmus, but not a checkpoint; start without resuming$"):
        Checkpoint(place, FINGERPRINT).load()
    place.write_bytes(b"garbage that is long enough")
    with pytest.raises(ModelFileError, match=r"c: damaged, or no file of isthmus; start without resuming$"):
        Checkpoint(place, FINGERPRINT).load()


def test_what_a_killed_run_left_half_written_goes_with_the_checkpoint(tmp_path: Path) -> None:
    left = [tmp_path / f".{name}.0123456789ab.partial" for name in ("c", "other")]
    for path in left:
        path.write_bytes(b"half")
    mine, users = ("c", "c.previous", "c.1-2-4", "c.8.previous"), ("c.bak", "c.1-2-4.txt", "c2")
    for name in (*mine, *users):
        (tmp_path / name).write_bytes(b"states")
    Checkpoint(tmp_path / "c", FINGERPRINT).remove()
    assert [path.exists() for path in left] == [False, True]
    assert {path.name for path in tmp_path.iterdir()} == {*users, left[1].name}

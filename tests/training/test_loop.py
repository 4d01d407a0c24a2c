"""The training loop: what it keeps, what it reports, and how it comes through trouble."""

import os
import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest
import torch
from torch import Tensor

from isthmus import variants
from isthmus.core.errors import DivergenceError
from isthmus.core.randomness import Randomness
from isthmus.training.loop import train
from isthmus.training.optimiser import BETA_1, CLIP_FACTOR, Optimiser
from isthmus.training.run import EpochRecord, Plan

from .toys import BrokenGradient, Fragile, Hopeless, as_is, model, rows, validated

PLAN = Plan(12, 16, 1e-2, seed=1)


def weights(variant: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in variant.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


def test_the_best_weights_are_left_in_the_model() -> None:
    """With a wild learning rate the validation loss goes up and down: the end is not the best."""
    variant = model()
    seen: list[dict[str, Tensor]] = []
    plan = Plan(15, 16, 0.1, schedule="constant", patience=None, seed=1)
    outcome = train(
        variant, rows(), rows(40, seed=9), plan, as_is, [lambda record, plan: seen.append(weights(variant))]
    )
    losses = [record["validation"]["loss"] for record in outcome.history]
    assert outcome.best_epoch == 1 + losses.index(min(losses)) < 15
    assert same(weights(variant), seen[outcome.best_epoch - 1])
    again = validated(variant, rows(40, seed=9), as_is, plan.seed)
    assert again["loss"] == min(losses)
    assert not variant.training


def test_training_stops_when_patience_ends() -> None:
    plan = Plan(500, 16, 0.1, schedule="constant", patience=4, seed=1)
    outcome = train(model(), rows(), rows(40, seed=9), plan, as_is)
    assert len(outcome.history) == outcome.best_epoch + 4 < 500


def test_patience_does_not_end_before_the_warm_up_does() -> None:
    variant = model()
    variant.warmup_epochs = 30.0
    plan = Plan(80, 16, 0.1, schedule="constant", patience=4, seed=1)
    outcome = train(variant, rows(), rows(40, seed=9), plan, as_is)
    assert len(outcome.history) == max(outcome.best_epoch, 30) + 4


def test_without_validation_rows_the_last_weights_are_kept() -> None:
    variant = model()
    seen: list[dict[str, Tensor]] = []
    outcome = train(variant, rows(), None, PLAN, as_is, [lambda record, plan: seen.append(weights(variant))])
    assert outcome.best_epoch == len(outcome.history) == PLAN.epochs
    assert same(weights(variant), seen[-1])


@pytest.mark.parametrize("name", variants.names())
def test_history_is_one_record_per_epoch_with_every_term(name: str) -> None:
    variant = model(name)
    outcome = train(variant, rows(), rows(30, seed=9), PLAN, as_is)
    assert [record["epoch"] for record in outcome.history] == list(range(1, PLAN.epochs + 1))
    terms = set(variant.terms(rows(), Randomness(0)))
    for record in outcome.history:
        assert set(record) == {"epoch", "train", "validation", "learning_rate", "seconds"}
        own = {term for term in record["train"] if not term.startswith("opponent ")}
        assert own == set(record["validation"]) == terms | {"loss"}
        for means in (record["train"], record["validation"]):
            total = sum(mean for term, mean in means.items() if term in terms)
            assert means["loss"] == pytest.approx(total, rel=1e-6)
        assert ("opponent loss" in record["train"]) == (variant.opponent is not None)
        assert record["seconds"] > 0
    rates = [record["learning_rate"] for record in outcome.history]
    assert rates[0] == pytest.approx(PLAN.learning_rate) and rates == sorted(rates, reverse=True)


def test_history_holds_the_means_over_all_rows() -> None:
    """At a learning rate of (almost) zero the terms of an epoch are those of the untouched model."""
    variant = model("autoencoder")
    x = rows(64)
    exact = variant.terms(x, Randomness(0)).loss.item()
    outcome = train(variant, x, x, Plan(1, 16, 1e-12), as_is)
    assert outcome.history[0]["train"]["loss"] == pytest.approx(exact, rel=1e-5)
    assert outcome.history[0]["validation"]["loss"] == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize(("count", "batch"), [(70, 16), (64, 16), (3, 16), (16, 16), (17, 16), (5, 1)])
def test_every_row_is_seen_once_in_each_epoch_and_batches_have_one_size(count: int, batch: int) -> None:
    x = rows(count)
    x[:, 0] = torch.arange(count)
    epochs: list[list[Tensor]] = [[]]

    def spy(seen: Tensor, randomness: Randomness) -> Tensor:
        epochs[-1].append(seen[:, 0].clone())
        return seen

    train(model(), x, None, Plan(3, batch, 1e-3), spy, [lambda record, plan: epochs.append([])])
    orders = []
    for batches in epochs[:3]:
        assert {len(seen) for seen in batches} == {min(batch, count)}
        seen = torch.cat(batches)
        assert set(seen.tolist()) == set(range(count))
        repeats = seen.long().bincount(minlength=count)
        assert repeats.max() <= 2 and (repeats == 2).sum() == len(seen) - count
        orders.append(tuple(seen.tolist()))
    assert count <= 3 or len(set(orders)) == 3, "epochs have one order"


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not() -> None:
    ends = []
    for seed in (1, 1, 2):
        variant = model()
        train(variant, rows(), None, Plan(3, 16, 1e-2, seed=seed), as_is)
        ends.append(weights(variant))
    assert same(ends[0], ends[1])
    assert not same(ends[0], ends[2])


@pytest.mark.parametrize("kind", [Fragile, BrokenGradient])
@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("breaks_at", [0.0, 3.0, 11.0])
def test_a_diverging_run_goes_back_and_goes_on_at_half_the_rate(
    kind: type[Fragile], validated: bool, breaks_at: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the first epoch, in the last one, and where only the gradient shows it."""
    monkeypatch.setattr(kind, "breaks_at", breaks_at)
    variant = model(kind)
    plan = Plan(12, 16, 1e-2, schedule="constant", seed=1)
    outcome = train(variant, rows(), rows(30, seed=9) if validated else None, plan, as_is)
    assert outcome.recoveries == 1
    assert [record["epoch"] for record in outcome.history] == list(range(1, 13))
    rates = [record["learning_rate"] for record in outcome.history]
    assert rates == [1e-2] * int(breaks_at) + [5e-3] * (12 - int(breaks_at))
    assert all(value.isfinite().all() for value in variant.state_dict().values())


def test_three_recoveries_are_borne(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fragile, "bearable", 3)
    outcome = train(model(Fragile), rows(), None, PLAN, as_is)
    assert outcome.recoveries == 3 and len(outcome.history) == PLAN.epochs


@pytest.mark.parametrize("damage", [float("nan"), float("inf"), -float("inf")])
def test_a_run_that_keeps_diverging_ends_in_one_line(damage: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hopeless, "damage", damage)
    with pytest.raises(DivergenceError) as failure:
        train(model(Hopeless), rows(), None, PLAN, as_is)
    message = str(failure.value)
    assert "epoch 4" in message and "learning_rate" in message and "\n" not in message


def test_one_wild_step_is_clipped() -> None:
    """A gradient 10⁶ times the usual moves the weights no farther than one CLIP_FACTOR times the usual."""
    parameter = torch.nn.Parameter(torch.zeros(4))
    optimiser, rate = Optimiser([parameter]), torch.tensor([1e-3])
    for _ in range(50):
        optimiser.step([torch.ones(4)], rate, alike=True)
    usual = optimiser.usual_norm.clone()
    before = optimiser.first_moments[0].clone()
    optimiser.step([torch.full((4,), 1e6)], rate, alike=True)
    gradient = (optimiser.first_moments[0] - BETA_1 * before) / (1 - BETA_1)  # what Adam was given
    torch.testing.assert_close(gradient.norm().view(1), CLIP_FACTOR * usual, rtol=1e-4, atol=0.0)
    assert optimiser.usual_norm < 2 * usual


def interrupt_at(epoch: int) -> Any:
    def observe(record: EpochRecord, plan: Plan) -> None:
        if record["epoch"] == epoch:
            raise KeyboardInterrupt

    return observe


@pytest.mark.parametrize("validated", [True, False])
def test_ctrl_c_keeps_the_best_so_far(validated: bool) -> None:
    held_out = rows(30, seed=9) if validated else None
    variant, shorter = model(), model()
    plan = Plan(12, 16, 1e-2, schedule="constant", seed=1)
    outcome = train(variant, rows(), held_out, plan, as_is, [interrupt_at(5)])
    assert outcome.interrupted and len(outcome.history) == 5
    train(shorter, rows(), held_out, Plan(5, 16, 1e-2, schedule="constant", seed=1), as_is)
    assert same(weights(variant), weights(shorter))
    assert not variant.training


def test_ctrl_c_in_the_middle_of_an_epoch_goes_back_to_its_start() -> None:
    variant, shorter = model(), model()
    steps = 0

    def draw(x: Tensor, randomness: Randomness) -> Tensor:
        nonlocal steps
        steps += 1
        if steps == 5 * 5 + 3:  # five batches in an epoch
            raise KeyboardInterrupt
        return x

    plan = Plan(12, 16, 1e-2, schedule="constant", seed=1)
    outcome = train(variant, rows(), None, plan, draw)
    assert outcome.interrupted and len(outcome.history) == 5
    train(shorter, rows(), None, Plan(5, 16, 1e-2, schedule="constant", seed=1), as_is)
    assert same(weights(variant), weights(shorter))


def test_ctrl_c_before_the_first_epoch_ends_is_passed_on() -> None:
    def draw(x: Tensor, randomness: Randomness) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(model(), rows(), None, PLAN, draw)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.slow
def test_a_real_interrupt_ends_training_with_what_there_is() -> None:
    program = textwrap.dedent(
        """
        import numpy as np, isthmus
        def show(record, plan):
            print(record["epoch"], flush=True)
        x = np.random.default_rng(0).normal(size=(200, 4))
        model = isthmus.VAE(2, hidden=(8,), epochs=100_000, patience=None, compiled=False, random_state=0)
        model.fit(x, observers=(show,))
        print("interrupted", model.training_["interrupted"], np.isfinite(model.transform(x)).all(), flush=True)
        """
    )
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 5:
            break
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert output.splitlines()[-1] == "interrupted True True"


@pytest.mark.parametrize("name", variants.names())
@pytest.mark.slow
def test_bfloat16_trains_nearly_as_well(name: str) -> None:
    losses = {}
    for precision in ("float32", "bfloat16"):
        variant = model(name)
        plan = Plan(20, 16, 1e-2, precision=precision, seed=1)
        train(variant, rows(), None, plan, as_is)
        assert all(parameter.dtype == torch.float32 for parameter in variant.parameters())
        after = validated(variant, rows(), as_is, 0)
        losses[precision] = after["loss"]
    untrained = validated(model(name), rows(), as_is, 0)
    gain = untrained["loss"] - losses["float32"]
    assert untrained["loss"] - losses["bfloat16"] > 0.5 * gain > 0

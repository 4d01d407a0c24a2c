"""Models that train in one step end as they would alone."""

from typing import Any

import pytest
import torch
from torch import Tensor

from isthmus import variants
from isthmus.core.randomness import Randomness
from isthmus.parts.networks import built
from isthmus.training import ensemble, step
from isthmus.training.checkpoint import Checkpoint
from isthmus.training.loop import train, train_together
from isthmus.training.members import Members, can_stand_together, weight_names
from isthmus.training.run import EpochRecord, Outcome, Plan
from isthmus.training.step import EAGER, Kind, can_compile
from isthmus.variants.base import Variant

from .toys import Hopeless, Networks, as_is, rows

EPOCHS = 8
# Sums in another order: in eight epochs of five steps the last digits grow to this.
ROUNDING: dict[str, Any] = {"rtol": 2e-3, "atol": 2e-4}


def made(kind: str | type[Variant], latent_dim: int = 3, seed: int = 0, **options: Any) -> Variant:
    variant = variants.find(kind) if isinstance(kind, str) else kind
    own = variant.Options(**options)
    model = built(lambda: variant(Networks(), latent_dim, own), Randomness(seed, "model"))
    assert isinstance(model, Variant)
    return model


def plan(seed: int = 0, rate: float = 5e-3, **more: Any) -> Plan:
    return Plan(EPOCHS, 16, rate, seed=seed, **more)


def assert_alike(one: Outcome, other: Outcome) -> None:
    assert len(one.history) == len(other.history)
    assert (one.best_epoch, one.recoveries) == (other.best_epoch, other.recoveries)
    for mine, theirs in zip(one.history, other.history, strict=True):
        for means in ("train", "validation"):
            assert mine[means].keys() == theirs[means].keys()
            for name, value in mine[means].items():
                assert value == pytest.approx(theirs[means][name], rel=ROUNDING["rtol"], abs=1e-3), name
        assert mine["learning_rate"] == theirs["learning_rate"]


def assert_same_weights(one: Variant, other: Variant) -> None:
    theirs = other.state_dict()
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, theirs[name], **ROUNDING)


def assert_same_state(one: Outcome, other: Outcome) -> None:
    """From which training goes on: the last weights, not the best ones, and the optimiser's numbers."""
    assert one.state.tensors.keys() == other.state.tensors.keys()
    for name, value in one.state.tensors.items():
        if name.startswith("model."):
            torch.testing.assert_close(value, other.state.tensors[name], **ROUNDING)


def together_and_alone(models: Any, plans: list[Plan], kind: Kind = EAGER) -> None:
    """`models()` gives the same untrained models at each call."""
    held_out = rows(40, seed=9)
    stacked, single = models(), models()
    outcomes = train_together(stacked, rows(), held_out, plans, as_is, kind=kind)
    for variant, own, outcome, twin in zip(stacked, plans, outcomes, single, strict=True):
        alone = train(twin, rows(), held_out, own, as_is, kind=EAGER)
        assert_alike(outcome, alone)
        assert_same_weights(variant, twin)
        assert_same_state(outcome, alone)


@pytest.mark.parametrize("name", variants.names())
def test_seeds_and_learning_rates(name: str) -> None:
    plans = [plan(seed, rate) for seed, rate in ((1, 5e-3), (2, 5e-3), (3, 1e-3))]
    together_and_alone(lambda: [made(name, seed=each.seed) for each in plans], plans)


@pytest.mark.parametrize("name", variants.names())
def test_sizes(name: str) -> None:
    """The smaller ones lie in a corner of the larger one, and no idle unit wakes."""
    sizes = (2, 5, 3)
    assert can_stand_together(made(name, 2), made(name, 5)) == (name != "ladder_vae")
    if name == "ladder_vae":
        return
    together_and_alone(lambda: [made(name, size, seed=size) for size in sizes], [plan(size) for size in sizes])


@pytest.mark.parametrize("name", variants.names())
def test_every_weight_on_a_term_may_differ(name: str) -> None:
    for option in weight_names(made(name).options):
        values = (0.3, 2.0)

        def models(option: str = option, values: tuple[float, ...] = values) -> list[Variant]:
            return [made(name, seed=4, **{option: value}) for value in values]

        assert can_stand_together(*models())
        together_and_alone(models, [plan(1), plan(1)])


def test_a_weight_of_zero_stands_apart_from_one_that_is_not() -> None:
    """Without noise the denoising autoencoder draws no numbers: it takes another step."""
    assert not can_stand_together(made("autoencoder", noise=0.0), made("autoencoder", noise=0.5))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (made("vae"), made("iwae")),
        (made("vae", kl="sampled"), made("vae")),
        (made("vae", 2, free_bits=0.5), made("vae", 3, free_bits=0.5)),
        (made("iwae", draws=2), made("iwae", draws=3)),
        (made("ladder_vae", width=8), made("ladder_vae", width=16)),
    ],
)
def test_what_differs_in_more_than_numbers_stands_apart(one: Variant, other: Variant) -> None:
    assert not can_stand_together(one, other) and not can_stand_together(other, one)
    assert can_stand_together(one, one)


def hasty_and_patient() -> list[Plan]:
    hasty = [plan(seed, 0.1, patience=1, schedule="constant", checkpoint_seconds=0.0) for seed in (1, 4, 5)]
    return [hasty[0], plan(2, 1e-3, checkpoint_seconds=0.0), *hasty[1:]]


# The second puts members together anew less often: those that have ended go on unheard. The third never does here.
@pytest.mark.parametrize("worth", [1.0, 1 / 2, 0.0])
def test_members_that_end_early_do_not_stop_the_others(worth: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ensemble.WORTH_MAKING_ANEW, "traced", worth)
    plans = hasty_and_patient()
    together_and_alone(lambda: [made("vae", 2 + each.seed % 2, each.seed) for each in plans], plans, Kind("traced"))
    ends = [len(outcome.history) for outcome in run_of(plans)]
    assert min(ends) < EPOCHS == max(ends)


def run_of(plans: list[Plan]) -> list[Outcome]:
    models = [made("vae", 2 + each.seed % 2, each.seed) for each in plans]
    return train_together(models, rows(), rows(40, seed=9), plans, as_is, kind=EAGER)


def test_a_member_that_diverges_is_given_up_and_the_others_are_not() -> None:
    """An infinite learning rate: every restart fails, whatever half of infinity is."""
    plans = [plan(1), plan(2, float("inf")), plan(3)]
    models = [made("vae", seed=each.seed) for each in plans]
    outcomes = train_together(models, rows(), rows(40, seed=9), plans, as_is, kind=EAGER)
    assert [outcome.failure is None for outcome in outcomes] == [True, False, True]
    assert "learning_rate" in str(outcomes[1].failure)
    for place in (0, 2):
        twin = made("vae", seed=plans[place].seed)
        assert_alike(outcomes[place], train(twin, rows(), rows(40, seed=9), plans[place], as_is, kind=EAGER))


def test_a_member_that_recovers_goes_on_at_half_the_rate() -> None:
    """The rate is so large that the first epoch fails, and half of it is not."""
    for rate in (3e3, 1e4, 1e5, 1e7):
        alone = train_together([made("vae", seed=2)], rows(), rows(40, seed=9), [plan(2, rate)], as_is, kind=EAGER)[0]
        if alone.recoveries > 0 and alone.failure is None:
            break
    else:
        pytest.skip("no rate of these recovers with this arithmetic")
    plans = [plan(1), plan(2, rate)]
    outcomes = train_together(
        [made("vae", seed=each.seed) for each in plans], rows(), rows(40, seed=9), plans, as_is, kind=EAGER
    )
    twin = made("vae", seed=1)
    assert_alike(outcomes[0], train(twin, rows(), rows(40, seed=9), plans[0], as_is, kind=EAGER))
    assert outcomes[1].recoveries > 0 and len(outcomes[1].history) == EPOCHS


def test_idle_units_stay_idle() -> None:
    """Every number outside a smaller member's corner is 0 after training as it was before."""
    small, large = made("vae", 2), made("vae", 5, seed=1)
    members = Members([small, large])
    for name in dict(small.named_parameters()):
        mask = members.mask(name)
        held = members.tensors[name][0]
        assert mask is None or (held[mask[0] == 0] == 0).all()
    masks = [members.mask(name) for name in dict(small.named_parameters())]
    assert any(mask is not None for mask in masks)


def interrupt_at(epoch: int) -> Any:
    def observe(record: EpochRecord, plan: Plan) -> None:
        if record["epoch"] == epoch:
            raise KeyboardInterrupt

    return observe


@pytest.mark.parametrize(
    ("epoch", "plans", "kind"),
    [
        (1, [plan(seed, checkpoint_seconds=0.0) for seed in (1, 2, 3)], EAGER),
        (4, [plan(seed, checkpoint_seconds=0.0) for seed in (1, 2, 3)], EAGER),
        (6, hasty_and_patient(), EAGER),
        (6, hasty_and_patient(), Kind("traced")),
    ],
)
def test_a_sweep_resumes_bit_for_bit(epoch: int, plans: list[Plan], kind: Kind, tmp_path: Any) -> None:
    def models() -> list[Variant]:
        return [made("factor_vae", 2 + each.seed, each.seed) for each in plans]

    def go(trained: list[Variant], *observers: Any, path: Any = None) -> list[Outcome]:
        checkpoint = None if path is None else Checkpoint(path, {"data": "d"})
        return train_together(trained, rows(), rows(40, seed=9), plans, as_is, observers, checkpoint, kind=kind)

    whole, resumed = models(), models()
    expected = go(whole)
    assert all(outcome.interrupted for outcome in go(models(), interrupt_at(epoch), path=tmp_path / "c"))
    outcomes = go(resumed, path=tmp_path / "c")
    for one, other, mine, theirs in zip(whole, resumed, expected, outcomes, strict=True):
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name
        assert mine.state.tensors.keys() == theirs.state.tensors.keys()
        assert all(torch.equal(value, theirs.state.tensors[name]) for name, value in mine.state.tensors.items())
        assert mine.best_epoch == theirs.best_epoch


@pytest.mark.parametrize("name", variants.names())
@pytest.mark.parametrize("seeds", [(1,), (1, 2)])
def test_a_traced_step_is_the_reference_step(name: str, seeds: tuple[int, ...]) -> None:
    """Alone and several in one."""
    plans = [plan(seed) for seed in seeds]
    together_and_alone(lambda: [made(name, seed=each.seed) for each in plans], plans, Kind("traced"))


@pytest.mark.skipif(not can_compile(torch.device("cpu")), reason="no compiler here: steps are eager")
@pytest.mark.parametrize(("name", "seeds"), [("vae", (1, 2)), ("factor_vae", (1,))])
@pytest.mark.slow
def test_a_compiled_step_takes_the_reference_step(name: str, seeds: tuple[int, ...]) -> None:
    plans = [plan(seed) for seed in seeds]
    together_and_alone(lambda: [made(name, seed=each.seed) for each in plans], plans, Kind("compiled"))


def test_a_hopeless_model_ends_training_alone_only() -> None:
    outcomes = train_together([made(Hopeless)], rows(), None, [plan()], as_is, kind=EAGER)
    assert outcomes[0].failure is not None and "epoch 4" in str(outcomes[0].failure)


def test_a_step_draws_the_numbers_that_the_reference_draws() -> None:
    """What is drawn before a step is what it would have drawn itself, to the last bit."""
    x: Tensor = rows(16)
    for name in variants.names():
        variant = made(name)
        members = Members([variant])
        requests = members.requests(lambda model, x, noise: model.terms(x, noise), x)
        given = members.drawn(requests, [Randomness(3, "n")])
        own = Randomness(3, "n")
        asked = [getattr(own, request.kind)(*request.shape) for request in requests[0]]
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(given, asked, strict=True))


@pytest.mark.parametrize("name", variants.names())
@pytest.mark.parametrize("kind", [EAGER, Kind("traced")])
def test_half_precision_in_company(name: str, kind: Kind) -> None:
    """Products of a stack are taken in the precision of those of one model, in which sums differ by a few per cent."""
    plans = [Plan(1, 16, 5e-3, precision="bfloat16", seed=seed) for seed in (1, 2)]
    stacked = [made(name, seed=each.seed) for each in plans]
    outcomes = train_together(stacked, rows(), rows(40, seed=9), plans, as_is, kind=kind)
    for variant, own, outcome in zip(stacked, plans, outcomes, strict=True):
        assert all(parameter.dtype == torch.float32 for parameter in variant.parameters())
        alone = train(made(name, seed=own.seed), rows(), rows(40, seed=9), own, as_is, kind=EAGER)
        first, twin = (each.history[0]["train"]["loss"] for each in (outcome, alone))
        assert first == pytest.approx(twin, rel=0.03)


def test_a_member_that_ended_does_not_count_steps_for_those_that_recovered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others fail in the first epoch and so stay an epoch behind it; then it ends, ahead of them, and stands on."""
    monkeypatch.setitem(ensemble.WORTH_MAKING_ANEW, "traced", 0.0)
    failing = {"calls": 0}
    finite = ensemble.Ensemble._finite

    def first_fails(own: ensemble.Ensemble) -> list[bool]:
        failing["calls"] += 1
        found = finite(own)
        return [seed == 9 for seed in seeds(own)] if failing["calls"] == 1 else found

    def seeds(own: ensemble.Ensemble) -> list[int]:
        return [run.plan.seed for run in own.standing]

    monkeypatch.setattr(ensemble.Ensemble, "_finite", first_fails)
    plans = [plan(9, 0.1, patience=1, schedule="constant"), plan(2), plan(3)]
    models = [made("vae", seed=each.seed) for each in plans]
    outcomes = train_together(models, rows(), rows(40, seed=8), plans, as_is, kind=Kind("traced"))
    assert len(outcomes[0].history) < EPOCHS and [outcome.recoveries for outcome in outcomes] == [0, 1, 1]
    for own, outcome in zip(plans[1:], outcomes[1:], strict=True):
        failing["calls"] = 0
        alone = train(made("vae", seed=own.seed), rows(), rows(40, seed=8), own, as_is, kind=EAGER)
        for mine, theirs in zip(outcome.history, alone.history, strict=True):
            assert mine["train"]["loss"] == pytest.approx(theirs["train"]["loss"], rel=2e-5)


def test_a_step_that_computes_something_else_is_left_for_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that gets a gradient wrong, though the loss is right; it is asked once, not at every step."""
    asked = []

    def wrong(graph: Any, held: list[Tensor]) -> Any:
        asked.append(graph)

        def program(*given: Tensor) -> list[Tensor]:
            batch, sums, *gradients = graph(*given)
            return [batch, sums, 1.01 * gradients[0], *gradients[1:]]

        return program

    monkeypatch.setattr(step, "compiled_graph", wrong)
    together_and_alone(lambda: [made("vae", seed=1)], [plan(1)], Kind("compiled"))
    assert len(asked) == 1


def test_ctrl_c_while_those_that_go_on_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """All go back to where they were kept last, also the one that had just ended."""
    gather = ensemble.Ensemble._gather

    def interrupted(own: ensemble.Ensemble, standing: list[Any]) -> None:
        gather(own, standing)
        if len(standing) < len(own.runs):
            raise KeyboardInterrupt

    monkeypatch.setattr(ensemble.Ensemble, "_gather", interrupted)
    outcomes = run_of(hasty_and_patient())
    assert all(outcome.interrupted and outcome.history for outcome in outcomes)
    assert len({outcome.state.counters["epoch"] for outcome in outcomes}) == 1

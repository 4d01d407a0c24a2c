"""What every variant must keep, as functions that take any variant class and raise AssertionError where it does not.

`test_contract.py` runs them on every variant that is found by name; `test_planted_bugs.py` shows that they catch bugs.
Terms whose names start with "reconstruction", "kl" or "bound" make up the (negative) evidence bound; others are
penalties.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from pydantic.fields import FieldInfo
from torch import Tensor

from isthmus import variants
from isthmus.core.errors import OptionError
from isthmus.core.randomness import Randomness
from isthmus.core.terms import Terms
from isthmus.domains.base import Domain, DomainNetworks, NetworkOptions
from isthmus.domains.image import Image
from isthmus.domains.table import Table
from isthmus.parts.networks import built
from isthmus.parts.posteriors import GaussianPosterior, PointPosterior
from isthmus.training.loop import train
from isthmus.training.members import Members
from isthmus.training.run import Plan
from isthmus.training.step import players_of
from isthmus.training.validation import Validation
from isthmus.variants.base import Variant

LATENT_DIM = 3
# Of a Monte Carlo mean; the chance that one of the few hundred comparisons is farther off by bad luck is below 1e-4.
STANDARD_ERRORS = 6.0


@dataclass(frozen=True)
class Toy:
    """A domain and some of its rows, as models take them."""

    domain: Domain
    x: Tensor

    def draw(self, x: Tensor, randomness: Randomness) -> Tensor:
        return self.domain.draw(x, randomness)


@cache
def toy(name: str) -> Toy:
    """`table`: 96 rows of four kinds of columns that hang together, cells missing; `image`: 96 pictures 4×5 of bars."""
    draws = np.random.default_rng(7)
    rows: Any
    if name == "table":
        factor = draws.normal(size=96)
        rows = pd.DataFrame(
            {
                "length": 3.0 * factor + draws.normal(size=96),
                "count": draws.poisson(np.exp(0.5 * factor + 2.0)),
                "large": factor + 0.3 * draws.normal(size=96) > 0.5,
                "kind": np.array(["a", "b", "c"])[np.digitize(factor, [-0.5, 0.5])],
            }
        )
        rows.loc[::9, "length"] = np.nan
        rows.loc[4::11, "kind"] = None
        domain: Domain = Table.fit(rows)
    else:
        bar = np.arange(5) == draws.integers(5, size=(96, 1))
        rows = (np.repeat(bar[:, None, :], 4, axis=1) * 180 + draws.integers(0, 40, size=(96, 4, 5))).astype(np.uint8)
        domain = Image.fit(rows)
    x = domain.tensors(rows)
    return Toy(domain, x.float() if x.is_floating_point() else x)


def build(kind: type[Variant], data: Toy, seed: int = 0, **options: Any) -> Variant:
    """A new model of this variant, in training, half an epoch in."""
    networks = DomainNetworks(data.domain, NetworkOptions(hidden=(16,), activation="silu"))
    checked = kind.Options.check(options, kind.__name__)
    model = built(lambda: kind(networks, LATENT_DIM, checked), Randomness(seed, "model"))
    assert isinstance(model, Variant)
    model.epoch.fill_(0.5)
    return model.train()


def awake(model: Variant, seed: int = 1) -> Variant:
    """The same model with weights moved away from where they start, so that its codes tell rows apart."""
    randomness = Randomness(seed, "awake")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * randomness.normal(*parameter.shape))
    return model


def fitted(model: Variant, data: Toy) -> Variant:
    """With its prior over codes, as after training."""

    def batches() -> Iterator[Tensor]:
        yield from data.x.split(50)

    model.eval()
    with torch.no_grad():
        model.fit_prior(batches(), Randomness(0, "prior"))
    return model


def averaged(values: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The mean of equally distributed tensors, elementwise, and its standard error."""
    stacked = torch.stack(values).double()
    return stacked.mean(0), stacked.std(0) / math.sqrt(len(values))


def check_terms_are_per_row_and_sum_to_the_loss(kind: type[Variant], data: Toy) -> None:
    model = awake(build(kind, data))
    players = [model.terms] + ([model.opponent_terms] if model.opponent is not None else [])
    for terms in players:
        values = terms(data.x, Randomness(0))
        assert isinstance(values, Terms) and values
        for name, value in values.items():
            assert value.shape == (len(data.x),), f"{name} is not one number per row"
            assert value.isfinite().all(), f"{name} is not finite"
        total = sum(values.values(), torch.zeros(()))
        torch.testing.assert_close(values.per_row, total)
        torch.testing.assert_close(values.loss, total.mean())


def check_reconstruction_is_a_sum_over_features(kind: type[Variant], data: Toy) -> None:
    """E[reconstruction] = −E[Σ_features log p(x_f | z)], over draws of z."""
    model = awake(build(kind, data)).eval()
    terms = model.terms(data.x, Randomness(0))
    if "reconstruction" not in terms:
        return
    found, expected = [], []
    with torch.no_grad():
        for seed in range(80):
            found.append(model.terms(data.x, Randomness(seed))["reconstruction"].mean())
            z = model.posterior(data.x).sample(Randomness(seed, "other"))
            expected.append(-model.likelihood(z).log_prob_per_feature(data.x).sum(-1).mean())
    _assert_same_mean(found, expected, "reconstruction")


def check_kl_is_the_divergence_from_the_prior(kind: type[Variant], data: Toy) -> None:
    """The terms named kl… sum to KL(q(z|x) ‖ p(z)) row by row: by Monte Carlo, and its closed form if it has one."""
    model = awake(build(kind, data)).eval()
    with torch.no_grad():
        if not any(name.startswith("kl") for name in model.terms(data.x, Randomness(0))):
            return
        found, expected = [], []
        for seed in range(120):
            terms = model.terms(data.x, Randomness(seed))
            found.append(torch.stack([value for name, value in terms.items() if name.startswith("kl")]).sum(0))
            posterior = model.posterior(data.x)
            z = posterior.sample(Randomness(seed, "other"))
            expected.append(posterior.log_prob(z) - model.prior().log_prob(z))
        _assert_same_mean(found, expected, "kl")
        assert averaged(found)[0].mean() > 0.1, "the model is not awake: this check would see nothing"
        if isinstance(posterior, GaussianPosterior):
            units = torch.distributions.Normal(posterior.mean, posterior.units.log_scale.exp())
            closed = torch.distributions.kl_divergence(units, torch.distributions.Normal(0.0, 1.0)).sum(-1)
            torch.testing.assert_close(averaged(found)[0].float(), closed, rtol=1e-4, atol=1e-4)


def check_bound_is_between_the_elbo_and_the_likelihood(kind: type[Variant], data: Toy) -> None:
    """The bound's terms are at most log p(x) and, on average, at least the evidence lower bound."""
    model = build(kind, data).eval()
    with torch.no_grad():
        bounds, lower, upper = [], [], []
        for seed in range(50):
            terms = model.terms(data.x, Randomness(seed))
            parts = [value for name, value in terms.items() if name.startswith(("reconstruction", "kl", "bound"))]
            bounds.append(-torch.stack(parts).sum(0).mean())
            lower.append(model.log_bound(data.x, Randomness(seed, "one"), 1).mean())
            upper.append(model.log_bound(data.x, Randomness(seed, "many"), 64).mean())
        (bound, error), (elbo, elbo_error), (likelihood, likelihood_error) = map(averaged, (bounds, lower, upper))
    assert bound >= elbo - STANDARD_ERRORS * (error + elbo_error) - 1e-4, f"{bound} is below the ELBO, {elbo}"
    assert bound <= likelihood + STANDARD_ERRORS * (error + likelihood_error) + 1e-4, f"{bound} > {likelihood}"


def check_every_parameter_gets_a_gradient(kind: type[Variant], data: Toy) -> None:
    model = awake(build(kind, data))
    groups = [(model.terms, model.own_parameters())]
    if model.opponent is not None:
        groups.append((model.opponent_terms, list(model.opponent.parameters())))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for terms, parameters in groups:
        gradients = torch.autograd.grad(terms(data.x, Randomness(0)).loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            name = names[id(parameter)]
            assert gradient is not None and gradient.abs().max() > 0, f"{name} gets no gradient"
            assert gradient.isfinite().all(), f"{name} gets a gradient that is not finite"


def check_each_player_moves_its_own_parameters_only(kind: type[Variant], data: Toy) -> None:
    model = awake(build(kind, data))
    players = players_of(Members([model]))
    losses = [model.terms, model.opponent_terms][: len(players)]
    owned = [id(parameter) for player in players for parameter in player.optimiser.parameters]
    assert sorted(owned) == sorted(id(parameter) for parameter in model.parameters()), "each parameter has one owner"
    opponent = {f"opponent.{name}" for name, _ in model.opponent.named_parameters()} if model.opponent else set()
    for index, (player, terms) in enumerate(zip(players, losses, strict=True)):
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        loss = terms(data.x, Randomness(0)).loss
        gradients = torch.autograd.grad(loss, player.optimiser.parameters, allow_unused=True)
        player.optimiser.step(gradients, torch.tensor([1e-2]), alike=True)
        moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
        assert moved == (opponent if index else set(before) - opponent)


def check_every_option_changes_the_loss(kind: type[Variant], data: Toy) -> None:
    """Each option, beside every choice of the options that are choices: while training, or afterwards."""
    declared = kind.Options.declared()
    modes = [{name: value} for name, field in declared.items() for value in _choices(field)] or [{}]
    for mode in modes:
        plain = build(kind, data, **mode)
        losses = losses_of(plain, data)
        for name, field in declared.items():
            value = another(field, mode.get(name, field.default))
            try:
                changed = build(kind, data, **(mode | {name: value}))
            except OptionError:
                continue  # an option that rows of this kind have no use for, and that says so
            adopt(changed, plain)
            # An option that nobody reads leaves every bit as it was.
            changes = not torch.equal(losses_of(changed, data), losses)
            assert changes, f"{name}={value!r} does not change the loss at {mode}"


def check_training_lowers_the_loss(kind: type[Variant], data: Toy) -> None:
    model = build(kind, data)
    (before,) = Validation(data.x, data.draw).means(Members([model]), [5])
    outcome = train(model, data.x, None, Plan(30, 32, 5e-3, seed=3), data.draw)
    (after,) = Validation(data.x, data.draw).means(Members([model]), [5])
    assert len(outcome.history) == 30
    # Learning the columns' means and scales alone gives more than a tenth of a nat per feature.
    features = data.x[0].numel()
    assert after["loss"] < before["loss"] - 0.1 * features, f"{before['loss']} → {after['loss']}"


def check_codes_are_the_same_every_time(kind: type[Variant], data: Toy) -> None:
    model = awake(build(kind, data))
    for mode in (True, False):
        model.train(mode)
        codes = model.posterior(data.x).mean
        assert codes.shape == (len(data.x), LATENT_DIM)
        assert codes.isfinite().all()
        assert torch.equal(codes, model.posterior(data.x).mean), "codes are drawn, not computed"
        torch.testing.assert_close(codes.flip(0), model.posterior(data.x.flip(0)).mean)
    assert torch.equal(codes, copy.deepcopy(model).posterior(data.x).mean)


def check_more_draws_tighten_the_bound(kind: type[Variant], data: Toy) -> None:
    model = awake(build(kind, data)).eval()
    with torch.no_grad():
        means = []
        for draws in (1, 4, 32):
            bounds = [model.log_bound(data.x, Randomness(seed), draws).mean() for seed in range(30)]
            assert model.log_bound(data.x, Randomness(0), draws).shape == (len(data.x),)
            means.append(averaged(bounds))
        for (fewer, fewer_error), (more, more_error) in pairwise(means):
            assert more >= fewer - STANDARD_ERRORS * (fewer_error + more_error) - 1e-4
        one = model.log_bound(data.x, Randomness(0), 8, shared=True)
        few = model.log_bound(data.x[:5], Randomness(0), 8, shared=True)
    torch.testing.assert_close(one[:5], few, msg="with shared noise a row's bound depends on its neighbours")


def check_prior_draws_decode(kind: type[Variant], data: Toy) -> None:
    model = fitted(awake(build(kind, data)), data)
    with torch.no_grad():
        z = model.prior().sample(7, Randomness(0))
        assert z.shape == (7, LATENT_DIM)
        assert torch.equal(z, model.prior().sample(7, Randomness(0)))
        assert not torch.equal(z, model.prior().sample(7, Randomness(1)))
        assert model.prior().log_prob(z).shape == (7,)
        assert model.prior().log_prob(z).isfinite().all()
        likelihood = model.likelihood(z)
        for rows in (likelihood.mode(), likelihood.sample(Randomness(0))):
            assert rows.shape == (7, *data.x.shape[1:])
            assert rows.isfinite().all()
            assert len(data.domain.rows(rows)) == 7
        # Draws may come before rows.
        stacked = model.likelihood(z.expand(2, 7, LATENT_DIM)).log_prob(data.x[:7])
        torch.testing.assert_close(stacked[1], likelihood.log_prob(data.x[:7]))


def check_densities_are_normalised(kind: type[Variant], data: Toy) -> None:
    """`sample` and `log_prob` speak of the same distributions: E_q[r(z)/q(z)] = 1 for densities q and r.

    A new model's posteriors are alike and narrower than its prior, so that the ratios have a variance.
    """
    model = build(kind, data).eval()
    with torch.no_grad():
        posterior, other, prior = model.posterior(data.x), model.posterior(data.x.flip(0)), model.prior()
        z = posterior.sample(Randomness(0), 2000)
        if not posterior.log_ratio(prior, z).any():
            return  # a point has no density
        torch.testing.assert_close(posterior.log_ratio(prior, z), prior.log_prob(z) - posterior.log_prob(z))
        _assert_mean_is_one((other.log_prob(z) - posterior.log_prob(z)).exp())
        z = torch.stack([prior.sample(len(data.x), Randomness(0, draw)) for draw in range(2000)])
        _assert_mean_is_one((posterior.log_prob(z) - prior.log_prob(z)).exp())


def check_codes_are_points_where_it_says_so(kind: type[Variant], data: Toy) -> None:
    model = awake(build(kind, data)).eval()
    posterior = model.posterior(data.x)
    drawn = posterior.sample(Randomness(0), 2)
    assert kind.point_codes == torch.equal(drawn[0], drawn[1])
    assert kind.point_codes == isinstance(posterior, PointPosterior)


def check_reduction_holds_draw_by_draw(kind: type[Variant], data: Toy) -> None:
    reduction = kind.reduces_to
    if reduction is None:
        return
    model = awake(build(kind, data, **reduction.when))
    simpler = build(variants.find(reduction.variant), data, **reduction.options)
    names = simpler.state_dict().keys()
    simpler.load_state_dict({name: value for name, value in model.state_dict().items() if name in names})
    for seed in range(5):
        ours, theirs = (m.terms(data.x, Randomness(seed)).per_row for m in (model, simpler))
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


CHECKS = tuple(function for name, function in dict(globals()).items() if name.startswith("check_"))


def _choices(field: FieldInfo) -> tuple[Any, ...]:
    """The values of a Literal type, none for other types."""
    return tuple(value for value in get_args(field.annotation) if isinstance(value, str))


def another(field: FieldInfo, value: Any) -> Any:
    """A value of the option that is not `value` and within its bounds."""
    choices = _choices(field)
    if choices:
        return next(choice for choice in choices if choice != value)
    if value == "auto":
        return 1.0  # a number that the data else decide on
    if isinstance(value, bool):
        return not value
    if isinstance(value, int) and value > 1:
        return value // 2  # of a count that the size of the toy caps, more would change nothing
    higher = 2 * value + 1
    highest = next((bound.le for bound in field.metadata if hasattr(bound, "le")), math.inf)
    return higher if higher <= highest else (value or highest) / 2


def losses_of(model: Variant, data: Toy) -> Tensor:
    """The loss of each row while training and afterwards, shape (2, rows)."""
    return torch.stack([model.train(mode).terms(data.x, Randomness(0)).per_row for mode in (True, False)])


def adopt(model: Variant, other: Variant) -> None:
    """Take over the other model's weights where they have the same name and shape."""
    own = model.state_dict()
    same = {name: value for name, value in other.state_dict().items() if name in own and own[name].shape == value.shape}
    model.load_state_dict(own | same)


def _assert_same_mean(found: list[Tensor], expected: list[Tensor], name: str) -> None:
    (mean, error), (other, other_error) = averaged(found), averaged(expected)
    tolerance = STANDARD_ERRORS * (error + other_error) + 1e-4 * (1 + other.abs())
    assert ((mean - other).abs() <= tolerance).all(), f"{name}: {mean.mean()} instead of {other.mean()}"


def _assert_mean_is_one(ratios: Tensor) -> None:
    """Of ratios (draws, rows), over draws, in each row."""
    mean, error = averaged(list(ratios))
    assert ((mean - 1).abs() <= STANDARD_ERRORS * error + 1e-4).all(), f"{mean.min()} … {mean.max()} instead of 1"

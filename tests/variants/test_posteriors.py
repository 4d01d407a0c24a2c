"""What is particular to one variant: the ladder's joint density, the lattice of FSQ, the contraction's slope."""

import pytest
import torch
from torch.distributions import Normal

from isthmus.core.randomness import Randomness
from isthmus.parts.posteriors import GaussianPosterior
from isthmus.variants.autoencoder import Autoencoder
from isthmus.variants.fsq import FSQ, codes_to_levels, levels_to_codes
from isthmus.variants.ladder_vae import LadderPosterior, LadderVAE
from isthmus.variants.vae import VAE

from . import contract


def test_gaussian_kl_matches_torch_and_its_own_samples() -> None:
    mean = torch.tensor([[0.0, 1.5, -3.0]])
    log_scale = torch.tensor([[0.0, -2.0, 0.7]])
    posterior = GaussianPosterior(mean, log_scale)
    closed = torch.distributions.kl_divergence(Normal(mean, log_scale.exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(posterior.kl_per_unit(), closed)
    z = posterior.sample(Randomness(0), 200_000)
    sampled = posterior.sampled_kl_per_unit(z)
    error = sampled.std(0) / 200_000**0.5
    assert ((sampled.mean(0) - closed).abs() <= 5 * error + 1e-5).all()


def test_gaussian_scales_stay_finite_whatever_the_encoder_says() -> None:
    posterior = GaussianPosterior(torch.zeros(1, 2), torch.tensor([[-1e30, 1e30]]))
    assert posterior.kl_per_unit().isfinite().all()
    assert posterior.sample(Randomness(0)).isfinite().all()


def test_shared_noise_is_the_same_for_every_row() -> None:
    posterior = GaussianPosterior(torch.zeros(5, 3), torch.zeros(5, 3))
    shared, own = posterior.sample(Randomness(0), 2, shared=True), posterior.sample(Randomness(0), 2)
    assert torch.equal(shared, shared[:, :1].expand(2, 5, 3))
    assert not torch.equal(own[:, 0], own[:, 1])


def ladder() -> tuple[LadderVAE, LadderPosterior, contract.Toy]:
    data = contract.toy("table")
    model = contract.awake(contract.build(LadderVAE, data))
    assert isinstance(model, LadderVAE)
    posterior = model.posterior(data.x)
    assert isinstance(posterior, LadderPosterior)
    return model, posterior, data


def test_ladder_densities_are_products_of_their_layers() -> None:
    model, posterior, _ = ladder()
    z = posterior.sample(Randomness(0), 6)
    lower, upper = z[..., : model.lower], z[..., model.lower :]
    expected = model.expected_lower(upper)
    top = Normal(0.0, 1.0).log_prob(upper).sum(-1)
    given = Normal(expected.mean, expected.log_scale.exp()).log_prob(lower).sum(-1)
    torch.testing.assert_close(model.prior().log_prob(z), top + given)
    # Precisions add, and means are weighted by them (Eq. 17 to 19).
    precisions = [(-2 * part.log_scale).exp() for part in (posterior.evidence, expected)]
    mean = (precisions[0] * posterior.evidence.mean + precisions[1] * expected.mean) / sum(precisions)
    meeting = Normal(mean, sum(precisions).rsqrt()).log_prob(lower).sum(-1)
    above = Normal(posterior.upper.mean, posterior.upper.units.log_scale.exp()).log_prob(upper).sum(-1)
    torch.testing.assert_close(posterior.log_prob(z), meeting + above)


@pytest.mark.slow
def test_ladder_kl_is_the_mean_of_its_sampled_one() -> None:
    model, posterior, _ = ladder()
    z = posterior.sample(Randomness(0), 4000)
    difference = posterior.kl(z) + posterior.log_ratio(model.prior(), z)
    error = difference.std(0) / 4000**0.5
    assert (difference.mean(0).abs() <= 6 * error + 1e-4).all()


@pytest.mark.slow
def test_ladder_layers_both_carry_information_on_digits() -> None:
    """Without its warm-up the ladder ends 9 nats behind the VAE, with two of six lower units at work and none above."""
    from sklearn.datasets import load_digits

    from isthmus.domains.base import DomainNetworks, NetworkOptions
    from isthmus.domains.image import Image
    from isthmus.parts.networks import built
    from isthmus.training.loop import train
    from isthmus.training.run import Plan

    images = load_digits().images.astype("uint8")
    domain = Image.fit(images)
    x = domain.tensors(images)
    losses = {}
    for kind in (VAE, LadderVAE):
        networks = DomainNetworks(domain, NetworkOptions())
        model = built(lambda kind=kind, networks=networks: kind(networks, 8, kind.Options()), Randomness(0, "model"))
        train(model, x[200:], x[:200], Plan(100), domain.draw)
        with torch.no_grad():
            losses[kind] = -model.log_bound(x[:200], Randomness(0), 16).mean().item()
    upper = model.posterior(x).upper.mean
    assert (upper.var(0) > 0.01).any()
    assert losses[LadderVAE] < losses[VAE] + 1.0


@pytest.mark.parametrize("levels", [2, 3, 8, 1024])
def test_fsq_codes_lie_on_the_lattice(levels: int) -> None:
    data = contract.toy("image")
    codes = contract.awake(contract.build(FSQ, data, levels=levels)).posterior(data.x).mean
    numbers = (codes + 1) * (levels - 1) / 2
    torch.testing.assert_close(numbers, numbers.round(), rtol=0, atol=levels * 1e-6)
    assert codes.abs().max() <= 1 + 1e-6
    lattice = torch.arange(levels).float()
    assert torch.equal(codes_to_levels(levels_to_codes(lattice, levels), levels), lattice)


def test_fsq_rounds_to_the_nearest_level_and_passes_gradients_straight_through() -> None:
    data = contract.toy("image")
    model = contract.awake(contract.build(FSQ, data))
    raw = model.encoder(data.x)
    raw.retain_grad()
    model.encoder.forward = lambda x: raw
    codes = model.posterior(data.x).mean
    assert ((codes - raw.tanh()).abs() <= 1 / 7 + 1e-6).all()
    codes.sum().backward()
    assert raw.grad is not None
    torch.testing.assert_close(raw.grad, 1 - raw.tanh().square())


def test_contraction_is_the_squared_norm_of_the_encoder_jacobian_on_average() -> None:
    data = contract.toy("table")
    model = contract.awake(contract.build(Autoencoder, data, contraction=1.0))
    features = model.encoder.features(data.x)
    jacobian = torch.func.vmap(torch.func.jacrev(model.encoder.network))(features)
    exact = jacobian.square().sum((1, 2)).detach()
    with torch.no_grad():
        draws = torch.stack([model.terms(data.x, Randomness(seed))["contraction"] for seed in range(400)])
    error = draws.std(0) / 400**0.5
    assert ((draws.mean(0) - exact).abs() <= 6 * error).all()


def test_free_bits_count_for_a_sampled_kl_too() -> None:
    data = contract.toy("table")
    losses = [
        contract.build(VAE, data, kl="sampled", free_bits=floor).terms(data.x, Randomness(0)) for floor in (0.0, 2.0)
    ]
    torch.testing.assert_close(losses[1]["kl"], torch.full((len(data.x),), 2.0 * contract.LATENT_DIM))
    assert losses[0]["kl"].mean() < 1


def test_warm_up_rises_over_at_most_half_of_the_training_and_ends_with_it() -> None:
    model = contract.build(VAE, contract.toy("table"), warmup=40.0)
    model.epochs = 100
    shares = []
    for epoch in (0.0, 10.0, 40.0, 90.0):
        model.epoch.fill_(epoch)
        shares.append(float(model.warmed_up()))
    assert shares == [0.0, 0.25, 1.0, 1.0]
    model.epochs = 20
    model.epoch.fill_(5.0)
    assert float(model.warmed_up()) == 0.5
    assert model.eval().warmed_up() == 1.0

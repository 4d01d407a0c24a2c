"""Images: ranges, binarisation, masses of levels, networks for odd sizes, refusals."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from isthmus.core.errors import DataError, OptionError
from isthmus.core.randomness import Randomness
from isthmus.domains.base import NetworkOptions
from isthmus.domains.image import Image
from isthmus.parts.networks import ConvolutionalEncoder, Perceptron

pytestmark = pytest.mark.slow


def noise(dtype, low, high, shape=(10, 4, 3), seed=0):
    rng = np.random.default_rng(seed)
    images = rng.uniform(low, high, shape) if np.dtype(dtype).kind == "f" else rng.integers(low, high + 1, shape)
    images.flat[:2] = low, high
    return images.astype(dtype)


@pytest.mark.parametrize(
    ("images", "low", "high", "family"),
    [
        (noise("uint8", 0, 255), 0, 255, "discretised_logistic"),
        (noise("uint8", 20, 90), 0, 255, "discretised_logistic"),  # dark bytes are bytes
        (noise("uint8", 0, 16), 0, 16, "discretised_logistic"),
        (noise("int64", 0, 16), 0, 16, "discretised_logistic"),
        (noise("uint16", 0, 60_000), 0, 60_000, "discretised_logistic"),
        (noise("int16", -5, 9), -5, 9, "discretised_logistic"),
        (noise("uint8", 0, 1) * np.uint8(255), 0, 255, "bernoulli"),
        (noise("int32", 0, 1), 0, 1, "bernoulli"),
        (noise("bool", 0, 1), 0, 1, "bernoulli"),
        (noise("float64", 0, 1), 0, 1, "gaussian"),
        (noise("float32", 0.2, 0.8), 0, 1, "gaussian"),
        (noise("float32", 0, 7), 0, 7, "gaussian"),
        (noise("float32", -2, 2), -2, 2, "gaussian"),
        (noise("int8", 0, 1).astype("float32"), 0, 1, "bernoulli"),
    ],
)
def test_range_and_likelihood_by_the_evidence(images, low, high, family):
    domain = Image.fit(images)
    assert (domain.low, domain.high) == pytest.approx((low, high))
    assert domain.family == family
    intensities = domain.matrix(domain.tensors(images))
    assert intensities.min() >= 0
    assert intensities.max() <= 1


@pytest.mark.parametrize(("dtype", "high"), [("uint32", 2**32 - 1), ("int64", 2**52), ("float64", 0.1)])
def test_wide_types_are_exact(dtype, high):
    images = noise(dtype, 0, high)
    domain = Image.fit(images)
    np.testing.assert_array_equal(domain.rows(domain.tensors(images)), images)


# Bernoulli


def test_binarisation_is_fresh_at_each_pass_and_fair():
    images = noise("float32", 0, 1)
    domain = Image.fit(images, "bernoulli")
    x = domain.tensors(images)
    first, second = (domain.draw(x, Randomness(0, "epoch", epoch)) for epoch in (0, 1))
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, second)
    # What validation sees comes from one key: the same draws each time.
    assert torch.equal(first, domain.draw(x, Randomness(0, "epoch", 0)))
    passes = 4000
    randomness = Randomness(7)
    mean = sum(domain.draw(x, randomness) for _ in range(passes)) / passes
    # 120 pixels: five standard deviations of a share, at most ½ / √4000 each.
    assert (mean - x).abs().max() < 5 * 0.5 / math.sqrt(passes)


def test_binarisation_keeps_the_images_own_numbers():
    images = noise("uint8", 0, 255)
    domain = Image.fit(images, "bernoulli")
    assert set(domain.draw(domain.tensors(images), Randomness(0)).unique().tolist()) == {0.0, 255.0}


def test_only_bernoulli_draws():
    images = noise("uint8", 0, 255)
    domain = Image.fit(images)
    x = domain.tensors(images)
    assert domain.draw(x, Randomness(0)) is x


# Masses


@pytest.mark.parametrize(
    ("images", "family"),
    [
        (noise("uint8", 0, 255), "discretised_logistic"),
        (noise("int64", 0, 16), "discretised_logistic"),
        (noise("int16", -5, 9), "discretised_logistic"),
        (noise("uint16", 0, 4000), "discretised_logistic"),
        (noise("uint8", 0, 255), "beta_binomial"),
        (noise("int64", 0, 16), "beta_binomial"),
        (noise("int16", -5, 9), "beta_binomial"),
        (noise("bool", 0, 1), "bernoulli"),
        (noise("int32", 0, 1), "bernoulli"),
    ],
)
def test_masses_of_all_levels_sum_to_one(images, family):
    domain = Image.fit(images, family)
    torch.manual_seed(0)
    likelihood = domain.decoder(2, NetworkOptions(hidden=(8,)))(torch.randn(1, 2) * 3)
    levels = torch.arange(int(domain.low), int(domain.high) + 1, dtype=torch.int32)
    x = levels[:, None, None, None].expand(-1, *domain.event)
    masses = likelihood.log_prob_per_feature(x).exp().sum(0)
    np.testing.assert_allclose(masses.detach(), 1.0, atol=1e-3)


def test_a_gaussian_integrates_to_one_over_the_images_own_numbers():
    images = noise("float64", -2, 6, (10, 1, 1))
    domain = Image.fit(images)
    torch.manual_seed(0)
    likelihood = domain.decoder(2, NetworkOptions(hidden=(8,)))(torch.randn(1, 2))
    grid = torch.linspace(-60, 60, 20_001, dtype=torch.float64)
    x = grid[:, None, None, None]
    density = (likelihood.log_prob(x).double().squeeze() + domain.log_volume(x)).exp()
    assert np.trapezoid(density.detach().numpy(), grid.numpy()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("family", Image.likelihoods)
def test_values_outside_the_range_are_scored_and_reported(family):
    images = noise("uint8", 0, 255) if family != "bernoulli" else noise("uint8", 0, 1) * np.uint8(255)
    domain = Image.fit(images, family)
    strange = np.full((1, 4, 3), 70_000)
    strange[0, 0] = -70_000
    strange[0, 1] = 200
    x = domain.tensors(strange)
    torch.manual_seed(0)
    assert torch.isfinite(domain.encoder(2, NetworkOptions(hidden=(8,)))(x)).all()
    likelihood = domain.decoder(2, NetworkOptions(hidden=(8,)))(torch.zeros(1, 2))
    assert torch.isfinite(likelihood.log_prob_per_feature(x)).all()
    assert domain.surprises(strange) == ["9 pixels outside 0 … 255, the range that was fitted"]
    assert domain.surprises(images) == []


def test_samples_follow_the_masses():
    domain = Image.fit(noise("int64", 0, 16, (10, 1, 1)))
    torch.manual_seed(0)
    likelihood = domain.decoder(2, NetworkOptions(hidden=(8,)))(torch.zeros(20_000, 2))
    expected = likelihood.log_prob(torch.arange(17)[:, None, None, None].repeat(1200, 1, 1, 1)[:20_000])
    masses = expected[:17].exp().detach().numpy()
    counts = np.bincount(domain.rows(likelihood.sample(Randomness(0))).ravel(), minlength=17)
    np.testing.assert_allclose(counts / 20_000, masses, atol=5 * math.sqrt(0.25 / 20_000))


# Networks


@pytest.mark.parametrize(
    ("shape", "convolutional"),
    [
        ((8, 8), False),
        ((28, 28), False),
        ((32, 32), False),
        ((33, 32), True),
        ((16, 16, 3), False),
        ((32, 32, 3), True),
    ],
)
def test_large_images_go_through_convolutions(shape, convolutional):
    domain = Image.fit(noise("uint8", 0, 255, (2, *shape)))
    network = domain.encoder(3, NetworkOptions()).network
    assert isinstance(network, ConvolutionalEncoder if convolutional else Perceptron)


@pytest.mark.parametrize("shape", [(17, 31), (31, 17, 3), (1, 9), (33, 40), (5, 5, 2), (64, 64, 4)])
@pytest.mark.parametrize("network", ["auto", "dense", "convolutional"])
def test_any_size_goes_through_every_network(shape, network):
    images = noise("uint8", 0, 255, (3, *shape))
    domain = Image.fit(images)
    x = domain.tensors(images)
    options = NetworkOptions(hidden="auto", network=network)
    codes = domain.encoder(4, options)(x)
    assert codes.shape == (3, 4)
    likelihood = domain.decoder(4, options)(codes.expand(2, 3, 4))
    assert likelihood.log_prob_per_feature(x).shape == (2, 3, math.prod(shape))
    made = domain.rows(likelihood.mode()[1])
    assert made.shape == images.shape
    assert made.dtype == np.uint8


@pytest.mark.parametrize("network", ["dense", "convolutional"])
def test_hidden_sets_the_widths(network):
    domain = Image.fit(noise("uint8", 0, 255, (3, 17, 31)))
    options = NetworkOptions(hidden=(24, 40), network=network)
    layers = [module for module in domain.encoder(4, options).modules() if hasattr(module, "weight")]
    widths = [layer.weight.shape[0] for layer in layers if layer.weight.ndim > 1]
    assert widths == [24, 40, 4]
    decoder = domain.decoder(4, options)
    layers = [module for module in decoder.modules() if isinstance(module, torch.nn.Linear | torch.nn.ConvTranspose2d)]
    inputs = [layer.in_features if isinstance(layer, torch.nn.Linear) else layer.in_channels for layer in layers]
    assert inputs == ([4, 40, 24])


@pytest.mark.parametrize("network", ["dense", "convolutional"])
def test_a_channel_stays_itself(network):
    """Colours are not shuffled on the way: an image of red comes back as red."""
    red = np.zeros((2, 6, 5, 3), np.uint8)
    red[..., 0] = 255
    red[1, 2, 3] = (10, 20, 30)
    domain = Image.fit(red)
    x = domain.tensors(red)
    assert (x[0, 0] == 255).all()
    assert x[1, :, 2, 3].tolist() == [10, 20, 30]
    np.testing.assert_array_equal(domain.rows(domain.from_features(domain.features()(x))), red)
    column = domain.column_names.index("pixel 2,3,1")
    assert domain.values(x)[1, column] == 20


# Learning


@pytest.mark.parametrize("family", ["discretised_logistic", "beta_binomial"])
def test_bits_per_pixel_on_digits_are_fewer_than_the_levels_need(family):
    images = load_digits().images.astype(np.int64)
    domain = Image.fit(images, family)
    x = domain.tensors(images)
    torch.manual_seed(0)
    encoder = domain.encoder(8, NetworkOptions(hidden=(64,)))
    decoder = domain.decoder(8, NetworkOptions(hidden=(64,)))
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 3e-3)
    train, test = x[:1500], x[1500:]
    for step in range(200):
        batch = train[(step * 100) % 1500 :][:100]
        loss = -decoder(encoder(batch)).log_prob(batch).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        bits = -decoder(encoder(test)).log_prob(test).mean() / 64 / math.log(2)
    # All 17 levels alike cost log₂ 17 = 4.09 bits; the levels by their overall frequency some 3.0.
    counts = np.bincount(images[:1500].ravel(), minlength=17) / (1500 * 64)
    entropy = -(counts * np.log2(counts)).sum()
    assert 0.5 < bits < entropy < math.log2(17)


# Refusals


@pytest.mark.parametrize(
    ("images", "likelihood", "complaint"),
    [
        (np.zeros((3, 4, 4)), "auto", "every pixel of every image is 0: there is nothing to learn"),
        (
            np.ones((3, 4)),
            "auto",
            r"images should be an array n×h×w or n×h×w×c of numbers; this one has shape \(3, 4\)",
        ),
        (np.full((3, 4, 4), "a"), "auto", "images should be an array"),
        (np.zeros((0, 4, 4)), "auto", "the array of images is empty"),
        (noise("uint8", 0, 9, (2, 3, 8, 8)), "auto", "the last dimension should be at most 4 channels"),
        (
            np.where(np.arange(48).reshape(3, 4, 4) == 21, np.nan, 1.0),
            "auto",
            r"image 1, pixel \(1, 1\): the value is NaN",
        ),
        (noise("float32", 0, 1), "discretised_logistic", "'discretised_logistic' is for whole numbers; .* float32"),
        (noise("uint16", 0, 60_000), "beta_binomial", "'beta_binomial' is for at most 1024 levels"),
    ],
)
def test_images_that_are_refused(images, likelihood, complaint):
    with pytest.raises(DataError, match=complaint) as refused:
        Image.fit(images, likelihood)
    assert "\n" not in str(refused.value)


def test_images_of_another_size_are_refused():
    domain = Image.fit(noise("uint8", 0, 255))
    with pytest.raises(DataError, match="images of 5×3; the model was fitted to images of 4×3"):
        domain.tensors(noise("uint8", 0, 255, (2, 5, 3)))


@pytest.mark.parametrize(
    "damage", [{"family": "cauchy"}, {"shape": [4]}, {"shape": [4, 0]}, {"dtype": "object"}, {"low": "x"}]
)
def test_a_damaged_schema_is_refused(damage):
    schema = Image.fit(noise("uint8", 0, 255)).schema()
    Image.from_schema(schema)
    with pytest.raises((KeyError, TypeError, ValueError)):
        Image.from_schema(schema | damage)


def test_a_convolutional_network_without_widths_is_refused():
    domain = Image.fit(noise("uint8", 0, 255))
    with pytest.raises(OptionError, match="hidden="):
        domain.encoder(2, NetworkOptions(hidden=(), network="convolutional"))

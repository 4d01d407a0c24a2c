"""Images of many sizes on one canvas: they come back, what lies beyond them counts nothing, large ones are reduced."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from scipy.stats import norm

from isthmus import domains
from isthmus.core.errors import DataError, OptionError
from isthmus.core.randomness import Randomness
from isthmus.domains.base import NetworkOptions
from isthmus.domains.image import Image
from isthmus.domains.image.augmenting import AUGMENTATIONS
from isthmus.domains.image.sizes import resized

KINDS = ["uint8", "uint16", "float32", "float64", "bool", "int32"]


@st.composite
def several_pictures(draw) -> list[np.ndarray]:
    kind = np.dtype(draw(st.sampled_from(KINDS)))
    channels = draw(st.sampled_from([(), (1,), (2,), (3,), (4,)]))
    sides = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=2, max_size=5))
    elements = st.floats(-1e3, 1e3, width=32) if kind.kind == "f" else None
    pictures = [draw(arrays.arrays(kind, (*size, *channels), elements=elements)) for size in sides]
    pictures[0].flat[0], pictures[1].flat[0] = 0, 1  # something to learn
    return pictures


@settings(max_examples=80, deadline=None)
@given(several_pictures())
def test_pictures_come_back_in_their_own_sizes(pictures):
    domain = Image.fit(pictures)
    back = domain.rows(domain.tensors(pictures))
    assert [(each.shape, each.dtype) for each in back] == [(each.shape, each.dtype) for each in pictures]
    for own, other in zip(pictures, back, strict=True):
        np.testing.assert_array_equal(own, other)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=2, max_size=5), st.integers(1, 20))
def test_reduced_pictures_come_back_in_their_own_sizes(sides, largest):
    """Whatever the bound, sizes are kept, the canvas is within it, and a picture of one shade keeps its shade."""
    pictures = [np.full((*size, 3), 40 * place, np.uint8) for place, size in enumerate(sides)]
    domain = Image.fit(pictures, largest_side=largest)
    assert max(domain.shape[:2]) <= largest
    x = domain.tensors(pictures)
    for own, other in zip(pictures, domain.rows(x), strict=True):
        np.testing.assert_array_equal(own, other)
    revived = Image.from_schema(domain.schema())
    assert torch.equal(revived.tensors(pictures).nan_to_num(-1.0), x.nan_to_num(-1.0))


def some_pictures(rows: int = 12, kind: str = "uint8", seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = [(7 - place % 3, 6 - place % 4) for place in range(rows)]
    return [rng.integers(0, 256, (*size, 3)).astype(kind) for size in sizes]


def decoded(domain: Image, rows: int, network: str = "dense"):
    torch.manual_seed(0)
    return domain.decoder(2, NetworkOptions(hidden=(8,), network=network))(torch.zeros(rows, 2))


class TestLikelihood:
    @pytest.mark.parametrize("network", ["dense", "convolutional", "residual"])
    def test_it_is_the_gaussian_of_the_pixels_there_are(self, network):
        """Against SciPy, pixel by pixel; what lies beyond a picture counts nothing."""
        pictures = [each / np.float32(255) for each in some_pictures(kind="float32")]
        domain = Image.fit(pictures, "gaussian")
        x = domain.tensors(pictures)
        likelihood = decoded(domain, len(x), network).given(x)
        per_pixel = likelihood.log_prob_per_feature(x).detach().numpy()[:, 2:]
        # exp(−1) is where the noise begins. The mode is within black and white, the Gaussian's mean need not be.
        expected = likelihood.pixels.pixels.mean.detach().numpy()
        reference = norm.logpdf(domain.matrix(x)[:, 2:], expected, np.exp(-1.0))
        there = ~np.isnan(x[:, 2:].numpy())
        assert there.sum() == sum(each.size for each in pictures)
        np.testing.assert_allclose(per_pixel[there], reference[there], rtol=1e-3, atol=1e-3)
        assert (per_pixel[~there] == 0).all()

    def test_what_lies_beyond_a_picture_changes_nothing(self):
        """No gradient comes from there; from the pixels that there are, some does."""
        pictures = some_pictures()
        domain = Image.fit(pictures)
        x = domain.tensors(pictures)
        z = torch.zeros(len(x), 2, requires_grad=True)
        network = domain.decoder(2, NetworkOptions(hidden=(8,)))
        beyond = x[:, 2:].isnan()
        assert beyond.any()
        for part, nothing in ((beyond, True), (~beyond, False)):
            (slope,) = torch.autograd.grad(network(z).log_prob_per_feature(x)[:, 2:][part].sum(), [z])
            assert (slope == 0).all() == nothing

    def test_probabilities_of_sizes_sum_to_1(self):
        pictures = some_pictures()
        domain = Image.fit(pictures)
        sizes = torch.cartesian_prod(torch.tensor([5.0, 6.0, 7.0]), torch.tensor([3.0, 4.0, 5.0, 6.0]))
        nothing = torch.full((len(sizes), domain.tensors(pictures).shape[1] - 2), torch.nan)
        log_prob = decoded(domain, len(sizes)).log_prob(torch.cat([sizes, nothing], 1))
        assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-5)

    def test_sizes_are_drawn_among_the_fitted_ones(self):
        pictures = some_pictures()
        domain = Image.fit(pictures)
        torch.manual_seed(0)
        codes = 3 * torch.randn(400, 2)
        drawn = domain.rows(domain.decoder(2, NetworkOptions(hidden=(8,)))(codes).sample(Randomness(0)))
        assert {each.shape[0] for each in drawn} == {5, 6, 7}
        assert {each.shape[1] for each in drawn} == {3, 4, 5, 6}

    @pytest.mark.parametrize("network", ["dense", "convolutional"])
    def test_networks_are_told_the_size(self, network):
        """A black picture in two sizes: nothing but the size tells them apart."""
        pictures = [np.zeros((4, 4), np.uint8), np.zeros((8, 8), np.uint8), np.full((8, 5), 255, np.uint8)]
        domain = Image.fit(pictures)
        torch.manual_seed(0)
        encoder = domain.encoder(3, NetworkOptions(hidden=(8,), network=network))
        codes = encoder(domain.tensors(pictures))
        assert not torch.allclose(codes[0], codes[1])
        # Reduced to the same pixels, sizes still differ.
        large = [np.zeros((40, 40), np.uint8), np.zeros((80, 80), np.uint8), np.full((80, 50), 255, np.uint8)]
        domain = Image.fit(large, largest_side=8)
        x = domain.tensors(large)
        assert torch.equal(x[0, 2:].nan_to_num(-1), x[1, 2:].nan_to_num(-1))
        codes = domain.encoder(3, NetworkOptions(hidden=(8,), network=network))(x)
        assert not torch.allclose(codes[0], codes[1])


class TestReducing:
    @pytest.mark.parametrize(("height", "width"), [(3, 4), (5, 5), (1, 1), (7, 10)])
    def test_it_takes_the_mean_over_areas(self, height, width):
        """Against exact integrals: every pixel repeated until each result covers a whole number of them."""
        picture = np.random.default_rng(0).uniform(0, 1, (7, 10, 2))
        fine = np.kron(picture, np.ones((height, width, 1)))
        expected = fine.reshape(height, 7, width, 10, 2).mean((1, 3))
        np.testing.assert_allclose(resized(picture, height, width), expected, rtol=1e-5, atol=1e-6)

    def test_enlarging_goes_along_straight_lines(self):
        ramp = np.arange(5.0)[:, None, None] * np.ones((1, 4, 1))
        larger = resized(ramp, 15, 12)[..., 0]
        expected = ndimage.zoom(ramp[..., 0], 3, order=1, mode="nearest", grid_mode=True)
        np.testing.assert_allclose(larger, expected, atol=1e-5)

    def test_what_is_done_is_said(self):
        pictures = [np.zeros((500, 375), np.uint8), np.full((17, 31), 9, np.uint8)]
        domain = Image.fit(pictures)
        assert domain.shape == (64, 48)
        assert any("above 64 pixels" in note and "largest_side" in note for note in domain.notes())
        assert "17–500 × 31–375 pixels, worked on within 64 × 48" in domain.describe()["shape"]

    def test_images_of_one_size_are_reduced_where_that_is_asked_for(self):
        images = np.repeat(np.arange(8, dtype=np.uint8)[:, None, None] * 30, 20, 1).repeat(10, 2)
        domain = Image.fit(images, largest_side=5)
        assert domain.tensors(images).shape == (8, 1, 5, 2)
        np.testing.assert_array_equal(domain.rows(domain.tensors(images)), images)
        assert Image.fit(images).schema().keys() == {"shape", "dtype", "low", "high", "family"}

    def test_sixty_million_pixels_in_little_memory(self):
        """Beside the picture itself, less than a quarter of it is taken: no copy of it in floats."""
        import tracemalloc

        large = np.zeros((6_000, 10_000), np.uint8)
        large[:, 5_000:] = 200
        tracemalloc.start()
        domain = Image.fit([large, np.zeros((1, 1), np.uint8)])
        x = domain.tensors([large, np.full((1, 1), 7, np.uint8)])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < large.nbytes / 4
        assert domain.shape == (38, 64)
        assert x[0, 2:].view(38, 64)[:, [0, -1]].unique(dim=0).tolist() == [[0.0, 200.0]]
        assert domain.rows(x[1:])[0].tolist() == [[7]]


class TestAugmentation:
    def pictures(self) -> tuple[Image, torch.Tensor]:
        pictures = some_pictures(200)
        domain = Image.fit(pictures)
        return domain, domain.tensors(pictures)

    def test_without_kinds_nothing_changes(self):
        domain, x = self.pictures()
        assert torch.equal(domain.augmented(x, (), Randomness(0)).nan_to_num(-1), x.nan_to_num(-1))

    def test_a_flip_mirrors_half_of_the_pictures_each_within_itself(self):
        domain, x = self.pictures()
        changed = domain.augmented(x, ("flip",), Randomness(0))
        flipped = 0
        for own, other in zip(domain.rows(x), domain.rows(changed), strict=True):
            same, mirrored = np.array_equal(own, other), np.array_equal(own[:, ::-1], other)
            assert same or mirrored
            flipped += mirrored and not same
        assert 70 < flipped < 130  # 100 ± 4 standard deviations of 7

    @pytest.mark.parametrize("kinds", [(kind,) for kind in AUGMENTATIONS] + [AUGMENTATIONS])
    def test_sizes_and_shades_stay(self, kinds):
        domain, x = self.pictures()
        changed = domain.augmented(x, kinds, Randomness(0))
        assert torch.equal(changed.isnan(), x.isnan())
        assert not torch.equal(changed.nan_to_num(-1), x.nan_to_num(-1))
        for own, other in zip(domain.rows(x), domain.rows(changed), strict=True):
            assert set(map(tuple, other.reshape(-1, 3))) <= set(map(tuple, own.reshape(-1, 3)))

    def test_a_shift_is_at_most_an_eighth_of_a_side(self):
        image = np.arange(1, 1025, dtype=np.int32).reshape(1, 32, 32).repeat(300, 0)
        domain = Image.fit(image)
        changed = domain.rows(domain.augmented(domain.tensors(image), ("shift",), Randomness(0)))
        middle = changed[:, 16, 16] - image[0, 16, 16]
        down, across = np.divmod(middle + 16, 32)
        assert set(down) == set(range(-4, 5)) and set(across - 16) == set(range(-4, 5))

    def test_draws_depend_on_their_key_alone(self):
        domain, x = self.pictures()
        first, again, other = (domain.augmented(x, AUGMENTATIONS, Randomness(key)).nan_to_num(-1) for key in (1, 1, 2))
        assert torch.equal(first, again) and not torch.equal(first, other)


class TestRefusals:
    @pytest.mark.parametrize(
        ("pictures", "words"),
        [
            ([np.zeros((2, 3)), np.zeros((4, 0))], "image 1: is empty"),
            ([np.zeros((2, 3, 3)), np.zeros((4, 2))], "the same channels"),
            ([np.zeros((2, 3, 5)), np.zeros((4, 2, 5))], "at most 4 channels"),
            ([np.array([[0.0, np.nan]]), np.zeros((4, 2))], "image 0, pixel (0, 1)"),
            ([np.zeros((2, 3)), np.zeros((4, 2))], "nothing to learn"),
            ([np.array([["a"]]), np.zeros((4, 2))], "pixels are numbers"),
        ],
    )
    def test_what_is_wrong_is_named(self, pictures, words):
        with pytest.raises(DataError) as caught:
            Image.fit(pictures)
        assert words in str(caught.value) and str(caught.value).isprintable()

    def test_which_lists_of_arrays_are_images(self):
        wide, narrow = np.zeros((4, 6)), np.zeros((4, 5))
        assert domains.choose([wide, narrow]).name == "image"
        assert domains.choose([wide, wide[:2]]).name == "series"  # of six channels: data="image" says otherwise
        assert domains.choose([wide[..., None], wide[:2, :, None]]).name == "image"

    def test_other_data_has_no_such_options(self):
        import isthmus

        table = np.random.default_rng(0).normal(size=(20, 3))
        with pytest.raises(OptionError, match="largest_side=9: table data has no such option"):
            isthmus.VAE(largest_side=9).fit(table)
        with pytest.raises(OptionError, match="augment=flip: is for images"):
            isthmus.VAE(augment="flip").fit(table)

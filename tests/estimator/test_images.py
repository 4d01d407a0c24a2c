"""Images of many sizes through the estimator: fit, sample, restore, score pixels, save, augment, every variant."""

import numpy as np
import pytest

import isthmus
from isthmus import variants
from isthmus.core.errors import DataError
from isthmus.estimator.public import public_class

LARGEST, ROWS = 16, 60


def blobs(rows: int = ROWS, seed: int = 0) -> list[np.ndarray]:
    """A bright spot in the middle of a dark picture; pictures of 8 to 24 pixels a side."""
    rng = np.random.default_rng(seed)
    pictures = []
    for height, width in rng.integers(8, 25, (rows, 2)):
        down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        light = np.exp(-4 * (down**2 + across**2))[..., None] * rng.uniform(150, 250, 3)
        pictures.append(np.rint(light + rng.uniform(0, 5, light.shape)).astype(np.uint8))
    return pictures


@pytest.fixture(scope="module")
def vae() -> isthmus.VAE:
    options = {"latent_dim": 3, "hidden": (64,), "network": "dense", "largest_side": LARGEST}
    return isthmus.VAE(**options, epochs=120, patience=None, random_state=0).fit(blobs())


def test_they_come_back_in_their_own_sizes_and_look_alike(vae):
    pictures = blobs(20, seed=1)
    back = vae.reconstruct(pictures)
    assert [(each.shape, each.dtype) for each in back] == [(each.shape, each.dtype) for each in pictures]
    apart = np.mean([np.abs(own.astype(float) - other).mean() for own, other in zip(pictures, back, strict=True)])
    centre = np.mean([np.abs(own.astype(float) - own.mean()).mean() for own in pictures])
    assert apart < centre / 2


def test_new_ones_have_sizes_among_the_fitted_ones(vae):
    sides = [{each.shape[axis] for each in blobs()} for axis in (0, 1)]
    new = vae.sample(30)
    assert all(each.shape[0] in sides[0] and each.shape[1] in sides[1] for each in new)
    assert len({each.shape for each in new}) > 5
    again = vae.sample(30)
    assert all(np.array_equal(one, other) for one, other in zip(new, again, strict=True))


def test_a_row_alone_scores_as_among_others(vae):
    pictures = blobs(6, seed=2)
    together = vae.score_samples(pictures)
    np.testing.assert_array_equal(together, [vae.score_samples([each])[0] for each in pictures])
    np.testing.assert_array_equal(vae.transform(pictures)[3:4], vae.transform(pictures[3:4]))


def test_odd_pixels_are_found_and_named(vae):
    pictures = blobs(8, seed=3)
    usual = vae.score_pixels(pictures)
    assert [each.shape for each in usual] == [each.shape[:2] for each in pictures]
    odd = next(each.copy() for each in pictures if min(each.shape[:2]) >= 12)
    width = odd.shape[1]
    odd[:3, -3:] = 255  # a bright corner
    (scores,) = vae.score_pixels([odd])
    worst = np.unravel_index(scores.argmin(), scores.shape)
    assert worst[0] <= 3 and worst[1] >= width - 4
    table = vae.explain_scores([odd], most_columns=1).to_pylist()
    rows, columns = (part.split()[1] for part in table[0]["column"].split(", "))
    assert int(rows.split("–")[0]) == 0 and int(columns.split("–")[-1]) == width - 1
    shades = [[float(shade) for shade in table[0][name].split(", ")] for name in ("value", "expected")]
    assert all(value > instead + 50 for value, instead in zip(*shades, strict=True))
    # Of usual pictures few pixels lie below the threshold: one in a thousand of the fitted ones did.
    below = np.mean([(each < vae.pixel_offset_).mean() for each in usual])
    assert below < 0.02


def test_images_of_one_size_have_pixel_scores_too():
    images = np.stack([each[:8, :8, 0] for each in blobs()])
    model = isthmus.VAE(latent_dim=2, hidden=(16,), epochs=5, random_state=0).fit(images)
    assert model.score_pixels(images[:4]).shape == (4, 8, 8)
    table = np.random.default_rng(0).normal(size=(30, 3))
    with pytest.raises(DataError, match="pixels are those of images"):
        isthmus.VAE(latent_dim=2, epochs=1).fit(table).score_pixels(table)


def test_a_saved_model_is_the_same(vae, tmp_path):
    vae.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    pictures = blobs(5, seed=4)
    np.testing.assert_array_equal(vae.score_samples(pictures), again.score_samples(pictures))
    for one, other in zip(vae.score_pixels(pictures), again.score_pixels(pictures), strict=True):
        np.testing.assert_array_equal(one, other)
    del again.pixel_offset_  # as of a model saved before there was one
    assert np.isfinite(again.pixel_threshold())


@pytest.mark.parametrize("name", variants.names())
def test_every_variant_takes_many_sizes(name):
    """The ladder too; and with a flow of codes, new sizes are drawn."""
    options = {"prior": "flow_matching"} if name == "ladder_vae" else {}
    model = public_class(name)(
        latent_dim=4, hidden=(16,), network="residual", largest_side=8, epochs=2, random_state=0, **options
    ).fit(blobs(24))
    made = model.sample(3)
    assert all(each.ndim == 3 and each.dtype == np.uint8 for each in made)
    assert np.isfinite(model.score_samples(blobs(4, seed=5))).all()


def test_augmentation_changes_training_and_not_validation():
    pictures = np.stack([each[:8, :8] for each in blobs(80)])
    common = {"latent_dim": 2, "hidden": (16,), "epochs": 2, "random_state": 0, "compiled": False}
    plain, changed, again = (
        isthmus.VAE(augment=kinds, **common).fit(pictures) for kinds in ((), ("flip", "shift"), ("flip", "shift"))
    )
    assert plain.history_[0]["train"] != changed.history_[0]["train"]
    assert changed.history_[-1]["train"] == again.history_[-1]["train"]
    # What is held out is never changed: a model that has learnt nothing yet sees the same in both.
    untaught = {"learning_rate": 1e-12, **common}
    losses = [isthmus.VAE(augment=kinds, **untaught).fit(pictures).history_[0] for kinds in ((), ("crop",))]
    assert losses[0]["validation"] == pytest.approx(losses[1]["validation"])
    assert losses[0]["train"]["loss"] != pytest.approx(losses[1]["train"]["loss"], rel=1e-6)


@pytest.mark.slow
def test_a_detector_takes_many_sizes():
    detector = isthmus.Detector(members=1, random_state=0).fit([each[::4, ::4] for each in blobs(60)])
    assert detector.score_samples([each[::4, ::4] for each in blobs(5, seed=6)]).shape == (5,)

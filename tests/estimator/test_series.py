"""Series through the public classes: where a recording is unusual, what is missing of it, and how it goes on."""

import numpy as np
import pytest

import isthmus
from isthmus.core.errors import DataError

STEPS = 24


def sines(rows: int, seed: int) -> np.ndarray:
    """One sine a row, of any phase, in two channels a quarter period apart, with noise of a twentieth."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, (rows, 1)) + 0.5 * np.arange(STEPS)
    return np.stack([np.sin(angle), np.cos(angle)], axis=2) + 0.05 * rng.normal(size=(rows, STEPS, 2))


@pytest.fixture(scope="module")
def vae() -> isthmus.VAE:
    rows = sines(400, 0)
    rows[::4, 10:13] = np.nan  # so that the encoder has met gaps
    return isthmus.VAE(data="series", latent_dim=3, hidden=(64,), epochs=150, random_state=0).fit(rows)


def test_a_planted_anomaly_is_found_at_its_place(vae):
    rows = sines(20, 1)
    rows[3, 15:18, 0] += 1.5  # thirty times the noise
    scores = vae.score_steps(rows)
    assert scores.shape == (20, STEPS)
    assert set(np.argsort(scores[3])[:3]) == {15, 16, 17}
    assert (scores[3, 15:18] < vae.step_offset_).all()
    others = np.delete(scores, 3, axis=0)
    assert (others < vae.step_offset_).mean() < 0.02
    told = vae.explain_scores(rows[:5]).to_pandas()
    worst = told[told["row"] == 3].iloc[0]
    assert worst["column"] == "steps 15–17"
    assert abs(float(worst["expected"].split(", ")[0]) - sines(20, 1)[3, 15:18, 0].mean()) < 1.0
    assert vae.predict(rows)[3] == -1


def test_a_missing_step_has_no_score(vae):
    rows = sines(4, 2)
    rows[1, 5] = np.nan
    rows[2, 5, 0] = np.nan
    scores = vae.score_steps(rows)
    assert np.isnan(scores[1, 5]) and np.isnan(scores).sum() == 1


def test_gaps_are_filled_in_and_ends_continued(vae):
    """Far closer than the channel's mean, whose error is the sine's own spread, 0.7."""
    rows = sines(40, 3)
    gapped = rows.copy()
    gapped[:20, 10:13] = np.nan
    gapped[20:, 16:] = np.nan
    observed = ~np.isnan(gapped)
    guess, draws = vae.impute(gapped), vae.impute(gapped, draws=20)
    for filled in (guess, *draws):
        np.testing.assert_array_equal(filled[observed], gapped[observed])
        assert np.isfinite(filled).all()
    assert np.sqrt(np.square(guess - rows)[~observed].mean()) < 0.25
    # What is drawn has the noise of what is observed, a twentieth, at least.
    assert np.std(draws, axis=0)[~observed].min() > 0.02


def test_series_of_many_lengths_keep_theirs():
    series = [each[: STEPS - place % 7] for place, each in enumerate(sines(60, 7))]
    series[3][4:6] = np.nan
    vae = isthmus.VAE(latent_dim=2, hidden=(16,), epochs=3, mask_fraction=0.2, random_state=0).fit(series)
    for made in (vae.reconstruct(series), vae.impute(series), *vae.impute(series, draws=2)):
        assert [each.shape for each in made] == [each.shape for each in series]
        assert all(np.isfinite(each).all() for each in made)


def test_a_model_comes_back_from_its_file(vae, tmp_path):
    vae.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    rows = sines(5, 4)
    assert again.step_offset_ == vae.step_offset_
    np.testing.assert_array_equal(again.score_steps(rows), vae.score_steps(rows))
    np.testing.assert_array_equal(again.sample(3), vae.sample(3))


@pytest.mark.parametrize("network", ["dense", "convolutional"])
def test_series_of_many_lengths(network):
    series = [each[: STEPS - place % 7] for place, each in enumerate(sines(60, 5))]
    vae = isthmus.VAE(latent_dim=2, hidden=(16,), network=network, epochs=3, random_state=0).fit(series)
    scores = vae.score_samples(series)
    # A row's score is its own, whatever stands beside it: among shorter ones too.
    np.testing.assert_array_equal(vae.score_samples(series[3:6]), scores[3:6])
    drawn = vae.sample(20)
    assert {each.shape[1] for each in drawn} == {2}
    assert {len(each) for each in drawn} <= {len(each) for each in series}
    assert np.isnan(vae.score_steps(series)[6, STEPS - 6 :]).all()
    assert vae.transform(series).shape == (60, 2)


@pytest.mark.slow
def test_a_detector_scores_series():
    """Of series of lengths of their own as well."""
    series = [each[: STEPS - place % 3] for place, each in enumerate(sines(60, 6))]
    detector = isthmus.Detector(members=2, random_state=0).fit(series)
    far = [each + 5 for each in series[:2]]
    assert (detector.score_samples(far) < np.median(detector.score_samples(series))).all()
    with pytest.raises(DataError, match="of series look at"):
        detector.explain_scores(series)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([np.zeros(3), np.zeros(0)], "no steps"),
        ([np.zeros((3, 1))], "1 sample"),
        ([np.array(["a"]), np.array(["b"])], "holds <U1"),
    ],
)
def test_bad_series_are_refused_in_one_line(rows, said):
    with pytest.raises(DataError, match=said) as failure:
        isthmus.VAE(epochs=1).fit(rows)
    assert "\n" not in str(failure.value)


def test_steps_are_those_of_series():
    table = isthmus.VAE(latent_dim=1, epochs=1, random_state=0).fit(np.random.default_rng(0).normal(size=(20, 3)))
    with pytest.raises(DataError, match="steps are those of series"):
        table.score_steps(np.zeros((2, 3)))

"""Texts through the public classes: codes, new texts, odd places, files."""

import numpy as np
import pytest

import isthmus
from isthmus.core.errors import DataError, OptionError
from isthmus.estimator.places import place_scores


def texts(rows: int, seed: int = 0) -> list[str]:
    """Of two kinds in turn: what an animal does, in 16 or 17 bytes, and a sum, in 9."""
    rng = np.random.default_rng(seed)
    animals = [
        f"the {rng.choice(['cat', 'dog', 'pig'])} runs {rng.choice(['home', 'away', 'off'])}" for _ in range(rows // 2)
    ]
    sums = [f"{rng.integers(10, 99)}+{rng.integers(10, 99)}={rng.integers(10, 99)}!" for _ in range(rows // 2)]
    return [text for pair in zip(animals, sums, strict=True) for text in pair]


def model(**options) -> "isthmus.VAE":
    given = {"latent_dim": 2, "hidden": (32,), "epochs": 20, "learning_rate": 1e-2, "batch_size": 32, "random_state": 0}
    return isthmus.VAE(**given | options)


@pytest.fixture(scope="module")
def fitted() -> "isthmus.VAE":
    return model().fit(texts(240))


def test_codes_tell_the_two_kinds_apart(fitted):
    codes = fitted.transform(texts(100, 1))
    kinds = np.arange(100) % 2
    apart = np.linalg.norm(codes[kinds == 0].mean(0) - codes[kinds == 1].mean(0))
    assert codes.shape == (100, 2) and apart > 2 * codes[kinds == 0].std(0).max()


def test_units_of_texts_carry_something_for_nothing_unless_told_otherwise(fitted):
    numbers = np.random.default_rng(0).normal(size=(40, 3))
    assert fitted.model_.free_bits == 0.2
    assert isthmus.VAE(2, epochs=1).fit(numbers).model_.free_bits == 0
    assert isthmus.VAE(2, epochs=1, free_bits=0.5).fit(numbers).model_.free_bits == 0.5
    with pytest.raises(OptionError, match=r"free_bits=-1.* of VAE"):
        isthmus.VAE(2, free_bits=-1).fit(numbers)


def test_what_comes_out_is_texts(fitted):
    new = fitted.sample(40, random_state=1)
    assert isinstance(new, list) and len(new) == 40 and all(isinstance(text, str) for text in new)
    assert new[:7] == fitted.sample(7, random_state=1) != fitted.sample(7, random_state=2)
    back = fitted.reconstruct(texts(20, 2))
    # The kind is in the code; the decoder, which knows what came before, writes words.
    assert [text.startswith("the ") for text in back] == [True, False] * 10
    assert fitted.inverse_transform(fitted.transform(texts(20, 2))) == back


def test_texts_do_not_depend_on_their_neighbours(fitted):
    """To the last bit, though texts of other lengths stand beside them."""
    rows = texts(300, 3)
    codes, scores = fitted.transform(rows), fitted.score_samples(rows)
    picked = np.random.default_rng(0).permutation(300)[:77]
    some = [rows[place] for place in picked]
    np.testing.assert_array_equal(fitted.transform(some), codes[picked])
    np.testing.assert_array_equal(fitted.score_samples(some), scores[picked])
    np.testing.assert_array_equal(fitted.score_samples([*some, "a longer text than any other"])[:77], scores[picked])


def test_an_odd_word_is_found_at_its_place(fitted):
    rows = ["the cat runs home", "the cat rQ#s home"]
    scores = fitted.score_steps(rows)
    assert scores.shape == (2, fitted.domain_.steps) and fitted.domain_.steps == 17
    assert np.argmin(scores[1]) in (9, 10, 11) and np.isnan(fitted.score_steps(["12+34=5!"])[0, 8:]).all()
    assert scores[1, 9:12].min() < fitted.step_offset_ < scores[0].min()
    told = fitted.explain_scores(rows).to_pandas()
    assert set(told["row"]) == {1} and "Q" in told.iloc[0]["value"]
    assert "u" in told.iloc[0]["expected"]  # after "r"
    assert fitted.predict(rows)[1] == -1


def test_step_scores_sum_to_the_probability_given_the_code(fitted):
    x = fitted.domain_.tensors(texts(6, 4))
    likelihood = fitted.model_.likelihood(fitted.model_.posterior(x).mean)
    of_steps = place_scores(fitted.model_, fitted.domain_, x, fitted._device)
    ends = likelihood.log_prob_per_feature(x)[:, 0].detach()
    total = np.nansum(of_steps, axis=1) + ends.numpy()
    np.testing.assert_allclose(total, likelihood.log_prob(x).detach().numpy(), rtol=1e-4)


def test_empty_and_very_short_texts_are_texts(fitted):
    rows = ["", "t", "7", "\x00", "日"]
    assert np.isfinite(fitted.transform(rows)).all() and np.isfinite(fitted.score_samples(rows)).all()
    assert len(fitted.reconstruct(rows)) == 5
    assert fitted.score_steps(rows)[0].shape == (fitted.domain_.steps,)
    two = model(epochs=1, latent_dim=1).fit(["", "a"])
    assert len(two.sample(3)) == 3


def test_a_model_comes_back_from_its_file(fitted, tmp_path):
    fitted.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    rows = texts(10, 5)
    np.testing.assert_array_equal(again.score_samples(rows), fitted.score_samples(rows))
    assert again.sample(3) == fitted.sample(3) and again.step_offset_ == fitted.step_offset_


def test_byte_pairs_come_back_from_the_file(tmp_path):
    pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
    vae = model(likelihood="byte_pairs", epochs=2).fit(texts(200))
    vae.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    assert again.domain_.symbols.count == vae.domain_.symbols.count > 256
    np.testing.assert_array_equal(again.transform(texts(10, 5)), vae.transform(texts(10, 5)))


def test_the_same_seed_gives_the_same_model():
    first, again = (model(epochs=1).fit(texts(60)) for _ in range(2))
    np.testing.assert_array_equal(first.transform(texts(10, 1)), again.transform(texts(10, 1)))


def test_units_say_which_symbols_they_move(fitted):
    facts = fitted.explain(texts(100, 6))
    assert facts["traversals"]["kind"] == "text" and facts["effect_unit"] == "per cent of the symbols"
    strongest = facts["carries"][0]
    ends = {column["name"]: (column["from"], column["to"]) for column in strongest["columns"]}
    # Blanks and "h" are frequent in one kind, digits and "+" in the other.
    assert ends and max(abs(to - start) for start, to in ends.values()) > 2
    frames = facts["traversals"]["units"][0]["frames"]
    assert len({frame.startswith("the ") for frame in frames}) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Autoencoder", "IWAE", "FSQ", "LadderVAE", "TopKAutoencoder", "FactorVAE"])
def test_every_variant_trains_on_texts(name):
    options = {"latent_dim": 3, "hidden": (16,), "epochs": 1, "random_state": 0}
    vae = getattr(isthmus, name)(**options).fit(texts(40))
    assert len(vae.sample(2)) == 2 and np.isfinite(vae.score_samples(texts(6, 1))).all()


@pytest.mark.slow
def test_several_sizes_and_one_pass():
    sized = model(latent_dim="auto", epochs=1).fit(texts(100))
    assert sized.latent_dim_ >= 1 and len(sized.size_search_) > 1
    going = model().partial_fit(texts(40))
    assert len(going.partial_fit(texts(40, 1)).history_) == 2


def test_what_texts_cannot_do_is_said(fitted):
    for asked in (fitted.impute, fitted.compress, isthmus.Detector().fit):
        with pytest.raises(DataError, match="text") as raised:
            asked(texts(20))
        assert "\n" not in str(raised.value)
    with pytest.raises(OptionError, match="one of bytes, byte_pairs"):
        model(likelihood="gaussian").fit(texts(20))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["alone"], "1 sample"),
        (["a", None], "text 1: is missing"),
        (["a", 7], "text 1: 7 is of type int"),
        (["", ""], "every text is empty"),
    ],
)
def test_bad_texts_are_refused_in_one_line(rows, said):
    with pytest.raises(DataError, match=said) as failure:
        model(epochs=1, latent_dim=1).fit(rows)
    assert "\n" not in str(failure.value)


def test_a_model_of_texts_takes_no_numbers(fitted):
    with pytest.raises(DataError):
        fitted.transform(np.zeros((3, 2)))
    table = isthmus.VAE(latent_dim=1, epochs=1, random_state=0).fit(np.random.default_rng(0).normal(size=(20, 3)))
    with pytest.raises(DataError):
        table.transform(texts(10))

"""The generator is the VAE with other defaults, under a name of its own."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

import isthmus
from isthmus.core.errors import OptionError
from isthmus.estimator import models
from isthmus.estimator.public import declared_options

DRAWS = np.random.default_rng(0)
ROWS = pd.DataFrame({"x": DRAWS.normal(size=80), "kind": DRAWS.choice(["a", "b"], 80)})
SMALL = {"latent_dim": 2, "hidden": (8,), "epochs": 2, "random_state": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def generator():
    return isthmus.Generator(**SMALL).fit(ROWS)


def test_it_is_the_vae_with_columns_that_depend_on_one_another(generator):
    same = isthmus.VAE(**SMALL, likelihood="autoregressive").fit(ROWS)
    pd.testing.assert_frame_equal(generator.sample(20), same.sample(20), check_exact=True)
    assert not generator.sample(20).equals(isthmus.VAE(**SMALL).fit(ROWS).sample(20))


def test_it_comes_back_from_its_file_as_itself(generator, tmp_path):
    generator.save(tmp_path / "generator.safetensors")
    revived = isthmus.load(tmp_path / "generator.safetensors")
    assert type(revived) is isthmus.Generator
    pd.testing.assert_frame_equal(revived.sample(20), generator.sample(20), check_exact=True)


@pytest.mark.parametrize("name", models.PRESETS)
def test_presets_change_defaults_and_nothing_else(name):
    preset = models.PRESETS[name]
    own = {option: field.default for option, field in declared_options(name).items()}
    variants = {option: field.default for option, field in declared_options(preset.variant).items()}
    assert own == variants | preset.defaults
    assert own != variants
    assert getattr(isthmus, preset.title)().get_params() == own
    assert getattr(isthmus, preset.title)().variant() is models.find(preset.variant).variant


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((10, 4, 4), np.uint8),
        [np.zeros((5, 2)), np.ones((7, 2))] * 3,
        csr_array(np.eye(6, dtype=np.int64)),
    ],
    ids=["images", "series", "counts"],
)
def test_what_is_no_table_is_refused_in_one_line(rows):
    with pytest.raises(
        OptionError, match=r"'autoregressive' is for table data: for .* data it is 'auto' or one of"
    ) as said:
        isthmus.Generator(**SMALL).fit(rows)
    assert "\n" not in str(said.value)


def test_a_comparison_says_how_to_have_it():
    with pytest.raises(OptionError, match="'generator' is the vae with --set likelihood=autoregressive"):
        isthmus.compare(ROWS, models=["pca", "generator"])

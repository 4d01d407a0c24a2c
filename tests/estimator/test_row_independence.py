"""A row's codes, score and decoding depend on that row alone: its batch, its place and its neighbours change no bit."""

import numpy as np
import pandas as pd
import pytest
import torch

import isthmus
from isthmus.estimator.inference import AlignedLinear, batch_rows, in_batches, scoring_rows, steady_products

ROWS = 1050
SIZES = (1, 7, 129, 1000)


def frame() -> pd.DataFrame:
    draws = np.random.default_rng(0)
    z = draws.standard_normal((ROWS, 2))
    return pd.DataFrame(
        {
            "number": z[:, 0],
            "heavy tails": np.exp(3 * z[:, 1]),
            "count": draws.integers(0, 50, ROWS),
            "kind": draws.choice(list("abcdef"), ROWS),
            "flag": z[:, 0] > 0,
            "gaps": np.where(draws.random(ROWS) < 0.2, np.nan, z[:, 1]),
        }
    )


def array(columns: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((ROWS, columns))


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (ROWS, *shape)).astype(np.uint8)


# Widths such as 13 → 10 and 5 → 4 are those at which an unaligned product was seen to depend on a row's place.
CASES = {
    "frame": (frame(), {"hidden": (13,), "latent_dim": 5}),
    "frame, wide": (frame(), {"latent_dim": 3, "likelihood": "mixture"}),
    "array": (array(13), {"hidden": (), "latent_dim": 5}),
    "array, narrow": (array(5), {"hidden": (399,), "latent_dim": 2, "activation": "gelu"}),
    "images": (images(5, 5), {"likelihood": "beta_binomial", "hidden": (17,)}),
    "images, convolutional": (images(9, 7, 3), {"network": "convolutional", "hidden": (6, 10), "latent_dim": 5}),
}


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def taken(rows, index):
    return rows.iloc[index] if isinstance(rows, pd.DataFrame) else rows[index]


def same(first, second) -> bool:
    if isinstance(first, pd.DataFrame):
        return first.reset_index(drop=True).equals(second.reset_index(drop=True))
    return np.array_equal(first, second)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_batch_size_order_and_duplicates_change_no_bit(case):
    rows, options = CASES[case]
    model = isthmus.VAE(**options, epochs=1, random_state=0).fit(rows)
    codes, scores = model.transform(rows), model.score_samples(rows)
    decoded = model.inverse_transform(codes)
    draws = np.random.default_rng(1)
    for size in SIZES:
        index = draws.integers(0, ROWS, size)  # in any order, some more than once
        assert same(model.transform(taken(rows, index)), codes[index]), size
        assert same(model.score_samples(taken(rows, index)), scores[index]), size
        assert same(model.inverse_transform(codes[index]), taken(decoded, index)), size


@pytest.mark.parametrize("name", ["Autoencoder", "IWAE", "FSQ", "FactorVAE", "LadderVAE"])
def test_other_variants_too(name):
    rows = array(13)
    model = getattr(isthmus, name)(latent_dim=5, hidden=(7,), epochs=1, random_state=0).fit(rows)
    codes, scores = model.transform(rows), model.score_samples(rows)
    backwards = rows[::-1]
    assert np.array_equal(model.transform(backwards), codes[::-1])
    assert np.array_equal(model.score_samples(backwards[:77]), scores[::-1][:77])


@pytest.mark.parametrize("inputs,outputs", [(5, 4), (13, 10), (6, 11), (16, 32), (1, 1)])
def test_aligned_layers_compute_the_same_function(inputs, outputs):
    layer = torch.nn.Linear(inputs, outputs)
    x = torch.randn(3, 40, inputs, generator=torch.Generator().manual_seed(0))
    plain = layer(x)
    with AlignedLinear():
        aligned = layer(x)
        alone = layer(x[:1, :1].expand(3, 40, inputs))
    assert aligned.shape == plain.shape
    assert torch.allclose(aligned, plain, atol=1e-6)
    assert (alone == alone[0, 0]).all()


def test_a_shorter_sample_is_the_start_of_a_longer_one():
    model = isthmus.VAE(latent_dim=3, hidden=(8,), epochs=1, random_state=0).fit(array(4))
    assert np.array_equal(model.sample(5), model.sample(700)[:5])


CPU = torch.device("cpu")


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("inputs,outputs", [(47, 2), (13, 3), (129, 5), (399, 5), (784, 400), (100, 16)])
@pytest.mark.parametrize("size", [16, 128, 1024])
def test_products_treat_rows_alike_wherever_they_stand(inputs, outputs, size):
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(inputs, outputs)
    row, others = torch.randn(inputs, generator=generator), torch.randn(size, inputs, generator=generator)
    places = torch.randperm(size, generator=generator)[: size // 2]
    others[places] = row
    with torch.no_grad(), steady_products(CPU):
        alone, among = layer(row.repeat(size, 1)), layer(others)
    assert (alone == alone[0]).all()
    assert (among[places] == alone[0]).all()


def test_threads_that_come_and_go_leave_each_other_the_same_products():
    before = torch.get_float32_matmul_precision()
    first, second = steady_products(CPU), steady_products(CPU)
    with first:
        within = torch.get_float32_matmul_precision()
        with second:
            pass
        assert torch.get_float32_matmul_precision() == within
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize("rows", [0, 1, 16, 37])
def test_batches_give_every_row_in_one_ordinary_tensor(rows):
    x = torch.arange(2.0 * rows).reshape(rows, 2)
    doubled = in_batches(lambda batch: batch * 2, x, 16, CPU)
    assert torch.equal(doubled, x * 2) and not doubled.is_inference()


def test_batches_of_wide_rows_are_short():
    assert batch_rows(10) == 1024 and batch_rows(3 * 512 * 512) == 16
    assert scoring_rows(10, 16) == 128 and scoring_rows(784, 10_000) == 16

"""Arithmetic for codes: right, and the same whatever the batch, the threads and the order of sums."""

import json
from fractions import Fraction
from math import floor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from threadpoolctl import threadpool_limits
from torch import nn

from isthmus.compression.coder import Stack
from isthmus.compression.latent import curves
from isthmus.compression.latent.intervals import intervals
from isthmus.compression.latent.network import LIMIT, ONE, Network, packed, quantised, to_whole, unpacked
from isthmus.compression.latent.numbers import Grid, same
from isthmus.compression.latent.observations import two_weights_of, weights_of
from isthmus.core.errors import DataError
from isthmus.core.randomness import Randomness
from isthmus.parts.networks import ConvolutionalDecoder, ConvolutionalEncoder, Perceptron, built

NETWORKS = {
    "dense": (lambda act: Perceptron(30, (50, 40), 20, act), 30),
    "residual, normalised": (lambda act: Perceptron(30, (50, 50), 20, act, normalise=True, residual=True), 30),
    "one linear map": (lambda act: Perceptron(30, (), 20, act), 30),
    "convolutional": (lambda act: ConvolutionalEncoder(3, 11, 14, (8, 16), 8, act), 3 * 11 * 14),
    "transposed": (lambda act: ConvolutionalDecoder(8, (8, 16), 3, 11, 14, act), 8),
}


def made(kind: str, activation: str, rows: int = 64) -> tuple[nn.Module, Network, np.ndarray]:
    build, inputs = NETWORKS[kind]
    module = built(lambda: build(activation), Randomness(0, kind))
    x = to_whole(np.random.default_rng(1).normal(size=(rows, inputs)))
    return module, quantised(module, x, noise=0.005), x


# Curves.


def test_curves_are_the_functions_they_are_named_after() -> None:
    x = np.linspace(-60, 60, 9001)
    np.testing.assert_allclose(curves.exponential(x), np.exp(x), rtol=1e-15)
    np.testing.assert_allclose(curves.logarithm(np.exp(x)), x, atol=1e-14)
    np.testing.assert_allclose(curves.inverse_sinh(x), np.arcsinh(x), rtol=1e-12)
    np.testing.assert_allclose(curves.sinh(x), np.sinh(x), rtol=1e-12)
    np.testing.assert_allclose(curves.normal()(x), stats.norm.cdf(x), atol=5e-4)
    np.testing.assert_allclose(curves.logistic()(x), stats.logistic.cdf(x), atol=5e-4)
    np.testing.assert_allclose(curves.student(2.5)(x), stats.t(2.5).cdf(x), atol=5e-4)


@pytest.mark.parametrize("scale", [0.05, 1.0, 40.0, 1e6])
def test_numbers_under_a_distribution_cost_what_it_says(scale: float) -> None:
    random = np.random.default_rng(0)
    location = random.normal(size=20_000) * 3 * scale
    values = np.rint(location + scale * random.logistic(size=len(location)))

    def own() -> object:
        ends = {"low": -1e9, "high": 1e9}
        middles, scales = location[:, None], np.full((len(location), 1), scale)
        return intervals(middles, scales, None, curves.logistic(), lambda y: y, lambda k: k, **ends)

    stack = Stack()
    own().push(stack, values)
    mass = stats.logistic.cdf((values + 0.5 - location) / scale) - stats.logistic.cdf((values - 0.5 - location) / scale)
    assert abs(stack.bits / len(values) + np.log2(mass).mean()) < 0.01
    np.testing.assert_array_equal(own().pop(stack), values)
    assert stack.empty


@pytest.mark.parametrize("location", [-1e6, -3.0, 2.2, 99.0, 1e6])
def test_the_ends_take_the_tails(location: float) -> None:
    values = np.array([0.0, 0.0, 0.0, 50.0, 100.0])
    found = intervals(
        np.full((5, 1), location), np.full((5, 1), 0.1), None, curves.logistic(), lambda y: y, lambda k: k, 0.0, 100.0
    )
    stack = Stack()
    found.push(stack, values)
    np.testing.assert_array_equal(found.pop(stack), values)
    if location < 0:
        stack = Stack()
        found.push(stack, np.zeros(5))
        assert stack.bits < 33


def test_two_weights_are_those_of_any_two_logits() -> None:
    logits = np.concatenate([np.random.default_rng(0).integers(-80_000, 80_000, 500), [-8, 0, 8]]).astype(np.float64)
    both = weights_of(np.stack([np.zeros_like(logits), logits], axis=1))
    np.testing.assert_array_equal(two_weights_of(logits), both)


# Networks.


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "tanh"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_in_whole_numbers_are_close_to_the_trained_ones(kind: str, activation: str) -> None:
    module, network, x = made(kind, activation)
    with torch.inference_mode():
        expected = module.double()(torch.from_numpy(x / ONE)).numpy()
    found = network(x)
    np.testing.assert_array_equal(found, np.rint(found))
    assert np.abs(found / ONE - expected).max() < 0.03 * expected.std() + 0.01


@pytest.mark.parametrize("kind", NETWORKS)
def test_neither_batches_nor_threads_change_a_bit(kind: str) -> None:
    _, network, x = made(kind, "silu", rows=256)
    whole = network(x)
    for size in (1, 7, 255):
        pieces = [network(x[start : start + size]) for start in range(0, 256, size)]
        assert np.concatenate(pieces).tobytes() == whole.tobytes()
    for threads in (1, 4):
        with threadpool_limits(threads):
            assert network(x).tobytes() == whole.tobytes()
    assert network(np.asfortranarray(x)).tobytes() == whole.tobytes()


def test_the_fast_network_is_the_slow_clear_one() -> None:
    _, network, x = made("dense", "relu", rows=3)
    layers = [step["bits"] for step in network.steps if step["kind"] == "linear"]
    assert len(layers) == 3
    for row in x:
        values = [int(value) for value in row]
        arrays = iter(network.arrays)
        for index, bits in enumerate(layers):
            weight, bias = next(arrays).tolist(), next(arrays).tolist()
            sums = [
                sum(int(w) * v for w, v in zip(ws, values, strict=True)) + int(b)
                for ws, b in zip(weight, bias, strict=True)
            ]
            values = [max(-int(LIMIT), min(int(LIMIT), floor(Fraction(s, 2**bits) + Fraction(1, 2)))) for s in sums]
            if index < 2:
                values = [max(0, value) for value in values]
        assert values == network(row[None])[0].tolist()


def test_a_planted_huge_weight_is_refused() -> None:
    module, _, x = made("dense", "relu")
    with torch.no_grad():
        module[0][0].weight[3, 4] = 1e9
    with pytest.raises(DataError, match="cannot code rows"):
        quantised(module, x)
    with torch.no_grad():
        module[0][0].weight[3, 4] = torch.nan
    with pytest.raises(DataError, match="cannot code rows"):
        quantised(module, x)


def test_sums_that_could_be_inexact_are_refused_where_a_network_is_read() -> None:
    _, network, _ = made("dense", "relu")
    arrays = [array.copy() for array in network.arrays]
    arrays[0][:] = 2.0**25
    with pytest.raises(ValueError, match="inexact"):
        Network(network.inputs, network.steps, arrays)


def test_layers_that_cannot_be_carried_over_are_refused() -> None:
    x = to_whole(np.zeros((3, 4)))
    for module in (nn.Sequential(nn.Linear(4, 4), nn.Sigmoid()), nn.GELU(approximate="tanh"), nn.BatchNorm1d(4)):
        with pytest.raises(DataError, match="cannot code rows"):
            quantised(module, x)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_comes_back_from_its_settings_and_bytes(kind: str) -> None:
    _, network, x = made(kind, "gelu")
    again = Network.restored(json.loads(json.dumps(network.settings())), network.parameters())
    assert again(x).tobytes() == network(x).tobytes()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.integers(-(2**50), 2**50), max_size=60), max_size=4), st.integers(0, 2**31))
def test_whole_numbers_come_back_from_their_bytes(lists: list[list[int]], seed: int) -> None:
    arrays = [np.array(values, np.float64) for values in lists]
    arrays.append(np.random.default_rng(seed).integers(-40, 90, 500).astype(np.float64).reshape(10, 50))
    data = packed(arrays)
    for own, found in zip(arrays, unpacked(data, [array.shape for array in arrays]), strict=True):
        np.testing.assert_array_equal(found, own)


def test_damaged_whole_numbers_are_an_error_or_other_numbers() -> None:
    arrays = [np.arange(200.0), np.ones((3, 4))]
    data, shapes = packed(arrays), [array.shape for array in arrays]
    random = np.random.default_rng(0)
    for _ in range(300):
        bad = bytearray(data)
        bad[random.integers(len(bad))] ^= 1 << random.integers(8)
        cut = bytes(bad)[: random.integers(len(bad) // 2, len(bad) + 1)]
        for damaged in (bytes(bad), cut):
            try:
                unpacked(damaged, shapes)
            except ValueError:
                continue
    with pytest.raises(ValueError, match="announced"):
        unpacked(data, [(2**14, 2**14)])


# Grids.


@pytest.mark.parametrize("type_", ["float64", "float32", "float16"])
@pytest.mark.parametrize("kind", ["decimals", "quotients", "floats"])
def test_floats_on_a_grid_come_back_to_the_bit(type_: str, kind: str) -> None:
    random = np.random.default_rng(0)
    whole = random.integers(-400, 400, 1000)
    values = {"decimals": whole / 10, "quotients": whole / 255, "floats": random.normal(size=1000)}[kind]
    values = values.astype(type_).astype(np.float64)
    grid = Grid.of(values, type_, float(values.std()))
    assert (grid.divisor is None) == (kind == "floats" and type_ != "float16") or type_ == "float16"
    on = same(grid.nearest(values), values)
    assert on.mean() > 0.98
    wholes, rests, sizes = grid.wholes(values[on])
    assert np.all((rests >= 0) & (rests < sizes) & (rests == np.rint(rests)))
    assert same(grid.values(wholes, rests), values[on]).all()
    np.testing.assert_array_equal(grid.sizes(wholes), sizes)
    assert not same(grid.nearest(np.array([-0.0])), np.array([-0.0])).any()

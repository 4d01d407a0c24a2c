"""Series: what is particular to them beside the contract that every domain keeps."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import norm

import isthmus
from isthmus.core.errors import DataError, OptionError
from isthmus.core.randomness import Randomness
from isthmus.domains.base import NetworkOptions
from isthmus.domains.series import Series

NUMBERS = st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))


@st.composite
def several_series(draw) -> list[np.ndarray]:
    channels = draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(1, 9), min_size=2, max_size=6))
    kinds = st.sampled_from([np.float32, np.float64])
    kind = draw(kinds)
    series = [draw(arrays.arrays(kind, (length, channels), elements=NUMBERS)) for length in lengths]
    series[0][0] = 0.0  # something observed, and something that changes
    series[1][0] = 1.0
    return series


@settings(max_examples=60, deadline=None)
@given(several_series())
def test_lengths_and_missing_values_come_back(series):
    domain = Series.fit(series)
    back = domain.rows(domain.tensors(series))
    assert [each.shape for each in back] == [each.shape for each in series]
    for own, other in zip(series, back, strict=True):
        assert own.dtype == other.dtype
        np.testing.assert_array_equal(own, other)


def some_waves(rows: int = 30, steps: int = 10, channels: int = 2) -> np.ndarray:
    phases = np.random.default_rng(0).uniform(0, 6, (rows, 1, channels))
    return np.sin(phases + 0.5 * np.arange(steps)[:, None])


def decoded(domain: Series, rows: int, network: str = "dense") -> object:
    torch.manual_seed(0)
    return domain.decoder(2, NetworkOptions(hidden=(8,), network=network))(torch.zeros(rows, 2))


class TestLikelihood:
    @pytest.mark.parametrize("network", ["dense", "convolutional"])
    def test_it_is_the_gaussian_of_what_is_observed(self, network):
        """Against SciPy, for each value by itself: those that are missing or beyond the end count nothing."""
        waves = some_waves()
        series = [each[: 10 - place % 3] for place, each in enumerate(waves)]
        series[4][2, 1] = np.nan
        domain = Series.fit(series)
        x = domain.tensors(series)
        likelihood = decoded(domain, len(x), network)
        per_value = likelihood.log_prob_per_feature(x.float())[:, 1:].detach().numpy()
        expected = domain.matrix(likelihood.mode().detach())[:, 1:]
        # exp(−1) standard deviations is where the noise begins.
        reference = norm.logpdf(domain.matrix(x)[:, 1:], expected, np.exp(-1.0))
        observed = ~np.isnan(x[:, 1:].numpy())
        np.testing.assert_allclose(per_value[observed], reference[observed], rtol=1e-3, atol=1e-3)
        assert (per_value[~observed] == 0).all()
        assert (~observed).sum() == 2 * sum(10 - len(each) for each in series) + 1

    def test_probabilities_of_lengths_sum_to_1(self):
        series = [np.arange(float(length)) for length in (3, 5, 5, 9)]
        domain = Series.fit(series)
        x = domain.tensors([np.full(length, np.nan) for length in (3, 5, 9)]).float()
        assert decoded(domain, 3).log_prob(x).exp().sum().item() == pytest.approx(1, abs=1e-5)

    def test_lengths_are_drawn_among_the_fitted_ones(self):
        series = [np.arange(float(length)) for length in (3, 5, 5, 9)]
        drawn = Series.fit(series).rows(decoded(Series.fit(series), 300).sample(Randomness(0)))
        assert {len(each) for each in drawn} == {3, 5, 9}

    @pytest.mark.parametrize("network", ["dense", "convolutional"])
    def test_networks_see_nothing_of_a_missing_value(self, network):
        waves = some_waves()
        waves[3, 4] = np.nan
        domain = Series.fit(waves)
        encoder = domain.encoder(3, NetworkOptions(hidden=(8,), network=network))
        x = domain.tensors(waves)[3:4]
        features = domain.features()(x)
        assert torch.equal(features[:, 8:10], torch.zeros(1, 2))  # step 4 of two channels, and that it is missing
        assert torch.equal(features[:, 28:30], torch.zeros(1, 2))
        assert torch.isfinite(encoder(x.float())).all()

    def test_long_series_go_through_convolutions(self):
        long, short = Series.fit(some_waves(3, 600)), Series.fit(some_waves(3, 60))
        kinds = [{type(layer) for layer in each.encoder(3, NetworkOptions()).modules()} for each in (long, short)]
        assert [torch.nn.Conv1d in kind for kind in kinds] == [True, False]


class TestWindows:
    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_they_join_exactly(self, data):
        recording = data.draw(
            arrays.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 2)), elements=NUMBERS)
        )
        length = data.draw(st.integers(1, len(recording)))
        stride = data.draw(st.integers(1, length))
        parts = isthmus.windows(recording, length, stride)
        assert parts.shape[1:] == (length, recording.shape[1])
        np.testing.assert_array_equal(isthmus.join_windows(parts, len(recording), stride), recording)

    def test_where_they_differ_the_mean_is_taken_of_what_is_said(self):
        said = np.array([[1.0, 2.0, 3.0], [4.0, np.nan, 6.0]])  # steps 0 … 2 and 1 … 3
        np.testing.assert_allclose(isthmus.join_windows(said, 4, 1), [1.0, 3.0, 3.0, 6.0])
        silent = np.full((2, 3), np.nan)
        assert np.isnan(isthmus.join_windows(silent, 4, 1)).all()

    @pytest.mark.parametrize(
        ("arguments", "error", "said"),
        [
            ((np.zeros(3), 4), DataError, "shorter than a window"),
            ((np.zeros(9), 4, 5), OptionError, "left out"),
            ((np.zeros(9), 0), OptionError, "length=0"),
            ((np.zeros(9), 4, 1.5), OptionError, "stride=1.5"),
            ((np.array(["a", "b"]), 1), DataError, "array of numbers"),
            ((np.zeros((2, 2, 2)), 1), DataError, "array of numbers"),
        ],
    )
    def test_what_cannot_be_cut(self, arguments, error, said):
        with pytest.raises(error, match=said):
            isthmus.windows(*arguments)

    def test_windows_of_another_recording(self):
        with pytest.raises(DataError, match="has 4"):
            isthmus.join_windows(np.zeros((3, 5)), 20)


class TestBadSeries:
    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            (np.zeros((0, 5)), "empty"),
            (np.zeros((5, 0)), "empty"),
            ([np.zeros(3), np.zeros(0)], "series 1: has no steps"),
            ([np.zeros((3, 2)), np.zeros((3, 1))], "series 1.*same channels"),
            ([np.zeros((3, 2)), np.zeros(3)], "series 1"),
            ([np.zeros(3), np.array(["a"])], "series 1: holds <U1"),
            ([np.zeros((3, 0)), np.zeros((2, 0))], "no channels"),
            (np.array([["a", "b"], ["c", "d"]]), "holds <U1"),
            (np.full((4, 5, 1), np.nan), "every value of every series is missing"),
            (np.ones((4, 5)), "no channel of the series ever changes"),
            (np.array([[0.0, np.inf], [1.0, 2.0]]), "series 0, step 1: the value is infinity"),
            (np.array([[0, 2**60 + 1], [1, 2]]), "beyond 2⁵³"),
            ([np.zeros(70_000), np.ones(3)], r"series 0: 70,000 steps.*isthmus\.windows"),
            (pa.table({"a": [1.0, 2.0], "b": ["x", "y"]}), "column 'b' holds string"),
        ],
    )
    def test_it_is_said_what_and_where(self, rows, said):
        with pytest.raises(DataError, match=said):
            Series.fit(rows)

    @pytest.mark.parametrize(
        ("fitted", "given_", "said"),
        [
            (some_waves(), some_waves(steps=9), "of 9 steps.*fitted to 10"),
            (some_waves(), some_waves(channels=3), "of 3 channels.*fitted to 2"),
            (some_waves(), list(some_waves()), "as one array"),
            (list(some_waves()), [*some_waves(2), np.zeros((11, 2))], "series 2: 11 steps"),
        ],
    )
    def test_series_unlike_the_fitted_ones(self, fitted, given_, said):
        with pytest.raises(DataError, match=said):
            Series.fit(fitted).tensors(given_)

    def test_options_that_are_for_others(self):
        with pytest.raises(OptionError, match="tables"):
            Series.fit(some_waves(), missing="modelled")
        with pytest.raises(OptionError, match="not for series"):
            Series.fit(some_waves()).encoder(2, NetworkOptions(network="attention"))

    def test_a_series_of_missing_values_alone_is_a_row(self):
        waves = some_waves()
        waves[5] = np.nan
        domain = Series.fit(waves)
        assert np.isnan(domain.rows(domain.tensors(waves))[5]).all()
        assert decoded(domain, 1).log_prob(domain.tensors(waves)[5:6].float()).item() == 0


def test_wide_tables_are_one_series_a_row():
    table = pa.table({"monday": [1.0, 2.0, None], "tuesday": [0.5, 0.25, 3.0]})
    domain = Series.fit(table)
    assert (domain.steps, domain.channels, domain.gaps) == (2, 1, True)
    assert domain.rows(domain.tensors(table)).equals(table)
    assert not Series.claims(table)

"""Counts: what is particular to them beside the contract that every domain keeps."""

import numpy as np
import pytest
import scipy.sparse
import scipy.stats
import torch

from isthmus.core.errors import DataError
from isthmus.core.randomness import Randomness
from isthmus.core.sparse import SparseRows, dense, joined
from isthmus.domains.base import NetworkOptions
from isthmus.domains.counts import Counts
from isthmus.domains.counts.totals import Totals


def some_counts(rows: int = 40, columns: int = 12, seed: int = 0) -> scipy.sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    return scipy.sparse.csr_matrix(rng.poisson(rng.gamma(0.4, 3.0, (rows, columns))))


class TestSparseRows:
    """Each does what the dense tensor does."""

    matrix = some_counts()
    whole = torch.from_numpy(matrix.toarray())
    sparse = Counts.fit(matrix).tensors(matrix)

    @pytest.mark.parametrize(
        "chosen",
        [slice(3, 9), slice(0, 0), slice(38, 60), slice(None, None, 3), torch.tensor([5, 5, 0]), torch.arange(40) > 30],
    )
    def test_picking_rows(self, chosen):
        assert torch.equal(self.sparse[chosen].dense().long(), self.whole[chosen])

    def test_batches_are_dense(self):
        numbers = torch.tensor([7, 0, 7])
        assert torch.equal(self.sparse.index_select(0, numbers).long(), self.whole[numbers])
        batches = list(self.sparse.split(16))
        assert [len(batch) for batch in batches] == [16, 16, 8]
        assert torch.equal(torch.cat(batches).long(), self.whole)

    def test_sums_and_shapes(self):
        assert torch.equal(self.sparse.sum(0), self.whole.sum(0))
        assert torch.equal(self.sparse.sum(-1), self.whole.sum(-1))
        assert (len(self.sparse), *self.sparse.shape) == (40, 40, 12)

    def test_to_sparse_and_one_after_another(self):
        again = SparseRows.of(self.whole)
        assert all(np.array_equal(a, b) for a, b in zip(again.arrays(), self.sparse.arrays(), strict=True))
        assert torch.equal(dense(joined([self.sparse[:3], self.sparse[3:]])).long(), self.whole)


class TestTotals:
    def test_probabilities_are_those_of_the_draws(self):
        totals = np.random.default_rng(0).negative_binomial(3, 0.02, 500)
        fitted = Totals.of(totals)
        draws = fitted.sample((50_000,), Randomness(0)).numpy()
        # Draws leave out the wide part, which has the weight of one row in 501.
        for low, high in [(0, 60), (60, 130), (130, 200), (200, 5000)]:
            expected = np.exp(fitted.log_mass(np.arange(low, high))).sum()
            assert ((draws >= low) & (draws < high)).mean() == pytest.approx(expected, abs=0.012)

    def test_all_totals_together_have_probability_1(self):
        for totals in ([3, 9, 9, 12, 40], [7, 7, 7], [0, 0, 5]):
            mass = np.exp(Totals.of(np.array(totals)).log_mass(np.arange(300_000))).sum()
            assert mass == pytest.approx(1, abs=2e-3)

    def test_far_totals_are_improbable_and_finite(self):
        fitted = Totals.of(np.array([7, 7, 7, 8]))
        mass = fitted.log_mass(np.array([7, 20, 1000, 10**7]))
        assert np.isfinite(mass).all() and (np.diff(mass) < 0).all()
        assert set(fitted.sample((200,), Randomness(1)).tolist()) <= {7.0, 8.0}


class TestLikelihoods:
    @staticmethod
    def of(family: str) -> tuple[Counts, torch.nn.Module]:
        counts = Counts.fit(some_counts(), family)
        torch.manual_seed(0)
        return counts, counts.decoder(2, NetworkOptions(hidden=(8,)))

    @pytest.mark.parametrize("family", ["poisson", "negative_binomial", "multinomial"])
    def test_a_row_s_total_is_its_size_factor(self, family):
        """Twice the things in the same shares have twice the rates, and the row's own total is taken."""
        _, decoder = self.of(family)
        z = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
        x = torch.randint(0, 9, (5, 12), generator=torch.Generator().manual_seed(1))
        rates = decoder(z).given(x).mode()
        torch.testing.assert_close(rates.sum(-1), x.sum(-1).float())
        torch.testing.assert_close(decoder(z).given(2 * x).mode(), 2 * rates)
        assert torch.equal(decoder(z).log_prob(x), decoder(z).given(2 * x).log_prob(x))

    def test_poisson_given_the_total_is_the_multinomial_but_for_the_total(self):
        """Π Poisson(x; N π) = Poisson(N; N) · Multinomial(x; N, π)."""
        _, decoder = self.of("poisson")
        _, other = self.of("multinomial")
        z = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
        x = torch.randint(0, 9, (5, 12), generator=torch.Generator().manual_seed(1))
        totals = x.sum(-1).double()
        gap = (decoder(z).log_prob(x) - other(z).log_prob(x)).detach().double()
        np.testing.assert_allclose(gap, scipy.stats.poisson.logpmf(totals, totals), rtol=1e-3)

    def test_probabilities_of_rows_of_one_total_sum_to_1_at_most(self):
        """Over all rows of 6 things in 3 columns: 1 for the multinomial, less for the others."""
        rows = torch.tensor([[a, b, 6 - a - b] for a in range(7) for b in range(7 - a)])
        for family in ("multinomial", "poisson", "negative_binomial", "zero_inflated_negative_binomial"):
            counts = Counts.fit(scipy.sparse.csr_matrix([[1, 2, 3], [4, 0, 1], [2, 2, 2]]), family)
            decoder = counts.decoder(1, NetworkOptions(hidden=()))
            total = decoder(torch.zeros(len(rows), 1)).log_prob(rows).exp().sum().item()
            assert total == pytest.approx(1, abs=1e-4) if family == "multinomial" else 0 < total < 1

    def test_a_row_of_nothing_has_probability_1_given_that(self):
        for family in ("multinomial", "poisson", "negative_binomial", "zero_inflated_negative_binomial"):
            _, decoder = self.of(family)
            nothing = torch.zeros(2, 12, dtype=torch.int32)
            assert decoder(torch.zeros(2, 2)).log_prob(nothing).abs().max() < 1e-3

    def test_training_starts_from_the_columns_shares(self):
        counts, decoder = self.of("poisson")
        for parameter in decoder.network.parameters():
            torch.nn.init.zeros_(parameter)
        shares = decoder(torch.zeros(1, 2)).mode()[0] / counts.totals.typical
        np.testing.assert_allclose(shares.detach(), counts.column_totals / counts.column_totals.sum(), atol=0.01)


class TestChoosing:
    def test_things_that_are_there_or_not_are_multinomial(self):
        assert Counts.fit((some_counts() > 0).astype(int)).family == "multinomial"

    def test_counts_that_vary_as_poisson_s_are_poisson(self):
        rng = np.random.default_rng(0)
        counts = Counts.fit(scipy.sparse.csr_matrix(rng.poisson(np.full((300, 30), 4.0))))
        # 9,000 cells: a standard error of sqrt(2 / 9,000) = 0.015.
        assert counts.family == "poisson" and counts.overdispersion == pytest.approx(1, abs=0.08)
        assert "vary about as much" in counts.notes()[0]

    def test_others_are_negative_binomial_and_it_is_said(self):
        counts = Counts.fit(some_counts())
        assert counts.family == "negative_binomial"
        assert counts.notes()[0].startswith("likelihood negative_binomial")

    def test_columns_and_rows_of_zeros_are_told(self):
        matrix = some_counts().toarray()
        matrix[3], matrix[:, 5] = 0, 0
        notes = " ".join(Counts.fit(scipy.sparse.csr_matrix(matrix)).notes())
        assert "1 of 12 columns" in notes and "rows hold nothing but 0" in notes
        assert "1 column where" in Counts.fit(scipy.sparse.csr_matrix(matrix)).surprises(some_counts(seed=1))[0]

    def test_other_columns_than_were_fitted_are_refused_in_one_line(self):
        counts = Counts.fit(some_counts())
        for asked in (counts.tensors, counts.surprises):
            with pytest.raises(DataError, match="11 columns of counts; the model was fitted to 12"):
                asked(some_counts()[:, :11])


def changed(row: int, column: int, value: float) -> scipy.sparse.csr_matrix:
    matrix = some_counts().toarray().astype(float)
    matrix[row, column] = value
    return scipy.sparse.csr_matrix(matrix)


class TestBadCounts:
    @pytest.mark.parametrize(
        ("value", "said"),
        [(-1.0, "below 0"), (0.5, "not whole"), (np.nan, "NaN"), (np.inf, "infinity"), (1e9, "at most")],
    )
    def test_the_place_is_named(self, value, said):
        with pytest.raises(DataError, match=rf"row 3.*{said}"):
            Counts.fit(changed(3, 7, value))

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            (scipy.sparse.csr_matrix((5, 4)), "every count is 0"),
            (scipy.sparse.csr_matrix((0, 4)), "empty"),
            (scipy.sparse.csr_matrix(np.ones((5, 1))), "one column"),
            (scipy.sparse.csr_matrix(np.ones((5, 4), complex)), "complex"),
        ],
    )
    def test_what_cannot_be_modelled_is_refused(self, rows, said):
        with pytest.raises(DataError, match=said):
            Counts.fit(rows)

    def test_other_columns_than_were_fitted(self):
        with pytest.raises(DataError, match="12"):
            Counts.fit(some_counts()).tensors(some_counts(columns=11))

    def test_entries_that_lie_on_one_another_are_added_and_the_users_matrix_stays(self):
        twice = scipy.sparse.coo_matrix(([1, 2, 0], ([0, 0, 1], [1, 1, 0])), shape=(2, 3))
        assert Counts.fit(twice).tensors(twice).dense().tolist() == [[0, 3, 0], [0, 0, 0]]
        assert twice.nnz == 3

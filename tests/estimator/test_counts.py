"""Models of sparse counts: sparse in, sparse out, and never dense as a whole."""

import numpy as np
import pytest
import scipy.sparse

import isthmus
from isthmus.core.errors import DataError, OptionError
from isthmus.core.sparse import SparseRows

ROWS, COLUMNS = 150, 24


def made(seed: int = 0, rows: int = ROWS) -> scipy.sparse.csr_matrix:
    """Rows of two kinds, each of which uses another half of the columns; totals from 10 to 40."""
    rng = np.random.default_rng(seed)
    shares = np.stack([np.r_[np.full(12, 1.0), np.full(12, 0.05)], np.r_[np.full(12, 0.05), np.full(12, 1.0)]])
    kinds = np.arange(rows) % 2
    counts = [rng.multinomial(rng.integers(10, 41), shares[kind] / shares[kind].sum()) for kind in kinds]
    return scipy.sparse.csr_matrix(np.stack(counts))


def model(**options) -> "isthmus.VAE":
    given = {"latent_dim": 2, "hidden": (16,), "epochs": 25, "learning_rate": 1e-2, "batch_size": 32, "random_state": 0}
    return isthmus.VAE(**given | options)


@pytest.fixture(scope="module")
def fitted() -> "isthmus.VAE":
    return model().fit(made())


def test_codes_tell_the_two_kinds_apart(fitted):
    codes = fitted.transform(made(1))
    kinds = np.arange(ROWS) % 2
    apart = np.linalg.norm(codes[kinds == 0].mean(0) - codes[kinds == 1].mean(0))
    assert codes.shape == (ROWS, 2) and apart > 2 * codes[kinds == 0].std(0).max()


def test_what_comes_out_is_what_went_in(fitted):
    new = fitted.sample(70, random_state=1)
    assert isinstance(new, scipy.sparse.csr_matrix) and new.shape == (70, COLUMNS) and new.dtype == np.int64
    assert 10 <= new.sum(1).mean() <= 40  # totals are drawn from the fitted ones
    back = fitted.inverse_transform(fitted.transform(made()))
    assert isinstance(back, scipy.sparse.csr_matrix) and back.dtype == np.float32
    dense = model(data="counts", epochs=1).fit(made().toarray())
    assert isinstance(dense.sample(3), np.ndarray) and dense.sample(3).dtype == np.int64


def test_a_reconstruction_has_the_row_s_own_total(fitted):
    x = made(2)
    np.testing.assert_allclose(fitted.reconstruct(x).sum(1), x.sum(1), rtol=1e-4)
    typical = fitted.inverse_transform(fitted.transform(x)).sum(1)
    np.testing.assert_allclose(typical, np.median(np.asarray(made().sum(1))), rtol=0.05)


def test_every_form_of_a_matrix_gives_the_same(fitted):
    x = made(3)
    codes = fitted.transform(x)
    for form in (x.tocsc(), x.tocoo(), scipy.sparse.csr_array(x), x.toarray(), x.astype(np.float32)):
        np.testing.assert_array_equal(fitted.transform(form), codes)


def test_sparse_and_dense_counts_train_alike():
    first, second = model(epochs=2).fit(made()), model(epochs=2, data="counts").fit(made().toarray())
    np.testing.assert_array_equal(first.transform(made()), second.transform(made()))


def test_rows_do_not_depend_on_their_neighbours(fitted):
    x = made(4)
    np.testing.assert_array_equal(fitted.score_samples(x)[5:9], fitted.score_samples(x[5:9]))


def test_rows_of_a_kind_that_was_not_fitted_are_unusual(fitted):
    usual = made(5)
    mixed = usual.toarray()
    np.random.default_rng(0).permuted(mixed, axis=1, out=mixed)
    strange = fitted.score_samples(scipy.sparse.csr_matrix(mixed))
    assert strange.mean() < fitted.score_samples(usual).mean() - 5
    assert np.mean(strange < fitted.offset_) > 0.5 and np.mean(fitted.predict(usual) == 1) > 0.85
    # The total is part of the score: twice the total that any row had.
    assert fitted.score_samples(2 * usual).mean() < fitted.score_samples(usual).mean() - 10


def test_rows_are_never_dense_as_a_whole(monkeypatch):
    most = []
    dense = SparseRows.dense
    monkeypatch.setattr(SparseRows, "dense", lambda rows: most.append(len(rows)) or dense(rows))
    wide = scipy.sparse.random_array((300, 40_000), density=1e-4, rng=np.random.default_rng(0))
    wide.data = np.ceil(3 * wide.data)
    monkeypatch.setattr(isthmus.VAE, "score_tensors", lambda self, x: np.zeros(len(x)))  # in batches too, and slow
    vae = model(epochs=1, hidden=(), likelihood="poisson").fit(wide)
    vae.transform(wide)
    # Batches for codes hold 2²² numbers at most, 64 rows of these.
    assert max(most) == 64 and sum(most) >= 600


def test_several_sizes_train_in_one_step_and_partial_fit_goes_on():
    sized = model(latent_dim="auto", epochs=3).fit(made())
    assert sized.latent_dim_ >= 1 and len(sized.size_search_) > 1
    going = model().partial_fit(made())
    assert len(going.partial_fit(made(1)).history_) == 2


def test_a_saved_model_is_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.score_samples(made()), fitted.score_samples(made()))
    assert (again.sample(5) != fitted.sample(5)).nnz == 0


def test_rows_of_nothing_are_rows_too(fitted):
    x = made(6).tolil()
    x[3] = 0
    x = x.tocsr()
    assert np.isfinite(fitted.score_samples(x)).all() and np.isfinite(fitted.transform(x)).all()
    assert np.isfinite(model(epochs=1).fit(x).transform(x)).all()


def test_hidden_features_are_drawn_from_the_stream_and_only_in_training():
    first, again, other = (model(epochs=2, mask_fraction=share).fit(made()) for share in (0.5, 0.5, 0.0))
    np.testing.assert_array_equal(first.transform(made()), again.transform(made()))
    np.testing.assert_array_equal(first.transform(made()), first.transform(made()))
    assert not np.array_equal(first.transform(made()), other.transform(made()))


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (made()[:1], {}, "too few"),
        (made()[:0], {}, "no rows"),
        (made() * 0.5, {}, "not whole"),
        (-made(), {}, "below 0"),
        (made(), {"data": "table"}, "does not suit"),
        (np.zeros((9, 4, 4)), {"data": "counts"}, "does not suit"),
    ],
)
def test_bad_counts_are_one_line(rows, options, said):
    with pytest.raises((DataError, OptionError), match=said) as raised:
        model(**options).fit(rows)
    assert "\n" not in str(raised.value)


def test_what_counts_cannot_do_is_said(fitted):
    for asked in (fitted.explain_scores, fitted.compress, isthmus.Detector().fit):
        with pytest.raises(DataError, match="count") as raised:
            asked(made())
        assert "\n" not in str(raised.value)


def test_a_table_s_model_takes_no_counts(fitted):
    table = model(epochs=1).fit(made().toarray().astype(float) + 0.5)
    with pytest.raises(DataError, match="was fitted to a table"):
        table.transform(made())
    with pytest.raises(DataError, match="24"):
        fitted.transform(made()[:, :9])

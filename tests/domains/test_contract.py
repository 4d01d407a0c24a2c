"""What every domain promises, on sample rows of each: a domain without samples fails here."""

import base64
import io
import json
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import scipy.sparse
import torch
from torch import Tensor

from isthmus import domains
from isthmus.core.parts import Parts
from isthmus.core.randomness import Randomness
from isthmus.core.sparse import dense
from isthmus.domains.base import Domain, DomainNetworks, NetworkOptions
from isthmus.domains.image import Image
from isthmus.domains.table import Table

from .examples import EXAMPLES

CASES = [(name, case) for name in domains.names() for case in EXAMPLES.get(name, {})]
every_case = pytest.mark.parametrize(("name", "case"), CASES, ids=[" ".join(case) for case in CASES])
# Images and counts have no missing cells.
WITH_CELLS = [(name, case) for name, case in CASES if name == "table"]
cases_with_cells = pytest.mark.parametrize(("name", "case"), WITH_CELLS, ids=[" ".join(case) for case in WITH_CELLS])


@cache
def fitted(name: str, case: str) -> tuple[Domain, Any, Tensor]:
    example = EXAMPLES[name][case]
    rows = example.rows()
    domain = domains.find(name).fit(rows, example.likelihood)
    return domain, rows, dense(domain.tensors(rows))


def decoder(domain: Domain, inputs: int = 3) -> torch.nn.Module:
    torch.manual_seed(0)
    return DomainNetworks(domain, NetworkOptions(hidden=(16,))).decoder(inputs)


def as_input(x: Tensor) -> Tensor:
    return x.float() if x.is_floating_point() else x


def same_rows(first: Any, second: Any) -> None:
    if isinstance(first, Parts):
        assert list(first) == list(second)
        for name, rows in first.items():
            same_rows(rows, second[name])
    elif isinstance(first, pd.DataFrame):
        pd.testing.assert_frame_equal(first, second, check_exact=True)
    elif isinstance(first, list) and isinstance(first[0], str):
        assert first == second
    elif isinstance(first, list):
        assert [(each.shape, each.dtype) for each in first] == [(each.shape, each.dtype) for each in second]
        for own, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(own, other)
    elif scipy.sparse.issparse(first):
        assert (type(first), first.dtype, first.shape) == (type(second), second.dtype, second.shape)
        assert (first != second).nnz == 0
    else:
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)


def test_every_domain_has_examples():
    assert set(EXAMPLES) == set(domains.names())


@every_case
def test_rows_come_back_exactly(name, case):
    domain, rows, x = fitted(name, case)
    same_rows(domain.rows(x), rows)
    same_rows(domain.rows(domain.tensors(rows)), rows)
    same_rows(domain.rows(domain.held(x)), rows)


@every_case
def test_sets_of_rows_stand_beside_each_other(name, case):
    _, rows, _ = fitted(name, case)
    count = len(rows) if isinstance(rows, list) else rows.shape[0]
    half = count // 2
    domain, (x, y) = domains.find(name).fit_together({"some rows": rows[:half], "others": rows[half:]})
    assert (len(x), len(y)) == (half, count - half)
    _, (again, whole) = domains.find(name).fit_together({"all": rows, "all again": rows})
    assert x.shape[1:] == y.shape[1:] and domain.values(y).shape == (len(y), len(domain.column_names))
    torch.testing.assert_close(again, whole, rtol=0, atol=0, equal_nan=True)


@every_case
def test_a_schema_is_json_and_makes_the_same_domain(name, case):
    domain, rows, x = fitted(name, case)
    text = json.dumps(domain.schema(), allow_nan=False)
    revived = domains.find(name).from_schema(json.loads(text))
    assert revived.schema() == domain.schema()
    assert torch.equal(dense(revived.tensors(rows)).nan_to_num(-1.0), x.nan_to_num(-1.0))
    same_rows(revived.rows(x), rows)


@every_case
def test_it_accepts_its_rows_and_is_chosen_for_them(name, case):
    _, rows, _ = fitted(name, case)
    assert domains.find(name).accepts(rows)
    if EXAMPLES[name][case].data == "auto":
        assert domains.choose(rows).name == name
    else:
        assert domains.choose(rows).name in ("table", "image", "series", "text")


@every_case
def test_features_are_finite_and_tell_rows_apart(name, case):
    domain, _, x = fitted(name, case)
    features = domain.features()(as_input(x))
    assert features.dtype == torch.float32
    assert torch.isfinite(features).all()
    assert len(features.unique(dim=0)) == len(x.nan_to_num(-1.0).unique(dim=0))


@every_case
def test_features_lead_back_to_rows(name, case):
    domain, _, x = fitted(name, case)
    back = domain.from_features(domain.features()(x.double()))
    observed = ~x.double().isnan()
    # Single precision inside the scales; categories that share a code are not told apart.
    expected = domain.matrix(x)
    close = np.isclose(domain.matrix(back), expected, rtol=1e-4, atol=1e-4) | ~observed.flatten(1).numpy()
    rare = np.zeros_like(close)
    if isinstance(domain, Table):
        rare = np.stack([expected[:, i] >= getattr(c, "modelled", np.inf) for i, c in enumerate(domain.columns)], 1)
    assert (close | rare).all()


@every_case
def test_a_matrix_leads_back_to_rows(name, case):
    domain, _rows, x = fitted(name, case)
    matrix = domain.matrix(x)
    assert matrix.dtype == np.float64
    assert matrix.shape == (len(x), len(domain.column_names)) == (len(x), len(domain.categorical))
    assert len(domain.density) == len(domain.column_names)
    np.testing.assert_allclose(domain.matrix(domain.from_matrix(matrix)), matrix, rtol=1e-6, atol=1e-6)


@every_case
@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_networks_take_any_leading_dimensions(name, case, leading):
    domain, _, x = fitted(name, case)
    x = as_input(x)
    encoder = DomainNetworks(domain, NetworkOptions(hidden=(16,))).encoder(5)
    assert encoder(x).shape == (len(x), 5)
    likelihood = decoder(domain)(torch.randn(*leading, len(x), 3, generator=torch.Generator().manual_seed(1)))
    per_feature = likelihood.log_prob_per_feature(x)
    assert per_feature.shape == (*leading, len(x), len(domain.column_names))
    assert torch.isfinite(per_feature).all()
    torch.testing.assert_close(likelihood.log_prob(x), per_feature.sum(-1))
    assert likelihood.sample(Randomness(0)).shape == (*leading, *x.shape)
    assert likelihood.mode().shape == (*leading, *x.shape)


@every_case
def test_draws_of_a_code_are_scored_as_that_code(name, case):
    """Leading dimensions are only that: each slice gives what it gives alone."""
    domain, _, x = fitted(name, case)
    x, network = as_input(x), decoder(domain)
    z = torch.randn(4, len(x), 3, generator=torch.Generator().manual_seed(1))
    together = network(z).log_prob(x)
    alone = torch.stack([network(codes).log_prob(x) for codes in z])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-3)


def whole_and_alike(made: Any, rows: Any) -> None:
    """In the same container, of the same types, without anything missing."""
    assert type(made) is type(rows)
    if isinstance(rows, Parts):
        assert list(made) == list(rows)
        for name, part in rows.items():
            whole_and_alike(made[name], part)
        return
    assert len(made) == len(rows) if isinstance(rows, list) else made.shape == rows.shape
    if isinstance(rows, list) and isinstance(rows[0], str):
        assert all(isinstance(each, str) for each in made)
    elif isinstance(rows, pd.DataFrame):
        assert list(made.dtypes) == list(rows.dtypes)
        assert not made.isna().any().any()
    elif isinstance(rows, list):
        assert all(each.dtype == rows[0].dtype and np.isfinite(each).all() for each in made)
    else:
        assert made.dtype == rows.dtype
        assert np.isfinite(made.data if scipy.sparse.issparse(made) else made).all()


@every_case
def test_samples_and_modes_are_rows(name, case):
    domain, rows, x = fitted(name, case)
    likelihood = decoder(domain)(torch.randn(len(x), 3, generator=torch.Generator().manual_seed(2)) * 3)
    sample, mode = likelihood.sample(Randomness(5)), likelihood.mode()
    for tensor in (sample, mode):
        made = domain.rows(tensor)
        whole_and_alike(made, rows)
        assert domain.tensors(made).shape == x.shape
        whole_and_alike(domain.guesses(tensor), domain.guesses(x))
    # What is drawn stays within what was fitted; an expected value need not. Bytes that are no UTF-8 become a sign of
    # three, so that texts of them may be longer; a bag of words may be drawn empty.
    assert name in ("text", "words") or domain.surprises(domain.rows(sample)) == []


@every_case
def test_the_same_randomness_draws_the_same_rows(name, case):
    domain, _, x = fitted(name, case)
    likelihood = decoder(domain)(torch.zeros(len(x), 3))
    # NaN is what lies beyond the end of a series.
    first, again, other = (likelihood.sample(Randomness(key)).nan_to_num(-1e9) for key in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@every_case
def test_every_gradient_is_finite_and_reaches_the_network(name, case):
    domain, _, x = fitted(name, case)
    network = decoder(domain)
    z = torch.randn(len(x), 3, generator=torch.Generator().manual_seed(3), requires_grad=True)
    network(z).objective(as_input(x)).sum().backward()
    for parameter in (z, *network.parameters()):
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().max() > 0


@cases_with_cells
def test_missing_cells_count_nothing_and_disturb_nothing(name, case):
    domain, _, x = fitted(name, case)
    x = x.float()
    emptied = x.clone()
    emptied[:, 0] = torch.nan
    z = torch.randn(len(x), 3, generator=torch.Generator().manual_seed(3), requires_grad=True)
    likelihood = decoder(domain)(z)
    full, less = likelihood.log_prob_per_feature(x), likelihood.log_prob_per_feature(emptied)
    assert (less[x.isnan() | emptied.isnan()] == 0).all()
    assert torch.equal(full[:, 1:], less[:, 1:])
    less[:, 0].sum().backward()
    assert z.grad is not None
    assert (z.grad == 0).all()


@cases_with_cells
def test_all_cells_missing_is_a_row_too(name, case):
    domain, _, x = fitted(name, case)
    nothing = torch.full_like(x, torch.nan).float()
    assert torch.isfinite(domain.features()(nothing)).all()
    assert (decoder(domain)(torch.zeros(len(x), 3)).log_prob(nothing) == 0).all()
    assert np.isnan(domain.matrix(nothing)).all()


@every_case
def test_log_volume_is_the_logarithm_of_the_jacobian(name, case):
    """Against differences of the rows' own values and of the scaled numbers."""
    domain, _, x = fitted(name, case)
    x = x.double()
    if name in ("counts", "words"):
        # Of whole rows it is the probability of their totals: of all that there can be they sum to 1.
        totals = torch.arange(200_000).view(-1, 1)
        assert abs(domain.log_volume(totals).exp().sum() - 1) < 1e-3
        return
    if name in ("image", "text") and not domain.density.any():
        assert (domain.log_volume(x) == 0).all()
        return
    flat = x.flatten(1)
    step = 1e-6
    ahead, behind = ((flat + sign * step * flat.abs().clamp(min=1e-3)).reshape(x.shape) for sign in (1.0, -1.0))
    dense = domain.density
    rise = domain.matrix(ahead)[:, dense] - domain.matrix(behind)[:, dense]
    run = domain.values(ahead)[:, dense] - domain.values(behind)[:, dense]
    if name == "image":
        # Intensities are in single precision: images at the ends of the range.
        assert isinstance(domain, Image)
        low, high = (torch.where(x.isnan(), x, torch.full_like(x, end)) for end in (domain.low, domain.high))
        rise = (domain.matrix(high) - domain.matrix(low))[:, dense]
        run = (domain.values(high) - domain.values(low))[:, dense]
    expected = np.nansum(np.log(rise / run), axis=1)
    np.testing.assert_allclose(domain.log_volume(x).numpy(), np.broadcast_to(expected, len(x)), rtol=1e-4, atol=1e-4)


@every_case
def test_pictures_are_one_for_each_row(name, case):
    domain, rows, x = fitted(name, case)
    pictures = domain.pictures(x[:3])
    assert len(pictures) == 3
    described = domain.describe()
    assert described["shape"]
    if domain.picture_kind == "table":
        assert [column["name"] for column in described["columns"]] == domain.column_names
        assert [[cell is None for cell in row] for row in pictures] == x[:3].isnan().tolist()
    elif name == "words":
        counts = [sorted(Counter(text.split()).items(), key=lambda each: (-each[1], each[0])) for text in rows[:3]]
        assert pictures == [", ".join(f"{word} {count}" for word, count in row) for row in counts]
    elif domain.picture_kind == "text":
        assert pictures == rows[:3]
    else:
        assert described["columns"] == []
        assert all(PIL.Image.open(io.BytesIO(base64.b64decode(picture))).size[0] > 0 for picture in pictures)
    if isinstance(domain, Image):
        shown = np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(pictures[0]))))
        scaled = (rows[0].astype(float) - domain.low) / (domain.high - domain.low) * 255
        np.testing.assert_allclose(shown, scaled, atol=0.51)


@every_case
def test_values_are_the_rows_own(name, case):
    domain, rows, x = fitted(name, case)
    values_are_own(name, domain, rows, x)


def values_are_own(name: str, domain: Any, rows: Any, x: Tensor) -> None:
    values = domain.values(x)
    if name == "multipart":
        for (part, its), own in zip(domain.items(), domain.layout.split(x), strict=True):
            columns = [column.startswith(f"{part}: ") for column in domain.column_names]
            np.testing.assert_array_equal(values[:, columns], its.values(own))
            values_are_own(its.name, its, rows[part], own)
    elif isinstance(rows, pd.DataFrame):
        # "length" and "income" are densities; "views" counts.
        for column in ("length", "income", "views"):
            np.testing.assert_array_equal(values[:, domain.column_names.index(column)], rows[column].astype(float))
    elif name == "counts":
        np.testing.assert_array_equal(values, rows.toarray() if scipy.sparse.issparse(rows) else rows)
    elif name == "table":
        np.testing.assert_array_equal(values, rows)
    elif name == "image" and isinstance(rows, list):
        np.testing.assert_array_equal(values[:, :2], [each.shape[:2] for each in rows])
        for own, each in zip(values[:, 2:], rows, strict=True):
            np.testing.assert_array_equal(np.sort(own[~np.isnan(own)]), np.sort(each.ravel()))
    elif name == "words":
        assert [[text.split().count(word) for word in domain.words] for text in rows] == values.tolist()
    elif isinstance(rows, list) and isinstance(rows[0], str):
        written = domain.symbols.written(rows)
        np.testing.assert_array_equal(values[:, 0], [len(each) for each in written])
        for own, each in zip(values[:, 1:], written, strict=True):
            np.testing.assert_array_equal(own[: len(each)], each)
            assert np.isnan(own[len(each) :]).all()
    elif isinstance(rows, list):
        np.testing.assert_array_equal(values[:, 0], [len(each) for each in rows])
        for own, each in zip(values[:, 1:], rows, strict=True):
            np.testing.assert_array_equal(own[: each.size], each.ravel())
            assert np.isnan(own[each.size :]).all()
    else:
        np.testing.assert_allclose(np.sort(values, 1), np.sort(rows.reshape(len(rows), -1).astype(float), 1))

"""Units are credited with what they move, columns with whom they go, and what is unused is found."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import isthmus
from isthmus import explaining
from isthmus.domains.table import Table
from isthmus.explaining import readout, turning, walks
from isthmus.explaining.similarity import escoufier, similarity
from isthmus.explaining.units import used_units

from .planted import FIRST, SECOND, table


class Deaf(torch.nn.Module):
    """A decoder that knows nothing of units 1 and later."""

    def __init__(self, inner: torch.nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        kept = torch.zeros_like(z)
        kept[..., 0] = z[..., 0]
        return self.inner(kept)


def _last_layer(model: Any) -> torch.nn.Linear:
    return [module for module in model.model_.encoder.modules() if isinstance(module, torch.nn.Linear)][-1]


class TestEffects:
    def test_a_unit_that_the_decoder_ignores_moves_nothing(self) -> None:
        model = isthmus.VAE(3, hidden=(16,), epochs=10, random_state=0, device="cpu").fit(table())
        model.model_.decoder = Deaf(model.model_.decoder)
        codes = model.transform(table())
        effect = turning.effects(model, codes)
        assert effect.shape == (3, 6)
        assert (effect[0] > 0).all() and (effect[1:] == 0).all()
        assert [entry["unit"] for entry in explaining.carries(model, codes)] == [0]
        assert [unit["unit"] for unit in explaining.traversals(model, codes)["units"]] == [0]

    def test_effects_are_those_of_turning_one_unit(self, model: Any) -> None:
        codes = model.transform(table())[:100]
        low, high = np.quantile(codes.astype(np.float32), turning.TURNED, axis=0)
        ends = []
        for value in (low, high):
            turned = codes.copy()
            turned[:, 1] = value[1]
            ends.append(model.inverse_transform(turned)["height"].to_numpy())
        spread = table()["height"].to_numpy().std()
        expected = np.abs(ends[1] - ends[0]).mean() / spread
        assert turning.effects(model, codes)[1][0] == pytest.approx(expected, rel=1e-3)

    def test_effects_on_categories_are_probabilities_that_move(self, model: Any) -> None:
        effect = turning.effects(model, model.transform(table()))
        categorical = effect[:, [2, 5]]
        assert (categorical >= 0).all() and (categorical <= 1).all() and categorical.max() > 0.5

    def test_each_factor_has_a_unit_that_moves_its_columns(self, model: Any) -> None:
        """The two strongest units are the two factors: each names the columns of one group before all others."""
        carried = model.explain(table())["carries"]
        named = [{column["name"] for column in unit["columns"]} for unit in carried[:2]]
        first = [unit["columns"][0]["name"] for unit in carried[:2]]
        assert {name in FIRST for name in first} == {True, False}
        for leading, names in zip(first, named, strict=True):
            assert names >= (FIRST if leading in FIRST else SECOND)

    def test_changes_are_told_in_the_columns_own_units(self, model: Any) -> None:
        """Ends are the means of what the model decodes to there: `inverse_transform` gives the same."""
        codes = model.transform(table())[:100]
        turn = turning.turned(model, codes)
        unit = int(turn.effects()[:, 0].argmax())
        told = next(entry for entry in turning.in_own_units(turn) if entry["unit"] == unit)
        columns = {column["name"]: column for column in told["columns"]}
        for end, name in (("from", "low"), ("to", "high")):
            at_end = codes.copy()
            at_end[:, unit] = told[name]
            decoded = model.inverse_transform(at_end)
            assert columns["height"][end] == pytest.approx(decoded["height"].to_numpy().mean(), rel=1e-3)
            years = 1970 + decoded["born"].cast(pa.int32()).to_numpy().mean() / 365.2425
            assert columns["born"][end] == pytest.approx(years, abs=0.01) and columns["born"]["in"] == "years"
            probability = next(v for v in columns["tall"]["values"] if v["of"] == "yes")[end]
            # The share of rows that are decoded to "yes" is near their mean probability where the model is sure.
            assert probability == pytest.approx((decoded["tall"].to_numpy() == "yes").mean(), abs=0.1)
        assert columns["height"]["change"] == pytest.approx(
            columns["height"]["to"] - columns["height"]["from"], abs=1e-3
        )

    def test_a_feature_that_few_rows_light_goes_from_dark_to_its_median(self) -> None:
        codes = np.zeros((10, 1), np.float32)
        codes[:3, 0] = 1.0, 2.0, 7.0
        assert turning.is_sparse(codes[:, 0]) and turning._ends(codes[:, 0]) == (0.0, 2.0)
        assert not turning.is_sparse(codes[:, 0] - 1)
        assert turning._ends(np.zeros(4)) == (0.0, 0.0)

    def test_the_strongest_columns_come_first_and_weak_ones_not_at_all(self) -> None:
        effect = np.array([[0.1, 0.9, 0.01], [0.0, 0.0, 0.0], [2.0, 0.0, 1.0]])
        assert turning.strongest(effect, ["a", "b", "c"]) == [
            {"unit": 2, "columns": [{"name": "a", "effect": 2.0}, {"name": "c", "effect": 1.0}]},
            {"unit": 0, "columns": [{"name": "b", "effect": 0.9}, {"name": "a", "effect": 0.1}]},
        ]
        assert turning.strongest(np.zeros((2, 3)), ["a", "b", "c"]) == []


class TestTraversals:
    def test_walks_are_decoded_codes_in_the_columns_own_units(self, model: Any) -> None:
        codes = model.transform(table())
        for unit in explaining.traversals(model, codes, steps=5)["units"]:
            columns = {column["name"]: column for column in unit["columns"]}
            assert set(columns) == FIRST | SECOND
            assert len(unit["positions"]) == 5 and unit["positions"] == sorted(unit["positions"])
            low, high = np.quantile(codes[:, unit["unit"]], walks.WALKED)
            assert unit["positions"][0] == pytest.approx(low, rel=1e-4)
            assert unit["positions"][-1] == pytest.approx(high, rel=1e-4)
            assert all(1955 < year < 2025 for year in columns["born"]["values"]) and columns["born"]["in"] == "years"
            assert columns["tall"]["of"] in ("yes", "no") and columns["rich"]["of"] == "True"
            assert all(0 <= p <= 1 for name in ("tall", "rich") for p in columns[name]["values"])

    def test_probabilities_are_those_of_the_value_named(self, model: Any) -> None:
        """Where the model puts most on a category, decoding gives it."""
        codes = model.transform(table())
        decoded, found = model.inverse_transform(codes), readout.read(model, codes)
        assert found.chances is not None
        for name in ("tall", "rich"):
            place = table().column_names.index(name)
            values = readout.values_of(model.domain_.columns[place])
            likely = found.chances[:, place, 0] > 0.5
            assert np.array_equal(likely, [str(cell) == values[0] for cell in decoded[name].to_pylist()])
        assert (found.chances[:, :, 1:].sum((1, 2)) <= 1).all() and (found.chances[:, 0] == 0).all()

    def test_the_line_of_a_category_is_that_of_the_value_told_first(self, model: Any) -> None:
        facts = model.explain(table())
        walked = {unit["unit"]: unit for unit in facts["traversals"]["units"]}
        for unit in facts["carries"]:
            lines = {column["name"]: column for column in walked[unit["unit"]]["columns"]}
            told = [column for column in unit["columns"] if "values" in column]
            assert all(lines[column["name"]]["of"] == column["values"][0]["of"] for column in told)

    def test_discrete_codes_stop_at_their_own_values(self) -> None:
        model = isthmus.FSQ(2, levels=3, hidden=(16,), epochs=20, learning_rate=1e-2, random_state=0, device="cpu").fit(
            table()
        )
        units = explaining.traversals(model, model.transform(table()))["units"]
        assert units and all(set(unit["positions"]) <= {-1.0, 0.0, 1.0} for unit in units)

    def test_codes_of_the_prior_need_no_rows(self, model: Any) -> None:
        codes = explaining.prior_codes(model, 500)
        assert codes.shape == (500, 4) and np.array_equal(codes, explaining.prior_codes(model, 500))
        assert np.abs(codes.mean(0)).max() < 0.2 and np.abs(codes.std(0) - 1).max() < 0.2

    @pytest.mark.parametrize(
        ("cells", "numbers", "unit"),
        [
            (pa.array([0, 86_400], pa.timestamp("s")), [1970, 1970 + 1 / 365.2425], "years"),
            (pa.array([365], pa.date32()), [1970 + 365 / 365.2425], "years"),
            (pa.array([1500], pa.duration("ms")), [1.5], "seconds"),
            (pa.array([3_600_000_000], pa.time64("us")), [3600], "seconds"),
            (pa.array([7, None], pa.int8()), [7, np.nan], None),
        ],
    )
    def test_times_are_told_in_years_and_seconds(self, cells: pa.Array, numbers: list[float], unit: str | None) -> None:
        found, said = readout.in_numbers(pa.chunked_array([cells]))
        assert np.allclose(found, numbers, equal_nan=True) and said == unit


class TestUnused:
    def test_units_are_measured_as_the_field_does(self, model: Any) -> None:
        """The variance of a unit's mean over rows, its divergence from the prior; two factors fill two units."""
        units = model.explain(table())["units"]
        codes = model.transform(table())
        for unit in units:
            assert unit["variance"] == pytest.approx(codes[:, unit["unit"]].var(), rel=1e-3)
            assert unit["active"] == (unit["variance"] > 0.01)
            assert unit["used"] == (unit["active"] and unit["moves"])
        first, second, third, _ = sorted((unit["kl"] for unit in units), reverse=True)
        assert first > second > 2 * third > 0

    def test_a_unit_whose_posterior_is_the_prior_is_unused(self) -> None:
        model = isthmus.VAE(2, hidden=(), epochs=10, learning_rate=1e-2, random_state=0, device="cpu").fit(table())
        assert [unit["used"] for unit in model.explain(table())["units"]] == [True, True]
        with torch.no_grad():
            last = _last_layer(model)
            last.weight[[1, 3]], last.bias[[1, 3]] = 0.0, 0.0  # its mean and its log-scale
        first, second = model.explain(table())["units"]
        assert first["used"] and not second["used"] and not second["active"]
        assert second["kl"] == pytest.approx(0, abs=1e-9)

    def test_a_unit_that_does_not_vary_is_unused_in_a_plain_autoencoder_too(self) -> None:
        model = isthmus.Autoencoder(3, hidden=(), epochs=2, random_state=0, device="cpu").fit(table())
        with torch.no_grad():  # unit 1 is the same for all rows, though the decoder would hear it
            _last_layer(model).weight[1] = 0.0
        units = model.explain(table())["units"]
        assert [unit["used"] for unit in units] == [True, False, True]
        assert units[1]["variance"] == pytest.approx(0, abs=1e-9) and units[1]["kl"] is None

    def test_without_rows_only_what_is_decoded_counts(self, model: Any) -> None:
        facts = model.explain()
        assert facts["codes_of"] == "prior" and facts["features"] is None
        assert all(unit[name] is None for unit in facts["units"] for name in ("active", "variance", "kl", "lit"))
        model_codes = explaining.prior_codes(model)
        still = used_units(model, model_codes, np.array([[1.0], [0.04], [0.06], [0.0]]), None)
        assert [unit["used"] for unit in still] == [True, False, True, False]


class TestSimilarity:
    def test_columns_of_one_factor_are_one_group(self, model: Any) -> None:
        """Measured: above 0.9 within a group and below 0.3 between; the threshold of groups is 0.7."""
        found = model.explain(table())["similarity"]
        assert sorted(map(set, found["groups"]), key=len) == [SECOND, FIRST]
        values = np.array(found["values"])
        assert np.array_equal(values, values.T) and (values.diagonal() == 1).all()
        same = np.array([[(a in FIRST) == (b in FIRST) for b in found["columns"]] for a in found["columns"]])
        assert values[same].min() > 0.8 and values[~same].max() < 0.5
        # Neighbours in the picture: the groups are not mixed.
        assert (
            sum((a in FIRST) != (b in FIRST) for a, b in zip(found["columns"], found["columns"][1:], strict=False)) == 1
        )
        partner = {entry["name"]: entry["partners"][0]["name"] for entry in found["partners"]}
        assert partner["income"] == "rich" and partner["height"] in FIRST

    def test_of_numbers_it_is_the_cosine(self) -> None:
        a, b = np.random.default_rng(0).normal(size=(2, 50))
        cosine = abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b)
        assert np.allclose(escoufier([a[:, None], b[:, None]]), [[1, cosine], [cosine, 1]])

    def test_it_is_the_same_in_any_basis_and_scale(self) -> None:
        randomness = np.random.default_rng(0)
        a, b = randomness.normal(size=(50, 3)), randomness.normal(size=(50, 2))
        basis = np.linalg.qr(randomness.normal(size=(3, 3)))[0]
        assert np.allclose(escoufier([a, b]), escoufier([-7 * a @ basis, 0.1 * b]))
        assert escoufier([a, a @ basis])[0, 1] == pytest.approx(1)

    def test_columns_that_nothing_moves_are_named_apart(self) -> None:
        """Two units: the first moves `a` and `b` together, the second moves `b` alone, a hundredth of it `still`."""
        rows = pa.table({"a": [0.0, 1.0, 2.0], "still": [0.0, 1.0, 2.5], "b": [0.0, 1.0, 3.0]})
        domain = Table.fit(rows)
        before = np.zeros((2, 3))
        after = np.array([[1.0, 0.0, 2.0], [0.0, 0.01, 1.0]])
        ends = [readout.Readout(domain, torch.zeros(2, 3), matrix, None) for matrix in (before, after)]
        found = similarity(turning.Turned(np.zeros(2), np.ones(2), *ends))
        assert found is not None and found["left_alone"] == ["still"] and set(found["columns"]) == {"a", "b"}
        assert found["values"][0][1] == pytest.approx(2 / np.sqrt(5), abs=1e-3)
        assert found["groups"] and found["more"] == 0


class TestHeatMaps:
    def test_white_is_where_the_strongest_effect_is(self) -> None:
        import base64
        import io

        from PIL import Image

        images = np.random.default_rng(0).integers(0, 17, (50, 4, 6)).astype(np.uint8)
        model = isthmus.Autoencoder(2, epochs=1, random_state=0, device="cpu").fit(images)
        effect = np.zeros((2, 24))
        effect[0, 7], effect[1, 23] = 0.5, 0.25
        first, second = (
            np.asarray(Image.open(io.BytesIO(base64.b64decode(png)))) for png in model.domain_.maps(effect / 0.5)
        )
        assert first.shape == (4, 6)
        assert first[1, 1] == 255 and second[3, 5] == 128 and first.sum() == 255 and second.sum() == 128

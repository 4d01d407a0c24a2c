"""Units are credited with what they move, columns are blamed for what they spoil."""

import numpy as np
import pyarrow as pa
import pytest
import torch

import isthmus
from isthmus import explaining

pytestmark = pytest.mark.slow

ROWS = 400


def _table(rows: int = ROWS) -> pa.Table:
    """Two groups of columns, each driven by a factor of its own, and a date that follows the first."""
    randomness = np.random.default_rng(0)
    first, second = randomness.normal(size=(2, rows))
    noise = randomness.normal(scale=0.05, size=(3, rows))
    return pa.table(
        {
            "height": 170 + 10 * (first + noise[0]),
            "reach": 60 + 5 * (first + noise[1]),
            "tall": np.where(first > 0, "yes", "no"),
            "born": (np.datetime64("1990-01-01") + (3000 * first).astype(int)).astype("datetime64[D]"),
            "income": 1000 * np.exp(0.2 * (second + noise[2])),
            "rich": second > 0,
        }
    )


FIRST, SECOND = {"height", "reach", "tall", "born"}, {"income", "rich"}


@pytest.fixture(scope="module")
def model() -> isthmus.VAE:  # pyright: ignore[reportInvalidTypeForm] - made from its declaration
    return isthmus.VAE(2, epochs=150, random_state=0, device="cpu").fit(_table())


class Turned(torch.nn.Module):
    """A decoder that knows nothing of units 1 and later."""

    def __init__(self, inner: torch.nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        kept = torch.zeros_like(z)
        kept[..., 0] = z[..., 0]
        return self.inner(kept)


class TestEffects:
    def test_a_unit_that_the_decoder_ignores_moves_nothing(self) -> None:
        model = isthmus.VAE(3, epochs=20, random_state=0, device="cpu").fit(_table())
        model.model_.decoder = Turned(model.model_.decoder)
        codes = model.transform(_table())
        effect = explaining.effects(model, codes)
        assert effect.shape == (3, 6)
        assert (effect[0] > 0).all() and (effect[1:] == 0).all()
        assert [entry["unit"] for entry in explaining.carries(model, codes)] == [0]
        assert [unit["unit"] for unit in explaining.traversals(model, codes)["units"]] == [0]

    @pytest.mark.slow
    def test_effects_are_those_of_turning_one_unit(self, model: isthmus.VAE) -> None:  # pyright: ignore
        codes = model.transform(_table())[:100]
        low, high = np.quantile(codes.astype(np.float32), explaining.TURNED, axis=0)
        ends = []
        for value in (low, high):
            turned = codes.copy()
            turned[:, 0] = value[0]
            ends.append(model.inverse_transform(turned)["height"].to_numpy())
        spread = _table()["height"].to_numpy().std()
        expected = np.abs(ends[1] - ends[0]).mean() / spread
        assert explaining.effects(model, codes)[0][0] == pytest.approx(expected, rel=1e-3)

    def test_effects_on_categories_are_probabilities_that_move(self, model: isthmus.VAE) -> None:  # pyright: ignore
        effect = explaining.effects(model, model.transform(_table()))
        categorical = effect[:, [2, 5]]
        assert (categorical >= 0).all() and (categorical <= 1).all() and categorical.max() > 0.5

    def test_the_two_factors_are_told_apart(self, model: isthmus.VAE) -> None:  # pyright: ignore
        """Some unit moves the first group more than the second, relative to what the other unit does."""
        effect = explaining.effects(model, model.transform(_table()))
        ratio = effect[:, 0] / effect[:, 4]
        assert ratio.max() > 4 * ratio.min()

    def test_the_strongest_columns_come_first_and_weak_ones_not_at_all(self) -> None:
        effect = np.array([[0.1, 0.9, 0.01], [0.0, 0.0, 0.0], [2.0, 0.0, 1.0]])
        assert explaining.strongest(effect, ["a", "b", "c"]) == [
            {"unit": 2, "columns": [{"name": "a", "effect": 2.0}, {"name": "c", "effect": 1.0}]},
            {"unit": 0, "columns": [{"name": "b", "effect": 0.9}, {"name": "a", "effect": 0.1}]},
        ]
        assert explaining.strongest(np.zeros((2, 3)), ["a", "b", "c"]) == []


class TestTraversals:
    def test_walks_are_decoded_codes_in_the_columns_own_units(self, model: isthmus.VAE) -> None:  # pyright: ignore
        codes = model.transform(_table())
        for unit in explaining.traversals(model, codes, steps=5)["units"]:
            columns = {column["name"]: column for column in unit["columns"]}
            assert set(columns) == FIRST | SECOND
            assert len(unit["positions"]) == 5 and unit["positions"] == sorted(unit["positions"])
            low, high = np.quantile(codes[:, unit["unit"]], explaining.WALKED)
            assert unit["positions"][0] == pytest.approx(low, rel=1e-4)
            assert unit["positions"][-1] == pytest.approx(high, rel=1e-4)
            assert all(1955 < year < 2025 for year in columns["born"]["values"]) and columns["born"]["in"] == "years"
            assert columns["tall"]["of"] in ("yes", "no") and columns["rich"]["of"] == "True"
            assert all(0 <= p <= 1 for name in ("tall", "rich") for p in columns[name]["values"])

    def test_probabilities_are_those_of_the_value_named(self, model: isthmus.VAE) -> None:  # pyright: ignore
        """Where the model puts most on a category, decoding gives it."""
        codes = model.transform(_table())
        decoded = model.inverse_transform(codes)
        for name in ("tall", "rich"):
            place = _table().column_names.index(name)
            value = explaining.traversals(model, codes)["units"][0]["columns"][place]["of"]
            first = [explaining._first_value(column) for column in model.domain_.columns]
            likely = explaining._probabilities(model, model.domain_, torch.from_numpy(codes).float(), first)[:, place]
            found = np.array([str(cell) == value for cell in decoded[name].to_pylist()])
            assert np.array_equal(likely > 0.5, found)

    def test_discrete_codes_stop_at_their_own_values(self) -> None:
        model = isthmus.FSQ(2, levels=3, epochs=20, random_state=0, device="cpu").fit(_table())
        units = explaining.traversals(model, model.transform(_table()))["units"]
        assert units and all(set(unit["positions"]) <= {-1.0, 0.0, 1.0} for unit in units)

    def test_codes_of_the_prior_need_no_rows(self, model: isthmus.VAE) -> None:  # pyright: ignore
        codes = explaining.prior_codes(model, 500)
        assert codes.shape == (500, 2) and np.array_equal(codes, explaining.prior_codes(model, 500))
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
        found, said = explaining.in_numbers(pa.chunked_array([cells]))
        assert np.allclose(found, numbers, equal_nan=True) and said == unit


class TestSurprise:
    @pytest.mark.parametrize(("column", "value"), [("height", 140.0), ("tall", None), ("income", 5_000.0)])
    def test_the_cell_that_contradicts_its_row_is_the_surprising_one(
        self,
        column: str,
        value: float | None,
        model: isthmus.VAE,  # pyright: ignore
    ) -> None:
        table = _table()
        row = next(i for i, height in enumerate(table["height"].to_pylist()) if height > 182)
        cells = table[column].to_pylist()
        cells[row] = ("no" if cells[row] == "yes" else "yes") if value is None else value
        place = table.column_names.index(column)
        spoiled = table.set_column(place, column, pa.array(cells)).slice(row, 1)
        surprise = explaining.excess_surprise(model, model.domain_.tensors(spoiled))
        assert surprise[0].argmax() == place

    def test_a_row_counts_alone_and_missing_cells_are_no_surprise(self, model: isthmus.VAE) -> None:  # pyright: ignore
        x = model.domain_.tensors(_table().slice(0, 6))
        x[2, 0] = torch.nan
        whole = explaining.excess_surprise(model, x)
        parts = [explaining.excess_surprise(model, x[rows]) for rows in (slice(0, 1), slice(1, 6))]
        assert np.array_equal(whole, np.concatenate(parts))
        assert whole[2, 0] == 0


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
            np.asarray(Image.open(io.BytesIO(base64.b64decode(png)))) for png in explaining.heat_maps(model, effect)
        )
        assert first.shape == (4, 6)
        assert first[1, 1] == 255 and second[3, 5] == 128 and first.sum() == 255 and second.sum() == 128

"""A planted dictionary is found again, and its features are described by what lights them."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import linear_sum_assignment

import isthmus
from isthmus.core.randomness import Randomness
from isthmus.domains.image import Image
from isthmus.domains.table import Table
from isthmus.explaining.dictionary import described, is_dictionary

from . import planted

FEATURES = 16  # for 10 planted directions in 12 columns: more features than directions, and than columns


@pytest.fixture(scope="module")
def rows() -> planted.Dictionary:
    return planted.dictionary()


@pytest.fixture(scope="module")
def learned(rows: planted.Dictionary) -> Any:
    options: dict[str, Any] = {"hidden": (), "epochs": 50, "batch_size": 100, "learning_rate": 1e-2}
    return isthmus.TopKAutoencoder(FEATURES, active=2, random_state=0, device="cpu", **options).fit(rows.x)


def matched(model: Any, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The feature of each planted direction, and the cosine between what it adds to a row and the direction."""
    added = model.inverse_transform(np.eye(FEATURES)) - model.inverse_transform(np.zeros((1, FEATURES)))
    added /= np.maximum(np.linalg.norm(added, axis=1, keepdims=True), 1e-12)
    cosines = added @ directions.T
    features, order = linear_sum_assignment(-cosines)
    place = np.argsort(order)
    return features[place], cosines[features, order][place]


class TestRecovery:
    def test_the_planted_directions_are_found(self, learned: Any, rows: planted.Dictionary) -> None:
        """Up to their order and scale. Of random features the best match of ten has a cosine of 0.7; over six seeds,
        nine or ten directions were found with one above 0.93."""
        _, cosines = matched(learned, rows.directions)
        assert (cosines > 0.9).sum() >= 9

    def test_a_feature_is_lit_by_the_rows_that_hold_its_direction(self, learned: Any, rows: planted.Dictionary) -> None:
        features, cosines = matched(learned, rows.directions)
        codes = learned.transform(rows.x)
        for direction in np.flatnonzero(cosines > 0.9):
            lit, held = codes[:, features[direction]] > 0, rows.strengths[:, direction] > 0
            # A feature that has nothing to do with it agrees with it in two thirds of the rows: each is lit by a fifth.
            assert (lit == held).mean() > 0.85

    def test_rows_light_no_more_than_they_may(self, learned: Any, rows: planted.Dictionary) -> None:
        codes = learned.transform(rows.x)
        assert codes.min() >= 0 and (codes > 0).sum(1).max() == 2
        drawn = learned.model_.prior().sample(50, Randomness(0))
        assert drawn.min() >= 0 and (drawn > 0).sum(1).max() <= 2

    def test_what_is_not_planted_lights_rarely(self, learned: Any, rows: planted.Dictionary) -> None:
        features, _ = matched(learned, rows.directions)
        often = (learned.transform(rows.x) > 0).mean(0)
        assert often[features].sum() > 0.8 * often.sum()


class TestDescriptions:
    @pytest.fixture(scope="class")
    @staticmethod
    def rows_and_codes() -> tuple[pa.Table, np.ndarray]:
        """Feature 0 is lit by old people of Rome, feature 2 by a tenth of all rows whoever they are, 1 by none."""
        randomness = np.random.default_rng(0)
        town = randomness.choice(["Oslo", "Rome", "Lima"], 1000)
        age = np.where(town == "Rome", 80, 30) + randomness.normal(size=1000)
        rows = pa.table({"age": age, "noise": randomness.normal(size=1000), "town": town, "male": age > 79.5})
        codes = np.zeros((1000, 3))
        codes[:, 0] = np.where(town == "Rome", age - 70, 0)
        codes[:, 2] = randomness.uniform(size=1000) < 0.1
        return rows, codes

    def test_columns_of_the_lit_rows_in_their_own_units(self, rows_and_codes: tuple[pa.Table, np.ndarray]) -> None:
        rows, codes = rows_and_codes
        domain = Table.fit(rows)
        first, second = described(domain, codes, domain.tensors(rows))
        assert (first["feature"], second["feature"]) == (0, 2)
        rome = rows["town"].to_numpy() == "Rome"
        assert first["rows"] == rome.sum() and first["lit"] == pytest.approx(rome.mean())
        columns = {column["name"]: column for column in first["columns"]}
        assert next(iter(columns)) in ("age", "town") and "noise" not in columns
        age = rows["age"].to_numpy()
        assert columns["age"]["lit"] == pytest.approx(list(np.quantile(age[rome], (0.25, 0.5, 0.75))), rel=1e-4)
        assert columns["age"]["all"] == pytest.approx(list(np.quantile(age, (0.25, 0.5, 0.75))), rel=1e-4)
        # All of the lit are above all others: the distributions are as far apart as the share of others allows.
        assert columns["age"]["difference"] == pytest.approx(1 - rome.mean(), abs=1e-5)
        (value,) = columns["town"]["values"]
        assert value["of"] == "Rome" and value["lit"] == 1
        assert value["lift"] == pytest.approx(1 / rome.mean(), rel=1e-4)
        assert columns["male"]["values"][0]["of"] == "True"
        assert second["columns"] == []

    def test_examples_are_the_rows_that_light_it_most(self, rows_and_codes: tuple[pa.Table, np.ndarray]) -> None:
        rows, codes = rows_and_codes
        domain = Table.fit(rows)
        examples = described(domain, codes, domain.tensors(rows))[0]["examples"]
        assert [example["row"] for example in examples] == list(np.argsort(-codes[:, 0])[:3])
        assert examples[0]["picture"] == domain.pictures(domain.tensors(rows))[examples[0]["row"]]

    def test_missing_cells_are_left_out_of_what_is_compared(self) -> None:
        rows = pa.table({"a": [None, 1.0] * 20, "b": [None, "x", "y", "y"] * 10})
        domain = Table.fit(rows)
        codes = np.array([[0.0], [0.0], [1.0], [1.0]] * 10)
        (feature,) = described(domain, codes, domain.tensors(rows))
        (column,) = feature["columns"]
        assert column["name"] == "b"
        assert column["values"] == [{"of": "y", "lit": 1.0, "all": 0.666667, "lift": 1.5}]

    def test_images_are_shown(self) -> None:
        images = np.random.default_rng(0).integers(0, 256, (20, 4, 4)).astype(np.uint8)
        domain = Image.fit(images)
        codes = np.zeros((20, 2))
        codes[3, 1], codes[5, 1] = 1.0, 2.0
        (feature,) = described(domain, codes, domain.tensors(images))
        assert feature["columns"] == [] and [example["row"] for example in feature["examples"]] == [5, 3]
        assert feature["examples"][0]["picture"] == domain.pictures(domain.tensors(images))[5]

    def test_only_sparse_codes_have_features(self, learned: Any, rows: planted.Dictionary) -> None:
        assert is_dictionary(learned.transform(rows.x))
        dense = np.random.default_rng(0).normal(size=(9, 3))
        assert not is_dictionary(dense) and not is_dictionary(np.abs(dense)) and not is_dictionary(dense * (dense < 0))
        facts = learned.explain(rows.x)
        assert {feature["feature"] for feature in facts["features"]} == {u["unit"] for u in facts["units"] if u["lit"]}
        assert all(unit["active"] == (unit["lit"] > 0) for unit in facts["units"])

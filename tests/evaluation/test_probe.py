import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from isthmus.core.errors import DataError
from isthmus.evaluation.probe import outliers, probe, target_kind


def generator(seed=0):
    return np.random.default_rng(seed)


def halves(codes, target):
    return codes[::2], target[::2], codes[1::2], target[1::2]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.arange(10).repeat(5), "classes"),
        (np.arange(10.0).repeat(5), "classes"),
        (np.arange(100), "number"),
        (np.arange(7), "number"),
        (np.array([0.5, 1.5] * 20), "number"),
        (np.array(["a", "b", None, "a"], object), "classes"),
        (np.array(["a", 1, 2.5] * 3, object), "classes"),
        (np.array([1.5, None, 2.5, 3.5], object), "number"),
        (np.array([0] * 90 + [1] * 10), "outlier"),
        (np.array([0.0] * 90 + [1.0] * 10 + [np.nan]), "outlier"),
        (np.array([False] * 90 + [True] * 10), "outlier"),
        (np.array(["inlier"] * 9 + ["Outlier"], object), "outlier"),
        (np.array(["normal"] * 9 + ["anomaly"]), "outlier"),
        (np.array([0] * 80 + [1] * 20), "classes"),
        (np.array([1] * 90 + [0] * 10), "classes"),
        (np.array([0, 2] * 3 + [0] * 50), "classes"),
        (np.array(["no"] * 9 + ["yes"]), "classes"),
        (np.zeros(50), "classes"),
        (np.full(5, np.nan), "classes"),
    ],
)
def test_target_kinds(values, kind):
    assert target_kind(values) == kind


def test_outliers_are_the_second_of_the_pair():
    assert outliers(np.array([0.0, 1.0, np.nan])).tolist() == [False, True, False]
    assert outliers(np.array(["Inlier", "Outlier"])).tolist() == [False, True]
    assert outliers(np.array([True, False])).tolist() == [True, False]


def test_neighbours_and_lines_read_different_things():
    codes = generator().uniform(-1, 1, size=(2000, 2))
    xor = (codes[:, 0] > 0) != (codes[:, 1] > 0)
    scores = probe(*halves(codes, xor), "classes", generator())
    assert scores["metric"] == "accuracy"
    assert scores["knn"] > 0.95  # wrong only near the borders
    assert 0.4 < scores["linear"] < 0.6  # no line cuts a chessboard; the sampling error is 0.016


def test_a_linear_number_is_read_in_full_and_noise_not_at_all():
    codes = generator().normal(size=(2000, 3))
    scores = probe(*halves(codes, codes @ [1.0, -2.0, 0.5]), "number", generator())
    assert scores["metric"] == "R²"
    assert scores["linear"] > 0.999
    assert scores["knn"] > 0.9
    noise = probe(*halves(codes, generator(1).normal(size=2000)), "number", generator())
    assert noise["linear"] < 0.05 and noise["knn"] < 0.05


def test_neighbours_equal_those_of_the_codes_as_they_are():
    images, digits = load_digits(return_X_y=True)
    train, train_digits, test, test_digits = halves(images, digits)
    expected = KNeighborsClassifier(5).fit(train, train_digits).score(test, test_digits)
    assert probe(train, train_digits, test, test_digits, "classes", generator())["knn"] == pytest.approx(
        expected, abs=0.003
    )


def test_unused_units_do_not_drown_the_used_ones():
    useful = generator().normal(size=(1000, 2))
    classes = np.digitize(useful[:, 0], [-0.5, 0.5])
    unused = 0.01 * generator(1).normal(size=(1000, 40))
    with_unused = probe(*halves(np.hstack([useful, unused]), classes), "classes", generator())
    assert with_unused["knn"] > 0.9  # standardised, the neighbours fall to about 0.5


@pytest.mark.parametrize("kind", ["classes", "number"])
def test_scales_do_not_matter(kind):
    codes = generator().normal(size=(300, 3))
    target = np.digitize(codes[:, 0], [-0.5, 0.5])
    plain = probe(*halves(codes, target), kind, generator())
    scaled = probe(*halves(codes * 1e4 + 5.0, target), kind, generator())
    assert plain == pytest.approx(scaled)


def test_rows_without_a_target_are_left_out_and_labels_may_change_type():
    codes = np.array([[0.0], [0.1], [5.0], [5.1], [9.0]])
    with_missing = np.array([0.0, 0.0, 1.0, 1.0, np.nan])
    scores = probe(codes[[0, 1, 1, 2, 3, 3, 4]], with_missing[[0, 1, 1, 2, 3, 3, 4]], codes[:4], [0, 0, 1, 1],
                   "classes", generator())  # fmt: skip
    assert scores["linear"] == 1.0


def test_what_cannot_be_learnt_or_tested_is_none():
    codes = generator().normal(size=(5, 2))
    nothing = {"knn": None, "linear": None}
    labels = np.arange(5) % 2
    assert probe(codes, np.zeros(5), codes, labels, "classes", generator()) == nothing | {"metric": "accuracy"}
    assert probe(codes, labels, codes[:0], labels[:0], "classes", generator()) == nothing | {"metric": "accuracy"}
    assert probe(codes, np.arange(5.0), codes, np.ones(5), "number", generator()) == nothing | {"metric": "R²"}


def test_tiny_and_constant_codes_still_score():
    codes = np.full((3, 1), 0.1)
    scores = probe(codes, np.array(["a", "b", "b"]), codes, np.array(["b", "b", "a"]), "classes", generator())
    assert scores["knn"] == scores["linear"] == pytest.approx(2 / 3)


def test_an_unknown_kind_is_refused():
    with pytest.raises(DataError, match="'outlier'"):
        probe(np.ones((2, 1)), np.ones(2), np.ones((2, 1)), np.ones(2), "outlier", generator())  # type: ignore[arg-type]

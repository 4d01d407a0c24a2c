"""Bad input gets one line that says what, where, and what to do."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.exceptions import NotFittedError

import isthmus
from isthmus.core.errors import DataError, OptionError

DRAWS = np.random.default_rng(0)
ARRAY = DRAWS.standard_normal((30, 3))
FRAME = pd.DataFrame(ARRAY, columns=["a", "b", "c"])
IMAGES = DRAWS.integers(0, 255, (30, 6, 6)).astype(np.uint8)


def model(**options) -> "isthmus.VAE":
    return isthmus.VAE(**{"latent_dim": 2, "epochs": 1, "hidden": (4,), "random_state": 0} | options)


@pytest.fixture(scope="module")
def fitted():
    return {
        "array": model().fit(ARRAY),
        "frame": model().fit(FRAME),
        "arrow": model().fit(pa.table(FRAME)),
        "images": model().fit(IMAGES),
    }


def altered(rows: np.ndarray, place: tuple, value) -> np.ndarray:
    copy = rows.copy()
    copy[place] = value
    return copy


def one_line(raised) -> str:
    message = str(raised.value)
    assert "\n" not in message and message == message.strip()
    return message


@pytest.mark.parametrize(
    "rows,says",
    [
        (altered(ARRAY, (7, 1), np.nan), ["row 7, column 1", "NaN", "give a DataFrame"]),
        (altered(ARRAY, (7, 1), -np.inf), ["row 7, column 1", "infinity", "mend or remove"]),
        (altered(ARRAY.astype(object), (2, 2), "many"), ["row 2, column 2", "'many'", "give a DataFrame"]),
        (altered(ARRAY.astype(str), (2, 2), "many"), ["row 2, column 2", "'many'"]),
        (altered(IMAGES.astype(float), (3, 1, 2), np.nan), ["image 3", "(1, 2)", "NaN"]),
        (ARRAY[:1], ["1 sample"]),
        (FRAME[:1], ["one row"]),
        (IMAGES[:1], ["one row"]),
        (ARRAY[:0], ["0 sample"]),
        (FRAME[:0], ["no rows"]),
        (IMAGES[:0], ["no rows"]),
        (ARRAY[:, 0], ["1D array"]),
        (np.zeros((3, 2, 2, 2, 2)), ["dim 5"]),
        (ARRAY + 1j, ["Complex"]),
        (FRAME.assign(d=1.5), ["'d'", "one value", "drop it"]),
        (FRAME.assign(d=np.nan), ["'d'", "no value", "drop it"]),
        (FRAME.assign(d=np.inf), ["'d'", "infinity"]),
        (pd.DataFrame({"a": [1.0, 2.0], 3: [1.0, 3.0]}), ["names"]),
    ],
)
def test_rows_that_cannot_be_learned_from(rows, says):
    with pytest.raises(DataError) as raised:
        model().fit(rows)
    message = one_line(raised)
    assert all(part in message for part in says), message


def test_fewer_rows_than_latent_units():
    with pytest.raises(DataError) as raised:
        model(latent_dim=40).fit(ARRAY)
    assert one_line(raised) == (
        "30 rows to learn from are too few for 40 latent units; give more rows, or latent_dim=15 or less"
    )
    with pytest.raises(OptionError, match="latent_dim=1: LadderVAE needs at least 2"):
        isthmus.LadderVAE(1).fit(ARRAY)


@pytest.mark.parametrize(
    "kind,rows,says",
    [
        ("array", ARRAY[:, :2], "X has 2 features, but VAE is expecting 3 features"),
        ("array", IMAGES, "fitted to a table; an array of shape 30×6×6"),
        ("array", altered(ARRAY, (0, 2), np.nan), "row 0, column 2"),
        ("array", ARRAY[:0], "0 sample"),
        ("frame", FRAME.assign(b="blue"), "column 'b'"),
        ("frame", FRAME[:0], "no rows"),
        ("arrow", pa.table(FRAME[["a", "c"]]), "column 'b' is missing"),
        ("images", IMAGES[:, :5], "6×6"),
        ("images", DRAWS.standard_normal((5, 36)), "fitted to images"),
        ("images", FRAME, "fitted to images; a DataFrame of 30×3 cannot be that"),
        ("images", IMAGES[:0], "no rows"),
    ],
)
@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("method", ["transform", "score_samples", "predict", "reconstruct", "partial_fit"])
def test_rows_unlike_those_fitted(fitted, kind, rows, says, method):
    with pytest.raises(DataError, match=says) as raised:
        getattr(fitted[kind], method)(rows)
    one_line(raised)


def test_columns_of_data_frames_are_checked_in_the_words_of_scikit_learn(fitted):
    """Its own checks ask for this wording, which has one name per line."""
    for frame in (FRAME.rename(columns={"b": "z"}), pl.DataFrame(ARRAY, schema=["a", "z", "c"])):
        with pytest.raises(DataError, match=r"(?s)feature names should match.*- z.*- b"):
            fitted["frame"].transform(frame)


def test_columns_of_arrow_tables_are_picked_by_name(fitted):
    table = pa.table(FRAME)
    mixed = table.append_column("more", [["x"] * 30]).select(["more", "c", "a", "b"])
    assert np.array_equal(fitted["arrow"].transform(mixed), fitted["arrow"].transform(table))


@pytest.mark.parametrize(
    "codes,says",
    [
        (np.zeros((3, 5)), r"shape \(rows, 2\); these have shape \(3, 5\)"),
        (np.zeros(2), r"shape \(2,\)"),
        (np.zeros((0, 2)), "no rows"),
        ([[0.0, np.nan]], "codes, row 0, unit 1"),
        ([["a", "b"]], "codes should be numbers"),
        (None, "codes should"),
    ],
)
def test_codes_that_no_model_made(fitted, codes, says):
    with pytest.raises(DataError, match=says) as raised:
        fitted["array"].inverse_transform(codes)
    one_line(raised)


@pytest.mark.parametrize(
    "options,says",
    [
        ({"latent_dim": 0}, "latent_dim=0"),
        ({"latent_dim": "many"}, "latent_dim='many'"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": -1}, "batch_size=-1"),
        ({"hidden": (8, 0)}, "hidden="),
        ({"activation": "step"}, "activation='step'"),
        ({"learning_rate": 0}, "learning_rate=0"),
        ({"contamination": 0.9}, "contamination=0.9"),
        ({"validation_fraction": 1.0}, "validation_fraction=1.0"),
        ({"beta": -1.0}, "beta=-1.0"),
        ({"likelihood": "cauchy"}, "likelihood='cauchy'.*student_t"),
        ({"likelihood": "bernoulli"}, "likelihood='bernoulli'.*table"),
        ({"data": "sound"}, "'sound'.*image.*table"),
        ({"device": "cuda:77"}, "device='cuda:77'.*'cpu'"),
        ({"device": "abacus"}, "device='abacus'"),
        ({"precision": "float8"}, "precision='float8'"),
        ({"random_state": "today"}, "random_state='today'"),
    ],
)
def test_options_outside_their_bounds(options, says):
    estimator = model(**options)  # the constructor checks nothing, as scikit-learn asks
    with pytest.raises(OptionError, match=says) as raised:
        estimator.fit(ARRAY)
    one_line(raised)
    assert not hasattr(estimator, "offset_")


def test_data_of_another_kind_than_asked_for():
    with pytest.raises(DataError, match="data='image' does not suit an array of shape 30×3"):
        model(data="image").fit(ARRAY)
    with pytest.raises(DataError, match="data='table' does not suit an array of shape 30×6×6"):
        model(data="table").fit(IMAGES)


@pytest.mark.parametrize("count", [0, -1, 2.5, "ten"])
def test_sample_sizes(fitted, count):
    with pytest.raises(OptionError, match="n_samples=") as raised:
        fitted["array"].sample(count)
    one_line(raised)


@pytest.mark.parametrize("draws", [0, -3, 1.5])
def test_draws(fitted, draws):
    with pytest.raises(OptionError, match="draws="):
        fitted["array"].score_samples(ARRAY, draws=draws)


@pytest.mark.parametrize(
    "method", ["transform", "inverse_transform", "reconstruct", "score_samples", "score", "predict", "save"]
)
def test_unfitted_use(method):
    with pytest.raises(NotFittedError):
        getattr(model(), method)(ARRAY)
    with pytest.raises(NotFittedError):
        model().sample(1)
    with pytest.raises(NotFittedError):
        model().get_feature_names_out()


def test_a_failed_fit_leaves_nothing_fitted():
    estimator = model(latent_dim=40)
    with pytest.raises(DataError):
        estimator.fit(ARRAY)
    with pytest.raises(NotFittedError):
        estimator.transform(ARRAY)

"""`compare`, whole: what it measures, that it repeats, and that it hides nothing from the models but the target."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA

import isthmus
from isthmus.core.errors import DataError, DivergenceError, OptionError
from isthmus.domains.table import Table
from isthmus.report.views import page

pytestmark = pytest.mark.slow

QUICK = {"epochs": 2, "seeds": 2, "jobs": 1}
TIMES = ("cost", "environment", "settings")


@pytest.fixture(scope="module", autouse=True)
def brief_detectors():
    """Detectors are trained too briefly to find much, which is not what is asked here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("isthmus.estimator.detector.STEPS", 10)
        yield


@pytest.fixture(scope="module")
def iris() -> pd.DataFrame:
    frame = load_iris(as_frame=True).frame
    frame["target"] = frame["target"].map(dict(enumerate(["setosa", "versicolor", "virginica"])))
    frame.loc[::17, frame.columns[0]] = np.nan
    frame["tall"] = pd.Categorical(np.where(frame.iloc[:, 1] > 3, "tall", "short"))
    return frame


@pytest.fixture(scope="module")
def comparison(iris) -> isthmus.Comparison:
    return isthmus.compare(iris, target="target", latents=[1, 2], name="iris", **QUICK)


def without_times(facts: dict) -> dict:
    kept = {key: value for key, value in facts.items() if key not in TIMES}
    for part in ("contenders", "detectors"):
        kept[part] = [
            {key: value for key, value in c.items() if key not in (*TIMES, "spread", "runs")} for c in facts[part]
        ]
    return kept


def test_every_model_at_every_size_is_measured_at_everything(comparison):
    facts = comparison.facts
    assert [c["name"] for c in facts["contenders"]] == ["pca-1", "pca-2", "ae-1", "ae-2", "vae-1", "vae-2"]
    for c in facts["contenders"]:
        assert 0 <= c["reconstruction"]["test"] < 5 and c["reconstruction"]["per_column"].keys() == {
            column["name"] for column in facts["data"]["columns"]
        }
        assert 0 <= c["anomaly"]["auroc"] <= 1 and set(c["anomaly"]["by_kind"]) == {"shuffled cells", "random cells"}
        assert 0 <= c["probe"]["knn"] <= 1 and c["probe"]["metric"] == "accuracy"
        assert 0 <= c["generation"]["c2st_auroc"] <= 1
        assert len(c["runs"]) == 2
        assert (c["compression"] is None) == (c["variant"] == "pca")
        assert (c["likelihood"] is None) == (c["variant"] != "vae")
    assert set(facts["verdict"]) == {"reduce", "compress", "generate", "detect"}
    assert all(verdict["headline"] and verdict["because"] for verdict in facts["verdict"].values())


def test_the_detector_stands_beside_them_where_unusual_rows_are_looked_for(comparison, iris):
    (found,) = comparison.facts["detectors"]
    assert (found["name"], found["seeds"], len(found["runs"])) == ("detector", 2, 2)
    assert 0 <= found["anomaly"]["auroc"] <= 1 and found["cost"]["fit_seconds"] > 0
    numbers = {job: [n["name"] for n in v["numbers"]] for job, v in comparison.facts["verdict"].items()}
    assert [job for job, names in numbers.items() if "detector" in names] == ["detect"]
    assert comparison.table()[-1]["name"] == "detector" and comparison.table()[-1]["detection"] is not None
    # What is kept is what was measured: it says the same of rows as users have them.
    detector = comparison.models["detector"]
    assert detector.predict(iris.drop(columns="target")).shape == (len(iris),)


def test_the_detector_alone_is_nothing_to_compare(iris):
    with pytest.raises(OptionError, match="one job of four"):
        isthmus.compare(iris, models="detector", jobs=1)


def test_the_report_finds_everything_that_it_shows(comparison):
    parts = page(json.loads(json.dumps(comparison.facts)))
    assert [name for name, part in parts.items() if part is None] == []
    assert len(parts["verdicts"]) == 4 and len(parts["difference"]["rows"]) == 6


def test_facts_are_json_and_pictures_are_complete(comparison):
    facts = json.loads(json.dumps(comparison.facts, allow_nan=False))
    names = {c["name"] for c in facts["contenders"]}
    pictures = facts["pictures"]
    for kind in ("reconstructions", "samples", "latent_maps"):
        assert set(pictures[kind]["by_contender"]) == names
    assert {curve["name"] for curve in pictures["loss_curves"]} == {n for n in names if not n.startswith("pca")}
    rows = pictures["latent_maps"]["rows"]
    assert all(len(own["points"]) == len(rows) for own in pictures["latent_maps"]["by_contender"].values())
    assert {row["label"] for row in rows} == {"setosa", "versicolor", "virginica"}


def test_the_target_is_no_column_of_any_model(comparison):
    assert comparison.facts["data"]["target"]["name"] == "target"
    assert "target" not in [column["name"] for column in comparison.facts["data"]["columns"]]
    assert all("target" not in model.domain_.column_names for model in comparison.models.values())


def test_the_same_seed_gives_the_same_facts(iris, comparison):
    again = isthmus.compare(iris, target="target", latents=[1, 2], name="iris", **QUICK)
    assert without_times(again.facts) == without_times(comparison.facts)


def test_saved_models_are_those_that_were_measured(comparison, iris, tmp_path):
    comparison.save(tmp_path / "out")
    facts = json.loads((tmp_path / "out" / "facts.json").read_text(encoding="utf-8"))
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    rows = iris.drop(columns="target")
    kept = isthmus.load(tmp_path / "out" / facts["detectors"][0]["model"])
    assert (kept.score_samples(rows) == comparison.models["detector"].score_samples(rows)).all()
    for c in facts["contenders"]:
        if c["model"] is not None:
            loaded = isthmus.load(tmp_path / "out" / c["model"])
            assert (loaded.transform(rows) == comparison.models[c["name"]].transform(rows)).all()
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]


def test_principal_components_are_scikit_learns():
    images = load_digits().images.astype(np.uint8)
    facts = isthmus.compare(images, models=["pca"], latents=[8], seeds=1, jobs=1, test=images[1500:]).facts
    (pca,) = facts["contenders"]
    # The training rows are a sample of these: with so many, any large sample has nearly the same components.
    flat = images.reshape(len(images), -1) / 16
    fitted = PCA(8).fit(flat)
    lost = ((fitted.inverse_transform(fitted.transform(flat[1500:])) - flat[1500:]) ** 2).sum(1).mean() / flat.var(
        0
    ).sum()
    assert pca["reconstruction"]["test"] == pytest.approx(lost, rel=0.05)


def test_black_and_white_images_are_not_told_from_shades_of_grey():
    """Principal components give shades, which any classifier tells from black and white: their draws are compared."""
    images = ((load_digits().images > 7) * 255).astype(np.uint8)[:600]
    facts = isthmus.compare(images, models=["pca"], latents=[16], seeds=1, jobs=1).facts
    assert facts["settings"]["likelihood"] == "bernoulli"
    assert facts["contenders"][0]["generation"]["c2st_auroc"] < 0.9


def test_test_rows_change_no_model():
    """Neither weights nor preprocessing, nor what is measured on training rows, may know the rows of the test."""
    rows = pd.DataFrame({"a": np.random.default_rng(0).normal(size=200), "b": ["x", "y", "x", "z"] * 50})
    other = pd.DataFrame({"a": np.random.default_rng(1).normal(1e6, 1e6, size=100), "b": ["never", "seen"] * 50})
    results = [
        isthmus.compare(rows, test=test, models=["vae", "ae"], latents=[2], **QUICK) for test in (rows[:50], other)
    ]
    for name, model in results[0].models.items():
        twin = results[1].models[name]
        assert (
            model.domain_.schema() == twin.domain_.schema()
            and model.history_[-1]["train"] == twin.history_[-1]["train"]
        )
        assert (model.transform(rows) == twin.transform(rows)).all()
        assert model.offset_ == twin.offset_
    for ours, theirs in zip(*(result.facts["contenders"] for result in results), strict=True):
        assert ours["reconstruction"]["train"] == theirs["reconstruction"]["train"]
        assert ours["compression"]["raw_bits_per_row"] == theirs["compression"]["raw_bits_per_row"]


def test_an_outlier_target_judges_detection():
    rng = np.random.default_rng(0)
    usual = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))
    rows = np.vstack([usual, rng.uniform(-15, 15, size=(20, 4))])
    facts = isthmus.compare(rows, target=np.repeat([0, 1], [300, 20]), models=["vae"], latents=[2], **QUICK).facts
    (vae,) = facts["contenders"]
    assert set(vae["anomaly"]["by_kind"]) == {"target"} and vae["anomaly"]["auroc"] > 0.8
    assert vae["probe"] is None and facts["data"]["target"]["kind"] == "outlier"


def test_a_report_that_cannot_be_drawn_leaves_the_old_one(comparison, tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(DataError, match="schema"):
        isthmus.Comparison(comparison.facts | {"schema": 99}, {}).to_html(tmp_path / "report.html")
    with pytest.raises(DataError, match="does not exist"):
        comparison.to_html(tmp_path / "nowhere" / "report.html")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("target", "named"),
    [
        (np.repeat([0, 1], [280, 20]), ["usual", "outlier"]),
        (np.repeat([2.0, 10.0, np.nan], 100), ["2", "10"]),
        (np.repeat(["b", "a", None], 100), ["a", "b"]),
        (np.repeat([True, False], 150), ["False", "True"]),
    ],
    ids=["outliers", "numbers with gaps", "words with gaps", "booleans"],
)
def test_rows_of_the_maps_are_labelled_by_the_classes_of_the_target(target, named):
    rows = np.random.default_rng(0).normal(size=(300, 3))
    facts = isthmus.compare(rows, target=target, models=["pca"], latents=[2], seeds=1, jobs=1).facts
    assert facts["data"]["target"]["classes"] == named
    labels = {row["label"] for row in facts["pictures"]["latent_maps"]["rows"]}
    assert labels - {None} == set(named)


def test_processes_give_what_one_process_gives(iris):
    calls = {
        jobs: isthmus.compare(iris, target="target", models=["vae"], latents=[2], epochs=2, jobs=jobs)
        for jobs in (1, 2)
    }
    one, two = (result.facts["contenders"][0] for result in calls.values())
    # Threads may round differently; nothing else may differ.
    assert one["reconstruction"]["test"] == pytest.approx(two["reconstruction"]["test"], rel=1e-3)
    assert one["anomaly"]["auroc"] == pytest.approx(two["anomaly"]["auroc"], rel=1e-2)


def test_ctrl_c_ends_the_comparison_and_not_one_training(monkeypatch):
    """An estimator would keep what it has learnt so far; measured beside others it would look like a worse model."""
    draw, passes = Table.draw, []

    def interrupted(self, x, randomness):
        passes.append(len(x))
        if len(passes) == 20:
            raise KeyboardInterrupt
        return draw(self, x, randomness)

    monkeypatch.setattr(Table, "draw", interrupted)
    rows = np.random.default_rng(0).normal(size=(300, 3))
    with pytest.raises(KeyboardInterrupt):
        isthmus.compare(rows, models=["vae"], latents=[1, 2], epochs=30, jobs=1)
    assert len(passes) == 20  # nothing was trained, drawn or measured afterwards


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"models": ["gan"]}, OptionError, "unknown model 'gan'"),
        ({"models": []}, OptionError, "no models"),
        ({"latents": [0]}, OptionError, "at least 1"),
        ({"latents": [1000]}, DataError, "too few for 1000 latent units"),
        ({"seeds": 0}, OptionError, "seeds=0"),
        ({"options": {"beeta": 1}}, OptionError, "no model here has an option 'beeta'"),
        ({"options": {"beta": -1}}, OptionError, "beta"),
        ({"options": {"latent_dim": 3}}, OptionError, "latent_dim"),
        ({"options": {"random_state": 3}}, OptionError, "random_state"),
        ({"options": {"validation_fraction": 0.5}}, OptionError, "validation_fraction"),
        ({"models": ["pca"], "epochs": 5}, OptionError, "no model here has an option 'epochs'.*none"),
        ({"jobs": 0}, OptionError, "jobs=0"),
        ({"epochs": 0}, OptionError, "epochs"),
        ({"target": "colour"}, DataError, "no column 'colour'"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_one_line_before_training(iris, wrong, error, said):
    with pytest.raises(error, match=said) as caught:
        isthmus.compare(iris, **({"target": "target", "jobs": 1} | wrong))
    assert "\n" not in str(caught.value)


def test_a_column_with_nothing_to_learn_is_refused_by_name(iris):
    with pytest.raises(DataError, match="column 'same'"):
        isthmus.compare(iris.assign(same=1.0), target="target", jobs=1)


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        (np.full((50, 3), np.nan), {}, "row 0, column 0"),
        (np.random.default_rng(0).normal(size=(50, 3)), {"test": np.zeros((5, 4))}, "4 features"),
        (np.random.default_rng(0).normal(size=(50, 3)), {"test": np.zeros((5, 3, 3))}, "table"),
        (np.random.default_rng(0).normal(size=(50, 3)), {"options": {"likelihood": "poisson"}}, "poisson"),
    ],
)
def test_arrays_that_do_not_fit_are_named(rows, more, said):
    with pytest.raises((DataError, OptionError), match=said) as caught:
        isthmus.compare(rows, jobs=1, **more)
    assert "\n" not in str(caught.value)


def test_a_model_that_diverges_is_left_out_and_named(iris, monkeypatch):
    def diverge(models, *arguments, **named):
        failure = DivergenceError("the loss became infinite")
        return {place: SimpleNamespace(interrupted=False, failure=failure) for place in range(len(models))}

    monkeypatch.setattr("isthmus.estimator.together.sweep", diverge)
    facts = isthmus.compare(iris, target="target", models=["pca", "vae"], latents=2, seeds=1, epochs=1, jobs=1).facts
    assert [c["name"] for c in facts["contenders"]] == ["pca-2"]
    assert "vae-2 was left out: the loss became infinite" in facts["data"]["notes"]
    with pytest.raises(DivergenceError, match="vae-2"):
        isthmus.compare(iris, target="target", models="vae", latents=2, seeds=1, epochs=1, jobs=1)


def test_what_surprises_in_the_test_rows_is_noted(iris):
    test = iris.iloc[:30].copy()
    test["tall"] = test["tall"].cat.add_categories("giant")
    test.loc[test.index[3], "tall"] = "giant"
    facts = isthmus.compare(iris, target="target", test=test, models="pca", latents=2, seeds=1, jobs=1).facts
    assert any("giant" in note and "held out" in note for note in facts["data"]["notes"])

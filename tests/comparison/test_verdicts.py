"""A verdict names the better model at the smallest size that is as good, and says so when there is no difference."""

import copy
from typing import Any

import pytest

from isthmus.comparison import verdicts as judging

MANY_ROWS = 10_000


def verdicts(contenders: list[dict[str, Any]], rows: int = MANY_ROWS, detectors: Any = ()) -> dict[str, Any]:
    return judging.verdicts(contenders, list(detectors), rows)


def contender(variant: str, latent_dim: int, values: list[float], **measured: Any) -> dict[str, Any]:
    """A contender whose detection has these values over seeds; `measured` replaces other measures."""

    def run(value: float) -> dict[str, Any]:
        return {
            "reconstruction": {"test": 1.0},
            "probe": None,
            "generation": {"c2st_auroc": 0.9},
            "compression": None,
            "anomaly": {"auroc": value},
        } | measured

    return {
        "name": f"{variant}-{latent_dim}",
        "variant": variant,
        "latent_dim": latent_dim,
        "seeds": len(values),
        "runs": [run(value) for value in values],
        **run(sum(values) / len(values)),
    }


def test_a_sure_and_large_difference_is_clear():
    verdict = verdicts([contender("autoencoder", 4, [0.70, 0.71]), contender("vae", 4, [0.90, 0.91])])["detect"]
    assert (verdict["winner"], verdict["variant"], verdict["latent_dim"], verdict["clear"]) == ("vae-4", "vae", 4, True)
    assert verdict["headline"] == "To detect rows that do not belong, use the VAE with 4 latent units."
    assert "0.905" in verdict["because"] and "0.705" in verdict["because"]


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        ([0.80, 0.96], [0.70, 0.86], "seeds differ by more than the models do"),
        ([0.905, 0.905], [0.900, 0.900], "the difference is too small to matter"),
    ],
)
def test_an_unsure_or_tiny_difference_is_no_clear_difference(ours, theirs, why):
    verdict = verdicts([contender("vae", 4, ours), contender("autoencoder", 4, theirs)])["detect"]
    assert not verdict["clear"], why
    assert "no clear difference" in verdict["headline"]
    assert verdict["winner"] == "vae-4"


def probed(variant: str, latent_dim: int, accuracy: float) -> dict[str, Any]:
    return contender(variant, latent_dim, [0.5, 0.5], probe={"knn": accuracy, "metric": "accuracy"})


@pytest.mark.parametrize(("rows", "clear"), [(69, False), (690, True)])
def test_a_handful_of_rows_decides_nothing(rows, clear):
    """3 rows of 69 may fall the other way in other rows, however often both models are trained; 30 of 690 will not."""
    field = [probed("vae", 4, 66 / 69), probed("autoencoder", 4, 63 / 69)]
    verdict = verdicts(field, rows)["reduce"]
    assert (verdict["winner"], verdict["clear"]) == ("vae-4", clear)


def test_one_row_is_no_reason_for_a_larger_size():
    field = [probed("vae", 4, 65 / 69), probed("vae", 16, 66 / 69)]
    assert verdicts(field, 69)["reduce"]["latent_dim"] == 4
    assert verdicts(field, 690)["reduce"]["latent_dim"] == 16


def detector(values: list[float]) -> dict[str, Any]:
    runs = [{"anomaly": {"auroc": value}} for value in values]
    mean = {"anomaly": {"auroc": sum(values) / len(values)}}
    return {"name": "detector", "title": "Detector", "seeds": len(values), "runs": runs, **mean}


@pytest.mark.parametrize(("values", "winner"), [([0.9, 0.9], "detector"), ([0.7, 0.7], "vae-4")])
def test_the_detector_stands_beside_models_at_its_one_job(values, winner):
    found = verdicts([contender("vae", 4, [0.8, 0.8])], detectors=[detector(values)])
    verdict = found["detect"]
    assert (verdict["winner"], verdict["clear"]) == (winner, True)
    assert {entry["label"] for entry in verdict["numbers"]} == {"Detector", "VAE, size 4"}
    # It has no latent size: neither the sentences nor the curve over sizes speak of one.
    assert [entry["name"] for entry in verdict["curve"]] == ["vae-4"]
    assert "None" not in verdict["headline"] + verdict["because"] and "the detector" in verdict["because"]
    assert all("detector" not in str(found[job]) for job in ("reduce", "compress", "generate"))


def test_a_verdict_from_one_seed_says_so():
    once = verdicts([contender("vae", 4, [0.9]), contender("autoencoder", 4, [0.7])])["detect"]
    twice = verdicts([contender("vae", 4, [0.9, 0.9]), contender("autoencoder", 4, [0.7, 0.7])])["detect"]
    assert once["clear"] and "trained once" in once["because"] and "±" not in once["because"]
    assert twice["clear"] and "trained once" not in twice["because"]


def test_the_smallest_size_that_is_as_good_is_chosen():
    sizes = [contender("vae", n, [value, value]) for n, value in ((2, 0.7), (4, 0.899), (8, 0.9), (16, 0.9))]
    assert verdicts(sizes)["detect"]["latent_dim"] == 4


def test_order_of_contenders_does_not_matter():
    field = [
        contender("vae", 2, [0.8, 0.82]),
        contender("autoencoder", 2, [0.7, 0.71]),
        contender("pca", 2, [0.6, 0.6]),
    ]
    forward, backward = verdicts(field)["detect"], verdicts(field[::-1])["detect"]
    assert (forward["winner"], forward["clear"]) == (backward["winner"], backward["clear"])
    assert forward["numbers"] == backward["numbers"]


def test_lower_is_better_where_it_is():
    better = contender("vae", 2, [0.5, 0.5], compression={"bits_per_row": 10.0})
    worse = contender("autoencoder", 2, [0.5, 0.5], compression={"bits_per_row": 20.0})
    verdict = verdicts([worse, better])["compress"]
    assert (verdict["winner"], verdict["better"]) == ("vae-2", "lower")
    assert [number["value"] for number in verdict["numbers"]] == [10.0, 20.0]


def test_a_two_sample_score_below_chance_counts_as_chance():
    below = contender("vae", 2, [0.5, 0.5], generation={"c2st_auroc": 0.45})
    above = contender("autoencoder", 2, [0.5, 0.5], generation={"c2st_auroc": 0.55})
    assert not verdicts([below, above])["generate"]["clear"]


def test_reducing_is_judged_by_the_probe_where_there_is_a_target():
    with_probe = {"knn": 0.9, "metric": "accuracy"}
    probed = [contender("vae", 2, [0.5, 0.5], probe=with_probe), contender("autoencoder", 2, [0.5, 0.5], probe=None)]
    assert verdicts(probed)["reduce"]["winner"] == "vae-2"
    assert "guess the target" in verdicts(probed)["reduce"]["measure"]
    unprobed = [contender("vae", 2, [0.5, 0.5])]
    assert "reconstruction" in verdicts(unprobed)["reduce"]["measure"]


def test_a_lone_model_has_nothing_to_beat():
    verdict = verdicts([contender("vae", 2, [0.9])])["detect"]
    assert verdict["winner"] == "vae-2" and not verdict["clear"]
    assert "nothing else to compare" in verdict["headline"]


def test_a_job_that_no_model_can_be_measured_at():
    verdict = verdicts([contender("pca", 2, [0.9])])["compress"]
    assert verdict["winner"] is None and verdict["numbers"] == [] and verdict["headline"]


def test_verdicts_read_and_do_not_change_the_facts():
    field = [contender("vae", 2, [0.8, 0.82])]
    before = copy.deepcopy(field)
    verdicts(field)
    assert field == before

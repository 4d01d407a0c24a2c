"""A saved detector gives the same bits, or is refused in one line: no number of a file is trusted."""

import copy
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import isthmus
from isthmus.core.errors import ModelFileError
from isthmus.files.tensor_file import read_tensors, write_tensors

Tensors, Facts = dict[str, torch.Tensor], dict[str, Any]


def frame(rows: int) -> pd.DataFrame:
    draws = np.random.default_rng(0)
    kind = draws.choice(["a", "b", "c"], rows)
    return pd.DataFrame({"size": draws.normal(size=rows), "count": draws.poisson(4, rows), "kind": kind})


@pytest.fixture(scope="module")
def detector() -> isthmus.Detector:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("isthmus.estimator.detector.STEPS", 5)
        return isthmus.Detector(members=2, random_state=0).fit(frame(60))


@pytest.fixture(scope="module")
def saved(detector: isthmus.Detector, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tensors, Facts]:
    path = tmp_path_factory.mktemp("detector") / "d.safetensors"
    detector.save(path)
    return read_tensors(path)


def test_a_file_keeps_a_detector_to_the_last_bit(detector, tmp_path):
    detector.save(tmp_path / "d.safetensors")
    loaded, rows = isthmus.load(tmp_path / "d.safetensors"), frame(40)
    assert np.array_equal(loaded.score_samples(rows), detector.score_samples(rows))
    assert np.array_equal(loaded.predict(rows), detector.predict(rows))
    assert loaded.explain_scores(rows[:9]).equals(detector.explain_scores(rows[:9]))
    assert loaded.get_params() == detector.get_params()


def without(name: str) -> Callable[[Tensors, Facts], Any]:
    return lambda tensors, facts: tensors.pop(name)


def spoilt(name: str, value: float) -> Callable[[Tensors, Facts], Any]:
    return lambda tensors, facts: tensors[name].view(-1)[:1].fill_(value)


def shaped(name: str, *shape: int) -> Callable[[Tensors, Facts], Any]:
    return lambda tensors, facts: tensors.update({name: torch.ones(shape, dtype=tensors[name].dtype)})


def saying(name: str, value: Any) -> Callable[[Tensors, Facts], Any]:
    return lambda tensors, facts: facts.update({name: value})


def optioned(name: str, value: Any) -> Callable[[Tensors, Facts], Any]:
    return lambda tensors, facts: facts["options"].update({name: value})


TAMPERED = {
    "a threshold that is no number": (saying("offset", "nan"), "threshold"),
    "a threshold above 0": (saying("offset", 1.0), "threshold"),
    "a threshold of text": (saying("offset", "low"), ""),
    "a scale of 0": (saying("tail_scale", 0), "levels"),
    "a scale of nothing": (saying("tail_scale", None), ""),
    "levels that are no numbers": (spoilt("levels", math.nan), "'levels' should hold finite"),
    "levels that fall": (spoilt("levels", 1e9), "shares fall as levels rise"),
    "shares above 1": (spoilt("shares", 3.0), "shares fall as levels rise"),
    "no levels": (shaped("levels", 0), "'levels' of shape"),
    "fewer shares": (shaped("shares", 2), "'shares' of shape"),
    "usual cells of other columns": (shaped("usual", 7), "'usual' of shape"),
    "infinite usual cells": (spoilt("usual", math.inf), "'usual' should hold finite"),
    "spreads in a square": (shaped("spread", 3, 3), "'spread' of shape"),
    "a spread of 0": (spoilt("spread", 0.0), "'spread' holds 0"),
    "a negative spread": (spoilt("spread", -1.0), "'spread' holds -1"),
    "rarities below 1": (spoilt("rarity.2", 0.0), "'rarity.2' holds 0"),
    "no rarities": (without("rarity.2"), "rarity.2"),
    "codes of another size": (shaped("anchors.0", 48, 9), "'anchors.0' of shape"),
    "no codes": (shaped("anchors.0", 0, 2), "'anchors.0' of shape"),
    "an odd number of codes": (shaped("anchors.0", 5, 2), "'anchors.0' of shape"),
    "codes that are no numbers": (spoilt("anchors.1", math.nan), "'anchors.1' should hold finite"),
    "codes of a member that is not there": (without("anchors.1"), "anchors.1"),
    "more members": (optioned("members", 3), ""),
    "very many members": (optioned("members", 10**9), ""),
    "an option of no detector": (optioned("latent_dim", 3), "latent_dim"),
    "an option out of bounds": (optioned("false_alarm_rate", 7.0), "false_alarm_rate=7"),
    "sizes of another model": (saying("most_units", 1), "state_dict"),
    "no size": (saying("most_units", 0), ""),
    "a domain that is none": (saying("domain", {"name": "os", "schema": {}}), ""),
    "no domain": (saying("domain", None), ""),
    "more columns": (saying("n_features_in", 9), "9 columns"),
    "names of other columns": (saying("feature_names_in", ["size"]), "columns"),
    "a seed of text": (saying("seed", "x"), ""),
    "no training": (saying("training", None), ""),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_file_is_refused_in_one_line(what, saved, tmp_path):
    tamper, words = TAMPERED[what]
    tensors, facts = {name: tensor.clone() for name, tensor in saved[0].items()}, copy.deepcopy(saved[1])
    tamper(tensors, facts)
    path = tmp_path / "d.safetensors"
    write_tensors(path, tensors, facts)
    with pytest.raises(ModelFileError) as failure:
        isthmus.load(path)
    message = str(failure.value)
    assert message.startswith(str(path)) and words in message and "\n" not in message


def test_weights_that_are_no_numbers_are_refused(saved, tmp_path):
    tensors = {name: tensor.clone() for name, tensor in saved[0].items()}
    weight = next(name for name in tensors if name.startswith("model.1.") and tensors[name].ndim == 2)
    tensors[weight][0, 0] = math.nan
    write_tensors(tmp_path / "d.safetensors", tensors, saved[1])
    with pytest.raises(ModelFileError, match=re.escape(f"'{weight}' should hold finite numbers")):
        isthmus.load(tmp_path / "d.safetensors")


def test_a_tensor_that_no_detector_has_is_refused(saved, tmp_path):
    tensors = dict(saved[0]) | {"model.7.weight": torch.ones(2)}
    write_tensors(tmp_path / "d.safetensors", tensors, saved[1])
    with pytest.raises(ModelFileError, match=re.escape("'model.7.weight'")):
        isthmus.load(tmp_path / "d.safetensors")

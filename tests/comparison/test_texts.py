"""A comparison of models of texts."""

import numpy as np
import pytest

import isthmus
from isthmus.core.errors import OptionError


def texts(rows: int) -> list[str]:
    rng = np.random.default_rng(0)
    return [f"the {rng.choice(['cat', 'dog'])} {rng.choice(['runs', 'eats'])} {place % 7}" for place in range(rows)]


@pytest.fixture(scope="module")
def compared() -> "isthmus.comparison.result.Comparison":
    options = {"hidden": (16,), "batch_size": 32}
    return isthmus.compare(
        texts(60), latents=2, seeds=1, epochs=2, options=options, jobs=1, models=["pca", "ae", "vae"]
    )


@pytest.mark.slow
def test_texts_are_compared_at_every_job_but_by_columns(compared):
    facts = compared.facts
    assert [each["name"] for each in facts["contenders"]] == ["ae-2", "vae-2"] and facts["settings"]["models"] == [
        "ae",
        "vae",
    ]
    assert any("pca was left out" in note for note in facts["data"]["notes"])
    for contender in facts["contenders"]:
        assert contender["reconstruction"]["test"] > 0 and "symbols" in contender["reconstruction"]["unit"]
        assert contender["generation"]["c2st_auroc"] is not None and contender["anomaly"]["auroc"] is not None
        # Fewer bits than bytes of eight would take.
        assert 0 < contender["compression"]["bits_per_row"] < 2 * contender["compression"]["raw_bits_per_row"]
        assert "cannot be coded" in contender["archive"]["refused"]
    assert facts["compression_baselines"]["form"] == "a text a line"


@pytest.mark.slow
def test_the_report_shows_texts_and_where_they_surprise(compared, tmp_path):
    shown = compared.facts["pictures"]["reconstructions"]
    assert shown["kind"] == "text" and len(shown["originals"]) == 8
    for original, pieces in zip(shown["originals"], shown["heat"]["vae-2"], strict=True):
        assert "".join(piece for piece, _ in pieces) == original and all(nats >= 0 for _, nats in pieces)
    compared.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert shown["originals"][0] in page and 'class="heat-' in page


def test_nothing_is_left_to_compare():
    with pytest.raises(OptionError, match="no model here suits text"):
        isthmus.compare(texts(30), models="pca", latents=2)

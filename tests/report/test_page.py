"""The page as a whole: complete, inert, reproducible, and calm about what is missing."""

import copy
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from isthmus.core.errors import DataError
from isthmus.report import html

from .document import Document
from .example_facts import EXAMPLES, Facts, digits, minimal, penguins

ATTACK = "</script></style></svg><img src=x onerror=window.pwned=1>\"' onload='{{ 7 * 7 }}"
STRUCTURE = {"kind", "domain", "better", "png", "originals", "frames"}
MEGABYTE = 1_000_000


@pytest.fixture(params=EXAMPLES, scope="module")
def facts(request: pytest.FixtureRequest) -> Facts:
    return EXAMPLES[request.param]()


@pytest.fixture(scope="module")
def document(facts: Facts) -> Document:
    return Document(html.render(facts))


def test_every_contender_and_every_verdict_appears(facts: Facts, document: Document):
    table = next(table for table in document.all("table") if table.attributes.get("id") == "all-numbers")
    for contender in facts["contenders"]:
        assert f"{contender['title']} {contender['latent_dim']}" in table.text
    headlines = [verdict["headline"] for verdict in facts["verdict"].values() if verdict]
    assert [headline for headline in headlines if headline not in document.text] == []
    cards = document.all("article")
    assert [card.attributes["id"] for card in cards] == [
        f"verdict-{job}" for job in ("compress", "reduce", "generate", "detect")
    ]


def test_the_detector_has_a_row_and_is_named_where_it_wins():
    facts = digits()
    detector = {"name": "detector", "title": "Detector", "members": 6, "seeds": 2, "model": None, "spread": {}}
    facts["detectors"] = [detector | {"anomaly": {"auroc": 0.987, "by_kind": {}}, "cost": {"fit_seconds": 3.0}}]
    entry = {"name": "detector", "label": "Detector", "value": 0.987, "spread": 0.0, "unit": "1 = always"}
    won = {"winner": "detector", "variant": "detector", "latent_dim": None, "numbers": [entry]}
    facts["verdict"]["detect"] = facts["verdict"]["detect"] | won
    document = Document(html.render(facts))
    card = next(card for card in document.all("article") if card.attributes["id"] == "verdict-detect")
    assert "Detector" in card.text and "of 6 small VAEs" in card.text and "0.987" in card.text
    table = next(table for table in document.all("table") if table.attributes.get("id") == "all-numbers")
    assert "Detector" in table.text and "None" not in table.text


def test_only_open_questions_look_open(facts: Facts, document: Document):
    for card in document.all("article"):
        verdict = facts["verdict"][card.attributes["id"].removeprefix("verdict-")]
        rivals = bool(verdict) and len(verdict["numbers"]) > 1
        assert ("no clear difference" in card.text) == (rivals and not verdict["clear"])


def test_identifiers_are_unique_and_references_lead_somewhere(document: Document):
    identifiers = [e.attributes["id"] for e in document.elements if "id" in e.attributes]
    assert sorted(set(identifiers)) == sorted(identifiers)
    references = [e.attributes["href"].removeprefix("#") for e in document.all("a")]
    references += [e.attributes["for"] for e in document.elements if "for" in e.attributes]
    references += [e.attributes["aria-labelledby"] for e in document.elements if "aria-labelledby" in e.attributes]
    references += [e.attributes["value"] for e in document.all("option")]
    references += [e.attributes["value"] for e in document.all("input")]
    assert set(references) <= set(identifiers)


def test_headings_descend_one_step_at_a_time(document: Document):
    levels = [int(element.tag[1]) for element in document.elements if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))


def test_every_picture_can_be_read_aloud(document: Document):
    for element in document.elements:
        if element.tag == "svg" and "svg" not in element.path:
            assert element.attributes["role"] == "img"
            assert "<" not in element.text
            assert element.text.strip()
        if element.tag == "img":
            assert "alt" in element.attributes
    assert document.all("html")[0].attributes["lang"] == "en"


def test_nothing_is_fetched(facts: Facts):
    page = html.render(facts)
    loading = re.findall(r"""(?:src|href|srcset|data|poster|action)\s*=\s*["']([^"']*)""", page)
    assert [target[:60] for target in loading if not target.startswith(("#", "data:image/png;base64,"))] == []
    assert not re.search(r"@import|url\(|https?://|//[a-z0-9-]+\.[a-z]", page)
    policy = next(m for m in Document(page).all("meta") if "http-equiv" in m.attributes)
    assert "default-src 'none'" in policy.attributes["content"]


def test_digits_stay_small():
    assert len(html.render(digits())) < 3 * MEGABYTE


def test_the_same_facts_give_the_same_bytes_in_any_process(tmp_path):
    """A set or a hash in the way would change the order from process to process."""
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(penguins()))
    program = (
        "import hashlib, json, sys; from isthmus.report import html;"
        "print(hashlib.sha256(html.render(json.load(open(sys.argv[1]))).encode()).hexdigest())"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", program, str(facts)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(prints) == 1


def hostile(part: Any, key: str = "") -> Any:
    """The same facts with an attack in every name, label and sentence; the structure is left as it is."""
    if isinstance(part, dict):
        free = key in ("by_contender", "traversals", "per_column", "by_kind", "terms")
        return {hostile(name) if free else name: hostile(value, name) for name, value in part.items()}
    if isinstance(part, list):
        return [hostile(item, key) for item in part]
    return part + ATTACK if isinstance(part, str) and key not in STRUCTURE else part


@pytest.mark.parametrize("example", EXAMPLES)
def test_names_from_strangers_stay_words(example: str):
    facts = hostile(EXAMPLES[example]())
    page = html.render(facts)
    document = Document(page)
    plain = Document(html.render(EXAMPLES[example]()))
    assert "<img src=x" not in page
    assert len(document.all("script")) == len(plain.all("script")) == 2
    assert not [e for e in document.elements if any(name.startswith("on") for name in e.attributes)]
    assert facts["data"]["name"] in document.all("h1")[0].text
    rows = next(s for s in document.all("script") if s.attributes.get("id") == "map-rows")
    assert [row["text"] for row in json.loads(rows.text)] == [
        row["text"] for row in (facts["pictures"]["latent_maps"] or {"rows": []})["rows"]
    ]


def small() -> Facts:
    """Penguins without the bulk, for tests that render many times."""
    facts = copy.deepcopy(penguins())
    facts["contenders"] = [c for c in facts["contenders"] if c["latent_dim"] == 4]
    facts["pictures"]["loss_curves"] = facts["pictures"]["loss_curves"][:2]
    return facts


def _in_contenders(key: str) -> Callable[[Facts], list[tuple[Facts, str]]]:
    return lambda facts: [(contender, key) for contender in facts["contenders"]]


OPTIONAL: dict[str, Callable[[Facts], list[tuple[Facts, str]]]] = {
    "target": lambda facts: [(facts["data"], "target")],
    "notes": lambda facts: [(facts["data"], "notes")],
    "columns": lambda facts: [(facts["data"], "columns")],
    "environment": lambda facts: [(facts, "environment")],
    "verdicts": lambda facts: [(facts, "verdict")],
    "winners": lambda facts: [(verdict, "winner") for verdict in facts["verdict"].values()],
    "pictures": lambda facts: [(facts, "pictures")],
    "general tools": lambda facts: [(facts, "compression_baselines")],
    "units": lambda facts: [(contender["latent"], "kl_per_unit") for contender in facts["contenders"]],
    "carries": lambda facts: [(contender["latent"], "carries") for contender in facts["contenders"]],
    **{job: lambda facts, job=job: [(facts["verdict"], job)] for job in ("compress", "reduce", "generate", "detect")},
    **{
        part: lambda facts, part=part: [(facts["pictures"], part)]
        for part in ("loss_curves", "reconstructions", "samples", "latent_maps", "traversals")
    },
    **{
        part: _in_contenders(part)
        for part in (
            "reconstruction", "likelihood", "latent", "probe", "generation", "compression", "anomaly", "cost", "spread",
            "model", "archive",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("gone", [lambda part, key: part.update({key: None}), lambda part, key: part.pop(key)])
@pytest.mark.parametrize("part", OPTIONAL)
@pytest.mark.slow
def test_a_part_that_is_missing_is_passed_over(part: str, gone: Callable[[Facts, str], object]):
    facts = small()
    for owner, key in OPTIONAL[part](facts):
        gone(owner, key)
    document = Document(html.render(facts))
    assert [e.tag for e in document.elements if e.text.strip() in ("None", "nan", "undefined")] == []
    assert [e.attributes for e in document.elements if {"None", "nan"} & set(e.attributes.values())] == []


def test_numbers_that_are_not_finite_become_dashes():
    facts = small()
    for contender in facts["contenders"]:
        contender["reconstruction"]["test"] = math.nan
        contender["cost"]["fit_seconds"] = math.inf
    for verdict in facts["verdict"].values():
        verdict["curve"][0]["value"] = math.nan
    facts["pictures"]["latent_maps"]["by_contender"]["ae-4"]["points"][0] = [math.nan, 1.0]
    facts["pictures"]["loss_curves"][0]["terms"]["loss"]["train"][0] = math.inf
    page = html.render(facts)
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"base64,[^\"]*", "", page))


def test_every_column_of_numbers_has_a_gloss_and_the_best_mean_in_bold():
    facts = small()
    errors = {c["name"]: c["reconstruction"]["test"] for c in facts["contenders"]}
    document = Document(html.render(facts))
    buttons = [e for e in document.all("button") if "thead" in e.path and "data-tip" in e.attributes]
    assert all(len(button.attributes["data-tip"]) > 20 for button in buttons)
    bold = [e.text for e in document.all("b") if "td" in e.path]
    assert f"{min(errors.values()):.4f}" in bold
    assert f"{max(errors.values()):.4f}" not in bold


def test_real_bytes_stand_beside_those_of_general_tools():
    facts = small()
    vae = next(c["archive"] for c in facts["contenders"] if c["variant"] == "vae")
    vae |= {"bytes_per_row": 3.21, "model_bytes": 54_321, "total_bytes_per_row": 154.1}
    page = html.render(facts)
    text = " ".join(re.sub(r"<[^>]*>", " ", page[page.index('id="bytes"') : page.index('id="training"')]).split())
    assert "360 held-out rows" in text
    assert "VAE 4 3.2 54,321 154.1" in text
    assert "zstd -19 19.0 – 19.0 CSV" in text and "Parquet, zstd -19 49.5 – 49.5 columns" in text
    assert "Not for PCA: it has no probabilities of rows to code them by." in text
    bold = [e.text for e in Document(page).all("b") if "td" in e.path]
    assert "18.5" in bold and "154.1" not in bold  # xz is the smallest of all


def test_facts_without_real_bytes_have_no_part_for_them():
    assert 'href="#bytes"' not in html.render(minimal()) and 'id="bytes"' not in html.render(minimal())
    assert 'id="bytes"' in html.render(small())


def test_a_numeric_target_colours_on_a_ramp():
    facts = small()
    facts["data"]["target"] = {"name": "mass", "kind": "number", "classes": []}
    rows = facts["pictures"]["latent_maps"]["rows"]
    for place, row in enumerate(rows):
        row["label"] = str(10 * place)
    rows[5]["label"] = None
    document = Document(html.render(facts))
    marks = [e for e in document.all("circle") if "data-row" in e.attributes][: len(rows)]
    assert marks[0].attributes["style"] == "--t: 0%"
    assert marks[-1].attributes["style"] == "--t: 100%"
    assert marks[len(rows) // 2].attributes["style"] == "--t: 50%"
    assert marks[5].attributes["class"] == "unlabelled"


def test_more_classes_than_colours_still_differ():
    facts = small()
    rows = facts["pictures"]["latent_maps"]["rows"]
    facts["data"]["target"]["classes"] = [f"kind {place}" for place in range(20)]
    for place, row in enumerate(rows):
        row["label"] = f"kind {place % 20}"
    document = Document(html.render(facts))
    styles = {e.attributes["class"] for e in document.all("circle") if "data-row" in e.attributes}
    assert len(styles) == 20


def test_facts_of_another_schema_are_refused_in_one_line():
    with pytest.raises(DataError, match="schema 7") as refused:
        html.render({**minimal(), "schema": 7})
    assert "\n" not in str(refused.value)


def test_the_file_holds_what_render_gives(tmp_path):
    html.write(minimal(), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes().decode() == html.render(minimal())

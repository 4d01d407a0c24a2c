"""Both themes are legible, also to colour-blind readers. Thresholds: WCAG 2.2, 1.4.3 (text) and 1.4.11 (marks)."""

import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest

THEMES = {"light": 0, "dark": 1}
TEXT, MARK = 4.5, 3.0
TELLING = 0.1  # five times what is just noticeable

# What dichromats see, in linear RGB: Machado, Oliveira and Fernandes, 2009, severity 1.
SIGHTS = {
    "usual": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
# Linear RGB to Oklab: Ottosson, 2020.
TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.793617785, -0.0040720468],
        [1.9779984951, -2.428592205, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.808675766],
    ]
)


def colours(theme: str) -> dict[str, np.ndarray]:
    """Name → linear RGB, as page.css declares it."""
    style = files("isthmus.report").joinpath("page/page.css").read_text()
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", style)
    assert len(pairs) > 20
    return {name: linear(pair[THEMES[theme]]) for name, *pair in pairs}


def linear(code: str) -> np.ndarray:
    shares = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    dark, light = sorted(float(rgb @ [0.2126, 0.7152, 0.0722]) for rgb in (one, other))
    return (light + 0.05) / (dark + 0.05)


def difference(one: np.ndarray, other: np.ndarray, sight: np.ndarray) -> float:
    """How far apart two colours look, in Oklab: 0.02 is just noticeable, black to white is 1."""
    labs = [np.cbrt(TO_LMS @ np.clip(sight @ rgb, 0, 1)) @ TO_LAB.T for rgb in (one, other)]
    return float(np.linalg.norm(labs[0] - labs[1]))


@pytest.mark.parametrize("theme", THEMES)
def test_text_and_marks_stand_out_from_the_page_and_from_cards(theme: str):
    named = colours(theme)
    words = ["ink", "quiet", "accent", *(name for name in named if re.fullmatch(r"v\d", name))]
    marks = [name for name in named if re.fullmatch(r"c\d", name)]
    for names, grounds, least in ((words, ("page", "card"), TEXT), (marks, ("card",), MARK)):
        found = {(name, ground): contrast(named[name], named[ground]) for name in names for ground in grounds}
        assert {pair: ratio for pair, ratio in found.items() if ratio < least} == {}
    assert contrast(named["ink"], named["line"]) >= TEXT  # the badge


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("theme", THEMES)
def test_neighbouring_colours_are_told_apart_by_everyone(theme: str, sight: str):
    named = colours(theme)
    for names in ([f"c{place}" for place in range(10)], ["v0", "v1", "v2"]):
        pairs = {(a, b): difference(named[a], named[b], SIGHTS[sight]) for a, b in combinations(names, 2)}
        assert {pair: gap for pair, gap in pairs.items() if gap < TELLING} == {}

"""Figures put marks where the numbers say; scales and labels keep their promises."""

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.report import figures
from isthmus.report.scales import Scale, apart, round_ticks, sizes, spanning, tick_labels
from isthmus.report.svg import element

from .document import Document, Element

values = st.floats(-1e6, 1e6, allow_nan=False)


def marks(figure: str, attribute: str) -> list[Element]:
    return [e for e in Document(figure).all("circle") if attribute in e.attributes]


@given(low=values, span=st.floats(1e-3, 1e6), count=st.integers(2, 8))
def test_ticks_are_round_even_and_inside(low: float, span: float, count: int):
    high = low + span
    ticks = round_ticks(low, high, count)
    # A tick may miss the range by a rounding error: a billionth of a step, and a step is at most 1.25 spans.
    slack = 2e-9 * span + 1e-12 * max(abs(low), abs(high))
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    # Rounding a step up to 1, 2 or 5 times a power of ten grows it by 2.5 at most.
    assert count / 2.5 - 1 <= len(ticks) <= count + 1
    if len(ticks) > 1:
        step = ticks[1] - ticks[0]
        digit = step / 10 ** math.floor(math.log10(step) + 1e-6)
        assert min(abs(digit - d) for d in (1, 2, 5, 10)) < 1e-3
        assert len(set(tick_labels(ticks))) == len(ticks)


@given(st.lists(values, min_size=1, max_size=9), st.floats(1, 20))
def test_labels_end_apart_and_in_order(positions: list[float], gap: float):
    low, high = -1e6, 1e6 + gap * len(positions)
    placed = apart(positions, gap, low, high)
    order = sorted(range(len(positions)), key=positions.__getitem__)
    assert all(placed[b] - placed[a] >= gap - 1e-6 for a, b in pairwise(order))
    assert all(low - 1e-6 <= place <= high + 1e-6 for place in placed)


def test_labels_with_room_stay_where_they_are():
    assert apart([10.0, 50.0, 30.0], 14, 0, 100) == [10.0, 50.0, 30.0]


def test_scales_meet_their_ends_and_doubling_is_a_constant_step():
    scale = Scale(10, 20, 100, 300)
    assert (scale(10), scale(15), scale(20)) == (100, 200, 300)
    log = sizes([2, 4, 8, 16], 0, 30)
    assert [log(size) for size in (2, 4, 8, 16)] == pytest.approx([0, 10, 20, 30])
    assert spanning([7.0], 0, 100)(7.0) == pytest.approx(50)
    assert spanning([0.0], 0, 100)(0.0) == pytest.approx(50)


def verdict(points: list[tuple[str, int, float]], winner: str) -> dict:
    return {
        "measure": "error",
        "better": "lower",
        "winner": winner,
        "curve": [
            {"name": f"{variant}-{size}", "variant": variant, "latent_dim": size, "value": value, "spread": 0.1}
            for variant, size, value in points
        ],
    }


def test_size_curve_places_values_in_proportion_and_rings_the_winner():
    points = [("ae", 2, 1.0), ("ae", 4, 2.0), ("ae", 8, 3.0)]
    figure = figures.size_curve(verdict(points, "ae-4"), {f"ae-{s}": "v1" for s in (2, 4, 8)}, {"ae": "AE"}, 2)
    dots = marks(figure, "data-tip")
    across = [float(dot.attributes["cx"]) for dot in dots]
    down = [float(dot.attributes["cy"]) for dot in dots]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2)
    assert down[0] - down[1] == pytest.approx(down[1] - down[2], abs=0.2) and down[0] > down[1]
    ring = next(e for e in Document(figure).all("circle") if e.attributes.get("class") == "chosen")
    assert (ring.attributes["cx"], ring.attributes["cy"]) == (dots[1].attributes["cx"], dots[1].attributes["cy"])
    assert dots[1].attributes["data-tip"] == "AE, latent size 4\n2.00 ± 0.10"


def test_rate_distortion_joins_sizes_in_order_whatever_the_order_of_the_facts():
    contenders = [
        {
            "name": f"ae-{size}",
            "variant": "ae",
            "title": "AE",
            "latent_dim": size,
            "compression": {"bits_per_row": 100 + size},
            "reconstruction": {"test": 1 / size},
        }
        for size in (16, 2, 8)
    ]
    line = Document(figures.rate_distortion(contenders, {})).all("polyline")[0]
    across = [float(pair.split(",")[0]) for pair in line.attributes["points"].split()]
    assert across == sorted(across)


def test_latent_map_has_up_above_down_and_keeps_row_numbers():
    points = [[0.0, 0.0], [math.nan, 1.0], [1.0, 2.0]]
    dots = marks(figures.latent_map("VAE", ["a", "b"], points, ["c0", "c0", "c1"], ["x", "x", "y"]), "data-row")
    assert [dot.attributes["data-row"] for dot in dots] == ["0", "2"]
    assert float(dots[0].attributes["cx"]) < float(dots[1].attributes["cx"])
    assert float(dots[0].attributes["cy"]) > float(dots[1].attributes["cy"])


def test_latent_map_names_a_class_at_the_median_of_its_points():
    points = [[0.0, 0.0], [1.0, 0.0], [9.0, 0.0], [5.0, 9.0]]
    figure = figures.latent_map("VAE", [], points, ["c0", "c0", "c0", "c1"], ["left", "left", "left", "up"])
    label = next(t for t in Document(figure).all("text") if t.text == "left")
    dots = marks(figure, "data-row")
    assert label.attributes["x"] == dots[1].attributes["cx"]


def run(epochs: int) -> dict:
    values = [1000.0] + [10.0] * (epochs - 1)
    return {"seed": 0, "epochs": list(range(1, epochs + 1)), "best_epoch": 51, "train": values, "validation": values}


def test_loss_curve_is_not_flattened_by_its_first_epoch_and_marks_the_kept_one():
    document = Document(figures.loss_curve("loss", [run(101)], "v1"))
    labels = [t.text for t in document.all("text")]
    assert not any(label.startswith("1,0") or label == "500" for label in labels)
    best = next(e for e in document.all("line") if e.attributes.get("class") == "best")
    assert float(best.attributes["x1"]) == pytest.approx((54 + 306) / 2, abs=0.2)


def test_long_trainings_are_thinned_but_keep_their_end():
    long = Document(figures.loss_curve("loss", [run(5000)], "v1")).all("polyline")[0].attributes["points"].split()
    short = Document(figures.loss_curve("loss", [run(100)], "v1")).all("polyline")[0].attributes["points"].split()
    assert len(short) == 100
    assert len(long) <= figures.MOST_STEPS + 1
    assert long[-1].split(",")[0] == short[-1].split(",")[0]


def test_columns_stand_in_the_order_given_with_errors_to_scale():
    contender = {
        "name": "ae-2",
        "title": "AE",
        "reconstruction": {"per_column": {"near": 1.0, "far": 3.0, "middle": 2.0}},
    }
    dots = marks(figures.column_errors([contender], ["near", "middle", "far"], {}), "data-tip")
    across = [float(dot.attributes["cx"]) for dot in dots]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2)


def test_unit_bars_rank_units_by_what_they_carry():
    bars = [e for e in Document(figures.unit_bars([0.5, 2.0, 1.0], "v2")).all("rect") if "data-tip" in e.attributes]
    heights = [float(bar.attributes["height"]) for bar in bars]
    assert [bar.attributes["data-tip"].split("\n")[0] for bar in bars] == ["unit 1", "unit 2", "unit 0"]
    assert heights == pytest.approx([heights[0], heights[0] / 2, heights[0] / 4], abs=0.2)


@pytest.mark.parametrize(
    "figure",
    [
        figures.intervals([], {}, 1, "m"),
        figures.size_curve({"curve": None}, {}, {}, 1),
        figures.rate_distortion([], {}),
        figures.column_errors([], [], {}),
        figures.loss_curve("loss", [], "v0"),
        figures.latent_map("x", [], [], [], []),
        figures.unit_bars([], "v0"),
        figures.sparkline([], [], 0, 1, "x"),
    ],
)
def test_nothing_to_show_gives_nothing(figure: str):
    assert figure == ""


@given(st.text(max_size=30))
def test_whatever_a_name_holds_an_element_says_it_back(name: str):
    """A round trip through a parser; it folds carriage returns and drops NUL, as every browser does."""
    clean = re.sub(r"[\r\0]", "", name)
    [parsed] = Document(element("text", clean, data_tip=clean)).all("text")
    assert parsed.attributes["data-tip"] == clean
    assert parsed.text == clean

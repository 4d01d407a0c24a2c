"""Numbers as people write them, and the plain meaning of every measure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

NOTHING = "–"


def finite(value: Any) -> float | None:
    """The value as a number that can be drawn, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def decimals_for(values: Iterable[float]) -> int:
    """How many decimals show three digits of the largest value."""
    largest = max((abs(value) for value in values), default=0.0)
    if largest == 0:
        return 0
    return min(6, max(0, 2 - math.floor(math.log10(largest) + 1e-9)))


def number(value: Any, decimals: int | None = None) -> str:
    """Three digits, thousands apart, a true minus sign; a dash where there is no number."""
    value = finite(value)
    if value is None:
        return NOTHING
    if decimals is None:
        decimals = 0 if value == round(value) else decimals_for([value])
    shown = f"{value:,.{decimals}f}"
    return shown.replace("-", "−") if float(shown.replace(",", "")) != 0 else shown.removeprefix("-")


def with_spread(value: Any, spread: Any, seeds: int) -> str:
    """As in "0.912 ± 0.004"; without ± after one training, or where all trainings end (nearly) alike."""
    value, spread = finite(value), finite(spread)
    if value is None or not spread or seeds < 2:
        return number(value)
    decimals = decimals_with_spread(decimals_for([value]), spread)
    if spread < 0.5 * 10**-decimals:
        return number(value)
    return f"{number(value, decimals)} ± {number(spread, decimals)}"


def decimals_with_spread(decimals: int, spread: float) -> int:
    """As many decimals, or one more where the spread would otherwise round to nothing."""
    return decimals + 1 if 0 < spread < 0.5 * 10**-decimals else decimals


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count and its noun: "1 row", "1,797 rows"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(items: Iterable[Any], last: str = "and") -> str:
    """As people list things: "a", "a and b", "a, b and c"."""
    words = [str(item) for item in items]
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


@dataclass(frozen=True)
class Measure:
    """One column of the table of numbers. `path` leads to it in a contender, `unit_path` to a unit that varies."""

    path: tuple[str, ...]
    heading: str
    unit: str
    gloss: str
    best: Literal["lower", "higher"] | float | None = None
    unit_path: tuple[str, ...] = ()


MEASURES = (
    Measure(
        ("reconstruction", "test"),
        "Error",
        "held-out",
        "Reconstruction error: how far a row is from its copy after passing through the model, "
        "on rows that the model never saw.",
        "lower",
        ("reconstruction", "unit"),
    ),
    Measure(
        ("reconstruction", "train"),
        "Error",
        "training",
        "The same error on the rows used for training. Far below the held-out error means that the model learnt "
        "its rows by heart: it overfits.",
        None,
        ("reconstruction", "unit"),
    ),
    Measure(
        ("likelihood", "test"),
        "Likelihood",
        "nats per row",
        "How probable the model finds held-out rows, as a logarithm (a nat is 1.44 bits). It can be negative; only "
        "differences between models matter.",
        "higher",
        ("likelihood", "unit"),
    ),
    Measure(
        ("compression", "bits_per_row"),
        "Compressed size",
        "bits per row",
        "How many bits one held-out row takes when it is packed with the help of the model.",
        "lower",
    ),
    Measure(
        ("latent", "active_units"),
        "Active units",
        "of the latent size",
        "How many of the numbers in the code change with the row. The rest carry nothing and could be left out.",
    ),
    Measure(
        ("probe", "knn"),
        "Neighbours",
        "",
        "How well the target of a held-out row is told from the codes of its nearest neighbours. "
        "High means that the code keeps like with like.",
        "higher",
        ("probe", "metric"),
    ),
    Measure(
        ("probe", "linear"),
        "Linear probe",
        "",
        "How well a plain linear model tells the target from the code. "
        "High means that the code lays the target out simply.",
        "higher",
        ("probe", "metric"),
    ),
    Measure(
        ("generation", "c2st_auroc"),
        "Told from real",
        "AUROC, 0.5 is best",
        "A classifier tries to tell generated rows from real ones (a two-sample test). 0.5: it can only guess. "
        "1: it always knows.",
        0.5,
    ),
    Measure(
        ("generation", "column_shape"),
        "Shape error",
        "0 to 1",
        "How far the values of single columns (or pixels), one at a time, are from those of real rows.",
        "lower",
    ),
    Measure(
        ("generation", "pair_trend"),
        "Trend error",
        "0 to 1",
        "How far the relations between pairs of columns are from those in real rows.",
        "lower",
    ),
    Measure(
        ("generation", "density"),
        "Density",
        "1 is best",
        "Whether generated rows lie where real rows are. Below 1: many lie in empty places. "
        "Above 1: they crowd the busiest ones.",
        1.0,
    ),
    Measure(
        ("generation", "coverage"),
        "Coverage",
        "share",
        "The share of real rows that have a generated row nearby. Low means that some kinds of row are never made.",
        "higher",
    ),
    Measure(
        ("generation", "frechet_distance"),
        "Fréchet distance",
        "0 is best",
        "Of images: how far features of the generated ones, by a small fixed network, are from those of real ones in "
        "their means and covariances. Of this network and these images only, and above 0 for real ones too.",
        "lower",
    ),
    Measure(
        ("generation", "kernel_distance"),
        "Kernel distance",
        "0 is best",
        "Of images: the maximum mean discrepancy of the same features, which for real ones is 0 on average.",
        "lower",
    ),
    Measure(
        ("generation", "copied_share"),
        "Copied share",
        "0.5 is fair",
        "The share of generated rows that lie nearer to a training row than to a held-out row. "
        "Well above 0.5 means that the model repeats rows it was shown.",
        0.5,
    ),
    Measure(
        ("generation", "membership_auroc"),
        "Membership told",
        "AUROC, 0.5 is fair",
        "Someone who sees only generated rows guesses which real rows were trained on: those with a generated row "
        "nearby. 0.5: no better than chance. 1: every training row is given away.",
        0.5,
    ),
    Measure(
        ("generation", "exact_copies"),
        "Exact copies",
        "share",
        "The share of generated rows that equal a training row in every cell. Where columns are few and coarse, rows "
        "repeat by chance.",
        "lower",
    ),
    Measure(
        ("anomaly", "auroc"),
        "Detection",
        "AUROC, 1 is best",
        "The chance that a row which does not belong gets a higher score than one which does. 0.5 is guessing.",
        "higher",
    ),
    Measure(("cost", "fit_seconds"), "Training", "seconds", "The time one training took.", "lower"),
    Measure(
        ("cost", "rows_per_second"), "Training speed", "rows per second", "Rows learnt from in a second.", "higher"
    ),
    Measure(
        ("cost", "encode_rows_per_second"),
        "Encoding speed",
        "rows per second",
        "Rows turned into codes in a second.",
        "higher",
    ),
    Measure(("cost", "parameters"), "Parameters", "count", "The numbers inside the model that training sets.", "lower"),
    Measure(("cost", "epochs"), "Epochs", "passes", "How often training went through the data."),
)

JOBS = {
    "compress": ("Compress", "Store rows in fewer bytes"),
    "reduce": ("Reduce", "Describe a row by a few numbers"),
    "generate": ("Generate", "Make new rows like the real ones"),
    "detect": ("Detect", "Find rows unlike the others"),
}

# The terms of a loss: what they are called and what they mean.
TERMS = {
    "loss": ("Loss", "The sum of the other terms, which training makes small."),
    "reconstruction": ("Reconstruction", "How badly rows are restored."),
    "kl": ("KL divergence", "The price of the code: how far it strays from the prior."),
}

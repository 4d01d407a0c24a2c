"""From measurements to a verdict per job: who wins, at which size, by how much, or that nothing clearly does."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .contenders import title

Facts = dict[str, Any]


@dataclass(frozen=True)
class Measure:
    """What a job is judged by."""

    words: str  # what the number is, in plain words
    unit: str
    better: str  # "lower" or "higher"
    value: Callable[[Facts], float | None]
    # Differences below this are too small to matter, however sure they are; `relative`: as a share of the value.
    margin: float
    relative: bool = False
    digits: str = ".3f"
    share: bool = False  # whether the value is a share of the held-out rows


@dataclass(frozen=True)
class Job:
    """One of the four things an autoencoder is for."""

    name: str
    verb: str
    measures: tuple[Measure, ...]  # the first that applies is used


def _at(*path: str) -> Callable[[Facts], float | None]:
    def read(contender: Facts) -> float | None:
        found: Any = contender
        for key in path:
            found = None if found is None else found.get(key)
        return found

    return read


JOBS = (
    Job(
        "reduce",
        "reduce rows to a few coordinates",
        (
            Measure(
                "how often the five nearest codes guess the target right",
                "share right, 1 = always",
                "higher",
                lambda c: _at("probe", "knn")(c) if (c.get("probe") or {}).get("metric") == "accuracy" else None,
                0.01,
                share=True,
            ),
            Measure(
                "how much of the target the five nearest codes explain (R²)",
                "1 = all of it",
                "higher",
                _at("probe", "knn"),
                0.02,
            ),
            Measure(
                "the share of held-out rows that reconstruction loses",
                "0 = nothing, 1 = no better than the average row",
                "lower",
                _at("reconstruction", "test"),
                0.03,
                relative=True,
            ),
        ),
    ),
    Job(
        "compress",
        "compress rows",
        (
            Measure(
                "ideal code length of held-out rows",
                "bits per row",
                "lower",
                _at("compression", "bits_per_row"),
                0.01,
                relative=True,
                digits=".1f",
            ),
        ),
    ),
    Job(
        "generate",
        "generate new rows",
        (
            Measure(
                "how often a classifier tells a generated row from a real one",
                "0.5 = by chance, the best; 1 = always",
                "lower",
                # Below 0.5 is chance too: a classifier cannot do worse than guess.
                lambda c: None if (area := _at("generation", "c2st_auroc")(c)) is None else max(area, 1 - area),
                0.01,
            ),
        ),
    ),
    Job(
        "detect",
        "detect rows that do not belong",
        (
            Measure(
                "how often a strange row scores above a usual one (AUROC)",
                "0.5 = by chance, 1 = always",
                "higher",
                _at("anomaly", "auroc"),
                0.01,
            ),
        ),
    ),
)


@dataclass(frozen=True)
class Entry:
    """One contender on one job's measure; the detector has no latent size, and is its own variant."""

    name: str
    variant: str
    latent_dim: int | None
    value: float
    spread: float

    @property
    def label(self) -> str:
        return f"{title(self.variant)}, size {self.latent_dim}" if self.latent_dim else title(self.variant).capitalize()

    @property
    def brief(self) -> str:
        return f"the {title(self.variant)}" + (f" ({_units(self.latent_dim)})" if self.latent_dim else "")

    @property
    def described(self) -> str:
        return f"the {title(self.variant)}" + (f" with {_units(self.latent_dim)}" if self.latent_dim else "")


def verdicts(contenders: list[Facts], detectors: list[Facts], rows: int) -> dict[str, Any]:
    """A verdict per job, as facts.json has them; `rows` is how many were held out to measure on."""
    return {job.name: _verdict(job, contenders, detectors, rows) for job in JOBS}


def _verdict(job: Job, contenders: list[Facts], detectors: list[Facts], rows: int) -> dict[str, Any]:
    measure, entries = _measured(job, contenders)
    if not entries:
        return _nothing(job, measure)
    entries += [
        Entry(d["name"], d["name"], None, value, _spread(measure, d))
        for d in detectors
        if (value := measure.value(d)) is not None
    ]
    seeds = max(contender["seeds"] for contender in contenders)
    noise = _noise(entries, seeds)
    best = _champions(entries, measure, noise, rows)  # the best entry of each variant, best variant first
    winner, rivals = best[0], best[1:]
    clear = bool(rivals) and _is_clear(measure, winner.value, rivals[0].value, noise, rows)
    return {
        "winner": winner.name,
        "variant": winner.variant,
        "latent_dim": winner.latent_dim,
        "clear": clear,
        "headline": _headline(job, winner, rivals, clear),
        "because": _because(measure, best, clear, seeds),
        "numbers": [
            {
                "name": entry.name,
                "label": entry.label,
                "value": entry.value,
                "spread": entry.spread,
                "unit": measure.unit,
            }
            for entry in best
        ],
        "curve": [
            {
                "name": entry.name,
                "variant": entry.variant,
                "latent_dim": entry.latent_dim,
                "value": entry.value,
                "spread": entry.spread,
            }
            for entry in entries
            if entry.latent_dim
        ],
        "measure": measure.words,
        "better": measure.better,
    }


def _measured(job: Job, contenders: list[Facts]) -> tuple[Measure, list[Entry]]:
    """The first measure of the job that at least one contender has, and who has it."""
    for measure in job.measures:
        entries = [
            Entry(c["name"], c["variant"], c["latent_dim"], value, _spread(measure, c))
            for c in contenders
            if (value := measure.value(c)) is not None
        ]
        if entries:
            return measure, entries
    return job.measures[-1], []


def _spread(measure: Measure, contender: Facts) -> float:
    """Standard deviation over seeds of the measure itself."""
    values = [value for run in contender["runs"] if (value := measure.value(run)) is not None]
    if len(values) < 2:
        return 0.0
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _noise(entries: list[Entry], seeds: int) -> float:
    """Standard error of one contender's mean. Few seeds say little about one contender's spread: all are pooled."""
    pooled = math.sqrt(sum(entry.spread**2 for entry in entries) / len(entries))
    return pooled / math.sqrt(seeds)


def _gain(measure: Measure, ours: float, theirs: float) -> float:
    """By how much ours is better."""
    return ours - theirs if measure.better == "higher" else theirs - ours


def _margin(measure: Measure, value: float) -> float:
    return measure.margin * (abs(value) if measure.relative else 1.0)


def _is_clear(measure: Measure, ours: float, theirs: float, noise: float, rows: int) -> bool:
    """Whether ours is better by more than two standard errors of the difference, and by enough to matter."""
    gain = _gain(measure, ours, theirs)
    return gain > max(2 * math.sqrt(2) * noise, 2 * _rows_error(measure, gain, rows), _margin(measure, theirs))


def _is_as_good(measure: Measure, ours: float, best: float, noise: float, rows: int) -> bool:
    """Whether ours falls short of the best by no more than one standard error, or by too little to matter."""
    loss = _gain(measure, best, ours)
    error = max(noise, _rows_error(measure, loss, rows))
    return loss <= max(error, _margin(measure, best)) or math.isclose(loss, error)


def _rows_error(measure: Measure, gain: float, rows: int) -> float:
    """The least standard error, over other held-out rows, of a difference in a share of the rows.

    All seeds are measured on the same rows, so their spread does not know it. With b rows in favour of one model and
    c of the other, it is √(b + c) / n (McNemar 1947): least, √(gain / n), where all are in favour of one.
    """
    return math.sqrt(max(gain, 0.0) / rows) if measure.share else 0.0


def _champions(entries: list[Entry], measure: Measure, noise: float, rows: int) -> list[Entry]:
    """For each variant the smallest size that does as well as its best, within noise and the margin that matters."""
    champions = []
    for variant in dict.fromkeys(entry.variant for entry in entries):
        own = sorted((e for e in entries if e.variant == variant), key=lambda entry: entry.latent_dim or 0)
        top = max(own, key=lambda entry: _gain(measure, entry.value, 0.0))
        champions.append(next(e for e in own if _is_as_good(measure, e.value, top.value, noise, rows)))
    return sorted(champions, key=lambda entry: -_gain(measure, entry.value, 0.0))


def _units(count: int) -> str:
    return f"{count} latent unit{'s' * (count != 1)}"


def _headline(job: Job, winner: Entry, rivals: list[Entry], clear: bool) -> str:
    if not rivals:
        return f"To {job.verb}: {winner.described} (nothing else to compare it with)."
    if clear:
        return f"To {job.verb}, use {winner.described}."
    return f"To {job.verb}, no clear difference between {winner.brief} and {rivals[0].brief}."


def _because(measure: Measure, best: list[Entry], clear: bool, seeds: int) -> str:
    def told(entry: Entry) -> str:
        spread = f" ± {format(entry.spread, measure.digits)}" if seeds > 1 else ""
        size = f" of {entry.latent_dim}" if entry.latent_dim else ""
        return f"{format(entry.value, measure.digits)}{spread} with the {title(entry.variant)}{size}"

    others = " and ".join(told(entry) for entry in best[1:])
    sentence = (
        f"{measure.words[0].upper()}{measure.words[1:]}: {told(best[0])}{', against ' if others else ''}{others}."
    )
    if len(best) > 1 and not clear:
        sentence += " The difference is within what another seed or other rows would change, or too small to matter."
    elif len(best) > 1 and seeds == 1:
        sentence += " Each was trained once: how much another seed would change is not known."
    return sentence


def _nothing(job: Job, measure: Measure) -> dict[str, Any]:
    return {
        "winner": None,
        "variant": None,
        "latent_dim": None,
        "clear": False,
        "headline": f"To {job.verb}: none of the models here can be measured at this.",
        "because": f"It would be judged by {measure.words}.",
        "numbers": [],
        "curve": [],
        "measure": measure.words,
        "better": measure.better,
    }

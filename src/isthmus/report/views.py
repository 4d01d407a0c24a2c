"""What each part of the page shows: facts in, plain dictionaries for the template out.

A part that the facts leave out (null, or not there) becomes None, and the template says nothing about it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from markupsafe import Markup

from . import figures
from .words import (
    JOBS,
    MEASURES,
    NOTHING,
    TERMS,
    Measure,
    counted,
    decimals_for,
    decimals_with_spread,
    finite,
    listed,
    number,
    with_spread,
)

Facts = Mapping[str, Any]
View = dict[str, Any]

VARIANT_COLOURS = 6
CATEGORY_COLOURS = 10
MOST_COLUMNS = 30
PARTS = {"train": "Rows learnt from", "validation": "Rows that say when to stop", "test": "Rows held out"}
# Levels of heat of a piece of text, and the surprise that is one of them.
MOST_HEAT, NATS_PER_HEAT = 5, 3.0
# Texts that are shown of a walk through the code.
TEXTS_OF_WALK = 4
MOST_WALKED_COLUMNS = 12


@dataclass(frozen=True)
class Contenders:
    """The contenders with what every part of the page asks about them: order, titles, sizes and colours."""

    all: list[Facts]
    seeds: int
    detectors: list[Facts]  # which stand beside them where unusual rows are looked for

    @property
    def variants(self) -> dict[str, str]:
        """variant → title, in the order of the facts."""
        return {contender["variant"]: contender["title"] for contender in self.all}

    @property
    def variant_colours(self) -> dict[str, str]:
        """variant → CSS class. PCA, the yardstick, is always the grey one."""
        others = [variant for variant in self.variants if variant != "pca"]
        return {"pca": "v0"} | {variant: f"v{1 + place % VARIANT_COLOURS}" for place, variant in enumerate(others)}

    @property
    def colours(self) -> dict[str, str]:
        """name → CSS class."""
        following = f"v{1 + (len(self.variant_colours) - 1) % VARIANT_COLOURS}"
        return {contender["name"]: self.variant_colours[contender["variant"]] for contender in self.all} | {
            detector["name"]: following for detector in self.detectors
        }

    @property
    def everyone(self) -> list[Facts]:
        return [*self.all, *self.detectors]

    @property
    def legend(self) -> list[View]:
        return [{"title": title, "colour": self.variant_colours[v]} for v, title in self.variants.items()]

    def of_size(self, size: int) -> list[Facts]:
        return [contender for contender in self.all if contender["latent_dim"] == size]

    def sizes(self, names: Iterable[str]) -> list[int]:
        names = set(names)
        return sorted({contender["latent_dim"] for contender in self.all if contender["name"] in names})

    def find(self, name: Any) -> Facts | None:
        return next((contender for contender in self.everyone if contender["name"] == name), None)

    def title(self, name: str) -> str:
        contender = self.find(name)
        return name if contender is None else f"{contender['title']}, size {contender['latent_dim']}"


def page(facts: Facts) -> View:
    """Everything that the template shows."""
    seeds = int((facts.get("settings") or {}).get("seeds") or 1)
    contenders = Contenders(list(facts.get("contenders") or []), seeds, list(facts.get("detectors") or []))
    pictures = facts.get("pictures") or {}
    return {
        "name": facts["data"]["name"],
        "item": item(facts),
        "date": (facts.get("environment") or {}).get("date"),
        "summary": summary(facts, contenders),
        "data": data(facts["data"]),
        "legend": contenders.legend,
        "verdicts": verdicts(facts, contenders),
        "difference": difference(facts, contenders),
        "reconstructions": rows_beside(pictures.get("reconstructions"), facts, contenders, "restored"),
        "samples": rows_beside(pictures.get("samples"), facts, contenders, "made"),
        "maps": maps(pictures.get("latent_maps"), facts, contenders),
        "traversals": traversals(pictures.get("traversals"), facts, contenders),
        "curves": curves(facts, contenders),
        "trade_off": trade_off(contenders),
        "columns": columns(facts, contenders),
        "archives": archives(facts, contenders),
        "losses": losses(pictures.get("loss_curves"), facts, contenders),
        "table": table(contenders),
        "method": method(facts),
        "map_rows": map_rows(pictures.get("latent_maps")),
    }


# ---- the data and what was done ----


def summary(facts: Facts, contenders: Contenders) -> str:
    """One or two sentences: what the data is, what was trained, what the numbers rest on."""
    rows = {part: int(facts["data"]["rows"].get(part) or 0) for part in PARTS}
    noun = item(facts)
    shape = facts["data"].get("shape")
    described = counted(sum(rows.values()), noun) + (f" of {shape}" if shape else "")
    sizes = sorted({contender["latent_dim"] for contender in contenders.all})
    numbers = "a single number" if sizes == [1] else f"{listed(sizes, 'or')} numbers"
    times = {1: "", 2: ", twice each", 3: ", three times each"}.get(
        contenders.seeds, f", {contenders.seeds} times each"
    )
    return (
        f"{described}. {listed(contenders.variants.values())} learnt to squeeze each {noun} into {numbers} and back"
        f"{times}; what you read below was measured on {counted(rows['test'], noun)} that no model saw while it learnt."
    )


def item(facts: Facts) -> str:
    """What one row of this data is called."""
    return {"image": "image", "text": "text"}.get(facts["data"].get("domain", ""), "row")


def data(facts: Facts) -> View:
    return {
        "rows": [
            {"part": words, "count": f"{facts['rows'][part]:,}"}
            for part, words in PARTS.items()
            if facts["rows"].get(part) is not None
        ],
        "columns": [
            {
                "name": column["name"],
                "kind": column["kind"],
                "missing": f"{column['missing_share']:.1%}" if column.get("missing_share") else "none",
                "distinct": number(column.get("distinct")),
            }
            for column in facts.get("columns") or []
        ],
        "target": facts.get("target"),
        "notes": facts.get("notes") or [],
    }


# ---- the answers ----


def verdicts(facts: Facts, contenders: Contenders) -> list[View]:
    given = facts.get("verdict") or {}
    return [_verdict(job, given.get(job), contenders) for job in JOBS]


def _verdict(job: str, verdict: Facts | None, contenders: Contenders) -> View:
    title, purpose = JOBS[job]
    if not verdict:
        return {"job": job, "title": title, "purpose": purpose, "headline": None}
    numbers = verdict.get("numbers") or []
    winner = contenders.find(verdict.get("winner"))
    leading = next((entry for entry in numbers if entry["name"] == verdict.get("winner")), None)
    return {
        "job": job,
        "title": title,
        "purpose": purpose,
        "headline": verdict["headline"],
        "because": verdict.get("because"),
        "decided": bool(verdict.get("clear")),
        "close": not verdict.get("clear") and len(numbers) > 1,
        "winner": winner and {"title": winner["title"], "colour": contenders.colours[winner["name"]]},
        "size": winner and _size(winner),
        "value": leading and with_spread(leading["value"], leading.get("spread"), contenders.seeds),
        "unit": leading and leading.get("unit"),
        "measure": verdict.get("measure"),
        "figure": figures.intervals(
            numbers, contenders.colours, contenders.seeds, f"{title}: {verdict.get('measure')}"
        ),
    }


def _size(winner: Facts) -> str:
    if "members" in winner:
        return f"of {counted(winner['members'], 'small VAE')}"
    return counted(winner["latent_dim"], "number per row", "numbers per row")


def difference(facts: Facts, contenders: Contenders) -> View | None:
    """AE and VAE at one size both have: the size chosen for reducing where possible, else the largest."""
    by_size = {
        variant: {c["latent_dim"]: c for c in contenders.all if c["variant"] == variant}
        for variant in ("autoencoder", "vae")
    }
    plain, variational = by_size["autoencoder"], by_size["vae"]
    shared = sorted(plain.keys() & variational.keys())
    if not shared:
        return None
    chosen = ((facts.get("verdict") or {}).get("reduce") or {}).get("latent_dim")
    size = chosen if chosen in shared else shared[-1]
    pair = [plain[size], variational[size]]
    rows = [
        ("Time to train", [_seconds(c) for c in pair]),
        ("Numbers to learn", [number(_at(c, ("cost", "parameters"))) for c in pair]),
        ("Error on the rows it learnt from", [number(_at(c, ("reconstruction", "train"))) for c in pair]),
        ("Error on rows it never saw", [number(_at(c, ("reconstruction", "test"))) for c in pair]),
        ("Overfitting: how much larger the second is", [_gap(c) for c in pair]),
        ("Units of the code that carry something", [_active(c) for c in pair]),
    ]
    return {
        "size": size,
        "titles": [{"title": c["title"], "colour": contenders.colours[c["name"]]} for c in pair],
        "rows": [{"label": label, "cells": cells} for label, cells in rows if any(cell != NOTHING for cell in cells)],
    }


def _at(contender: Facts, path: Sequence[str]) -> Any:
    """The value at a path, or None where any step of it is left out."""
    value: Any = contender
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _seconds(contender: Facts) -> str:
    seconds = finite(_at(contender, ("cost", "fit_seconds")))
    return NOTHING if seconds is None else f"{number(seconds)} s"


def _gap(contender: Facts) -> str:
    train, test = (finite(_at(contender, ("reconstruction", part))) for part in ("train", "test"))
    return (
        NOTHING
        if train is None or test is None or train <= 0
        else f"{(test / train - 1) * 100:+.0f}%".replace("-", "−")
    )


def _active(contender: Facts) -> str:
    active = _at(contender, ("latent", "active_units"))
    return NOTHING if finite(active) is None else f"{number(active)} of {contender['latent_dim']}"


# ---- choosers: one panel of several is shown ----


def _choice(key: str, label: str, panels: Sequence[tuple[str, View]], chosen: str | None = None) -> View | None:
    """Panels and what to call them; `chosen` is the text of the panel shown first."""
    if not panels:
        return None
    texts = [text for text, _ in panels]
    first = texts.index(chosen) if chosen in texts else len(texts) - 1
    return {
        "key": key,
        "label": label,
        "panels": [
            {"id": f"{key}-{place}", "text": text, "chosen": place == first, **view}
            for place, (text, view) in enumerate(panels)
        ],
    }


def _chosen_size(facts: Facts, job: str) -> str:
    return str(((facts.get("verdict") or {}).get(job) or {}).get("latent_dim"))


def _chosen_title(facts: Facts, job: str, contenders: Contenders) -> str:
    return contenders.title(str(((facts.get("verdict") or {}).get(job) or {}).get("winner")))


# ---- pictures ----


def rows_beside(part: Facts | None, facts: Facts, contenders: Contenders, verb: str) -> View | None:
    """Real rows and the contenders' rows, as images, tables or texts. `verb` says what a contender did: restored or
    made."""
    if not part or not part.get("by_contender"):
        return None
    part = _as_columns(part) if part["kind"] == "text" else part
    job = "reduce" if verb == "restored" else "generate"
    show = _strips if part["kind"] == "image" else _blocks
    panels = [(str(size), show(part, contenders, size, verb)) for size in contenders.sizes(part["by_contender"])]
    return {
        "kind": part["kind"],
        "columns": _aligned(part.get("columns") or [], facts["data"].get("columns") or []),
        "choice": _choice(verb, "Latent size", panels, _chosen_size(facts, job)),
    }


def _as_columns(part: Facts) -> Facts:
    """Texts as rows of one column."""
    made = {name: [[text] for text in texts] for name, texts in part["by_contender"].items()}
    return {**part, "columns": ["text"], "originals": [[text] for text in part["originals"]], "by_contender": made}


def _aligned(names: Sequence[str], columns: Sequence[Facts]) -> list[View]:
    """Numbers stand flush right, so that their digits line up."""
    numeric = {column["name"] for column in columns if column["kind"] in ("number", "integer")}
    return [{"name": name, "side": "right" if name in numeric else ""} for name in names]


def _strips(part: Facts, contenders: Contenders, size: int, verb: str) -> View:
    """A strip of real images first, then one per contender of this size."""
    made = [
        {
            "label": contender["title"],
            "spoken": f"Images {verb} by {contender['title']} at latent size {size}",
            "colour": contenders.colours[contender["name"]],
            "images": part["by_contender"][contender["name"]],
        }
        for contender in contenders.of_size(size)
        if contender["name"] in part["by_contender"]
    ]
    real = {"label": "Real", "spoken": "Real images", "colour": "", "images": part.get("originals") or []}
    return {"strips": [real, *made]}


def _blocks(part: Facts, contenders: Contenders, size: int, verb: str) -> View:
    """Restored rows stand under their own original; made rows stand under their maker."""
    originals = part.get("originals") or []
    makers = [c for c in contenders.of_size(size) if c["name"] in part["by_contender"]]
    real = {"label": "Real", "colour": ""}
    if verb == "made":
        lines = [{**real, "cells": _cells(row)} for row in originals]
        made = [
            [
                {"label": c["title"], "colour": contenders.colours[c["name"]], "cells": _cells(row)}
                for row in part["by_contender"][c["name"]]
            ]
            for c in makers
        ]
        return {"blocks": [{"lines": block} for block in [lines, *made] if block]}
    blocks = [
        {
            "lines": [
                {**real, "cells": _cells(original)},
                *(
                    {
                        "label": c["title"],
                        "colour": contenders.colours[c["name"]],
                        "cells": _cells(
                            part["by_contender"][c["name"]][place], None if part["kind"] == "text" else original
                        ),
                        "heat": _heat(part, c["name"], place),
                    }
                    for c in makers
                    if place < len(part["by_contender"][c["name"]])
                ),
            ]
        }
        for place, original in enumerate(originals)
    ]
    return {"blocks": blocks}


def _heat(part: Facts, name: str, place: int) -> list[View]:
    """An original text in pieces, each with its surprise as one of the levels of heat; nothing for other rows."""
    rows = (part.get("heat") or {}).get(name) or []
    if place >= len(rows):
        return []
    return [
        {"text": piece, "level": max(0, min(MOST_HEAT, int(nats / NATS_PER_HEAT))), "nats": number(nats)}
        for piece, nats in rows[place]
    ]


def _cells(row: Sequence[Any], original: Sequence[Any] | None = None) -> list[View]:
    """A restored cell is `same` as its original, `changed`, or a `guess` where the original is missing."""
    cells: list[View] = [{"text": cell, "state": "missing" if cell is None else ""} for cell in row]
    for cell, real in zip(cells, original or [], strict=False):
        cell["state"] = "guess" if real is None else "same" if cell["text"] == real else "changed"
    return cells


def maps(part: Facts | None, facts: Facts, contenders: Contenders) -> View | None:
    if not part or not part.get("by_contender"):
        return None
    labels = [row.get("label") for row in part["rows"]]
    colouring = _colouring(labels, facts["data"].get("target"))
    panels = []
    for size in contenders.sizes(part["by_contender"]):
        shown = [c for c in contenders.of_size(size) if c["name"] in part["by_contender"]]
        pictures = [
            {
                "title": contender["title"],
                "colour": contenders.colours[contender["name"]],
                "figure": figures.latent_map(
                    contenders.title(contender["name"]),
                    part["by_contender"][contender["name"]].get("axes") or [],
                    part["by_contender"][contender["name"]]["points"],
                    colouring["styles"],
                    colouring["names"],
                ),
            }
            for contender in shown
        ]
        panels.append((str(size), {"figures": pictures}))
    target = facts["data"].get("target") or {}
    return {
        "choice": _choice("maps", "Latent size", panels, _chosen_size(facts, "reduce")),
        "target": target.get("name"),
        "legend": colouring["legend"],
        "ramp": colouring["ramp"],
    }


def _colouring(labels: Sequence[Any], target: Facts | None) -> View:
    """A CSS class or a place on a ramp for each row, and what the legend must say."""
    if target and target.get("kind") == "number":
        return _ramp([_as_number(label) for label in labels])
    known = [str(name) for name in (target or {}).get("classes") or []]
    names = list(dict.fromkeys([*known, *(str(label) for label in labels if label is not None)]))
    styles = {
        name: f"c{place % CATEGORY_COLOURS}" + (" hollow" if place >= CATEGORY_COLOURS else "")
        for place, name in enumerate(names)
    }
    return {
        "styles": ["unlabelled" if label is None else styles[str(label)] for label in labels],
        "names": ["" if label is None else str(label) for label in labels],
        "legend": [{"name": name, "style": style} for name, style in styles.items()],
        "ramp": None,
    }


def _ramp(values: Sequence[float | None]) -> View:
    known = [value for value in values if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    span = high - low or 1.0
    return {
        "styles": ["unlabelled" if v is None else f"--t: {round(100 * (v - low) / span)}%" for v in values],
        "names": [""] * len(values),
        "legend": [],
        "ramp": {"low": number(low), "high": number(high)} if known else None,
    }


def _as_number(label: Any) -> float | None:
    """Labels are text in the facts, whatever the target's kind."""
    try:
        return finite(float(label))
    except (TypeError, ValueError):
        return None


def map_rows(part: Facts | None) -> list[View]:
    """What the pages' tooltips need to know of each row of the latent maps."""
    return [{key: row.get(key) for key in ("label", "text", "png")} for row in (part or {}).get("rows") or []]


def traversals(part: Facts | None, facts: Facts, contenders: Contenders) -> View | None:
    if not part:
        return None
    panels = [
        (contenders.title(contender["name"]), _walks(part[contender["name"]], contender, contenders))
        for contender in contenders.all
        if (part.get(contender["name"]) or {}).get("units")
    ]
    choice = _choice("walks", "Model", panels, _chosen_title(facts, "generate", contenders))
    return choice and {"choice": choice}


def _walks(part: Facts, contender: Facts, contenders: Contenders) -> View:
    colour = contenders.colours[contender["name"]]
    kl = _at(contender, ("latent", "kl_per_unit"))
    return {
        "kind": part["kind"],
        "colour": colour,
        "units": [_walk(unit, part, contender) for unit in part["units"]],
        "columns": _walked_columns(part) if part["kind"] == "table" else [],
        "bars": figures.unit_bars(kl, colour) if kl else Markup(""),
    }


def _walk(unit: Facts, part: Facts, contender: Facts) -> View:
    view = {"label": unit.get("label") or f"unit {unit['unit']}", "carries": _carries(unit, contender)}
    positions = unit.get("positions") or []
    if part["kind"] == "text":
        frames = unit.get("frames") or []
        shown = [round(i * (len(frames) - 1) / (TEXTS_OF_WALK - 1)) for i in range(TEXTS_OF_WALK)] if frames else []
        texts = [{"at": number(positions[i]), "text": frames[i]} for i in dict.fromkeys(shown)]
        return {**view, "texts": texts}
    if part["kind"] == "image":
        ends = f"{number(positions[0])} to {number(positions[-1])}" if positions else ""
        return {**view, "ends": ends, "images": unit.get("frames") or []}
    ranges = _column_ranges(part)
    by_name = {column["name"]: column["values"] for column in unit["columns"]}
    return {
        **view,
        "lines": [
            figures.sparkline(positions, by_name.get(name, []), *ranges[name], f"{name} along {view['label']}")
            for name in _walked_columns(part)
        ],
    }


def _carries(unit: Facts, contender: Facts) -> str:
    found = next((c for c in _at(contender, ("latent", "carries")) or [] if c["unit"] == unit["unit"]), None)
    return listed(column["name"] for column in (found or {}).get("columns", [])[:3])


def _column_ranges(part: Facts) -> dict[str, tuple[float, float]]:
    """One range per column over all units: a flat line then means that the unit leaves the column alone."""
    values: dict[str, list[float]] = {}
    for unit in part["units"]:
        for column in unit["columns"]:
            known = [v for value in column["values"] if (v := finite(value)) is not None]
            values.setdefault(column["name"], []).extend(known)
    return {name: (min(known, default=0.0), max(known, default=0.0)) for name, known in values.items()}


def _walked_columns(part: Facts) -> list[str]:
    return list(_column_ranges(part))[:MOST_WALKED_COLUMNS]


# ---- sizes ----


def curves(facts: Facts, contenders: Contenders) -> list[View]:
    """A curve per job; a single size makes no curve."""
    if len({contender["latent_dim"] for contender in contenders.all}) < 2:
        return []
    given = facts.get("verdict") or {}
    drawn = [
        {
            "title": JOBS[job][0],
            "measure": given[job].get("measure"),
            "figure": figures.size_curve(given[job], contenders.colours, contenders.variants, contenders.seeds),
        }
        for job in JOBS
        if given.get(job)
    ]
    return [curve for curve in drawn if curve["figure"]]


def trade_off(contenders: Contenders) -> View | None:
    figure = figures.rate_distortion(contenders.all, contenders.colours)
    if not figure:
        return None
    raw = next((v for c in contenders.all if (v := _at(c, ("compression", "raw_bits_per_row"))) is not None), None)
    units = {_at(c, ("reconstruction", "unit")) for c in contenders.all} - {None}
    return {"figure": figure, "raw": None if raw is None else number(raw), "unit": listed(sorted(units))}


def columns(facts: Facts, contenders: Contenders) -> View | None:
    """The error of each column at each size; columns keep their order, the widest tables show the worst restored."""
    having = [c for c in contenders.all if _at(c, ("reconstruction", "per_column"))]
    if not having:
        return None
    worst: dict[str, float] = {}
    for contender in having:
        for column, error in contender["reconstruction"]["per_column"].items():
            worst[column] = max(worst.get(column, 0.0), finite(error) or 0.0)
    names = sorted(worst, key=lambda column: -worst[column])[:MOST_COLUMNS]
    panels = [
        (
            str(size),
            {
                "figure": figures.column_errors(
                    [c for c in having if c["latent_dim"] == size], names, contenders.colours
                )
            },
        )
        for size in contenders.sizes(c["name"] for c in having)
    ]
    return {
        "choice": _choice("columns", "Latent size", panels, _chosen_size(facts, "reduce")),
        "left_out": len(worst) - len(names),
        "unit": _at(having[0], ("reconstruction", "unit")),
    }


# ---- real bytes ----


def archives(facts: Facts, contenders: Contenders) -> View | None:
    """Bytes per row of the models' archives, and of general tools on the same rows; the smallest of all is marked."""
    given = facts.get("compression_baselines") or {}
    models = [(contender, contender["archive"]) for contender in contenders.all if contender.get("archive")]
    tools = given.get("tools") or []
    totals = [archive.get("total_bytes_per_row") for _, archive in models]
    totals += [given.get("plain_bytes_per_row"), *(tool.get("bytes_per_row") for tool in tools)]
    known = [total for value in totals if (total := finite(value)) is not None]
    if not known:
        return None
    least, decimals = min(known), decimals_for([min(known)])

    def line(title: str, rows: Any, model: Any, total: Any, **more: Any) -> View:
        shown = {"rows": number(rows, decimals), "model": number(model), "total": number(total, decimals)}
        return {"title": title, "size": None, "colour": "", "note": "", "best": finite(total) == least, **shown, **more}

    own = [
        line(
            contender["title"],
            *(archive.get(key) for key in ("bytes_per_row", "model_bytes", "total_bytes_per_row")),
            size=contender["latent_dim"],
            colour=contenders.colours[contender["name"]],
        )
        for contender, archive in models
        if not archive.get("refused")
    ]
    plain = given.get("plain_bytes_per_row")
    others = [line("Plain file", plain, None, plain, note=given.get("form"))] if finite(plain) is not None else []
    others += [
        line(tool["name"], tool["bytes_per_row"], None, tool["bytes_per_row"], note=tool.get("input"))
        for tool in tools
        if not tool.get("refused")
    ]
    refusals: dict[str, dict[str, None]] = {}
    for name, refused in [
        *((contender["title"], archive.get("refused")) for contender, archive in models),
        *((tool["name"], tool.get("refused")) for tool in tools),
    ]:
        if refused:
            refusals.setdefault(refused, {})[name] = None
    rows = given.get("rows") or next((archive["rows"] for _, archive in models), 0)
    return {
        "rows": counted(int(rows), f"held-out {item(facts)}"),
        "groups": [group for group in (own, others) if group],
        "refusals": [{"names": listed(names), "reason": reason} for reason, names in refusals.items()],
    }


# ---- training ----


def losses(part: Sequence[Facts] | None, facts: Facts, contenders: Contenders) -> View | None:
    names = list(dict.fromkeys(run["name"] for run in part or []))
    panels = [
        (contenders.title(name), {"figures": _loss_figures([r for r in part or [] if r["name"] == name], contenders)})
        for name in names
    ]
    choice = _choice("losses", "Model", panels, _chosen_title(facts, "reduce", contenders))
    return choice and {"choice": choice}


def _loss_figures(runs: Sequence[Facts], contenders: Contenders) -> list[View]:
    terms = dict.fromkeys(term for run in runs for term in run["terms"])
    ordered = sorted(terms, key=lambda term: term != "loss")
    colour = contenders.colours.get(runs[0]["name"], "v0")
    drawn = [
        {
            "title": TERMS.get(term, (term.replace("_", " ").capitalize(), ""))[0],
            "gloss": TERMS.get(term, ("", ""))[1],
            "figure": figures.loss_curve(term, [_run(run, term) for run in runs if term in run["terms"]], colour),
        }
        for term in ordered
    ]
    return [view for view in drawn if view["figure"]]


def _run(run: Facts, term: str) -> View:
    series = run["terms"][term]
    return {
        "seed": run.get("seed"),
        "epochs": run.get("epochs") or [],
        "best_epoch": run.get("best_epoch"),
        "train": series.get("train") or [],
        "validation": series.get("validation") or [],
    }


# ---- all numbers ----


def table(contenders: Contenders) -> View:
    """A row per contender, a column per measure that any contender has."""
    measures = [m for m in (*MEASURES, *_anomaly_kinds(contenders.all)) if _values(m, contenders.all)]
    columns = [
        {
            "heading": measure.heading,
            "unit": measure.unit or _unit(measure, contenders.all),
            "gloss": f"{measure.gloss}\nUnit: {_unit(measure, contenders.all)}.",
            "cells": _column(measure, contenders),
        }
        for measure in measures
    ]
    rows = [
        {
            "title": contender["title"],
            "size": contender.get("latent_dim"),
            "colour": contenders.colours[contender["name"]],
            "cells": [column["cells"][place] for column in columns],
            "model": contender.get("model"),
        }
        for place, contender in enumerate(contenders.everyone)
    ]
    return {"columns": columns, "rows": rows, "models": any(row["model"] for row in rows)}


def _anomaly_kinds(contenders: Sequence[Facts]) -> list[Measure]:
    """Detection of each kind of odd row that was planted."""
    kinds = dict.fromkeys(kind for c in contenders for kind in _at(c, ("anomaly", "by_kind")) or {})
    return [
        Measure(
            ("anomaly", "by_kind", kind),
            "Detection",
            f"AUROC, {kind}",
            f"The same for one kind of odd row: {kind}.",
            "higher",
        )
        for kind in kinds
    ]


def _values(measure: Measure, contenders: Sequence[Facts]) -> list[float]:
    return [value for c in contenders if (value := finite(_at(c, measure.path))) is not None]


def _unit(measure: Measure, contenders: Sequence[Facts]) -> str:
    """The measure's own words and the unit that the facts name, each at most once."""
    named = next((unit for c in contenders if (unit := _at(c, measure.unit_path))), "") if measure.unit_path else ""
    return ", ".join(dict.fromkeys(word for word in (measure.unit, str(named)) if word))


def _column(measure: Measure, contenders: Contenders) -> list[View]:
    """The cells of one measure, all with the same number of decimals; the best mean is marked."""
    values = _values(measure, contenders.everyone)
    whole = all(value == round(value) for value in values)
    decimals = 0 if whole else decimals_for([median(abs(value) for value in values)])
    best = _best(measure, values)
    cells = []
    for contender in contenders.everyone:
        value = finite(_at(contender, measure.path))
        spread = finite(_at(contender, ("spread", *measure.path)))
        cells.append(
            {
                "text": number(value, decimals),
                "spread": _spread(spread, decimals) if contenders.seeds > 1 and value is not None else None,
                "value": value,
                "best": value is not None and best is not None and value == best,
            }
        )
    return cells


def _spread(spread: float | None, decimals: int) -> str | None:
    """The spread in as many decimals as its value, or one more; None where that rounds to nothing."""
    if not spread:
        return None
    decimals = decimals_with_spread(decimals, spread)
    return None if spread < 0.5 * 10**-decimals else number(spread, decimals)


def _best(measure: Measure, values: Sequence[float]) -> float | None:
    if measure.best is None or len(values) < 2:
        return None
    if measure.best == "lower":
        return min(values)
    if measure.best == "higher":
        return max(values)
    ideal = float(measure.best)
    return min(values, key=lambda value: abs(value - ideal))


# ---- how it was measured ----

SETTINGS = {
    "models": "Models",
    "latents": "Latent sizes",
    "seeds": "Trainings of each",
    "seed": "First seed",
    "epochs": "Most epochs",
    "batch_size": "Rows per step",
    "hidden": "Hidden widths",
    "network": "Network",
    "likelihood": "Likelihood",
    "test": "Held-out rows from",
    "seconds": "Seconds in all",
}
ENVIRONMENT = {
    "isthmus": "isthmus",
    "python": "Python",
    "torch": "PyTorch",
    "scikit_learn": "scikit-learn",
    "platform": "System",
    "processor": "Processor",
    "cores": "Cores",
    "device": "Device",
    "date": "Date",
}


def method(facts: Facts) -> View:
    contenders = list(facts.get("contenders") or [])
    settings = facts.get("settings") or {}
    return {
        "command": settings.get("command"),
        "measures": [
            {"heading": measure.heading, "unit": _unit(measure, contenders), "gloss": measure.gloss}
            for measure in MEASURES
            if _values(measure, contenders)
        ],
        "bounds": sorted({b for c in contenders if (b := _at(c, ("likelihood", "bound")))}),
        "packing": sorted({m for c in contenders if (m := _at(c, ("compression", "method")))}),
        "settings": _described(settings, SETTINGS),
        "environment": _described(facts.get("environment") or {}, ENVIRONMENT),
        "source": facts["data"].get("source"),
    }


def _described(given: Facts, names: Mapping[str, str]) -> list[View]:
    return [
        {"name": name, "value": _plain(given[key])}
        for key, name in names.items()
        if given.get(key) not in (None, [], "")
    ]


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item) for item in value)
    return number(value) if finite(value) is not None else str(value)

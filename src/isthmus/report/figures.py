"""Parts of the facts as SVG. Pure functions: the same facts give the same bytes.

Every chart is 300 to 360 pixels wide, so that its 12-pixel text stays legible on a phone; the page sets charts side by
side where there is room. Colours are CSS classes (`v0` … for variants, `c0` … for classes of the target), so that both
themes and print look right. A mark with `data-tip` (its words) or `data-row` (a row of the latent maps) answers to
pointer, touch and keyboard; report.js finds it there. A part that has nothing to show gives an empty string.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from markupsafe import Markup

from .scales import Scale, apart, sizes, spanning, tick_labels
from .svg import drawing, element, path, text
from .words import finite, number, with_spread

Facts = Mapping[str, Any]
Colours = Mapping[str, str]  # a contender's name → its variant's CSS class

WIDTH, HEIGHT = 360.0, 250.0
NARROW = 300.0  # inside a card on a phone
LOSS_WIDTH = 320.0  # three side by side
LEFT, RIGHT, TOP, BOTTOM = 50.0, 62.0, 30.0, 42.0
LINE = 14.0
MOST_STEPS = 200
MOST_NAMES = 12
NONE = Markup("")


def shortened(label: str, length: int) -> str:
    """The label, cut with an ellipsis where a picture has no room for it."""
    return label if len(label) <= length else label[: length - 1] + "…"


# ---- verdicts ----


def intervals(numbers: Sequence[Facts], colours: Colours, seeds: int, measure: str) -> Markup:
    """The numbers of a verdict, a line per variant: a dot at the mean, a bar of one standard deviation each way."""
    shown = _with_value(numbers)
    if not shown:
        return NONE
    x = spanning((edge for entry in shown for edge in _edges(entry)), 104.0, 192.0, padding=0.08)
    spoken = "; ".join(f"{e['label']}: {with_spread(e['value'], e.get('spread'), seeds)}" for e in shown)
    lines = [_interval(entry, colours, x, 30.0 * place + 15, seeds) for place, entry in enumerate(shown)]
    return drawing(NARROW, 30 * len(shown), measure, spoken, *lines, class_="intervals")


def _interval(entry: Facts, colours: Colours, x: Scale, y: float, seeds: int) -> Markup:
    low, high = _edges(entry)
    return element(
        "g",
        text(shortened(str(entry["label"]), 15), 0, y + 4),
        _line(x.start, y, x.end, y, "grid"),
        _line(x(low), y, x(high), y, "whisker") if high > low else NONE,
        element("circle", cx=x(entry["value"]), cy=y, r=5),
        text(with_spread(entry["value"], entry.get("spread"), seeds), NARROW, y + 4, class_="value", text_anchor="end"),
        class_=colours.get(entry["name"], "v0"),
    )


def size_curve(verdict: Facts, colours: Colours, titles: Mapping[str, str], seeds: int) -> Markup:
    """A job's measure against latent size: a line per variant, a band of one standard deviation, the winner ringed."""
    curve = _with_value(verdict.get("curve") or [])
    if not curve:
        return NONE
    x = sizes((point["latent_dim"] for point in curve), LEFT + 8, WIDTH - RIGHT)
    y = spanning((edge for point in curve for edge in _edges(point)), HEIGHT - BOTTOM, TOP)
    lines = _by_variant(curve)
    better = {"lower": "↓ lower is better", "higher": "↑ higher is better"}.get(str(verdict.get("better")), "")
    rings = [
        element("circle", cx=x(point["latent_dim"]), cy=y(point["value"]), r=9, class_="chosen")
        for point in curve
        if point["name"] == verdict.get("winner")
    ]
    return drawing(
        WIDTH,
        HEIGHT,
        f"{verdict.get('measure') or 'The measure'} by latent size",
        "; ".join(f"{p['name']}: {with_spread(p['value'], p.get('spread'), seeds)}" for p in curve),
        _frame(x, y, _size_ticks(curve, x), "latent size: numbers per row", better),
        *(_curve_line(line, colours, titles, x, y, seeds) for line in lines.values()),
        *rings,
        *_line_ends([(titles.get(variant, variant), line[-1]) for variant, line in lines.items()], colours, y),
    )


def _curve_line(
    line: Sequence[Facts], colours: Colours, titles: Mapping[str, str], x: Scale, y: Scale, seeds: int
) -> Markup:
    upper = [(x(point["latent_dim"]), y(_edges(point)[1])) for point in line]
    lower = [(x(point["latent_dim"]), y(_edges(point)[0])) for point in line]
    centre = [(x(point["latent_dim"]), y(point["value"])) for point in line]
    dots = [
        element(
            "circle",
            cx=across,
            cy=down,
            r=4,
            data_tip=f"{titles.get(point['variant'], point['variant'])}, latent size {point['latent_dim']}\n"
            f"{with_spread(point['value'], point.get('spread'), seeds)}",
        )
        for point, (across, down) in zip(line, centre, strict=True)
    ]
    band = path([*upper, *reversed(lower)], class_="band")
    return element("g", band, path(centre, class_="line"), *dots, class_=colours.get(line[0]["name"], "v0"))


def _line_ends(ends: Sequence[tuple[str, Facts]], colours: Colours, y: Scale) -> list[Markup]:
    """The variants' names at the ends of their lines, moved apart where they would touch."""
    places = apart([y(point["value"]) for _, point in ends], LINE, TOP, HEIGHT - BOTTOM)
    return [
        text(shortened(title, 8), WIDTH - RIGHT + 13, place + 4, class_=f"name {colours.get(point['name'], 'v0')}")
        for (title, point), place in zip(ends, places, strict=True)
    ]


def rate_distortion(contenders: Sequence[Facts], colours: Colours) -> Markup:
    """Bits per row against reconstruction error: a dot per contender, labelled by its size, joined within a variant."""
    shown = [
        {
            "name": contender["name"],
            "title": contender["title"],
            "variant": contender["variant"],
            "latent_dim": contender["latent_dim"],
            "bits": finite((contender.get("compression") or {}).get("bits_per_row")),
            "value": finite((contender.get("reconstruction") or {}).get("test")),
        }
        for contender in contenders
    ]
    shown = [point for point in shown if point["bits"] is not None and point["value"] is not None]
    if not shown:
        return NONE
    x = spanning((point["bits"] for point in shown), LEFT + 10, WIDTH - 20)
    y = spanning((point["value"] for point in shown), HEIGHT - BOTTOM, TOP)
    return drawing(
        WIDTH,
        HEIGHT,
        "Compressed size against reconstruction error",
        "; ".join(f"{p['name']}: {number(p['bits'])} bits per row, error {number(p['value'])}" for p in shown),
        _frame(x, y, _even_ticks(x), "bits per row, compressed →", "↑ reconstruction error"),
        *(_trade_off(line, colours, x, y, place) for place, line in enumerate(_by_variant(shown).values())),
    )


def _trade_off(line: Sequence[Facts], colours: Colours, x: Scale, y: Scale, place: int) -> Markup:
    """Neighbouring lines carry their labels on opposite sides."""
    across, down, anchor = ((8, -5, "start"), (-8, 13, "end"))[place % 2]
    dots = [
        element(
            "circle",
            cx=x(point["bits"]),
            cy=y(point["value"]),
            r=4,
            data_tip=f"{point['title']}, latent size {point['latent_dim']}\n"
            f"{number(point['bits'])} bits per row, error {number(point['value'])}",
        )
        for point in line
    ]
    labels = [
        text(str(p["latent_dim"]), x(p["bits"]) + across, y(p["value"]) + down, class_="tick", text_anchor=anchor)
        for p in line
    ]
    joined = path([(x(point["bits"]), y(point["value"])) for point in line], class_="line thin")
    return element("g", joined, *dots, *labels, class_=colours.get(line[0]["name"], "v0"))


# ---- columns ----


def column_errors(contenders: Sequence[Facts], columns: Sequence[str], colours: Colours) -> Markup:
    """The error of each column: a line per column, a dot per contender."""
    errors = {
        contender["name"]: (contender.get("reconstruction") or {}).get("per_column") or {} for contender in contenders
    }
    values = [v for by_column in errors.values() for c in columns if (v := finite(by_column.get(c))) is not None]
    if not values:
        return NONE
    bottom = TOP + 26.0 * len(columns)
    x = spanning([0.0, *values], 132.0, WIDTH - 14, padding=0.03)
    ticks = [(value, label) for value, label in _even_ticks(x, 4) if value >= 0]
    return drawing(
        WIDTH,
        bottom + BOTTOM,
        "Reconstruction error of each column",
        "; ".join(f"{name}: {column} {number(by[column])}" for name, by in errors.items() for column in by),
        *(_line(x(value), TOP - 6, x(value), bottom, "grid") for value, _ in ticks),
        *(text(label, x(value), bottom + 16, text_anchor="middle", class_="tick") for value, label in ticks),
        text("error on held-out rows", (x.start + x.end) / 2, bottom + 34, text_anchor="middle", class_="axis"),
        *(
            _column_line(column, contenders, errors, colours, x, TOP + 26.0 * place + 8)
            for place, column in enumerate(columns)
        ),
    )


def _column_line(
    column: str,
    contenders: Sequence[Facts],
    errors: Mapping[str, Facts],
    colours: Colours,
    x: Scale,
    y: float,
) -> Markup:
    found = [(c, value) for c in contenders if (value := finite(errors[c["name"]].get(column))) is not None]
    span = [x(value) for _, value in found]
    dots = [
        element(
            "circle",
            cx=x(value),
            cy=y,
            r=5,
            class_=colours.get(contender["name"], "v0"),
            data_tip=f"{column}\n{contender['title']}: {number(value)}",
        )
        for contender, value in found
    ]
    joined = _line(min(span), y, max(span), y, "link") if len(span) > 1 else NONE
    return element("g", text(shortened(column, 17), 0, y + 4), joined, *dots)


# ---- training ----


def loss_curve(title: str, runs: Sequence[Facts], colour: str) -> Markup:
    """One term of the loss over the epochs: training dashed, validation solid, the kept epoch marked; a line per seed.

    A run is {epochs, train, validation, best_epoch, seed}. The first steps can dwarf all that follows, so the scale is
    set by the epochs after the first twentieth and the rest of the line leaves through the top.
    """
    runs = [_thinned(run) for run in runs]
    values = [v for run in runs for part in ("train", "validation") for v in _settled(run[part])]
    epochs = [epoch for run in runs for epoch in run["epochs"]]
    if not values or not epochs:
        return NONE
    x = Scale(min(epochs), max(epochs), LEFT + 4, LOSS_WIDTH - 14)
    y = spanning(values, HEIGHT - BOTTOM, TOP)
    return drawing(
        LOSS_WIDTH,
        HEIGHT,
        f"{title} by epoch",
        "; ".join(f"seed {run['seed']}: validation ends at {number(_last(run['validation']))}" for run in runs),
        _frame(x, y, _even_ticks(x, 4), "epoch", "nats per row"),
        element("g", *(_run(run, x, y) for run in runs), class_=colour),
    )


def _run(run: Facts, x: Scale, y: Scale) -> Markup:
    """A nested picture clips what leaves the scale, without an identifier that would have to be unique."""
    lines = [
        path(_places(run["epochs"], run[part], x, y), class_=style)
        for part, style in (("train", "line thin dashed"), ("validation", "line"))
    ]
    best = finite(run.get("best_epoch"))
    mark = _line(x(best), TOP, x(best), HEIGHT - BOTTOM, "best") if best is not None else NONE
    clipped = element(
        "svg",
        *lines,
        x=0,
        y=TOP,
        width=LOSS_WIDTH,
        height=HEIGHT - BOTTOM - TOP,
        viewBox=f"0 {TOP:g} {LOSS_WIDTH:g} {HEIGHT - BOTTOM - TOP:g}",
    )
    tips = [
        element(
            "circle",
            cx=x(epoch),
            cy=min(max(y(value), TOP), HEIGHT - BOTTOM),
            r=3,
            class_="unseen",
            data_tip=f"epoch {epoch}, seed {run['seed']}\nvalidation {number(value)}"
            + (f", training {number(run['train'][place])}" if place < len(run["train"]) else ""),
        )
        for place, (epoch, value) in enumerate(zip(run["epochs"], run["validation"], strict=False))
        if finite(value) is not None and place % max(1, len(run["epochs"]) // 20) == 0
    ]
    return element("g", mark, clipped, *tips)


def _places(epochs: Sequence[Any], values: Sequence[Any], x: Scale, y: Scale) -> list[tuple[float, float]]:
    pairs = zip(epochs, values, strict=False)
    return [(x(epoch), y(known)) for epoch, value in pairs if (known := finite(value)) is not None]


def _settled(values: Sequence[Any]) -> list[float]:
    return [v for value in values[len(values) // 20 :] if (v := finite(value)) is not None]


def _last(values: Sequence[Any]) -> Any:
    return values[-1] if values else None


def _thinned(run: Facts) -> dict[str, Any]:
    """At most MOST_STEPS epochs, the last one always among them: more would not be seen."""
    count = len(run["epochs"])
    step = max(1, -(-count // MOST_STEPS))
    keep = sorted({*range(0, count, step), count - 1}) if count else []
    series = {
        part: [values[i] for i in keep if i < len(values)]
        for part in ("epochs", "train", "validation")
        if (values := run.get(part) or []) is not None
    }
    return {**run, **series}


# ---- latent space ----


def latent_map(
    name: str, axes: Sequence[str], points: Sequence[Sequence[Any]], styles: Sequence[str], classes: Sequence[str]
) -> Markup:
    """The rows' codes in two dimensions, shape (rows, 2).

    `styles[i]` colours point i: CSS classes, or "--t: 37%" for its place on a ramp. `classes[i]` names its class, or is
    empty; each class is named once, at the median of its points, so that nobody has to match colours to a legend.
    """
    size, margin = 340.0, 12.0
    drawn = [
        (row, float(point[0]), float(point[1]))
        for row, point in enumerate(points)
        if len(point) == 2 and finite(point[0]) is not None and finite(point[1]) is not None
    ]
    if not drawn:
        return NONE
    x = spanning((across for _, across, _ in drawn), margin, size - margin, padding=0.02)
    y = spanning((up for _, _, up in drawn), size - margin, margin, padding=0.02)
    dots = [
        element(
            "circle",
            cx=x(across),
            cy=y(up),
            r=3.5 if len(drawn) > 200 else 4.5,
            data_row=row,
            **({"style": styles[row], "class_": "ramp"} if styles[row].startswith("--") else {"class_": styles[row]}),
        )
        for row, across, up in drawn
    ]
    across, up = (str(axis) for axis in [*axes, "", ""][:2])
    return drawing(
        size,
        size + 20,
        f"Latent map of {name}",
        f"{len(drawn)} rows placed by their codes: {across} across, {up} up",
        element("rect", x=0.5, y=0.5, width=size - 1, height=size - 1, rx=6, class_="ground"),
        *dots,
        *_class_names([(classes[row], x(across), y(up)) for row, across, up in drawn]),
        element("circle", r=8, class_="ring"),
        text(f"{shortened(across, 22)} →", size - 2, size + 15, text_anchor="end", class_="tick"),
        text(f"↑ {shortened(up, 22)}", 2, size + 15, class_="tick"),
        class_="map",
    )


def _class_names(marks: Sequence[tuple[str, float, float]]) -> list[Markup]:
    """The names of up to MOST_NAMES classes; more would cover the points."""
    places: dict[str, list[tuple[float, float]]] = {}
    for name, across, down in marks:
        if name:
            places.setdefault(name, []).append((across, down))
    if not 1 < len(places) <= MOST_NAMES:
        return []
    return [
        text(
            shortened(name, 14),
            median(across for across, _ in found),
            median(down for _, down in found) + 5,
            text_anchor="middle",
            class_="label",
        )
        for name, found in places.items()
    ]


def unit_bars(values: Sequence[Any], colour: str) -> Markup:
    """How much each unit carries, in nats, the fullest first."""
    ranked = sorted(((finite(v) or 0.0, unit) for unit, v in enumerate(values)), key=lambda pair: (-pair[0], pair[1]))
    if not ranked:
        return NONE
    step = min(34.0, (WIDTH - LEFT - 10) / len(ranked))
    height, right = 150.0, LEFT + step * len(ranked)
    y = Scale(0.0, max(ranked[0][0], 1e-9), height - 34, 26.0)
    ticks = _even_ticks(y, 3)
    bars = [
        element(
            "rect",
            x=LEFT + place * step + step * 0.12,
            y=y(value),
            width=step * 0.76,
            height=max(y.start - y(value), 1.0),
            rx=2,
            data_tip=f"unit {unit}\n{number(value)} nats",
        )
        for place, (value, unit) in enumerate(ranked)
    ]
    labels = [
        text(str(unit), LEFT + (place + 0.5) * step, height - 18, text_anchor="middle", class_="tick")
        for place, (_, unit) in enumerate(ranked)
        if step >= 16
    ]
    lines = [
        _line(LEFT, y(value), right, y(value), "grid")
        + text(label, LEFT - 6, y(value) + 4, text_anchor="end", class_="tick")
        for value, label in ticks
    ]
    return drawing(
        WIDTH,
        height,
        "Information carried by each unit",
        "; ".join(f"unit {unit}: {number(value)} nats" for value, unit in ranked),
        *lines,
        element("g", *bars, class_=colour),
        *labels,
        text("nats per row, by unit", 0, 12, class_="axis"),
        text("unit", (LEFT + right) / 2, height - 2, text_anchor="middle", class_="axis") if labels else NONE,
    )


def sparkline(positions: Sequence[float], values: Sequence[Any], low: float, high: float, spoken: str) -> Markup:
    """One column along one unit's walk; [low, high] is shared by all units, so that flat means no effect."""
    width, height = 96.0, 34.0
    pairs = [(p, v) for p, value in zip(positions, values, strict=False) if (v := finite(value)) is not None]
    if not pairs:
        return NONE
    x = Scale(pairs[0][0], pairs[-1][0], 4.0, width - 4)
    y = Scale(low, high, height - 4, 4.0)
    places = [(x(position), y(value)) for position, value in pairs]
    return drawing(
        width,
        height,
        spoken,
        f"from {number(pairs[0][1])} to {number(pairs[-1][1])}",
        path(places, class_="line"),
        element("circle", cx=places[-1][0], cy=places[-1][1], r=3),
        class_="spark",
    )


# ---- which columns are alike ----

CELL, NAMES, NUMBERS = 20.0, 132.0, 18.0


def similarity_map(columns: Sequence[str], values: Sequence[Sequence[Any]]) -> Markup:
    """A square for each two columns, the darker the more alike, from 0 to 1; columns are named once, then numbered."""
    if not columns:
        return NONE
    side = NAMES + CELL * len(columns)
    cells = [
        element(
            "rect",
            element("title", f"{columns[down]}, {columns[across]}: {number(value, 2)}"),
            x=NAMES + CELL * across + 0.5,
            y=NUMBERS + CELL * down + 0.5,
            width=CELL - 1,
            height=CELL - 1,
            # Beside the strength of the colour, so that an opacity of 0.004 is not written as 0.
            fill_opacity=f"{value:.3f}",
        )
        for down, row in enumerate(values)
        for across, cell in enumerate(row)
        if (value := finite(cell)) is not None
    ]
    ground = element("rect", x=NAMES, y=NUMBERS, width=side - NAMES, height=side - NAMES, class_="ground")
    places = [(place, name, CELL * place + CELL / 2) for place, name in enumerate(columns)]
    labels = [
        text(str(i + 1), NAMES + middle, NUMBERS - 5, text_anchor="middle", class_="tick") for i, _, middle in places
    ]
    names = [
        text(f"{shortened(name, 17)} {i + 1}", NAMES - 6, NUMBERS + middle + 4, text_anchor="end")
        for i, name, middle in places
    ]
    return drawing(
        side + 1,
        side - NAMES + NUMBERS + 1,
        "How alike columns are",
        f"{len(columns)} columns, similar ones side by side; the table beside it names the nearest of each",
        ground,
        *cells,
        *labels,
        *names,
        class_="matrix",
    )


# ---- shared ----


def _with_value(entries: Sequence[Facts]) -> list[Facts]:
    return [entry for entry in entries if finite(entry.get("value")) is not None]


def _edges(entry: Facts) -> tuple[float, float]:
    value, spread = finite(entry.get("value")) or 0.0, finite(entry.get("spread")) or 0.0
    return value - spread, value + spread


def _by_variant(points: Iterable[Facts]) -> dict[str, list[Facts]]:
    """The points of each variant in order of size; variants in the order of their first point."""
    lines: dict[str, list[Facts]] = {}
    for point in points:
        lines.setdefault(point["variant"], []).append(point)
    return {variant: sorted(line, key=lambda point: point["latent_dim"]) for variant, line in lines.items()}


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=style)


def _size_ticks(points: Sequence[Facts], x: Scale) -> list[tuple[float, str]]:
    """The sizes that were tried, without labels that would touch."""
    ticks: list[tuple[float, str]] = []
    for size in sorted({point["latent_dim"] for point in points}):
        if not ticks or x(size) - x(ticks[-1][0]) >= 20:
            ticks.append((size, str(size)))
    return ticks


def _even_ticks(scale: Scale, count: int = 5) -> list[tuple[float, str]]:
    ticks = scale.ticks(count)
    return list(zip(ticks, tick_labels(ticks), strict=True))


def _frame(x: Scale, y: Scale, x_ticks: list[tuple[float, str]], x_label: str, y_label: str) -> Markup:
    """Quiet horizontal lines, tick labels, and both axes named in horizontal words."""
    rows = [
        _line(LEFT, y(value), x.end, y(value), "grid")
        + text(label, LEFT - 6, y(value) + 4, text_anchor="end", class_="tick")
        for value, label in _even_ticks(y)
    ]
    columns = [text(label, x(value), y.start + 17, text_anchor="middle", class_="tick") for value, label in x_ticks]
    return element(
        "g",
        *rows,
        *columns,
        text(x_label, (LEFT + x.end) / 2, y.start + 36, text_anchor="middle", class_="axis"),
        text(y_label, 0, 14, class_="axis"),
    )

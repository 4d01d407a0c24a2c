"""The page that `isthmus explain` writes: facts in, one self-contained HTML file out."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ...estimator.size_search import NEGLIGIBLE_SHARE
from ...report.figures import similarity_map, sparkline
from ...report.words import counted, listed, number
from .sizes import reason

View = dict[str, Any]

# A picture and a table of more columns, and a table of more units, are longer than anyone reads.
MOST_COLUMNS, MOST_UNITS = 40, 32
# Texts that are shown along a unit.
MOST_TEXTS = 4


def render(facts: View) -> str:
    """The page as text; nothing in it is fetched from anywhere. It looks like the comparison's report."""
    environment = Environment(
        loader=PackageLoader("isthmus.apps.cli"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    style = PackageLoader("isthmus.report", "page").get_source(environment, "page.css")[0]
    sizes = reason(facts["size_search"]).capitalize() if "size_search" in facts else ""
    for image in facts["unusual"] or ():
        image["shown"] = quantity(image["score"])
    return environment.get_template("explain.html").render(
        facts=facts,
        summary=summary(facts),
        overview=_overview(facts),
        walks=_walks(facts),
        similarity=_similarity(facts["similarity"]),
        features=_features(facts),
        sizes=sizes,
        negligible=f"{NEGLIGIBLE_SHARE:.0%}",
        style=Markup(style),
    )


def summary(facts: View) -> list[str]:
    """What is worth knowing first, in sentences."""
    units = facts["units"]
    unused = [unit for unit in units if not unit["used"]]
    does_not = "are lit by no row" if facts["features"] else "do not vary with the rows"
    said = [_use(len(unused), len(units), f"{does_not}, or " if facts["codes_of"] == "rows" else "")]
    similar = facts["similarity"]
    if similar and similar["groups"]:
        groups = [listed(_few(group)) for group in similar["groups"]]
        said.append(f"Columns that go together: {'; '.join(_few(groups, 4))}.")
    if similar and similar["left_alone"]:
        said.append(f"No unit moves {listed(_few(similar['left_alone']), 'or')}.")
    if facts["codes_of"] == "prior":
        said.append(
            "No rows were given, so these are codes that the model drew itself: whether units vary with rows, and "
            "which rows light a feature, is not known; give DATA to see it."
        )
    return said


def _few(names: list[str], most: int = 6) -> list[str]:
    """The first of many, and how many more there are."""
    return names if len(names) <= most + 1 else [*names[:most], f"{len(names) - most} more"]


def _use(unused: int, units: int, why: str) -> str:
    if not unused:
        return f"All {units} units are used." if units > 1 else "The one unit is used."
    return f"{unused} of {units} units are unused: they {why}move next to nothing."


def _overview(facts: View) -> View:
    """A line per unit, the strongest first: whether it is used, and what it moves most."""
    told = {entry["unit"]: entry["columns"] for entry in facts["carries"]}
    order = sorted(facts["units"], key=lambda unit: -unit["strength"])
    shown = [unit for unit in order if unit["used"] or not facts["features"]][:MOST_UNITS]
    tabular = facts["traversals"]["kind"] == "table"
    return {
        "units": [
            {
                "label": f"unit {unit['unit']}",
                "used": unit["used"],
                "why": _why(unit),
                "strength": number(unit["strength"]),
                "kl": number(unit["kl"]),
                "variance": number(unit["variance"]),
                "lit": percent(unit["lit"]),
                "moves": [_moved(column) for column in told.get(unit["unit"], [])[:3]] if tabular else [],
            }
            for unit in shown
        ],
        "more": len(order) - len(shown),
        "tabular": tabular,
        "column": facts["column_word"],
        "with_kl": any(unit["kl"] is not None for unit in order),
        "with_rows": facts["codes_of"] == "rows",
        "sparse": any(unit["lit"] is not None and unit["lit"] < 0.5 for unit in order),
    }


def _why(unit: View) -> str:
    if unit["used"]:
        return "used"
    if unit["lit"] == 0:
        return "never lit"
    if unit["active"] is False:
        return "does not vary"
    return "moves nothing"


def _moved(column: View) -> str:
    """In a few words, what a unit does to a column."""
    if "values" in column:
        return "; ".join(
            f"{column['name']} = {value['of']} {percent(value['from'])} → {percent(value['to'])}"
            for value in column["values"][:1]
        )
    return f"{_named(column)} {quantity(column['from'])} → {quantity(column['to'])}"


def _named(column: View) -> str:
    return column["name"] + (f" ({column['in']})" if "in" in column else "")


def quantity(value: float | None) -> str:
    """A number as it may stand in a table of any units: four digits, no exponent where thousands do."""
    if value is None:
        return number(None)
    shown = f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return shown.replace("-", "−")


def percent(share: float | None) -> str:
    if share is None:
        return number(None)
    return f"{share:.0%}" if share >= 0.1 or share < 0.0005 else f"{share:.1%}"


def _walks(facts: View) -> list[View]:
    units = facts["traversals"]["units"]
    if facts["traversals"]["kind"] == "image":
        heat = facts.get("heat_maps", {})
        return [unit | {"heat": heat.get(str(unit["unit"]))} for unit in units]
    carried = {entry["unit"]: entry for entry in facts["carries"]}
    if facts["traversals"]["kind"] == "text":
        return [_walk_of_texts(unit, carried[unit["unit"]]["columns"]) for unit in units]
    ranges = _ranges(units)
    return [
        {
            "label": unit["label"],
            "low": number(carried[unit["unit"]]["low"]),
            "high": number(carried[unit["unit"]]["high"]),
            "columns": _columns(unit, carried[unit["unit"]]["columns"], ranges),
        }
        for unit in units
    ]


def _walk_of_texts(unit: View, symbols: list[View]) -> View:
    """The symbols that become more and less frequent along a unit, and some of the texts on the way."""

    def shown(symbol: View) -> str:
        return f"{symbol['name']} {quantity(symbol['from'])} → {quantity(symbol['to'])}"

    texts = list(zip(map(number, unit["positions"]), unit["frames"], strict=True))
    return {
        "label": unit["label"],
        "more": [shown(symbol) for symbol in symbols if symbol["to"] > symbol["from"]],
        "less": [shown(symbol) for symbol in symbols if symbol["to"] < symbol["from"]],
        "texts": texts[:: max(1, len(texts) // MOST_TEXTS)],
    }


def _ranges(units: list[View]) -> dict[str, tuple[float, float]]:
    """One range per column over all units, so that a flat line means no effect; probabilities have 0 to 1."""
    known: dict[str, list[float]] = {}
    for unit in units:
        for column in unit["columns"]:
            values = [0.0, 1.0] if "of" in column else [v for v in column["values"] if v is not None]
            known.setdefault(column["name"], []).extend(values)
    return {name: (min(values, default=0.0), max(values, default=0.0)) for name, values in known.items()}


def _columns(unit: View, carried: list[View], ranges: dict[str, tuple[float, float]]) -> list[View]:
    """The columns that the unit moves, strongest first."""
    walked = {column["name"]: column for column in unit["columns"]}
    return [
        ends(column)
        | {
            "effect": number(column["effect"], 2),
            "line": sparkline(
                unit["positions"],
                walked[column["name"]]["values"],
                *ranges[column["name"]],
                f"{_of(walked[column['name']])} along {unit['label']}",
            ),
        }
        for column in carried
    ]


def _of(column: View) -> str:
    return f"P({column['name']} = {column['of']})" if "of" in column else column["name"]


def ends(column: View) -> View:
    """What a column is called, and what it is at both ends, line by line."""
    if "values" in column:
        return {
            "name": column["name"],
            "values": [value["of"] for value in column["values"]],
            "low": [percent(value["from"]) for value in column["values"]],
            "high": [percent(value["to"]) for value in column["values"]],
        }
    ends = {"low": [quantity(column["from"])], "high": [quantity(column["to"])]}
    return {"name": _named(column), "values": [], **ends}


def _similarity(found: View | None) -> View | None:
    if not found:
        return None
    shown = found["columns"][:MOST_COLUMNS]
    figure = similarity_map(shown, [row[: len(shown)] for row in found["values"][: len(shown)]])
    return {
        "figure": figure,
        "width": round(133 + 20 * len(shown)),
        "partners": [
            {
                "name": entry["name"],
                "partners": [(each["name"], number(each["similarity"], 2)) for each in entry["partners"]],
            }
            for entry in found["partners"][: len(shown)]
        ],
        "most": max((len(entry["partners"]) for entry in found["partners"]), default=0),
        "groups": [listed(group) for group in found["groups"]],
        "left_alone": listed(_few(found["left_alone"]), "or"),
        "more": found["more"] + len(found["columns"]) - len(shown),
    }


def _features(facts: View) -> View | None:
    features = facts["features"]
    if not features:
        return None
    names = [column["name"] for column in facts["traversals"]["units"][0]["columns"]] if _tabular(facts) else []
    if facts["traversals"]["kind"] == "text":
        names = ["text"]
        features = [
            feature | {"examples": [each | {"picture": [each["picture"]]} for each in feature["examples"]]}
            for feature in features
        ]
    return {
        "all": [
            {
                "label": f"feature {feature['feature']}",
                "heat": facts["heat_maps"][str(feature["feature"])] if "heat_maps" in facts else None,
                "lit": percent(feature["lit"]),
                "rows": counted(feature["rows"], "row"),
                "columns": [compared(column) for column in feature["columns"]],
                "examples": feature["examples"],
            }
            for feature in features
        ],
        "names": names,
        "dark": facts["latent_dim"] - len([unit for unit in facts["units"] if unit["lit"]]),
        "more": len([unit for unit in facts["units"] if unit["lit"]]) - len(features),
    }


def _tabular(facts: View) -> bool:
    return facts["traversals"]["kind"] == "table" and bool(facts["traversals"]["units"])


def compared(column: View) -> View:
    """A column among the rows that light a feature, and among all."""
    if "values" in column:
        return {
            "name": column["name"],
            "lit": [f"{value['of']} {percent(value['lit'])}" for value in column["values"]],
            "all": [f"{percent(value['all'])} (×{number(value['lift'], 1)})" for value in column["values"]],
        }
    return {"name": _named(column), **{rows: [_quartiles(column[rows])] for rows in ("lit", "all")}}


def _quartiles(quartiles: list[float]) -> str:
    lower, median, upper = map(quantity, quartiles)
    return f"{median} ({lower} … {upper})"

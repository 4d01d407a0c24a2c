"""The page that `isthmus explain` writes: facts in, one self-contained HTML file out."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ...report.figures import sparkline


def render(facts: dict[str, Any]) -> str:
    """The page as text; nothing in it is fetched from anywhere. It looks like the comparison's report."""
    environment = Environment(
        loader=PackageLoader("isthmus.apps.cli"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    style = PackageLoader("isthmus.report", "page").get_source(environment, "page.css")[0]
    return environment.get_template("explain.html").render(facts=facts, units=_units(facts), style=Markup(style))


def _units(facts: dict[str, Any]) -> list[dict[str, Any]]:
    carried = {entry["unit"]: entry["columns"] for entry in facts["carries"]}
    if facts["traversals"]["kind"] == "image":
        return [unit | {"heat": facts["heat_maps"][str(unit["unit"])]} for unit in facts["traversals"]["units"]]
    ranges = _ranges(facts["traversals"]["units"])
    return [
        {"label": unit["label"], "columns": [_column(c, unit, carried[unit["unit"]], ranges) for c in unit["columns"]]}
        for unit in facts["traversals"]["units"]
    ]


def _ranges(units: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """One range per column over all units, so that a flat line means no effect."""
    known: dict[str, list[float]] = {}
    for unit in units:
        for column in unit["columns"]:
            known.setdefault(column["name"], []).extend(v for v in column["values"] if v is not None)
    return {name: (min(values, default=0.0), max(values, default=0.0)) for name, values in known.items()}


def _column(
    column: dict[str, Any], unit: dict[str, Any], carried: list[dict[str, Any]], ranges: dict[str, tuple[float, float]]
) -> dict[str, Any]:
    values = [value for value in column["values"] if value is not None]
    effect = next((entry["effect"] for entry in carried if entry["name"] == column["name"]), None)
    suffix = f" ({column['in']})" if "in" in column else ""
    return {
        "name": f"P({column['name']} = {column['of']})" if "of" in column else column["name"] + suffix,
        "low": f"{values[0]:.4g}" if values else "–",
        "high": f"{values[-1]:.4g}" if values else "–",
        "effect": effect,
        "line": sparkline(
            unit["positions"], column["values"], *ranges[column["name"]], f"{column['name']} along {unit['label']}"
        ),
    }

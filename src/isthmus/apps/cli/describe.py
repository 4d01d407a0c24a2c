"""`isthmus info` and `isthmus models`: what a model file holds, and what models there are."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from . import arguments
from .archives import ENDING
from .screen import number, print_table


def info(
    model: Annotated[str, typer.Argument(metavar="M|A", help="A model file of `fit`, or an archive of `compress`.")],
    as_json: arguments.Json = False,
) -> None:
    """Show what a model file or an archive holds.

    Of a model: its paper and options, the columns, the rows it was trained on, the loss, the size of the file. Of an
    archive: its rows, and where its bytes went.
    """
    if Path(model).suffix.lower() == ENDING:
        _show_archive(model, as_json)
        return
    from ...estimator.detector import Detector
    from ...saving import load

    loaded = load(model)
    if isinstance(loaded, Detector):
        _show_detector(loaded, Path(model), as_json)
        return
    facts = _model_facts(loaded, Path(model))
    if as_json:
        print(json.dumps(facts, ensure_ascii=False, allow_nan=False, indent=2))
        return
    print(f"{facts['title']} with {facts['latent_dim']} latent units\n{facts['paper']}\n")
    for name, value in _lines(facts):
        print(f"{name + ':':<17}{value}")
    print()
    print_table(["option", "value"], [[name, _text(value)] for name, value in facts["options"].items()], left=2)
    if facts["columns"]:
        print()
        print_table(["column", "kind"], [[column["name"], column["kind"]] for column in facts["columns"]], left=2)


def _show_detector(detector: Any, path: Path, as_json: bool) -> None:
    described = detector.domain_.describe()
    facts = {
        "file": str(path),
        "bytes": path.stat().st_size,
        "model": "detector",
        "options": detector.get_params(deep=False),
        "domain": detector.domain_.name,
        "shape": described["shape"],
        "columns": described["columns"],
        "training": detector.training_,
        "threshold": detector.offset_,
    }
    if as_json:
        print(json.dumps(facts, ensure_ascii=False, allow_nan=False, indent=2))
        return
    training = facts["training"]
    print(f"a detector of {len(detector.models_)} VAEs: {facts['domain']}, {facts['shape']}")
    print(f"{training['rows']:,} rows learnt, {training['calibration_rows']:,} held out to set the alarm rate")
    print(f"outliers are rows that score below {facts['threshold']:.4g}; file {facts['bytes']:,} bytes")
    print()
    print_table(["option", "value"], [[name, _text(value)] for name, value in facts["options"].items()], left=2)


def _show_archive(path: str, as_json: bool) -> None:
    from ...compression.archive import opened_reader

    reader = opened_reader(path)
    sizes, notes = reader.sizes(), reader.index["notes"]
    facts = {
        "file": path,
        "kind": reader.header["kind"],
        "rows": reader.rows,
        "chunks": len(reader.entries),
        "bytes": reader.size,
        "input_bytes": notes.get("input_bytes"),
        "model": reader.header["model"],
        "bytes_of": {**sizes, "columns": dict(notes.get("spent", ()))},
        "digest": reader.index["digest"],
    }
    if as_json:
        print(json.dumps(facts, ensure_ascii=False, allow_nan=False, indent=2))
        return
    chunks = "1 chunk" if facts["chunks"] == 1 else f"{facts['chunks']:,} chunks"
    print(f"an archive of {facts['rows']:,} rows ({facts['kind']}) in {chunks}, {facts['bytes']:,} bytes")
    if before := facts["input_bytes"]:
        print(f"{before / facts['bytes']:.2f} times smaller than the {before:,} bytes it was made of")
    if facts["model"] != "inside":
        print(f"its model is in another archive (SHA-256 {facts['model'][:16]}…)")
    print()
    parts = [["model", sizes["model"]], ["rows", sizes["rows"]], ["header, index", sizes["overhead"]]]
    columns = [[f"  {name}", size] for name, size in facts["bytes_of"]["columns"].items()]
    rows = [parts[0], parts[1], *columns, parts[2]]
    print_table(
        ["part", "bytes", "share", "bits per row"],
        [
            [name, f"{size:,.0f}", f"{size / facts['bytes']:.1%}", f"{8 * size / max(facts['rows'], 1):.2f}"]
            for name, size in rows
        ],
    )


def _model_facts(estimator: Any, path: Path) -> dict[str, Any]:
    from ...estimator import models

    model, training, history = models.find(estimator.model_name), estimator.training_, estimator.history_
    best = history[training["best_epoch"] - 1] if history else None
    described = estimator.domain_.describe()
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "model": model.name,
        "title": model.title,
        "paper": model.paper,
        "latent_dim": estimator.latent_dim_,
        "options": estimator.get_params(deep=False),
        "domain": estimator.domain_.name,
        "shape": described["shape"],
        "columns": described["columns"],
        "training": training,
        "loss": best and {part: best[part] for part in ("train", "validation")},
        "threshold": estimator.offset_,
    }


def _lines(facts: dict[str, Any]) -> list[list[str]]:
    """The facts that are single values, as a person reads them."""
    training, loss = facts["training"], facts["loss"]
    lines = [
        ["rows", f"{facts['domain']}, {facts['shape']}; {training['rows']:,} trained on"],
        ["epochs", f"{training['epochs']}, best {training['best_epoch']}" + ", interrupted" * training["interrupted"]],
        ["training", f"{training['seconds']:.1f} s, {training['parameters']:,} parameters"],
        ["file", f"{facts['bytes']:,} bytes"],
        ["outliers", f"rows that score below {facts['threshold']:.4g} nats"],
    ]
    for part, terms in (loss or {}).items():
        if terms:
            named = ", ".join(f"{name} {number(value, 2)}" for name, value in terms.items() if name != "loss")
            lines.append([f"{part} loss", f"{number(terms['loss'], 2)} nats per row ({named})"])
    return lines


def models(as_json: arguments.Json = False) -> None:
    """List the models, with papers and options.

    With --json the options of each model come as a JSON schema: types, defaults, bounds.
    """
    from ...estimator import models as known

    if as_json:
        facts = {"models": [_declaration(name) for name in known.names()]}
        print(json.dumps(facts, ensure_ascii=False, allow_nan=False, indent=2))
        return
    from ...estimator.options import SharedOptions

    for name in known.names():
        facts = _declaration(name)
        print(f"{name}: {facts['title']}\n  {facts['summary']}\n  {facts['paper']}")
        own = [*known.find(name).variant.Options.declared(), *known.find(name).defaults]
        _show_options({option: facts["options"]["properties"][option] for option in own})
        print()
    print("Options that every model has:")
    _show_options(SharedOptions.model_json_schema()["properties"])


def _declaration(name: str) -> dict[str, Any]:
    """What a model declares of itself: the same that its constructor checks."""
    from ...estimator import models as known
    from ...estimator.options import SharedOptions
    from ...estimator.public import declared_options

    model = known.find(name)
    properties = model.variant.Options.model_json_schema().get("properties", {})
    properties |= SharedOptions.model_json_schema()["properties"]
    for option, default in model.defaults.items():
        properties[option] |= {"default": default}
    return {
        "name": name,
        "class": model.class_name,
        "title": model.title,
        "summary": model.summary,
        "paper": model.paper,
        "least_latent_dim": model.variant.least_latent_dim,
        "options": {
            "type": "object",
            "additionalProperties": False,
            "properties": {option: properties[option] for option in declared_options(name)},
        },
    }


def _show_options(properties: dict[str, Any]) -> None:
    rows = [[name, _text(found["default"]), _bounds(found), found["description"]] for name, found in properties.items()]
    if rows:
        print_table(["option", "default", "values", "what it is"], rows, left=4)


def _bounds(schema: dict[str, Any]) -> str:
    """What values a JSON schema allows, in few words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_bounds(each) for each in schema["anyOf"]))
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"some of {_bounds(schema['items'])}" if "enum" in schema.get("items", {}) else "widths"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[name]:g}" for name, sign in signs.items() if name in schema]
    kinds = {"integer": "whole number", "number": "number", "boolean": "true, false", "null": "none", "string": "text"}
    return " ".join([kinds.get(schema.get("type", ""), "any"), ", ".join(limits)]).strip()


def _text(value: Any) -> str:
    """A default or a value, as it is written after `--set NAME=`."""
    if isinstance(value, list | tuple):
        return ",".join(_text(each) for each in value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return f"{value:g}" if isinstance(value, int | float) else str(value)

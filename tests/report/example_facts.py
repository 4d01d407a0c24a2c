"""Facts for the report's tests, shaped as docs/facts.md says. Some pictures are real digits; measures are invented."""

import base64
import io
import math
from functools import cache
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

Facts = dict[str, Any]

VARIANTS = {"pca": "PCA", "autoencoder": "AE", "vae": "VAE"}
ENVIRONMENT = {
    "isthmus": "0.1.0",
    "python": "3.11.9",
    "torch": "2.13.0",
    "scikit_learn": "1.9.0",
    "platform": "Linux x86_64",
    "processor": "AMD EPYC",
    "cores": 2,
    "device": "cpu",
    "date": "2026-01-15",
}


def png(pixels: np.ndarray) -> str:
    """A grey image of shape (height, width), 0 to 1, as PNG in base64."""
    file = io.BytesIO()
    Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8)).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def contender(variant: str, size: int, seeds: int, *, image: bool) -> Facts:
    """Invented measures that fall and rise with the size as real ones do."""
    skill = {"pca": 0.0, "autoencoder": 1.0, "vae": 0.9}[variant]
    error = (0.046 - 0.008 * skill) * math.exp(-size / 14)
    vae = variant == "vae"
    name = f"{VARIANTS[variant].lower()}-{size}"
    measured: Facts = {
        "name": name,
        "variant": variant,
        "title": VARIANTS[variant],
        "latent_dim": size,
        "seeds": seeds,
        "reconstruction": {
            "train": error * (0.97 if vae else 0.9 if variant == "autoencoder" else 0.98),
            "test": error,
            "unit": "mean squared error, pixels from 0 to 1"
            if image
            else "mean absolute error, in standard deviations",
            "per_column": {},
        },
        "likelihood": None
        if variant == "pca"
        else {
            "train": -100 + 22 * math.exp(-size / 6) * -1 + 3 * vae,
            "test": -103 + 22 * math.exp(-size / 6) * -1 + 5 * vae,
            "unit": "nats per row",
            "bound": "An importance-weighted lower bound with 100 draws per row; the true value is a little higher.",
        },
        "latent": {
            "active_units": min(size, 14) if vae else size,
            "units": size,
            "kl_per_unit": [max(0.002, 2.6 - 0.17 * unit) for unit in range(size)] if vae else None,
            "carries": [],
        },
        "probe": {
            "knn": 0.962 + 0.012 * skill + 0.003 * vae - 0.45 * math.exp(-size / 4),
            "linear": 0.95 - 0.4 * math.exp(-size / (4 + skill)),
            "raw_knn": 0.985,
            "raw_linear": 0.962,
            "metric": "accuracy",
        },
        "generation": {
            "c2st_auroc": 0.93 - 0.16 * skill - 0.05 * vae + 0.002 * size,
            "column_shape": 0.08 - 0.03 * skill,
            "pair_trend": 0.11 - 0.04 * skill,
            "density": 0.55 + 0.3 * skill + 0.04 * vae,
            "coverage": 0.6 + 0.25 * skill,
            "copied_share": 0.5 + 0.03 * skill,
            "membership_auroc": 0.5 + 0.02 * skill,
            "exact_copies": 0.001 * skill,
        },
        "compression": {
            "bits_per_row": 236 - 26 * skill - 34 * (1 - math.exp(-size / 5)) + 0.9 * size * (2 - vae),
            "raw_bits_per_row": 512 if image else 448,
            "method": "Codes and residuals in 16 levels, packed by an arithmetic coder.",
        },
        "anomaly": {
            "auroc": 0.86 + 0.08 * skill - 0.03 * math.exp(-((size - 8) ** 2) / 60),
            "by_kind": {"shuffled cells": 0.9 + 0.02 * skill, "random cells": 0.93 + 0.03 * skill},
        },
        "cost": {
            "fit_seconds": {"pca": 0.02, "autoencoder": 7.4, "vae": 8.1}[variant] + 0.01 * size,
            "rows_per_second": {"pca": 2_200_000, "autoencoder": 61_000, "vae": 56_500}[variant],
            "encode_rows_per_second": {"pca": 4_000_000, "autoencoder": 480_000, "vae": 470_000}[variant],
            "parameters": {"pca": 64 * size, "autoencoder": 51_264 + 400 * size, "vae": 51_328 + 600 * size}[variant],
            "epochs": {"pca": 1, "autoencoder": 88, "vae": 103}[variant],
        },
        "model": f"models/{name}.safetensors",
    }
    measured["archive"] = archive(variant, size)
    measured["spread"] = spread_of(measured, 0.012 if seeds > 1 and variant != "pca" else 0.0)
    return measured


def archive(variant: str, size: int) -> Facts:
    if variant == "pca":
        numbers = dict.fromkeys(("bytes_per_row", "model_bytes", "total_bytes_per_row"))
        return {"rows": 360, **numbers, "refused": "it has no probabilities of rows to code them by"}
    own, model = 21.4 + 0.1 * size, 60_000 + 500 * size
    return {
        "rows": 360,
        "bytes_per_row": own,
        "model_bytes": model,
        "total_bytes_per_row": own + model / 360,
        "refused": None,
    }


def baselines(form: str, plain: float, others: dict[str, float | None], given: str) -> Facts:
    general = {"gzip -9": 0.4 * plain, "xz -9e": 0.36 * plain, "zstd -19": 0.37 * plain}
    tools = [{"name": name, "input": form, "bytes_per_row": size, "refused": None} for name, size in general.items()]
    for name, size in others.items():
        refused = "no encoder of this format is installed" if size is None else None
        tools.append({"name": name, "input": given, "bytes_per_row": size, "refused": refused})
    return {"rows": 360, "form": form, "plain_bytes_per_row": plain, "tools": tools}


IMAGE_FORMATS = {"PNG": 113.5, "WebP, lossless": 63.8, "JPEG XL, lossless": None}


def spread_of(part: Any, share: float) -> Any:
    """The same shape, numbers only, each a share of what it stands beside."""
    if isinstance(part, dict):
        kept = {key: spread_of(value, share) for key, value in part.items()}
        return {key: value for key, value in kept.items() if value is not None}
    return abs(part) * share if isinstance(part, int | float) else None


def verdict(
    contenders: list[Facts], path: tuple[str, str], better: str, *, measure: str, unit: str, words: Facts
) -> Facts:
    def value(entry: Facts) -> float:
        return entry[path[0]][path[1]]

    contenders = [entry for entry in contenders if entry[path[0]]]
    ordered = sorted(contenders, key=value, reverse=better == "higher")
    best = {entry["variant"]: entry for entry in reversed(ordered)}
    leading = sorted(best.values(), key=value, reverse=better == "higher")
    return {
        "winner": ordered[0]["name"],
        "variant": ordered[0]["variant"],
        "latent_dim": ordered[0]["latent_dim"],
        "numbers": [
            {
                "name": entry["name"],
                "label": f"{entry['title']}, size {entry['latent_dim']}",
                "value": value(entry),
                "spread": entry["spread"][path[0]][path[1]],
                "unit": unit,
            }
            for entry in leading
        ],
        "curve": [
            {
                "name": entry["name"],
                "variant": entry["variant"],
                "latent_dim": entry["latent_dim"],
                "value": value(entry),
                "spread": entry["spread"][path[0]][path[1]],
            }
            for entry in contenders
        ],
        "measure": measure,
        "better": better,
        **words,
    }


def verdicts(contenders: list[Facts]) -> Facts:
    return {
        "compress": verdict(
            contenders,
            ("compression", "bits_per_row"),
            "lower",
            measure="Compressed size of a held-out row, in bits",
            unit="bits per row",
            words={
                "clear": True,
                "headline": "The VAE packs rows smallest.",
                "because": "Its rows take 12% fewer bits than PCA's, and the code itself costs less than the AE's. "
                "The gap is eight times the spread between trainings.",
            },
        ),
        "reduce": verdict(
            contenders,
            ("probe", "knn"),
            "higher",
            measure="Accuracy of the nearest neighbours' vote, on codes",
            unit="accuracy",
            words={
                "clear": False,
                "headline": "VAE and AE reduce equally well.",
                "because": "Their neighbours agree on the label equally often; the difference is smaller than "
                "the spread between two trainings.",
            },
        ),
        "generate": verdict(
            contenders,
            ("generation", "c2st_auroc"),
            "lower",
            measure="How well a classifier tells made rows from real ones (AUROC, 0.5 is best)",
            unit="AUROC",
            words={
                "clear": True,
                "headline": "The VAE makes the most believable rows.",
                "because": "A classifier finds its rows harder to tell from real ones. "
                "None of the models is close to 0.5.",
            },
        ),
        "detect": verdict(
            contenders,
            ("anomaly", "auroc"),
            "higher",
            measure="The chance that an odd row is ranked above an ordinary one (AUROC)",
            unit="AUROC",
            words={
                "clear": True,
                "headline": "The AE finds odd rows best.",
                "because": "It ranks 94 of 100 odd rows above an ordinary one.",
            },
        ),
    }


def loss_curves(contenders: list[Facts], seeds: int) -> list[Facts]:
    curves = []
    for entry in contenders:
        if entry["variant"] == "pca":
            continue
        for seed in range(seeds):
            randomness = np.random.default_rng([seed, entry["latent_dim"]])
            epochs = np.arange(1, entry["cost"]["epochs"] + 1)
            floor = 100 + 30 * math.exp(-entry["latent_dim"] / 5)
            fall = 180 * np.exp(-epochs / 4) + 30 * np.exp(-epochs / 25)
            kl = 16 * (1 - np.exp(-epochs / 6))
            noise = randomness.normal(0, 0.5, (2, len(epochs)))
            parts = {"reconstruction": floor + fall}
            if entry["variant"] == "vae":
                parts["kl"] = kl
            terms = {
                name: {
                    "train": (values + noise[0] * 0.4).tolist(),
                    "validation": (values + 2 + 0.03 * epochs + noise[1]).tolist(),
                }
                for name, values in parts.items()
            }
            terms["loss"] = {
                side: np.sum([term[side] for term in terms.values()], axis=0).tolist()
                for side in ("train", "validation")
            }
            curves.append(
                {
                    "name": entry["name"],
                    "variant": entry["variant"],
                    "latent_dim": entry["latent_dim"],
                    "seed": seed,
                    "epochs": epochs.tolist(),
                    "best_epoch": int(epochs[np.argmin(terms["loss"]["validation"])]),
                    "terms": terms,
                }
            )
    return curves


def settings(command: str, sizes: list[int], seeds: int) -> Facts:
    return {
        "command": command,
        "models": list(VARIANTS),
        "latents": sizes,
        "seeds": seeds,
        "seed": 0,
        "epochs": 200,
        "batch_size": 128,
        "hidden": [256, 128],
        "network": "dense",
        "likelihood": "gaussian",
        "test": "split",
        "seconds": 184.2,
    }


@cache
def digits() -> Facts:
    """Images with classes: three variants at four sizes, two trainings each."""
    sizes, seeds = [2, 8, 16, 32], 2
    contenders = [contender(variant, size, seeds, image=True) for variant in VARIANTS for size in sizes]
    return {
        "schema": 1,
        "data": {
            "name": "digits",
            "source": "bundled with scikit-learn",
            "domain": "image",
            "rows": {"train": 1257, "validation": 180, "test": 360},
            "shape": "8 × 8 pixels",
            "columns": [],
            "target": {"name": "target", "kind": "classes", "classes": [str(digit) for digit in range(10)]},
            "notes": ["Pixels have 17 levels, 0 to 16."],
        },
        "environment": ENVIRONMENT,
        "settings": settings("isthmus compare digits --target target --seeds 2 --out out/digits", sizes, seeds),
        "contenders": contenders,
        "compression_baselines": baselines("raw pixels", 64.0, IMAGE_FORMATS, "each image alone"),
        "verdict": verdicts(contenders),
        "pictures": {"loss_curves": loss_curves(contenders, seeds), **_digit_pictures(contenders)},
    }


def _digit_pictures(contenders: list[Facts]) -> Facts:
    digits, labels = load_digits(return_X_y=True)
    rows, labels = digits[-360:] / 16, labels[-360:]
    mean = rows.mean(0)
    _, _, axes = np.linalg.svd(rows - mean, full_matrices=False)
    randomness = np.random.default_rng(0)
    codes = (rows - mean) @ axes.T
    centres = {digit: codes[labels == digit].mean(0) for digit in range(10)}
    between = np.stack([centres[digit] for digit in range(10)])
    _, _, directions = np.linalg.svd(between - between.mean(0), full_matrices=False)

    def restored(entry: Facts, row: int) -> str:
        size = {"pca": 1.0, "autoencoder": 2.2, "vae": 1.8}[entry["variant"]] * entry["latent_dim"]
        kept = min(64, round(size))
        return png((mean + codes[row, :kept] @ axes[:kept]).reshape(8, 8))

    def made(entry: Facts, _: int) -> str:
        kept = min(64, entry["latent_dim"] * 2)
        pair = randomness.choice(len(rows), 2)
        blend = codes[pair].mean(0) if entry["variant"] == "pca" else codes[pair[0]] * 0.9
        return png((mean + blend[:kept] @ axes[:kept]).reshape(8, 8))

    def placed(entry: Facts) -> np.ndarray:
        if entry["variant"] == "pca":
            return codes[:, :2]
        spread = codes @ directions[:2].T
        if entry["variant"] == "autoencoder":
            return np.sinh(spread * 0.8) + 0.3 * spread[:, ::-1] ** 2
        return np.tanh(spread * 0.6) * 2 + randomness.normal(0, 0.05, spread.shape)

    def walked(unit: int, kept: int) -> Facts:
        positions = np.linspace(-2.5, 2.5, 11)
        frames = [png((mean + codes[:, unit].std() * at * axes[unit]).reshape(8, 8)) for at in positions]
        return {"unit": unit, "label": f"unit {unit}", "positions": positions.tolist(), "frames": frames}

    shown = range(12)
    return {
        "reconstructions": {
            "kind": "image",
            "originals": [png(rows[row].reshape(8, 8)) for row in shown],
            "by_contender": {entry["name"]: [restored(entry, row) for row in shown] for entry in contenders},
        },
        "samples": {
            "kind": "image",
            "originals": [png(rows[100 + row].reshape(8, 8)) for row in range(16)],
            "by_contender": {entry["name"]: [made(entry, row) for row in range(16)] for entry in contenders},
        },
        "latent_maps": {
            "rows": [
                {"label": str(label), "text": f"row {row}", "png": png(image.reshape(8, 8))}
                for row, (label, image) in enumerate(zip(labels, rows, strict=True))
            ],
            "by_contender": {
                entry["name"]: {
                    "axes": ["unit 0", "unit 1"]
                    if entry["latent_dim"] == 2
                    else ["first component", "second component"],
                    "points": np.round(placed(entry), 4).tolist(),
                }
                for entry in contenders
            },
        },
        "traversals": {
            entry["name"]: {
                "kind": "image",
                "units": [walked(unit, entry["latent_dim"]) for unit in range(min(8, entry["latent_dim"]))],
            }
            for entry in contenders
        },
    }


PENGUIN_COLUMNS = {
    "island": "category",
    "bill_length_mm": "number",
    "bill_depth_mm": "number",
    "flipper_length_mm": "integer",
    "body_mass_g": "integer",
    "sex": "category",
    "year": "integer",
}
SPECIES = {
    "Adelie": ("Torgersen", 38.8, 18.3, 190, 3700),
    "Chinstrap": ("Dream", 48.8, 18.4, 196, 3730),
    "Gentoo": ("Biscoe", 47.5, 15.0, 217, 5080),
}


@cache
def penguins() -> Facts:
    """A table with mixed columns, missing cells and classes; PCA has no likelihood and nothing is said of it."""
    sizes, seeds = [2, 4, 7], 3
    contenders = [contender(variant, size, seeds, image=False) for variant in VARIANTS for size in sizes]
    for entry in contenders:
        worth = {name: 0.06 + 0.05 * place for place, name in enumerate(PENGUIN_COLUMNS)}
        error = entry["reconstruction"]["test"] * 10
        entry["reconstruction"]["per_column"] = {name: error * share * 6 for name, share in worth.items()}
        entry["latent"]["carries"] = [
            {
                "unit": 0,
                "columns": [{"name": "body_mass_g", "effect": 1.4}, {"name": "flipper_length_mm", "effect": 1.1}],
            },
            {"unit": 1, "columns": [{"name": "bill_length_mm", "effect": 0.9}]},
        ]
        if entry["variant"] == "pca":
            entry["compression"] = None
            entry["model"] = None
    return {
        "schema": 1,
        "data": {
            "name": "penguins",
            "source": "bundled; CC0",
            "domain": "table",
            "rows": {"train": 240, "validation": 35, "test": 69},
            "shape": "7 columns",
            "columns": [
                {
                    "name": name,
                    "kind": kind,
                    "missing_share": 0.032 if name == "sex" else 0.006,
                    "distinct": 3 + 40 * place,
                }
                for place, (name, kind) in enumerate(PENGUIN_COLUMNS.items())
            ],
            "target": {"name": "species", "kind": "classes", "classes": list(SPECIES)},
            "notes": [
                "11 rows have at least one missing cell; they are kept.",
                "The column species is the target: no model saw it.",
            ],
        },
        "environment": ENVIRONMENT,
        "settings": settings("isthmus compare penguins --target species --seeds 3 --out out/penguins", sizes, seeds),
        "contenders": contenders,
        "compression_baselines": baselines("CSV", 51.4, {"Parquet, zstd -19": 49.5}, "columns"),
        "verdict": verdicts(contenders),
        "pictures": {"loss_curves": loss_curves(contenders, seeds), **_penguin_pictures(contenders)},
    }


def _penguin(randomness: np.random.Generator, blur: float = 1.0) -> tuple[str, list[str | None]]:
    species = str(randomness.choice(list(SPECIES)))
    island, length, depth, flipper, mass = SPECIES[species]
    cells: list[str | None] = [
        island,
        f"{randomness.normal(length, 2.5 * blur):.1f}",
        f"{randomness.normal(depth, 1.0 * blur):.1f}",
        f"{randomness.normal(flipper, 6 * blur):.0f}",
        f"{randomness.normal(mass, 300 * blur):.0f}",
        str(randomness.choice(["female", "male"])),
        str(randomness.choice([2007, 2008, 2009])),
    ]
    return species, cells


def _nearly(cell: str | None, place: int, size: int, randomness: np.random.Generator) -> str | None:
    """What a model of this size might restore: numbers a little off, words mostly right, a guess where none was."""
    if cell is None:
        return _penguin(randomness)[1][place]
    if not cell[0].isdigit():
        return cell if randomness.uniform() < 0.7 + 0.04 * size else _penguin(randomness)[1][place]
    off = float(cell) * (1 + randomness.normal(0, 0.0 if place == 6 else 0.05 / size))
    return f"{off:.1f}" if "." in cell else f"{off:.0f}"


def _penguin_pictures(contenders: list[Facts]) -> Facts:
    randomness = np.random.default_rng(1)
    birds = [_penguin(randomness) for _ in range(69)]
    birds[1][1][5] = None
    birds[3][1][1] = None
    codes = np.array([[float(row[3] or 0) / 10, float(row[2] or 0)] for _, row in birds])
    codes = (codes - codes.mean(0)) / codes.std(0)

    def restored(row: list[str | None], size: int) -> list[str | None]:
        return [_nearly(cell, place, size, randomness) for place, cell in enumerate(row)]

    numbers = [name for name, kind in PENGUIN_COLUMNS.items() if kind != "category"]
    positions = np.linspace(-2.5, 2.5, 9)

    def walked(unit: int) -> Facts:
        columns = [
            {"name": name, "values": (100 + 10 * np.tanh(positions * (place - unit))).tolist()}
            for place, name in enumerate(numbers)
        ]
        chances = (1 / (1 + np.exp(-positions * (unit - 0.5)))).tolist()
        columns += [{"name": name, "values": chances} for name in ("island", "sex")]
        return {"unit": unit, "label": f"unit {unit}", "positions": positions.tolist(), "columns": columns}

    rows = [row for _, row in birds[:6]]
    return {
        "reconstructions": {
            "kind": "table",
            "columns": list(PENGUIN_COLUMNS),
            "originals": rows,
            "by_contender": {e["name"]: [restored(row, e["latent_dim"]) for row in rows] for e in contenders},
        },
        "samples": {
            "kind": "table",
            "columns": list(PENGUIN_COLUMNS),
            "originals": [row for _, row in birds[6:12]],
            "by_contender": {e["name"]: [_penguin(randomness, 0.8)[1] for _ in range(6)] for e in contenders},
        },
        "latent_maps": {
            "rows": [
                {
                    "label": species,
                    "text": "\n".join(
                        f"{n}: {c if c is not None else 'missing'}" for n, c in zip(PENGUIN_COLUMNS, row, strict=True)
                    ),
                    "png": None,
                }
                for species, row in birds
            ],
            "by_contender": {
                e["name"]: {
                    "axes": ["first component", "second component"],
                    "points": (codes + randomness.normal(0, 0.1, codes.shape)).tolist(),
                }
                for e in contenders
            },
        },
        "traversals": {
            e["name"]: {"kind": "table", "units": [walked(unit) for unit in range(e["latent_dim"])]} for e in contenders
        },
    }


@cache
def minimal() -> Facts:
    """One variant, one size, one training, no target, and null wherever null is allowed."""
    return {
        "schema": 1,
        "data": {
            "name": "readings",
            "source": "readings.csv",
            "domain": "table",
            "rows": {"train": 70, "validation": 0, "test": 30},
            "shape": "2 columns",
            "columns": [
                {"name": "a", "kind": "number", "missing_share": 0.0, "distinct": 100},
                {"name": "b", "kind": "number", "missing_share": 0.0, "distinct": 98},
            ],
            "target": None,
            "notes": [],
        },
        "environment": ENVIRONMENT,
        "settings": {**settings("isthmus compare readings.csv", [1], 1), "models": ["ae"]},
        "contenders": [
            {
                "name": "ae-1",
                "variant": "autoencoder",
                "title": "AE",
                "latent_dim": 1,
                "seeds": 1,
                "reconstruction": {"train": 0.2, "test": 0.25, "unit": "mean squared error", "per_column": {}},
                "likelihood": None,
                "latent": {"active_units": 1, "units": 1, "kl_per_unit": None, "carries": []},
                "probe": None,
                "generation": None,
                "compression": None,
                "anomaly": None,
                "cost": {
                    "fit_seconds": 0.4,
                    "rows_per_second": 9000,
                    "encode_rows_per_second": 90000,
                    "parameters": 41,
                    "epochs": 30,
                },
                "spread": {},
                "model": None,
            }
        ],
        "verdict": {
            "reduce": {
                "winner": "ae-1",
                "variant": "autoencoder",
                "latent_dim": 1,
                "clear": False,
                "headline": "Only one model was tried.",
                "because": "There is nothing to compare it with.",
                "numbers": [{"name": "ae-1", "label": "AE, size 1", "value": 0.25, "spread": 0.0, "unit": "error"}],
                "curve": [{"name": "ae-1", "variant": "autoencoder", "latent_dim": 1, "value": 0.25, "spread": 0.0}],
                "measure": "Reconstruction error",
                "better": "lower",
            },
            "compress": {
                "winner": None,
                "variant": None,
                "latent_dim": None,
                "clear": False,
                "headline": "No model could pack these rows.",
                "because": "An AE without a likelihood cannot.",
                "numbers": [],
                "curve": [],
                "measure": "Bits per row",
                "better": "lower",
            },
            "generate": None,
            "detect": None,
        },
        "pictures": {
            "loss_curves": [],
            "reconstructions": None,
            "samples": None,
            "latent_maps": None,
            "traversals": None,
        },
    }


EXAMPLES = {"digits": digits, "penguins": penguins, "minimal": minimal}

"""Writes the golden files of the current format: a small VAE of a table with every kind of column, and its outputs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import isthmus

HERE = Path(__file__).parent


def rows() -> pd.DataFrame:
    """50 rows: numbers, whole numbers, booleans, categories and dates, with missing cells."""
    draws = np.random.default_rng(1)
    factor = draws.normal(size=50)
    frame = pd.DataFrame(
        {
            "length": 3.0 * factor + draws.normal(size=50),
            "count": draws.poisson(np.exp(0.5 * factor + 2.0)),
            "large": factor > 0.5,
            "kind": np.array(["a", "b", "c"])[np.digitize(factor, [-0.5, 0.5])],
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta((10 * factor).round(), unit="D"),
        }
    )
    frame.loc[::9, "length"] = np.nan
    frame.loc[4::11, "kind"] = None
    return frame


def outputs(model: Any, frame: pd.DataFrame) -> dict[str, Any]:
    """What the model makes of the rows, as JSON."""
    return {
        "codes": model.transform(frame).tolist(),
        "scores": model.score_samples(frame).tolist(),
        "predictions": model.predict(frame).tolist(),
        "reconstruction": as_json(model.reconstruct(frame)),
        "sample": as_json(model.sample(20, random_state=3)),
    }


def as_json(frame: pd.DataFrame) -> dict[str, list[Any]]:
    columns = json.loads(frame.to_json(date_format="iso", double_precision=12))
    return {name: list(cells.values()) for name, cells in columns.items()}


def main() -> None:
    frame = rows()
    model = isthmus.VAE(2, hidden=(8,), epochs=40, random_state=0).fit(frame)
    model.save(HERE / "vae-v1.safetensors")
    held = {"rows": as_json(frame), "outputs": outputs(model, frame)}
    (HERE / "vae-v1.json").write_text(json.dumps(held, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

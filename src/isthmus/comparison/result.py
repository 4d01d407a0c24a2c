"""What a comparison found: facts, fitted models, and the ways to look at them."""

import json
from pathlib import Path
from typing import Any

from ..core.errors import DataError, OptionError
from ..estimator.base import Estimator
from ..estimator.detector import Detector
from ..files.atomic import replacing


class Comparison:
    """Facts (docs/facts.md) and the fitted models of the first seed, by contender name."""

    def __init__(self, facts: dict[str, Any], models: dict[str, Estimator | Detector]):
        self.facts = facts
        self.models = models

    def best(self, job: str) -> Estimator | Detector | None:
        """The fitted model that the verdict names for "reduce", "compress", "generate" or "detect".

        None where principal components won: they are the yardstick, and scikit-learn's own PCA is there to be used.
        """
        if job not in self.facts["verdict"]:
            raise OptionError(f"unknown job '{job}'; the jobs are {', '.join(self.facts['verdict'])}")
        return self.models.get(self.facts["verdict"][job]["winner"] or "")

    def table(self) -> list[dict[str, Any]]:
        """One flat dict per contender: the numbers that fit on a screen. A detector has only some of them."""
        return [_row(contender) for contender in [*self.facts["contenders"], *self.facts["detectors"]]]

    def to_html(self, path: str | Path) -> None:
        """Write the report: one HTML file that needs nothing else. It appears whole or not at all."""
        from ..report.html import write

        with replacing(path) as temporary:
            write(self.facts, temporary)

    def save(self, folder: str | Path) -> None:
        """Write report.html, facts.json and models/NAME.safetensors; each file appears whole or not at all."""
        folder = Path(folder)
        try:
            (folder / "models").mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise DataError(f"{folder}: cannot be made: {failure.strerror}; choose another place") from None
        for name, model in self.models.items():
            model.save(folder / "models" / f"{name}.safetensors")
        with replacing(folder / "facts.json") as temporary:
            temporary.write_text(
                json.dumps(self.facts, ensure_ascii=False, allow_nan=False, indent=1), encoding="utf-8"
            )
        self.to_html(folder / "report.html")


def _row(contender: dict[str, Any]) -> dict[str, Any]:
    def at(*path: str) -> Any:
        """The number at a path, None where any step of it is missing."""
        found: Any = contender
        for step in path:
            found = (found or {}).get(step)
        return found

    return {
        "name": contender["name"],
        "latent_dim": at("latent_dim"),
        "reconstruction": at("reconstruction", "test"),
        "likelihood": at("likelihood", "test"),
        "active_units": at("latent", "active_units"),
        "probe": at("probe", "knn"),
        "generation": at("generation", "c2st_auroc"),
        "detection": at("anomaly", "auroc"),
        "bits_per_row": at("compression", "bits_per_row"),
        "fit_seconds": at("cost", "fit_seconds"),
        "parameters": at("cost", "parameters"),
    }

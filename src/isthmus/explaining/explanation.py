"""All that is told about a model's units, as facts."""

from typing import Any

import numpy as np
import torch

from ..core.randomness import Randomness
from ..core.sparse import HeldRows
from ..domains.table import Table
from ..estimator import models
from ..estimator.base import Estimator
from .dictionary import described, is_dictionary
from .similarity import similarity
from .turning import Turned, in_own_units, of_symbols, strongest, turned
from .units import used_units
from .unusual import unusual_images
from .walks import traversals

SCHEMA = 1


def prior_codes(estimator: Estimator, rows: int = 1_000, seed: int = 0) -> np.ndarray:
    """Codes drawn from the model's prior, shape (rows, latent_dim); they stand in for rows where none are given."""
    randomness = Randomness(seed, "explain", device=estimator._device)
    with torch.no_grad():
        return estimator.model_.prior().sample(rows, randomness).cpu().numpy()


def _carries(turn: Turned, effect: np.ndarray) -> list[dict[str, Any]]:
    domain = turn.before.domain
    if isinstance(domain, Table):
        return in_own_units(turn)
    return (
        of_symbols(turn, domain.turned_names)
        if domain.picture_kind == "text"
        else strongest(effect, domain.turned_names)
    )


def explain(estimator: Estimator, x: HeldRows | None = None) -> dict[str, Any]:
    """What each unit of a fitted model stands for: `explanation` in docs/facts.md.

    Without rows x, codes that the model draws itself are turned instead: what needs rows is then None.
    """
    codes = prior_codes(estimator) if x is None else estimator.encode_tensors(x).numpy()
    domain, turn = estimator.domain_, turned(estimator, codes)
    effect, table = turn.effects(), isinstance(domain, Table)
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "model": estimator.model_name,
        "title": models.find(estimator.model_name).title,
        "domain": domain.name,
        "latent_dim": estimator.latent_dim_,
        "rows": len(codes),
        "codes_of": "prior" if x is None else "rows",
        "units": used_units(estimator, codes, effect, x),
        "carries": _carries(turn, effect),
        "effect_unit": domain.effect_unit,
        "column_word": domain.column_word,
        "traversals": traversals(estimator, codes, turn=turn),
        "similarity": similarity(turn) if table else None,
        "unusual": None if x is None else unusual_images(estimator, x),
        "features": described(domain, codes, x) if x is not None and is_dictionary(codes) else None,
    }
    if hasattr(estimator, "size_search_"):
        facts["size_search"] = estimator.size_search_
    if domain.place_name is not None and domain.side_by_side:
        maps = domain.maps(effect / (effect.max() or 1.0))
        facts["heat_maps"] = {str(unit): picture for unit, picture in enumerate(maps)}
    return facts

"""Several seeds' measurements as one contender's facts: means, and standard deviations beside them."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from .contenders import DETECTOR_NAME, title
from .planning import Task

Reduce = Callable[[Sequence[float]], float]


def contender_facts(task: Task, runs: list[dict[str, Any]], has_model: bool) -> dict[str, Any]:
    """Means over seeds, standard deviations beside them, and each seed's own numbers."""
    return {
        "name": task.name,
        "variant": task.variant,
        "title": title(task.variant),
        "latent_dim": task.latent_dim,
        "seeds": len(runs),
        **means(runs),
        "spread": spreads(runs),
        "runs": [_without_lists(run) for run in runs],
        "model": f"models/{task.name}.safetensors" if has_model else None,
    }


def detector_facts(runs: list[dict[str, Any]], members: int) -> dict[str, Any]:
    """The same for the detector, which has no latent size of its own."""
    return {
        "name": DETECTOR_NAME,
        "title": title(DETECTOR_NAME).capitalize(),
        "members": members,
        "seeds": len(runs),
        **means(runs),
        "spread": spreads(runs),
        "runs": runs,
        "model": f"models/{DETECTOR_NAME}.safetensors",
    }


def means(values: Sequence[Any]) -> Any:
    """Numbers averaged over seeds at each place of a nest of dicts.

    A count on which all seeds agree stays whole. Words and lists are the first seed's, whose model is the one that is
    kept and shown: a list has an entry per latent unit, and units of two trainings have nothing in common but a number.
    """
    first = values[0]
    if isinstance(first, dict):
        return {key: means([value[key] for value in values if value is not None]) for key in first}
    if isinstance(first, list):
        return first
    present = [value for value in values if _is_number(value)]
    if not present or (all(isinstance(value, int) for value in present) and len(set(present)) == 1):
        return first
    return statistics.fmean(present)


def spreads(values: Sequence[Any]) -> Any:
    """Standard deviations over seeds, in the shape of the numbers; 0 with one seed. None where there is no number."""
    first = values[0]
    if isinstance(first, dict):
        inner = {key: spreads([value[key] for value in values if value is not None]) for key in first}
        return {key: value for key, value in inner.items() if value is not None}
    present = [value for value in values if _is_number(value)]
    if not present:
        return None
    return statistics.stdev(present) if len(present) > 1 else 0.0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _without_lists(run: Any) -> Any:
    if isinstance(run, dict):
        return {key: _without_lists(value) for key, value in run.items() if not isinstance(value, list)}
    return run

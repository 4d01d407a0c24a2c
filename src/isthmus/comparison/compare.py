"""`compare`: contenders × sizes × seeds → facts."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import issparse

from ..core.errors import DataError, DivergenceError, OptionError
from ..domains.base import Domain, Rows
from ..domains.table import Table
from ..estimator.base import Estimator
from ..estimator.checking import FIT_OPTIONS, check_fits_domain, checked_rows, domain_of, fitted_domain
from ..estimator.detector import Detector
from ..estimator.options import SharedOptions
from ..estimator.public import public_class
from ..evaluation.probe import target_kind
from . import contenders, verdicts
from .archiving import archive, general_tools
from .averaging import contender_facts, detector_facts
from .contenders import DETECTOR_NAME, PCA_NAME, Autoencoding, Detecting, Fitted, PrincipalComponents
from .environment import environment
from .fitting import train, trainings
from .measuring import MOST_RECONSTRUCTED, Data, measure, measure_detector
from .pictures import classes, contender_pictures, loss_curve, shared_pictures
from .planning import Task, chosen_sizes, planned, planned_detectors, workers
from .result import Comparison
from .splitting import Part, split, split_target

FACTS_SCHEMA = 1
MODELS = ("pca", "ae", "vae", DETECTOR_NAME)
# One budget for all: about this many steps, within these bounds on passes over the rows.
STEPS = 4_000
FEWEST_EPOCHS, MOST_EPOCHS = 5, 1_000
# Said of new rows of a table: what would take most of the time of a comparison.
NOT_COMPARED = (
    "Not compared, since it takes about twice as long: columns that depend on one another, which mostly give better "
    "rows (isthmus fit --model generator); --set likelihood=autoregressive compares all models so."
)

Progress = Callable[[str, float], None]  # what has just ended, and the share of all work done


@dataclass(frozen=True)
class Finding:
    """What came of one task: measurements, and with the first seed pictures, real bytes, the model; or why not."""

    measured: dict[str, Any]
    pictures: dict[str, Any] = field(default_factory=dict)
    archive: dict[str, Any] | None = None
    estimator: Estimator | Detector | None = None
    failure: str | None = None


def compare(
    rows: Rows,
    *,
    target: Any = None,
    test: Rows | None = None,
    test_target: Any = None,
    models: Sequence[str] | str = MODELS,
    latents: Sequence[int] | int | None = None,
    epochs: int | None = None,
    seeds: int = 2,
    seed: int = 0,
    device: str = "auto",
    options: dict[str, Any] | None = None,
    name: str = "data",
    source: str = "",
    command: str = "",
    notes: Sequence[str] = (),
    progress: Progress | None = None,
    jobs: int | None = None,
) -> Comparison:
    """Train every model at every size with every seed, measure all on held-out rows, and give a verdict per job.

    `rows` is a DataFrame, a 2-D array, images, texts, series or a matrix of counts; `target` a column's name or an
    array of values, never shown to the models: codes are probed with it, and if it marks outliers, detection is judged
    by it. `test` rows replace the random 20%. `options` go to every model that declares them. `jobs` is how many models
    train at once (default: one per core on a CPU).
    Raises DataError or OptionError before anything is trained if the request makes no sense.
    """
    began = time.perf_counter()
    names = [models] if isinstance(models, str) else models
    named = [contenders.full_name(model) for model in dict.fromkeys(names)]
    variants = [name for name in named if name != DETECTOR_NAME]
    chosen = dict(options or {})
    if not variants:
        only = f"the {DETECTOR_NAME} does one job of four" if named else "there are no models to compare"
        raise OptionError(f"{only}; name at least one model")
    if seeds < 1:
        raise OptionError(f"seeds={seeds}: at least 1 is needed")
    if jobs is not None and jobs < 1:
        raise OptionError(f"jobs={jobs}: at least 1 is needed")
    contenders.check_options(variants, chosen | ({} if epochs is None else {"epochs": epochs}))
    data, target_name, surprises = _prepare(rows, target, test, test_target, seed, chosen)
    named, variants, left_out = _suited(named, data.domain)
    surprises = [*surprises, *left_out]
    sizes = chosen_sizes([latents] if isinstance(latents, int) else latents, data)
    shared = SharedOptions.check({n: value for n, value in chosen.items() if n in SharedOptions.declared()}, "compare")
    chosen |= {"device": device, "epochs": _epochs(epochs or shared.epochs, shared.batch_size, len(data.train))}
    tasks = planned(variants, sizes, seeds, seed, chosen)
    detecting = planned_detectors(seeds, seed, chosen) if DETECTOR_NAME in named else []
    findings = _run_all([*tasks, *detecting], data, workers(jobs, tasks, device), progress)
    failures = _failures(tasks, findings) | _sentences(detecting, findings)
    facts = {
        "schema": FACTS_SCHEMA,
        "title": name,
        "data": _data_facts(data, name, source, target_name, [*notes, *surprises, *failures.values()]),
        "environment": environment(device),
        "settings": {
            "command": command,
            "models": [contenders.short_name(name) for name in named],
            "latents": sizes,
            "seeds": seeds,
            "seed": seed,
            "epochs": chosen["epochs"],
            "batch_size": shared.batch_size,
            "hidden": list(shared.hidden) if isinstance(shared.hidden, tuple) else shared.hidden,
            "network": shared.network,
            "likelihood": data.domain.family,
            "test": "split" if test is None else "given",
            "seconds": time.perf_counter() - began,
        },
        "contenders": [],
        "detectors": [],
        "compression_baselines": general_tools(data.domain, data.test),
        "pictures": shared_pictures(data),
    }
    kept = _add_contenders(facts, [task for task in tasks if task.name not in failures], findings)
    if detecting and DETECTOR_NAME not in failures:
        detector = findings[detecting[0]].estimator
        assert isinstance(detector, Detector)
        facts["detectors"] = [detector_facts([findings[task].measured for task in detecting], len(detector.models_))]
        kept[DETECTOR_NAME] = detector
    rows_measured = min(len(data.test), MOST_RECONSTRUCTED)
    facts["verdict"] = verdicts.verdicts(facts["contenders"], facts["detectors"], rows_measured)
    if isinstance(data.domain, Table) and data.domain.family != "autoregressive":
        facts["verdict"]["generate"]["because"] += f" {NOT_COMPARED}"
    return Comparison(facts, kept)


def _suited(named: list[str], domain: Domain) -> tuple[list[str], list[str], list[str]]:
    """The models that suit such rows, those of them that are no detector, and sentences about others."""
    suited, left_out = list(named), []
    if DETECTOR_NAME in named and not domain.detectable:
        suited.remove(DETECTOR_NAME)
        left_out.append(f"the {DETECTOR_NAME} was left out: it cannot learn from {domain.called}")
    if PCA_NAME in named and not domain.side_by_side:
        suited.remove(PCA_NAME)
        left_out.append(f"{PCA_NAME} was left out: {domain.called} have no columns of numbers to find directions of")
    variants = [name for name in suited if name != DETECTOR_NAME]
    if not variants:
        raise OptionError(f"no model here suits {domain.called}; name ae or vae")
    return suited, variants, left_out


def _failures(tasks: list[Task], findings: dict[Task, Finding]) -> dict[str, str]:
    """A sentence for each contender that diverged with some seed; raises DivergenceError if none is left."""
    failures = _sentences(tasks, findings)
    if len(failures) == len({task.name for task in tasks}):
        raise DivergenceError(next(iter(failures.values())))
    return failures


def _sentences(tasks: list[Task], findings: dict[Task, Finding]) -> dict[str, str]:
    return {task.name: f"{task.name} was left out: {failure}" for task in tasks if (failure := findings[task].failure)}


def _add_contenders(
    facts: dict[str, Any], tasks: list[Task], findings: dict[Task, Finding]
) -> dict[str, Estimator | Detector]:
    """Write each contender's measurements and pictures into the facts; returns the models of the first seed by name."""
    kept: dict[str, Estimator | Detector] = {}
    for task in tasks:
        if task.first:
            runs = [findings[other].measured for other in tasks if other.name == task.name]
            first = findings[task]
            own = contender_facts(task, runs, first.estimator is not None)
            facts["contenders"].append(own | {"archive": first.archive})
            _add_pictures(facts["pictures"], task, first.pictures)
            if first.estimator is not None:
                kept[task.name] = first.estimator
    return kept


def _epochs(asked: int | str, batch_size: int, rows: int) -> int:
    """Passes over so many training rows: what was asked for, or the budget."""
    if isinstance(asked, int):
        return asked
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(STEPS * batch_size / max(rows, batch_size))))


def _prepare(
    rows: Rows, target: Any, test: Rows | None, test_target: Any, seed: int, options: dict[str, Any]
) -> tuple[Data, str | None, list[str]]:
    """Split, fit the schema on the training rows, make tensors; also the target's name, and what surprises in the test
    rows."""
    features, values, target_name = split_target(rows, target)
    # Any estimator will do: what rows must be is the same for all.
    checker = public_class("autoencoder")().set_params(data=options.get("data", "auto"))
    features = checked_rows(checker, features, reset=True)
    # The whole is looked at once, so that a column with nothing to learn is refused by name; what is learned of the
    # data's scales comes from the training rows alone.
    shared = SharedOptions.check(
        {name: options[name] for name in ("data", "likelihood", "missing", "augment", *FIT_OPTIONS) if name in options},
        "compare",
    )
    whole = fitted_domain(features, shared)
    held_out = None
    if test is not None:
        test_rows, test_values, _ = split_target(test, target if isinstance(target, str) else test_target)
        if (values is None) != (test_values is None):
            raise DataError("the target is given for only one of the training and the test rows; give both or none")
        check_fits_domain(test_rows, whole)
        test_rows = type(whole).indexed(test_rows)
        if isinstance(test_rows, np.ndarray) or issparse(test_rows):
            test_rows = checked_rows(checker, test_rows, reset=False)
        held_out = Part(test_rows, test_values)
    train, validation, test_part = split(Part(features, values), held_out, seed)
    domain = domain_of(type(whole), train.rows, shared, strict=False)
    data = Data(
        domain,
        domain.tensors(train.rows),
        domain.tensors(validation.rows),
        domain.tensors(test_part.rows),
        train.target,
        test_part.target,
        None if values is None else target_kind(values),
        not (isinstance(features, np.ndarray) or issparse(features)),
    )
    surprises = [f"in the rows held out: {sentence}" for sentence in domain.surprises(test_part.rows)]
    return data, target_name, [*whole.notes(), *surprises]


def _run_all(tasks: list[Task], data: Data, workers: int, progress: Progress | None) -> dict[Task, Finding]:
    """Train all, then measure all; each as many at a time as there are workers."""
    report = _Report(2 * len(tasks), progress)
    findings: dict[Task, Finding] = {}
    contenders_of: dict[Task, Fitted] = {}
    for part, trained in _each(train, trainings(tasks, data, workers), data, workers):
        for task, contender in zip(part, trained, strict=True):
            report(f"{task.name}, seed {task.seed}, trained")
            if isinstance(contender, str):
                findings[task] = Finding({}, failure=contender)
            else:
                contenders_of[task] = contender
    for (task, _), finding in _each(_measured, list(contenders_of.items()), data, workers):
        findings[task] = finding
        report(f"{task.name}, seed {task.seed}, measured")
    return findings


class _Report:
    """Tells how much of the work is done."""

    def __init__(self, steps: int, progress: Progress | None):
        self.steps, self.progress, self.done = steps, progress, 0

    def __call__(self, what: str) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(what, self.done / self.steps)


Work = Callable[[Any, Data], Any]


def _each(function: Work, given: list[Any], data: Data, workers: int) -> Iterator[tuple[Any, Any]]:
    """The function of each, in no order, beside what it was given."""
    if workers == 1 or len(given) < 2:
        for one in given:
            yield one, function(one, data)
        return
    # Small networks gain nothing from several threads.
    parallel = Parallel(n_jobs=workers, return_as="generator_unordered", inner_max_num_threads=1, backend="loky")
    calls = (delayed(_on_one_thread)(function, place, one, data) for place, one in enumerate(given))
    for place, result in cast(Iterator[tuple[int, Any]], parallel(calls)):
        yield given[place], result


def _on_one_thread(function: Work, place: int, given: Any, data: Data) -> tuple[int, Any]:
    import torch

    torch.set_num_threads(1)
    return place, function(given, data)


def _measured(fitted: tuple[Task, Fitted], data: Data) -> Finding:
    """Measurements of one contender; with the first seed also what is shown of it, real bytes, and its model."""
    task, contender = fitted
    if isinstance(contender, Detecting):
        return Finding(measure_detector(data, contender, task.seed), estimator=contender.detector)
    assert isinstance(contender, Autoencoding | PrincipalComponents)
    measured = measure(data, contender, task.seed)
    if not task.first:
        return Finding(measured)
    pictures, archived = contender_pictures(data, contender), archive(data.domain, contender, data.test)
    if not isinstance(contender, Autoencoding):
        return Finding(measured, pictures, archived)
    return Finding(measured, pictures | {"loss_curve": loss_curve(contender)}, archived, contender.estimator)


def _add_pictures(pictures: dict[str, Any], task: Task, own: dict[str, Any]) -> None:
    for kind in ("reconstructions", "samples", "latent_maps"):
        pictures[kind]["by_contender"][task.name] = own[kind]
    if own["heat"] is not None:
        rounded = [[[piece, round(float(nats), 2)] for piece, nats in row] for row in own["heat"]]
        pictures["reconstructions"].setdefault("heat", {})[task.name] = rounded
    if own["traversals"] is not None:
        pictures["traversals"][task.name] = own["traversals"]
    if "loss_curve" in own:
        about = {"name": task.name, "variant": task.variant, "latent_dim": task.latent_dim, "seed": task.seed}
        pictures["loss_curves"].append(about | own["loss_curve"])


def _data_facts(data: Data, name: str, source: str, target_name: str | None, notes: Sequence[str]) -> dict[str, Any]:
    domain: Domain = data.domain
    described = domain.describe()
    matrix = domain.matrix(data.train) if described["columns"] else np.empty((0, 0))
    columns = [
        column
        | {
            "missing_share": float(np.isnan(matrix[:, i]).mean()),
            "distinct": len(np.unique(matrix[~np.isnan(matrix[:, i]), i])),
        }
        for i, column in enumerate(described["columns"])
    ]
    target = None
    if data.target_kind is not None:
        target = {"name": target_name, "kind": data.target_kind, "classes": classes(data)}
    return {
        "name": name,
        "source": source,
        "domain": domain.name,
        "rows": {"train": len(data.train), "validation": len(data.validation), "test": len(data.test)},
        "shape": described["shape"],
        "columns": columns,
        "target": target,
        "notes": [*notes, *([described["pictures"]] if "pictures" in described else [])],
    }

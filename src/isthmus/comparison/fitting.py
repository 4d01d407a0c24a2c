"""Trains contenders: those of one variant together, in as few steps as suits the device."""

from ..core.errors import DivergenceError
from ..core.sparse import dense, joined
from ..estimator.together import fit_together, gain_from_company
from . import contenders
from .contenders import Autoencoding, Detecting, Fitted, PrincipalComponents
from .measuring import Data
from .planning import Task


def trainings(tasks: list[Task], data: Data, workers: int) -> list[list[Task]]:
    """Tasks in parts that are trained by one call, the longest first.

    Where company makes a step faster, a variant's tasks are shared out among the workers that it gets; elsewhere each
    is a part of its own.
    """
    alone = (contenders.DETECTOR_NAME, contenders.PCA_NAME)
    trained = [task for task in tasks if task.variant not in alone]
    variants = dict.fromkeys(task.variant for task in trained)
    parts: list[list[Task]] = []
    for variant in variants:
        own = sorted((task for task in trained if task.variant == variant), key=lambda task: -task.latent_dim)
        if gain_from_company(_contender(own[0], data).estimator, data.domain, len(data.train)):
            # Each variant on every worker: variants differ in how long they train, and no worker should wait.
            parts += [own[first::workers] for first in range(min(workers, len(own)))]
        else:
            parts += [[task] for task in own]
    parts.sort(key=lambda part: -sum(task.latent_dim for task in part))
    return parts + [[task] for name in alone for task in tasks if task.variant == name]


def train(part: list[Task], data: Data) -> list[Fitted | str]:
    """A fitted contender for each task of a part; for one that diverged, what is to be said about it."""
    if part[0].variant == contenders.PCA_NAME:
        return [_principal_components(task, data) for task in part]
    if part[0].variant == contenders.DETECTOR_NAME:
        return [_detector(task, data) for task in part]
    made = [_contender(task, data) for task in part]
    failures = fit_together([each.estimator for each in made], data.domain, data.train, data.validation)
    # One model that cannot be trained is a finding about that model, not the end of the others.
    return [each if failure is None else str(failure) for each, failure in zip(made, failures, strict=True)]


def _detector(task: Task, data: Data) -> Detecting | str:
    detecting = Detecting(task.seed, task.options["device"])
    try:
        detecting.fit(data.domain, dense(joined([data.train, data.validation])), data.named)
    except DivergenceError as failure:
        return str(failure)
    return detecting


def _contender(task: Task, data: Data) -> Autoencoding:
    contender = contenders.build(task.variant, task.latent_dim, task.seed, task.options)
    assert isinstance(contender, Autoencoding)
    contender.name_columns(data.domain, data.train, data.named)
    return contender


def _principal_components(task: Task, data: Data) -> PrincipalComponents:
    contender = contenders.build(task.variant, task.latent_dim, task.seed, task.options)
    assert isinstance(contender, PrincipalComponents)
    contender.fit(data.domain, data.train)
    return contender

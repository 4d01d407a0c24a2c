"""Many models on the same rows: those that can stand together are trained in one step, the others one after another."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn

from ..core.sparse import HeldRows
from ..variants.base import Variant
from .batches import Batches
from .checkpoint import Checkpoint
from .loop import train_together
from .members import can_stand_together
from .run import Observer, Outcome, Plan
from .step import OTHER_SECONDS, Draw, depends_on_rows, product_seconds

# Weights of all members of one step. With moments and gradients they take 4 GiB.
MOST_NUMBERS = 2**28


def sweep(
    variants: Sequence[Variant],
    x: HeldRows | Batches,
    validation: HeldRows | None,
    plans: Sequence[Plan],
    draw: Draw,
    observers: Sequence[Observer] = (),
    checkpoint_of: Callable[[Sequence[int]], Checkpoint | None] = lambda places: None,
    augment: Draw | None = None,
) -> dict[int, Outcome]:
    """`training.loop.train` for each of several models, in as few steps as suits the device; outcomes by their place.

    A model that diverges does not stop the others: its outcome has a `failure`. After Ctrl-C the outcomes of models
    that were being trained say so, and those whose turn had not come have none. `checkpoint_of` the places of models
    that are trained in one step is where they save themselves, also when they have ended: another call goes on from
    there.
    """
    outcomes: dict[int, Outcome] = {}
    for group in grouped(variants, plans):
        own = [variants[place] for place in group], [plans[place] for place in group]
        checkpoint = checkpoint_of(group)
        trained = train_together(own[0], x, validation, own[1], draw, observers, checkpoint, augment=augment)
        if checkpoint is not None and not any(outcome.interrupted for outcome in trained):
            checkpoint.save([outcome.state for outcome in trained])
        outcomes |= dict(zip(group, trained, strict=True))
        if any(outcome.interrupted for outcome in trained):
            break
    return outcomes


def grouped(variants: Sequence[Variant], plans: Sequence[Plan]) -> list[list[int]]:
    """The places of models that are best trained in one step."""
    groups: list[list[int]] = []
    for place, (variant, plan) in enumerate(zip(variants, plans, strict=True)):
        for group in groups:
            first = group[0]
            if (
                _shared(plan) == _shared(plans[first])
                and gains_from_company(variant, plan)
                and can_stand_together(variant, variants[first])
                and (len(group) + 1) * _numbers(variant) <= MOST_NUMBERS
            ):
                group.append(place)
                break
        else:
            groups.append([place])
    return groups


def gains_from_company(variant: Variant, plan: Plan) -> bool:
    """Whether a step of several such models takes less time than a step of each.

    A GPU has room for many. A processor is busy with the products of one large model, and its convolutions lose speed
    when every model has its own; a small model's step is mostly starting its operations, which company shares.
    """
    if depends_on_rows(variant):
        return False
    if next(variant.parameters()).is_cuda:
        return True
    if any(
        isinstance(layer, nn.Conv1d | nn.ConvTranspose1d | nn.Conv2d | nn.ConvTranspose2d)
        for layer in variant.modules()
    ):
        return False
    return product_seconds(plan.batch_size, _numbers(variant)) < OTHER_SECONDS


def _shared(plan: Plan) -> Plan:
    """What of a plan must be the same for all members of one step."""
    return replace(plan, seed=0, learning_rate=0.0, schedule="", patience=None)


def _numbers(variant: Variant) -> int:
    return sum(parameter.numel() for parameter in variant.parameters())

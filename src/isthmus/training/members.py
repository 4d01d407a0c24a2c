"""Several models as one: their weights stacked, so that one step trains them all.

Models may differ in what their numbers are (weights, seeds, learning rates), in weights on terms of the loss, and in
how many latent units they have: a smaller model lies in the corner of a larger one whose other units are idle. An idle
unit has weights of 0, which are never learned, and noise of 0: its code is 0, its posterior is the prior, and the
model computes what it would compute without it.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from ..core.options import Options
from ..core.randomness import Randomness
from ..variants.base import Variant
from .noise import GivenRandomness, NotedRandomness, Request, padded
from .stacked_linear import make_stackable

Loss = Callable[[Variant, Tensor, Randomness], dict[str, Tensor]]


class Weight:
    """The value of an option for each of several models: a number in each model's own loss.

    Comparing it with 0 is answered for all models at once, since models that do not agree in it cannot stand
    together.
    """

    def __init__(self, value: Tensor, positive: bool):
        self.value, self.positive = value, positive

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        return function(*map(_value, given), **{name: _value(each) for name, each in (named or {}).items()})

    def __mul__(self, other: Any) -> Any:
        return self.value * _value(other)

    __rmul__ = __mul__

    def __gt__(self, other: Any) -> Any:
        if other != 0:
            raise TypeError("an option that differs between models trained together is compared with 0 only")
        return self.positive


def _value(given: Any) -> Any:
    return given.value if isinstance(given, Weight) else given


class _OptionsOfAll:
    """Options of which some are weights."""

    def __init__(self, options: Options, weights: dict[str, Weight]):
        self._options, self._weights = options, weights

    def __getattr__(self, name: str) -> Any:
        return self._weights[name] if name in self._weights else getattr(self._options, name)


def weight_names(options: Options) -> list[str]:
    """Options that are factors in the loss: models that differ in nothing else can be trained in one step."""
    declared = type(options).declared()
    return [name for name, field in declared.items() if (field.json_schema_extra or {}).get("weight")]


def can_stand_together(one: Variant, other: Variant) -> bool:
    """Whether one step can train both: they differ in numbers, in weights on terms and in latent units at most."""
    if type(one) is not type(other) or _fixed_options(one) != _fixed_options(other):
        return False
    smaller, larger = sorted((one, other), key=lambda variant: variant.latent_dim)
    if smaller.latent_dim != larger.latent_dim and not larger.idle_units_change_nothing:
        return False
    mine, theirs = (_held_by(variant) for variant in (smaller, larger))
    return mine.keys() == theirs.keys() and all(
        _corner(value.shape, theirs[name].shape, smaller.latent_dim, larger.latent_dim) is not None
        for name, value in mine.items()
    )


def _fixed_options(variant: Variant) -> dict[str, Any]:
    """The options that change what is computed, and of the others whether they are 0."""
    weights = weight_names(variant.options)
    options = variant.options.model_dump()
    return {name: value > 0 if name in weights else value for name, value in options.items()}


def _held_by(variant: Variant) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {**dict(variant.named_parameters()), **dict(variant.named_buffers())}


def _corner(small: Sequence[int], large: Sequence[int], units: int, most: int) -> list[list[int]] | None:
    """Where a smaller model's numbers lie in a larger one's: places along each dimension, None if nowhere.

    A dimension that counts latent units may do so several times, for instance for the means and then for the scales of
    all units: each time the units that the smaller model lacks come last.
    """
    if len(small) != len(large):
        return None
    places = []
    for few, many in zip(small, large, strict=True):
        if few == many:
            places.append(list(range(many)))
            continue
        times = few // units
        if few != times * units or many != times * most:
            return None
        places.append([turn * most + unit for turn in range(times) for unit in range(units)])
    return places


class Members:
    """Models that can stand together. One alone is not stacked: its own parameters are trained."""

    def __init__(self, variants: Sequence[Variant]):
        self.variants = list(variants)
        self.largest = max(range(len(variants)), key=lambda place: variants[place].latent_dim)
        largest = variants[self.largest]
        self.device = next(largest.parameters()).device
        self.single = len(variants) == 1
        self.template = largest if self.single else deepcopy(largest)
        if not self.single:
            make_stackable(self.template)
        self.template.train()
        self.loss_of = _LossOf(self.template)
        self.weights = {} if self.single else self._weights()
        shapes = {name: value.shape for name, value in _held_by(largest).items()}
        self.corners: list[dict[str, tuple[Tensor, ...] | None]] = [self._corners(each, shapes) for each in variants]
        if self.single:
            self.tensors = _held_by(largest)
        else:
            self.tensors = {
                name: value.detach().new_zeros(len(variants), *shapes[name])
                for name, value in _held_by(largest).items()
            }
            for place, variant in enumerate(variants):
                self.put(place, _held_by(variant))
            for name in dict(largest.named_parameters()):
                self.tensors[name].requires_grad_()

    def __len__(self) -> int:
        return len(self.variants)

    def names(self, parameters: Sequence[nn.Parameter]) -> list[str]:
        """The names of parameters of the template."""
        own = {id(parameter): name for name, parameter in self.template.named_parameters()}
        return [own[id(parameter)] for parameter in parameters]

    def mask(self, name: str) -> Tensor | None:
        """1 where a member's own numbers lie and 0 elsewhere; None where all are its own."""
        if all(corners[name] is None for corners in self.corners):
            return None
        mask = torch.zeros_like(self.tensors[name])
        for place in range(len(self)):
            self.at(mask, place, name, torch.ones((), device=self.device))
        return mask

    # One member's own part of what is stacked.

    def own(self, stack: Tensor, place: int, name: str) -> Tensor:
        """A copy of the numbers of one member in a stack shaped like `tensors[name]`."""
        if self.single:
            return stack.detach().clone()
        corner = self.corners[place][name]
        return (stack[place] if corner is None else stack[place][corner]).detach().clone()

    @torch.no_grad()
    def at(self, stack: Tensor, place: int, name: str, value: Tensor) -> None:
        """Put a member's numbers into a stack shaped like `tensors[name]`."""
        if self.single:
            stack.copy_(value)
        elif (corner := self.corners[place][name]) is None:
            stack[place].copy_(value)
        else:
            stack[place][corner] = value.to(stack.dtype)

    def put(self, place: int, values: dict[str, Tensor]) -> None:
        """Make these a member's parameters and buffers."""
        if self.single:
            # A model knows what to do where a prior that was fitted meanwhile is larger than the one to go back to.
            self.template.load_state_dict(values)
            self.tensors = _held_by(self.template)
            return
        for name, value in values.items():
            self.at(self.tensors[name], place, name, value.detach())

    def state_dict(self, place: int, tensors: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Copies of what a member keeps: those of its state, as its own model names and shapes them."""
        held = self.tensors if tensors is None else tensors
        return {name: self.own(held[name], place, name) for name in self.variants[place].state_dict()}

    # Losses.

    def evaluate(
        self, loss: Loss, tensors: dict[str, Tensor], x: Tensor, noise: Sequence[Tensor], shared: bool = False
    ) -> dict[str, Tensor]:
        """What `loss` gives, for batches x (members, rows, …) or one that all share; results have members first.

        A single model's x and results have no such dimension.
        """

        def own(tensors: dict[str, Tensor], weights: dict[str, Tensor], x: Tensor, noise: list[Tensor]) -> Any:
            self._set_weights(weights)
            held = {f"variant.{name}": value for name, value in tensors.items()}
            return dict(functional_call(self.loss_of, held, (loss, x, GivenRandomness(noise))))

        if self.single:
            return own(tensors, {}, x, list(noise))
        return vmap(own, in_dims=(0, 0, None if shared else 0, 0))(tensors, self.weights, x, list(noise))

    @torch.no_grad()
    def requests(self, loss: Loss, x: Tensor, shared: bool = False) -> list[list[Request]]:
        """What random numbers a loss draws, for each member as it is alone."""
        noted = []
        for place, variant in enumerate(self.variants):
            own = NotedRandomness("requests", device=self.device)
            variant.train(self.template.training)
            loss(variant, x if shared or self.single else x[place], own)
            noted.append(own.requests)
        return noted

    def drawn(self, requests: list[list[Request]], streams: Sequence[Randomness]) -> list[Tensor]:
        """Those numbers from each member's stream, shapes (members, …), or (…) of a single model."""
        drawn = [[request.drawn(stream) for request in own] for own, stream in zip(requests, streams, strict=True)]
        if self.single:
            return drawn[0]
        return [
            torch.stack([padded(own[place], wanted) if place < len(own) else wanted.idle(self.device) for own in drawn])
            for place, wanted in enumerate(requests[self.largest])
        ]

    def _weights(self) -> dict[str, Tensor]:
        """Options that differ between members, shape (members,)."""
        values = {
            name: [float(getattr(variant.options, name)) for variant in self.variants]
            for name in weight_names(self.template.options)
        }
        return {name: torch.tensor(each, device=self.device) for name, each in values.items() if len(set(each)) > 1}

    def _set_weights(self, values: dict[str, Tensor]) -> None:
        own = self.variants[0].options
        weights = {name: Weight(value, getattr(own, name) > 0) for name, value in values.items()}
        self.template.options = _OptionsOfAll(own, weights) if weights else own

    def _corners(self, variant: Variant, shapes: dict[str, Any]) -> dict[str, tuple[Tensor, ...] | None]:
        """Where a member's numbers lie, as indices; None where they fill the whole."""
        corners: dict[str, tuple[Tensor, ...] | None] = {}
        for name, value in _held_by(variant).items():
            if value.shape == shapes[name]:
                corners[name] = None
                continue
            places = _corner(value.shape, shapes[name], variant.latent_dim, self.template.latent_dim)
            if places is None:
                raise ValueError(f"'{name}' of shape {tuple(value.shape)} does not fit into {tuple(shapes[name])}")
            grid = torch.meshgrid(
                *(torch.tensor(each, dtype=torch.long, device=self.device) for each in places), indexing="ij"
            )
            corners[name] = tuple(grid)
        return corners


class _LossOf(nn.Module):
    """A module whose call is a loss of the variant inside it."""

    def __init__(self, variant: Variant):
        super().__init__()
        self.variant = variant

    def forward(self, loss: Loss, x: Tensor, randomness: Randomness) -> dict[str, Tensor]:
        return loss(self.variant, x, randomness)

"""The state of a training run, as plain tensors and plain numbers."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..variants.base import Variant
from .distributed import ALONE, Workers

# How far above its running mean a gradient's norm may rise before it is scaled down.
CLIP_FACTOR = 10.0


@dataclass
class TrainingState:
    """`tensors`: weights, optimisers' moments and the best weights so far; `counters`: epochs, best loss, history."""

    tensors: dict[str, Tensor]
    counters: dict[str, Any] = field(default_factory=dict)


class Player:
    """Parameters that one loss trains, with their optimiser and their gradient clipping."""

    def __init__(self, parameters: list[nn.Parameter], learning_rate: float):
        self.parameters = parameters
        self.learning_rate = learning_rate
        self.optimiser = torch.optim.Adam(parameters, lr=learning_rate, fused=True)
        self.usual_norm = torch.zeros((), device=parameters[0].device)

    def step(self, loss: Tensor, rate: float, workers: Workers = ALONE, weight: float = 1.0) -> None:
        """One step down the gradient of `loss`, at `rate` times the learning rate.

        With several workers, down the sum of the gradients of all their losses, each times its `weight`.
        """
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            # Contiguous: the gradient of a plain sum is one number seen many times, which cannot be scaled in place.
            parameter.grad = torch.zeros_like(parameter) if gradient is None else gradient.contiguous()
        workers.average_([parameter.grad for parameter in self.parameters if parameter.grad is not None], weight)
        self._clip()
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * rate
        self.optimiser.step()

    def is_finite(self) -> bool:
        """Whether every parameter is a number; waits for the device."""
        return bool(torch.nn.utils.get_total_norm(self.parameters).isfinite())

    def _clip(self) -> None:
        """Scale gradients to at most CLIP_FACTOR times the running mean of their norm; nothing waits for the device.

        A fixed limit would mean something else for every data set: losses are sums over features.
        """
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        usual = torch.where(self.usual_norm == 0, norm, self.usual_norm)
        limit = CLIP_FACTOR * usual
        scale = (limit / norm.clamp(min=1e-12)).clamp(max=1.0)
        torch._foreach_mul_(gradients, scale)  # pyright: ignore[reportPrivateImportUsage] - as in torch.nn.utils
        self.usual_norm.copy_(torch.lerp(usual, torch.minimum(norm, limit), 0.05))

    def tensors(self) -> dict[str, Tensor]:
        """Copies of all that a step changes beside the parameters."""
        held = {"usual_norm": self.usual_norm.clone()}
        for index, parameter in enumerate(self.parameters):
            for name, value in self.optimiser.state[parameter].items():
                held[f"{index}.{name}"] = value.detach().clone()
        return held

    def restore(self, held: dict[str, Tensor]) -> None:
        self.usual_norm.copy_(held["usual_norm"])
        for index, parameter in enumerate(self.parameters):
            prefix = f"{index}."
            moments = {name.removeprefix(prefix): value for name, value in held.items() if name.startswith(prefix)}
            # Adam counts its steps on the CPU unless fused; the stored tensor's own device is not to be trusted.
            self.optimiser.state[parameter] = {
                name: value.clone().to(parameter.device) for name, value in moments.items()
            }


def players_of(variant: Variant, learning_rate: float) -> list[Player]:
    """The model, and its opponent if it has one."""
    players = [Player(variant.own_parameters(), learning_rate)]
    if variant.opponent is not None:
        players.append(Player(list(variant.opponent.parameters()), learning_rate))
    return players


def weights_of(variant: Variant) -> dict[str, Tensor]:
    """A copy of the weights."""
    return {name: value.detach().clone() for name, value in variant.state_dict().items()}


def nested(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

"""Adam with adaptive clipping, for the parameters that one loss trains: of one model, or of several stacked in one."""

from collections.abc import Sequence

import torch
from torch import Tensor

# How far above its running mean a gradient's norm may rise before it is scaled down.
CLIP_FACTOR = 10.0
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
# What is kept once for each member, not for each of its numbers.
PER_MEMBER = ("usual_norm", "steps")


class Optimiser:
    """What a step changes beside the parameters, and how (Kingma & Ba, 2015, https://arxiv.org/abs/1412.6980).

    With `members` = 1 parameters are those of one model. Else each has a first dimension of that many models, which
    neither share a norm nor a learning rate: every one is trained as it would be alone. `mask` says, for each
    parameter, which of its numbers are learned (None: all); the others keep their value.
    """

    def __init__(self, parameters: Sequence[Tensor], members: int = 1, mask: Sequence[Tensor | None] | None = None):
        self.parameters = list(parameters)
        self.members = members
        self.mask = list(mask) if mask is not None else [None] * len(self.parameters)
        device = self.parameters[0].device
        self.first_moments = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.second_moments = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.steps = torch.zeros(members, device=device)
        self.usual_norm = torch.zeros(members, device=device)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None], rates: Tensor, alike: bool) -> None:
        """One step down the gradients, at `rates` (members,); `alike` says that rates and steps are all the same."""
        # Contiguous: the gradient of a plain sum is one number seen many times, which cannot be scaled in place.
        held = [
            torch.zeros_like(parameter) if gradient is None else gradient.contiguous()
            for parameter, gradient in zip(self.parameters, gradients, strict=True)
        ]
        for gradient, mask in zip(held, self.mask, strict=True):
            if mask is not None:
                gradient.mul_(mask)
        self._clip(held)
        self.steps += 1
        if alike:
            self._step_alike(held, rates[0])
        else:
            self._step_apart(held, rates)

    def _step_alike(self, gradients: list[Tensor], rate: Tensor) -> None:
        """Adam works number by number: with one rate, a stack of models is one model."""
        torch._fused_adam_(  # pyright: ignore[reportPrivateImportUsage] - what torch.optim.Adam(fused=True) calls
            self.parameters,
            gradients,
            self.first_moments,
            self.second_moments,
            [],
            [self.steps.max()] * len(gradients),
            lr=rate if rate.is_cuda else float(rate),
            beta1=BETA_1,
            beta2=BETA_2,
            weight_decay=0.0,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def _step_apart(self, gradients: list[Tensor], rates: Tensor) -> None:
        """The same formula with a rate and a count for each member."""
        share_1 = rates / (1 - BETA_1**self.steps)
        share_2 = (1 - BETA_2**self.steps).rsqrt()
        for parameter, gradient, first, second in zip(
            self.parameters, gradients, self.first_moments, self.second_moments, strict=True
        ):
            first.lerp_(gradient, 1 - BETA_1)
            second.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
            shape = (self.members, *[1] * (parameter.ndim - 1)) if self.members > 1 else ()
            size = second.sqrt().mul_(share_2.view(shape)).add_(EPSILON)
            parameter.addcdiv_(first * share_1.view(shape), size, value=-1.0)

    def _clip(self, gradients: list[Tensor]) -> None:
        """Scale gradients to at most CLIP_FACTOR times the running mean of their norm; nothing waits for the device.

        A fixed limit would mean something else for every data set: losses are sums over features.
        """
        norm = self._norms(gradients)
        usual = torch.where(self.usual_norm == 0, norm, self.usual_norm)
        limit = CLIP_FACTOR * usual
        scale = (limit / norm.clamp(min=1e-12)).clamp(max=1.0)
        self.usual_norm.copy_(torch.lerp(usual, torch.minimum(norm, limit), 0.05))
        # Nearly always all scales are 1. Where reading them costs nothing, neither does that.
        if scale.is_cuda or not bool((scale == 1.0).all()):
            for gradient in gradients:
                gradient.mul_(scale.view(self.members, *[1] * (gradient.ndim - 1)) if self.members > 1 else scale[0])

    def _norms(self, tensors: list[Tensor]) -> Tensor:
        """The norm over all tensors, shape (members,)."""
        if self.members == 1:
            return torch.nn.utils.get_total_norm(tensors).view(1)
        return torch.stack([torch.linalg.vector_norm(each.flatten(1), dim=1) for each in tensors]).norm(dim=0)

    def finite(self) -> Tensor:
        """Whether every parameter of a member is a number, shape (members,)."""
        return self._norms([parameter.detach() for parameter in self.parameters]).isfinite()

    def tensors(self) -> dict[str, Tensor]:
        """What is to be kept, by name; the tensors themselves, not copies."""
        held = {"usual_norm": self.usual_norm, "steps": self.steps}
        for index in range(len(self.parameters)):
            held[f"{index}.first_moment"] = self.first_moments[index]
            held[f"{index}.second_moment"] = self.second_moments[index]
        return held

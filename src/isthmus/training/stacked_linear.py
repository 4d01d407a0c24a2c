"""Linear layers of several models in one product, forward and backward.

What PyTorch makes of a stack of linear layers by itself is as right and a third slower: it adds the biases in a pass of
their own, and gives gradients in another order of memory than the weights', to be copied.
"""

from typing import Any

import torch
from torch import Tensor, nn


class StackableLinear(nn.Linear):
    """A linear layer that `torch.vmap` turns into one batched product."""

    def forward(self, input: Tensor) -> Tensor:
        if self.bias is None:
            return super().forward(input)
        flat = input.reshape(-1, input.shape[-1])
        return _Linear.apply(flat, self.weight, self.bias).unflatten(0, input.shape[:-1])


def make_stackable(module: nn.Module) -> None:
    """Turn every linear layer inside into a stackable one, with the same parameters."""
    for layer in module.modules():
        if type(layer) is nn.Linear:
            layer.__class__ = StackableLinear


class _Linear(torch.autograd.Function):
    """x Wᵀ + b of one model: x (rows, inputs), W (outputs, inputs), b (outputs,).

    Where products are taken in half precision, so are those of the gradient: it comes in that type, and autograd
    returns it to the parameters' own.
    """

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.addmm(bias, x, weight.t())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        x, weight, _ = inputs
        ctx.save_for_backward(x, weight)
        ctx.save_for_forward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = (value.to(gradient.dtype) for value in ctx.saved_tensors)
        return gradient @ weight, gradient.t() @ x, gradient.sum(0)

    @staticmethod
    def jvp(ctx: Any, dx: Tensor | None, dweight: Tensor | None, dbias: Tensor | None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        change = torch.zeros((), dtype=weight.dtype, device=weight.device).expand(len(x), len(weight))
        if dx is not None:
            change = change + dx @ weight.t()
        if dweight is not None:
            change = change + x @ dweight.t()
        return change if dbias is None else change + dbias

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, int]:
        """The same for a stack, each argument with the models at the dimension that `in_dims` names, or shared."""
        stacks = [
            value.unsqueeze(0).expand(info.batch_size, *value.shape) if place is None else value.movedim(place, 0)
            for value, place in zip((x, weight, bias), in_dims, strict=True)
        ]
        return _StackedLinear.apply(*stacks), 0


class _StackedLinear(torch.autograd.Function):
    """x Wᵀ + b of each model: x (models, rows, inputs), W (models, outputs, inputs), b (models, outputs)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = (value.to(gradient.dtype) for value in ctx.saved_tensors)
        own = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        return own, torch.bmm(gradient.mT, x), gradient.sum(1)

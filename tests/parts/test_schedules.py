"""Schedules: their ends, their shape and their gradients."""

import math

import pytest
import torch

from isthmus.core.randomness import Randomness
from isthmus.parts.schedules import cosine_decay, free_bits, linear_warmup


def test_warmup_rises_in_a_line_and_stays_at_one() -> None:
    epochs = torch.tensor([0, 1, 5, 10, 11, 1000])
    torch.testing.assert_close(linear_warmup(epochs, 10), torch.tensor([0.0, 0.1, 0.5, 1.0, 1.0, 1.0]))
    assert linear_warmup(2.5, 10).item() == 0.25


def test_warmup_of_no_length_is_off() -> None:
    assert torch.equal(linear_warmup(torch.tensor([0, 3]), 0), torch.ones(2))


@pytest.mark.parametrize("final", [0.0, 0.2])
def test_cosine_decay_falls_from_one_to_the_final_factor(final: float) -> None:
    factors = cosine_decay(torch.linspace(0, 1, 101), final=final)
    assert factors[0] == 1 and factors[-1].item() == pytest.approx(final, abs=1e-6)
    assert (factors.diff() < 0).all()
    assert factors[50].item() == pytest.approx((1 + final) / 2)
    quarter = final + (1 - final) * (1 + math.sqrt(0.5)) / 2
    assert factors[25].item() == pytest.approx(quarter)


def test_cosine_decay_holds_its_ends() -> None:
    assert cosine_decay(1.5, final=0.1).item() == pytest.approx(0.1) and cosine_decay(-0.5).item() == 1


def test_free_bits_lift_the_mean_to_the_floor_and_cut_the_gradient_below_it_only() -> None:
    kl = (Randomness(0).uniform(8, 3) * torch.tensor([0.1, 1.0, 5.0])).requires_grad_()
    means = kl.detach().mean(0)
    assert means[0] < 0.2 < means[1] < means[2]
    floored = free_bits(kl, 0.2)
    torch.testing.assert_close(floored.mean(0), means.clamp_min(0.2))
    assert torch.equal(floored[:, 1:], kl[:, 1:])  # rows under the floor keep their own value too
    assert (kl[:, 1] < 0.2).any()
    gradient = torch.autograd.grad(floored.sum(), kl)[0]
    assert torch.equal(gradient, torch.tensor([0.0, 1.0, 1.0]).expand(8, 3))


def test_no_free_bits_change_nothing_even_for_negative_estimates() -> None:
    kl = torch.tensor([[-1.0, 2.0], [0.5, -3.0]], requires_grad=True)
    assert torch.equal(free_bits(kl, 0.0), kl)
    assert torch.equal(torch.autograd.grad(free_bits(kl, 0.0).sum(), kl)[0], torch.ones(2, 2))


def test_schedules_compile_whole() -> None:
    """They run inside a captured step, so nothing may be read back to the host."""

    def step(epoch: torch.Tensor, kl: torch.Tensor) -> torch.Tensor:
        return cosine_decay(epoch / 10) * linear_warmup(epoch, 4) * free_bits(kl, 0.3).sum()

    epoch, kl = torch.tensor(3.0), Randomness(1).uniform(5, 2)
    compiled = torch.compile(step, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(epoch, kl), step(epoch, kl))

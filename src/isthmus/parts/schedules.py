"""Numbers that change while a model trains, as pure functions that can run inside a captured step."""

import math

import torch
from torch import Tensor


def linear_warmup(epoch: float | Tensor, length: float) -> Tensor:
    """The weight of a term that grows from 0 at epoch 0 to 1 at epoch `length` and stays there; 1 if `length` is 0.

    Used on the KL term against posterior collapse (Bowman et al. 2016; Sønderby et al. 2016). `epoch` may be
    a fraction, and a tensor of any shape.
    """
    epoch = torch.as_tensor(epoch, dtype=torch.get_default_dtype())
    return torch.ones_like(epoch) if length == 0 else (epoch / length).clamp(0.0, 1.0)


def free_bits(kl_per_unit: Tensor, floor: float) -> Tensor:
    """Leave every latent unit `floor` nats that cost nothing (Kingma et al. 2016, appendix C.8).

    Takes and returns the KL of each row and unit in nats, shape (rows, units). The mean of a unit over the rows becomes
    max(mean, floor). A unit below the floor gets no gradient; one above it is unchanged, row by row. A floor of 0 is
    no floor, also for estimates of the KL, which may be negative.
    """
    if floor == 0:
        return kl_per_unit
    # A masked fill rather than a clamp of the mean keeps the values of single rows; the fill cuts the gradient.
    below = kl_per_unit.mean(0, keepdim=True) < floor
    return kl_per_unit.masked_fill(below, floor)


def cosine_decay(progress: float | Tensor, final: float = 0.0) -> Tensor:
    """The factor of a learning rate that falls from 1 to `final` along half a cosine (Loshchilov & Hutter 2017).

    `progress` is the share of training done; outside 0 … 1 the nearer end holds.
    """
    progress = torch.as_tensor(progress, dtype=torch.get_default_dtype())
    wave = (1 + torch.cos(math.pi * progress.clamp(0.0, 1.0))) / 2
    return final + (1 - final) * wave

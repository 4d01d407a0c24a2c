"""How far one distribution is from another, in nats."""

import torch
from torch import Tensor

from .distributions import Distribution, Gaussian


def gaussian_kl(posterior: Gaussian, prior: Gaussian) -> Tensor:
    """KL(posterior ‖ prior) of each element, in closed form; the parameters broadcast."""
    # ½ (r² - 1 - log r²) + ½ ((μ_q - μ_p) / σ_p)²,  r = σ_q / σ_p
    log_ratio = posterior.log_scale - prior.log_scale
    shift = (posterior.mean - prior.mean) * torch.exp(-prior.log_scale)
    # expm1 keeps the digits where the scales are nearly equal.
    return 0.5 * (torch.expm1(2 * log_ratio) + shift.square()) - log_ratio


def standard_normal_kl(posterior: Gaussian) -> Tensor:
    """KL(posterior ‖ N(0, 1)) of each element, in closed form (Kingma & Welling 2014, appendix B)."""
    return 0.5 * (torch.expm1(2 * posterior.log_scale) + posterior.mean.square()) - posterior.log_scale


def categorical_kl(posterior_logits: Tensor, prior_logits: Tensor) -> Tensor:
    """KL between categorical distributions; the last dimension holds the categories and is summed out."""
    posterior_log_probabilities = torch.log_softmax(posterior_logits, dim=-1)
    difference = posterior_log_probabilities - torch.log_softmax(prior_logits, dim=-1)
    return (posterior_log_probabilities.exp() * difference).sum(-1)


def sampled_kl(posterior: Distribution, prior: Distribution, z: Tensor) -> Tensor:
    """log q(z) - log p(z) of each element: for z drawn from the posterior, its expectation is KL(posterior ‖ prior)."""
    return posterior.log_prob(z) - prior.log_prob(z)


def maximum_mean_discrepancy(a: Tensor, b: Tensor) -> Tensor:
    """Squared maximum mean discrepancy between two samples of shape (rows, dimensions), a scalar without a unit.

    The estimate is unbiased, and so may be negative (Gretton et al. 2012, lemma 6). The kernel is a sum of inverse
    multiquadrics C / (C + ‖x - y‖²) over seven scales around C = 2 · dimensions, the expected squared distance of two
    draws from N(0, I) (Tolstikhin et al. 2018). Each sample needs at least two rows.
    """
    within_a = (_inverse_multiquadrics(a, a).sum() - _SELF_SIMILARITY * len(a)) / (len(a) * (len(a) - 1))
    within_b = (_inverse_multiquadrics(b, b).sum() - _SELF_SIMILARITY * len(b)) / (len(b) * (len(b) - 1))
    return within_a + within_b - 2 * _inverse_multiquadrics(a, b).mean()


_KERNEL_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_SELF_SIMILARITY = float(len(_KERNEL_SCALES))  # the kernel of a row with itself


def _inverse_multiquadrics(a: Tensor, b: Tensor) -> Tensor:
    """The kernel between all rows, shape (rows of a, rows of b)."""
    squared = (a.unsqueeze(1) - b.unsqueeze(0)).square().sum(-1)
    base = 2.0 * a.shape[-1]
    return torch.stack([scale * base / (scale * base + squared) for scale in _KERNEL_SCALES]).sum(0)

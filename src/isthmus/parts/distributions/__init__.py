"""Elementwise probability distributions in plain tensor arithmetic."""

from .base import Distribution
from .bernoulli import Bernoulli
from .beta_binomial import BetaBinomial
from .categorical import Categorical
from .discretised_logistic import DiscretisedLogistic
from .gaussian import Gaussian
from .mixture import Mixture
from .multinomial import Multinomial
from .negative_binomial import NegativeBinomial
from .point_mass import PointMass
from .poisson import Poisson
from .student_t import StudentT
from .symmetric import Symmetric
from .zero_inflated import ZeroInflated

__all__ = [
    "Bernoulli",
    "BetaBinomial",
    "Categorical",
    "DiscretisedLogistic",
    "Distribution",
    "Gaussian",
    "Mixture",
    "Multinomial",
    "NegativeBinomial",
    "PointMass",
    "Poisson",
    "StudentT",
    "Symmetric",
    "ZeroInflated",
]

"""Elementwise probability distributions in plain tensor arithmetic."""

from .base import Distribution
from .bernoulli import Bernoulli
from .beta_binomial import BetaBinomial
from .categorical import Categorical
from .discretised_logistic import DiscretisedLogistic
from .gaussian import Gaussian
from .mixture import Mixture
from .point_mass import PointMass
from .student_t import StudentT
from .symmetric import Symmetric

__all__ = [
    "Bernoulli",
    "BetaBinomial",
    "Categorical",
    "DiscretisedLogistic",
    "Distribution",
    "Gaussian",
    "Mixture",
    "PointMass",
    "StudentT",
    "Symmetric",
]

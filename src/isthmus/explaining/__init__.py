"""What a fitted model says about itself: what each latent unit stands for, and which columns make a row unusual.

Functions about units take an estimator and codes (rows, latent_dim): those of rows (`transform`), or `prior_codes`.
They return plain facts; `explain` puts them together. docs/facts.md gives the shapes.
"""

from .explanation import explain, prior_codes
from .scores import excess_surprise, explained_scores
from .turning import carries
from .walks import traversals

__all__ = ["carries", "excess_surprise", "explain", "explained_scores", "prior_codes", "traversals"]

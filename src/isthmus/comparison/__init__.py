"""The main job: train several models at several sizes on one data set, measure them on held-out rows, say which to use."""

from .compare import compare
from .result import Comparison

__all__ = ["Comparison", "compare"]

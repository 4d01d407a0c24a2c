"""The options that every public class shares; a variant adds its own."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt
from pydantic_core import PydanticCustomError

from ..core.options import Options, option


def _plain(value: Any) -> Any:
    """NumPy's scalars, which parameter searches hand over, as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _widths(value: Any) -> Any:
    """A list of widths as a tuple; one width as a tuple of one."""
    value = _plain(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _several(value: Any) -> Any:
    """A list as a tuple; one word as a tuple of one."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _seed(value: Any) -> Any:
    """What scikit-learn's estimators take as `random_state`."""
    if value is None or isinstance(value, int | np.integer | np.random.RandomState | np.random.Generator):
        return value
    raise PydanticCustomError("random_state", "Input should be an integer, a NumPy generator or None")


Widths = Annotated[Literal["auto"] | tuple[PositiveInt, ...], BeforeValidator(_widths)]
Count = Annotated[PositiveInt, BeforeValidator(_plain)]
Epochs = Annotated[int, Field(gt=0, le=1_000_000), BeforeValidator(_plain)]
Number = Annotated[float, BeforeValidator(_plain)]
Augmentations = Annotated[tuple[Literal["flip", "shift", "crop"], ...] | None, BeforeValidator(_several)]
Seed = Annotated[Any, AfterValidator(_seed)]


class SharedOptions(Options):
    latent_dim: Count | Literal["auto"] = option(8, "latent units; 'auto' picks a number from the data")
    hidden: Widths = option("auto", "widths of the hidden layers, such as (400,); the decoder mirrors the encoder")
    network: Literal["auto", "dense", "convolutional", "residual", "attention"] = option(
        "auto", "kind of network; residual is for images, attention for tables"
    )
    activation: Literal["relu", "silu", "gelu", "tanh"] = option("relu", "function between layers")
    data: str = option("auto", "what rows are, such as 'series', 'counts' or 'words'; else by their type")
    likelihood: str = option("auto", "noise of numbers or pixels, such as 'gaussian'; of texts their symbols")
    largest_side: Count | Literal["auto"] = option(
        "auto", "images: a longer side is reduced to this; 'auto': 64 where sizes differ"
    )
    augment: Augmentations = option(None, "images: random changes in training; any of flip, shift and crop")
    missing: Literal["auto", "ignored", "modelled"] = option(
        "auto", "whether missing cells have a probability; 'auto': with 'autoregressive' alone"
    )
    prior: Literal["own", "flow_matching", "flow"] = option(
        "own", "what new codes are drawn from: the model's prior, or a flow fitted to codes"
    )
    epochs: Epochs | Literal["auto"] = option("auto", "passes over the rows; 'auto' aims at 4,000 steps")
    batch_size: Count = option(128, "rows per step")
    learning_rate: Number = option(2e-3, "Adam's step size", above=0)
    schedule: Literal["cosine", "constant"] = option("cosine", "how the learning rate changes over training")
    validation_fraction: Number = option(0.1, "share of rows held out to stop in time; 0 for none", low=0, high=0.9)
    patience: Count | None = option(20, "epochs without a better validation loss before stopping; None for no stopping")
    contamination: Number = option(0.05, "share of the fitted rows that predict() calls outliers", above=0, high=0.5)
    device: str = option("auto", "'cpu', 'cuda', or the fastest there is")
    precision: Literal["float32", "bfloat16"] = option("float32", "arithmetic of the networks while training")
    compiled: Literal["auto"] | bool = option(
        "auto", "whether training steps are compiled; 'auto': where that saves time"
    )
    random_state: Seed = option(None, "seed, for the same result every time")
    verbose: Annotated[int, BeforeValidator(_plain)] = option(0, "1 shows progress", low=0)

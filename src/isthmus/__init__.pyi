"""The public names and their signatures, for editors and type checkers.

Written by `python -m isthmus.estimator.stubs` from the variants' declarations; change those, not this.
"""

from typing import Any, Literal

from .comparison.compare import compare as compare
from .comparison.result import Comparison as Comparison
from .core import errors as errors
from .estimator.base import Estimator as _Estimator
from .estimator.detector import Detector as Detector
from .estimator.tuning import tune as tune
from .evaluating import Evaluation as Evaluation
from .evaluating import evaluate as evaluate
from .files.streaming import stream as stream
from .saving import load as load

__version__: str

class Autoencoder(_Estimator):
    """Codes are points: h = f(x); the loss is the reconstruction's negative log-likelihood.

    Hinton & Salakhutdinov (2006), https://doi.org/10.1126/science.1127647; denoising: Vincent et al. (2008);
    contractive: Rifai et al. (2011)

    Options:
        latent_dim: latent units; 'auto' picks a number from the data (default 8)
        noise: standard deviation of noise on the input (denoising) (default 0.0)
        sparsity: weight on the sum of absolute codes (sparse) (default 0.0)
        contraction: weight on the squared slope of the codes (contractive) (default 0.0)
        code_activation: the f that gives the codes h = f(Wx + b) (default 'identity')
        hidden: widths of the hidden layers, such as (400,); the decoder mirrors the encoder (default 'auto')
        network: kind of network; residual is for images, attention for tables (default 'auto')
        activation: function between layers (default 'relu')
        data: what rows are, such as 'series', 'counts' or 'words'; else by their type (default 'auto')
        likelihood: noise of numbers or pixels, such as 'gaussian'; of texts their symbols (default 'auto')
        largest_side: images: a longer side is reduced to this; 'auto': 64 where sizes differ (default 'auto')
        augment: images: random changes in training; any of flip, shift and crop (default None)
        missing: whether missing cells have a probability; 'auto': with 'autoregressive' alone (default 'auto')
        prior: what new codes are drawn from: the model's prior, or a flow fitted to codes (default 'own')
        epochs: passes over the rows; 'auto' aims at 4,000 steps (default 'auto')
        batch_size: rows per step (default 128)
        learning_rate: Adam's step size (default 0.002)
        schedule: how the learning rate changes over training (default 'cosine')
        validation_fraction: share of rows held out to stop in time; 0 for none (default 0.1)
        patience: epochs without a better validation loss before stopping; None for no stopping (default 20)
        contamination: share of the fitted rows that predict() calls outliers (default 0.05)
        device: 'cpu', 'cuda', or the fastest there is (default 'auto')
        precision: arithmetic of the networks while training (default 'float32')
        compiled: whether training steps are compiled; 'auto': where that saves time (default 'auto')
        random_state: seed, for the same result every time (default None)
        verbose: 1 shows progress (default 0)

    Learnt attributes: `history_` (one dict per epoch), `latent_dim_`, `domain_` (the data's schema), `model_`
    (the
        variant, a torch module), `offset_` (the score below which a row is an outlier), `step_offset_` (of
    series: the
        score below which a step is unusual), `pixel_offset_` (of images: that of a pixel), `training_` (facts of
    the run),
        `size_search_` (with latent_dim="auto": what each size achieved), `n_features_in_`, `feature_names_in_`.
    """

    def __init__(
        self,
        latent_dim: int | Literal["auto"] = 8,
        *,
        noise: float = 0.0,
        sparsity: float = 0.0,
        contraction: float = 0.0,
        code_activation: Literal["identity", "relu", "tanh"] = "identity",
        hidden: Literal["auto"] | tuple[int, ...] = "auto",
        network: Literal["auto", "dense", "convolutional", "residual", "attention"] = "auto",
        activation: Literal["relu", "silu", "gelu", "tanh"] = "relu",
        data: str = "auto",
        likelihood: str = "auto",
        largest_side: int | Literal["auto"] = "auto",
        augment: tuple[Literal["flip", "shift", "crop"], ...] | None = None,
        missing: Literal["auto", "ignored", "modelled"] = "auto",
        prior: Literal["own", "flow_matching", "flow"] = "own",
        epochs: int | Literal["auto"] = "auto",
        batch_size: int = 128,
        learning_rate: float = 0.002,
        schedule: Literal["cosine", "constant"] = "cosine",
        validation_fraction: float = 0.1,
        patience: int | None = 20,
        contamination: float = 0.05,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compiled: Literal["auto"] | bool = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None: ...

class FactorVAE(_Estimator):
    """The VAE's loss plus γ · TC(z), the opponent's estimate of KL(q(z) ‖ Π q(z_j)).

    Kim & Mnih (2018), https://arxiv.org/abs/1802.05983, Eq. 2 and 3

    Options:
        latent_dim: latent units; 'auto' picks a number from the data (default 8)
        gamma: weight on the total correlation of the codes; 0 gives the VAE (default 10.0)
        hidden: widths of the hidden layers, such as (400,); the decoder mirrors the encoder (default 'auto')
        network: kind of network; residual is for images, attention for tables (default 'auto')
        activation: function between layers (default 'relu')
        data: what rows are, such as 'series', 'counts' or 'words'; else by their type (default 'auto')
        likelihood: noise of numbers or pixels, such as 'gaussian'; of texts their symbols (default 'auto')
        largest_side: images: a longer side is reduced to this; 'auto': 64 where sizes differ (default 'auto')
        augment: images: random changes in training; any of flip, shift and crop (default None)
        missing: whether missing cells have a probability; 'auto': with 'autoregressive' alone (default 'auto')
        prior: what new codes are drawn from: the model's prior, or a flow fitted to codes (default 'own')
        epochs: passes over the rows; 'auto' aims at 4,000 steps (default 'auto')
        batch_size: rows per step (default 128)
        learning_rate: Adam's step size (default 0.002)
        schedule: how the learning rate changes over training (default 'cosine')
        validation_fraction: share of rows held out to stop in time; 0 for none (default 0.1)
        patience: epochs without a better validation loss before stopping; None for no stopping (default 20)
        contamination: share of the fitted rows that predict() calls outliers (default 0.05)
        device: 'cpu', 'cuda', or the fastest there is (default 'auto')
        precision: arithmetic of the networks while training (default 'float32')
        compiled: whether training steps are compiled; 'auto': where that saves time (default 'auto')
        random_state: seed, for the same result every time (default None)
        verbose: 1 shows progress (default 0)

    Learnt attributes: `history_` (one dict per epoch), `latent_dim_`, `domain_` (the data's schema), `model_`
    (the
        variant, a torch module), `offset_` (the score below which a row is an outlier), `step_offset_` (of
    series: the
        score below which a step is unusual), `pixel_offset_` (of images: that of a pixel), `training_` (facts of
    the run),
        `size_search_` (with latent_dim="auto": what each size achieved), `n_features_in_`, `feature_names_in_`.
    """

    def __init__(
        self,
        latent_dim: int | Literal["auto"] = 8,
        *,
        gamma: float = 10.0,
        hidden: Literal["auto"] | tuple[int, ...] = "auto",
        network: Literal["auto", "dense", "convolutional", "residual", "attention"] = "auto",
        activation: Literal["relu", "silu", "gelu", "tanh"] = "relu",
        data: str = "auto",
        likelihood: str = "auto",
        largest_side: int | Literal["auto"] = "auto",
        augment: tuple[Literal["flip", "shift", "crop"], ...] | None = None,
        missing: Literal["auto", "ignored", "modelled"] = "auto",
        prior: Literal["own", "flow_matching", "flow"] = "own",
        epochs: int | Literal["auto"] = "auto",
        batch_size: int = 128,
        learning_rate: float = 0.002,
        schedule: Literal["cosine", "constant"] = "cosine",
        validation_fraction: float = 0.1,
        patience: int | None = 20,
        contamination: float = 0.05,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compiled: Literal["auto"] | bool = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None: ...

class FSQ(_Estimator):
    """A discrete code without a codebook to learn or to collapse; rounding passes gradients straight through.

    Mentzer et al. (2024), https://arxiv.org/abs/2309.15505; it stands in for VQ-VAE, van den Oord et al. (2017),
    https://arxiv.org/abs/1711.00937

    Options:
        latent_dim: latent units; 'auto' picks a number from the data (default 8)
        levels: values that each latent unit can take (default 8)
        hidden: widths of the hidden layers, such as (400,); the decoder mirrors the encoder (default 'auto')
        network: kind of network; residual is for images, attention for tables (default 'auto')
        activation: function between layers (default 'relu')
        data: what rows are, such as 'series', 'counts' or 'words'; else by their type (default 'auto')
        likelihood: noise of numbers or pixels, such as 'gaussian'; of texts their symbols (default 'auto')
        largest_side: images: a longer side is reduced to this; 'auto': 64 where sizes differ (default 'auto')
        augment: images: random changes in training; any of flip, shift and crop (default None)
        missing: whether missing cells have a probability; 'auto': with 'autoregressive' alone (default 'auto')
        prior: what new codes are drawn from: the model's prior, or a flow fitted to codes (default 'own')
        epochs: passes over the rows; 'auto' aims at 4,000 steps (default 'auto')
        batch_size: rows per step (default 128)
        learning_rate: Adam's step size (default 0.002)
        schedule: how the learning rate changes over training (default 'cosine')
        validation_fraction: share of rows held out to stop in time; 0 for none (default 0.1)
        patience: epochs without a better validation loss before stopping; None for no stopping (default 20)
        contamination: share of the fitted rows that predict() calls outliers (default 0.05)
        device: 'cpu', 'cuda', or the fastest there is (default 'auto')
        precision: arithmetic of the networks while training (default 'float32')
        compiled: whether training steps are compiled; 'auto': where that saves time (default 'auto')
        random_state: seed, for the same result every time (default None)
        verbose: 1 shows progress (default 0)

    Learnt attributes: `history_` (one dict per epoch), `latent_dim_`, `domain_` (the data's schema), `model_`
    (the
        variant, a torch module), `offset_` (the score below which a row is an outlier), `step_offset_` (of
    series: the
        score below which a step is unusual), `pixel_offset_` (of images: that of a pixel), `training_` (facts of
    the run),
        `size_search_` (with latent_dim="auto": what each size achieved), `n_features_in_`, `feature_names_in_`.
    """

    def __init__(
        self,
        latent_dim: int | Literal["auto"] = 8,
        *,
        levels: int = 8,
        hidden: Literal["auto"] | tuple[int, ...] = "auto",
        network: Literal["auto", "dense", "convolutional", "residual", "attention"] = "auto",
        activation: Literal["relu", "silu", "gelu", "tanh"] = "relu",
        data: str = "auto",
        likelihood: str = "auto",
        largest_side: int | Literal["auto"] = "auto",
        augment: tuple[Literal["flip", "shift", "crop"], ...] | None = None,
        missing: Literal["auto", "ignored", "modelled"] = "auto",
        prior: Literal["own", "flow_matching", "flow"] = "own",
        epochs: int | Literal["auto"] = "auto",
        batch_size: int = 128,
        learning_rate: float = 0.002,
        schedule: Literal["cosine", "constant"] = "cosine",
        validation_fraction: float = 0.1,
        patience: int | None = 20,
        contamination: float = 0.05,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compiled: Literal["auto"] | bool = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None: ...

class Generator(_Estimator):
    """The VAE whose tables look most like real ones: columns depend on those before them, too.

    Larochelle & Murray (2011), http://proceedings.mlr.press/v15/larochelle11a.html, given the code of a VAE: Chen
    et al. (2017), https://arxiv.org/abs/1611.02731

    Options:
        latent_dim: latent units; 'auto' picks a number from the data (default 8)
        beta: weight on the KL term; 1 gives the evidence lower bound (default 1.0)
        free_bits: nats each latent unit may carry before its KL is charged; 'auto': 0.2 for texts, else 0
    (default 'auto')
        warmup: epochs over which the KL term's weight rises from 0, at most half of all (default 0.0)
        mask_fraction: share of cells hidden from the encoder in training (tables, counts, series) (default 0.0)
        kl: how the KL term is found (default 'closed form')
        hidden: widths of the hidden layers, such as (400,); the decoder mirrors the encoder (default 'auto')
        network: kind of network; residual is for images, attention for tables (default 'auto')
        activation: function between layers (default 'relu')
        data: what rows are, such as 'series', 'counts' or 'words'; else by their type (default 'auto')
        likelihood: noise of numbers or pixels, such as 'gaussian'; of texts their symbols (default
    'autoregressive')
        largest_side: images: a longer side is reduced to this; 'auto': 64 where sizes differ (default 'auto')
        augment: images: random changes in training; any of flip, shift and crop (default None)
        missing: whether missing cells have a probability; 'auto': with 'autoregressive' alone (default 'auto')
        prior: what new codes are drawn from: the model's prior, or a flow fitted to codes (default 'own')
        epochs: passes over the rows; 'auto' aims at 4,000 steps (default 'auto')
        batch_size: rows per step (default 128)
        learning_rate: Adam's step size (default 0.002)
        schedule: how the learning rate changes over training (default 'cosine')
        validation_fraction: share of rows held out to stop in time; 0 for none (default 0.1)
        patience: epochs without a better validation loss before stopping; None for no stopping (default 20)
        contamination: share of the fitted rows that predict() calls outliers (default 0.05)
        device: 'cpu', 'cuda', or the fastest there is (default 'auto')
        precision: arithmetic of the networks while training (default 'float32')
        compiled: whether training steps are compiled; 'auto': where that saves time (default 'auto')
        random_state: seed, for the same result every time (default None)
        verbose: 1 shows progress (default 0)

    Learnt attributes: `history_` (one dict per epoch), `latent_dim_`, `domain_` (the data's schema), `model_`
    (the
        variant, a torch module), `offset_` (the score below which a row is an outlier), `step_offset_` (of
    series: the
        score below which a step is unusual), `pixel_offset_` (of images: that of a pixel), `training_` (facts of
    the run),
        `size_search_` (with latent_dim="auto": what each size achieved), `n_features_in_`, `feature_names_in_`.
    """

    def __init__(
        self,
        latent_dim: int | Literal["auto"] = 8,
        *,
        beta: float = 1.0,
        free_bits: float | Literal["auto"] = "auto",
        warmup: float = 0.0,
        mask_fraction: float = 0.0,
        kl: Literal["closed form", "sampled"] = "closed form",
        hidden: Literal["auto"] | tuple[int, ...] = "auto",
        network: Literal["auto", "dense", "convolutional", "residual", "attention"] = "auto",
        activation: Literal["relu", "silu", "gelu", "tanh"] = "relu",
        data: str = "auto",
        likelihood: str = "autoregressive",
        largest_side: int | Literal["auto"] = "auto",
        augment: tuple[Literal["flip", "shift", "crop"], ...] | None = None,
        missing: Literal["auto", "ignored", "modelled"] = "auto",
        prior: Literal["own", "flow_matching", "flow"] = "own",
        epochs: int | Literal["auto"] = "auto",
        batch_size: int = 128,
        learning_rate: float = 0.002,
        schedule: Literal["cosine", "constant"] = "cosine",
        validation_fraction: float = 0.1,
        patience: int | None = 20,
        contamination: float = 0.05,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compiled: Literal["auto"] | bool = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None: ...

class IWAE(_Estimator):
    """Maximises log 1/K Σ p(x, z_k) / q(z_k|x) over K draws.

    Burda, Grosse & Salakhutdinov (2016), https://arxiv.org/abs/1509.00519, Eq. 8

    Options:
        latent_dim: latent units; 'auto' picks a number from the data (default 8)
        draws: draws per row; 1 gives the VAE, more come closer to the likelihood (default 5)
        hidden: widths of the hidden layers, such as (400,); the decoder mirrors the encoder (default 'auto')
        network: kind of network; residual is for images, attention for tables (default 'auto')
        activation: function between layers (default 'relu')
        data: what rows are, such as 'series', 'counts' or 'words'; else by their type (default 'auto')
        likelihood: noise of numbers or pixels, such as 'gaussian'; of texts their symbols (default 'auto')
        largest_side: images: a longer side is reduced to this; 'auto': 64 where sizes differ (default 'auto')
        augment: images: random changes in training; any of flip, shift and crop (default None)
        missing: whether missing cells have a probability; 'auto': with 'autoregressive' alone (default 'auto')
        prior: what new codes are drawn from: the model's prior, or a flow fitted to codes (default 'own')
        epochs: passes over the rows; 'auto' aims at 4,000 steps (default 'auto')
        batch_size: rows per step (default 128)
        learning_rate: Adam's step size (default 0.002)
        schedule: how the learning rate changes over training (default 'cosine')
        validation_fraction: share of rows held out to stop in time; 0 for none (default 0.1)
        patience: epochs without a better validation loss before stopping; None for no stopping (default 20)
        contamination: share of the fitted rows that predict() calls outliers (default 0.05)
        device: 'cpu', 'cuda', or the fastest there is (default 'auto')
        precision: arithmetic of the networks while training (default 'float32')
        compiled: whether training steps are compiled; 'auto': where that saves time (default 'auto')
        random_state: seed, for the same result every time (default None)
        verbose: 1 shows progress (default 0)

    Learnt attributes: `history_` (one dict per epoch), `latent_dim_`, `domain_` (the data's schema), `model_`
    (the
        variant, a torch module), `offset_` (the score below which a row is an outlier), `step_offset_` (of
    series: the
        score below which a step is unusual), `pixel_offset_` (of images: that of a pixel), `training_` (facts of
    the run),
        `size_search_` (with latent_dim="auto": what each size achieved), `n_features_in_`, `feature_names_in_`.
    """

    def __init__(
        self,
        latent_dim: int | Literal["auto"] = 8,
        *,
        draws: int = 5,
        hidden: Literal["auto"] | tuple[int, ...] = "auto",
        network: Literal["auto", "dense", "convolutional", "residual", "attention"] = "auto",
        activation: Literal["relu", "silu", "gelu", "tanh"] = "relu",
        data: str = "auto",
        likelihood: str = "auto",
        largest_side: int | Literal["auto"] = "auto",
        augment: tuple[Literal["flip", "shift", "crop"], ...] | None = None,
        missing: Literal["auto", "ignored", "modelled"] = "auto",
        prior: Literal["own", "flow_matching", "flow"] = "own",
        epochs: int | Literal["auto"] = "auto",
        batch_size: int = 128,
        learning_rate: float = 0.002,
        schedule: Literal["cosine", "constant"] = "cosine",
        validation_fraction: float = 0.1,
        patience: int | None = 20,
        contamination: float = 0.05,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compiled: Literal["auto"] | bool = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None: ...

class LadderVAE(_Estimator):
    """p(x|z₁) p(z₁|z₂) p(z₂), with q(z₁|x, z₂) the precision-weighted meeting of what x and z₂ say of z₁.

        Codes are (z₁, z₂) side by side: the first two thirds of `latent_dim` are the lower layer.


    Sønderby et al. (2016), https://arxiv.org/abs/1602.02282, Eq. 17 to 19

    Options:
        latent_dim: latent units; 'auto' picks a number from the data (default 8)
        beta: weight on the KL term; 1 gives the evidence lower bound (default 1.0)
        warmup: epochs over which the KL term's weight rises from 0, at most half of all (default 100.0)
        width: hidden units between the two layers of latents (default 64)
        hidden: widths of the hidden layers, such as (400,); the decoder mirrors the encoder (default 'auto')
        network: kind of network; residual is for images, attention for tables (default 'auto')
        activation: function between layers (default 'relu')
        data: what rows are, such as 'series', 'counts' or 'words'; else by their type (default 'auto')
        likelihood: noise of numbers or pixels, such as 'gaussian'; of texts their symbols (default 'auto')
        largest_side: images: a longer side is reduced to this; 'auto': 64 where sizes differ (default 'auto')
        augment: images: random changes in training; any of flip, shift and crop (default None)
        missing: whether missing cells have a probability; 'auto': with 'autoregressive' alone (default 'auto')
        prior: what new codes are drawn from: the model's prior, or a flow fitted to codes (default 'own')
        epochs: passes over the rows; 'auto' aims at 4,000 steps (default 'auto')
        batch_size: rows per step (default 128)
        learning_rate: Adam's step size (default 0.002)
        schedule: how the learning rate changes over training (default 'cosine')
        validation_fraction: share of rows held out to stop in time; 0 for none (default 0.1)
        patience: epochs without a better validation loss before stopping; None for no stopping (default 20)
        contamination: share of the fitted rows that predict() calls outliers (default 0.05)
        device: 'cpu', 'cuda', or the fastest there is (default 'auto')
        precision: arithmetic of the networks while training (default 'float32')
        compiled: whether training steps are compiled; 'auto': where that saves time (default 'auto')
        random_state: seed, for the same result every time (default None)
        verbose: 1 shows progress (default 0)

    Learnt attributes: `history_` (one dict per epoch), `latent_dim_`, `domain_` (the data's schema), `model_`
    (the
        variant, a torch module), `offset_` (the score below which a row is an outlier), `step_offset_` (of
    series: the
        score below which a step is unusual), `pixel_offset_` (of images: that of a pixel), `training_` (facts of
    the run),
        `size_search_` (with latent_dim="auto": what each size achieved), `n_features_in_`, `feature_names_in_`.
    """

    def __init__(
        self,
        latent_dim: int | Literal["auto"] = 8,
        *,
        beta: float = 1.0,
        warmup: float = 100.0,
        width: int = 64,
        hidden: Literal["auto"] | tuple[int, ...] = "auto",
        network: Literal["auto", "dense", "convolutional", "residual", "attention"] = "auto",
        activation: Literal["relu", "silu", "gelu", "tanh"] = "relu",
        data: str = "auto",
        likelihood: str = "auto",
        largest_side: int | Literal["auto"] = "auto",
        augment: tuple[Literal["flip", "shift", "crop"], ...] | None = None,
        missing: Literal["auto", "ignored", "modelled"] = "auto",
        prior: Literal["own", "flow_matching", "flow"] = "own",
        epochs: int | Literal["auto"] = "auto",
        batch_size: int = 128,
        learning_rate: float = 0.002,
        schedule: Literal["cosine", "constant"] = "cosine",
        validation_fraction: float = 0.1,
        patience: int | None = 20,
        contamination: float = 0.05,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compiled: Literal["auto"] | bool = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None: ...

class TopKAutoencoder(_Estimator):
    """A plain autoencoder whose codes keep their k largest positive numbers, the rest 0.

        There may be more features than columns. With hidden=() both maps are linear: each feature adds a fixed
    direction.


    Makhzani & Frey (2013), https://arxiv.org/abs/1312.5663; with an auxiliary loss against features that nothing
    lights: Gao et al. (2024), https://arxiv.org/abs/2406.04093

    Options:
        latent_dim: latent units; 'auto' picks a number from the data (default 8)
        active: features that a row lights, at most; latent_dim is how many there are (default 4)
        hidden: widths of the hidden layers, such as (400,); the decoder mirrors the encoder (default 'auto')
        network: kind of network; residual is for images, attention for tables (default 'auto')
        activation: function between layers (default 'relu')
        data: what rows are, such as 'series', 'counts' or 'words'; else by their type (default 'auto')
        likelihood: noise of numbers or pixels, such as 'gaussian'; of texts their symbols (default 'auto')
        largest_side: images: a longer side is reduced to this; 'auto': 64 where sizes differ (default 'auto')
        augment: images: random changes in training; any of flip, shift and crop (default None)
        missing: whether missing cells have a probability; 'auto': with 'autoregressive' alone (default 'auto')
        prior: what new codes are drawn from: the model's prior, or a flow fitted to codes (default 'own')
        epochs: passes over the rows; 'auto' aims at 4,000 steps (default 'auto')
        batch_size: rows per step (default 128)
        learning_rate: Adam's step size (default 0.002)
        schedule: how the learning rate changes over training (default 'cosine')
        validation_fraction: share of rows held out to stop in time; 0 for none (default 0.1)
        patience: epochs without a better validation loss before stopping; None for no stopping (default 20)
        contamination: share of the fitted rows that predict() calls outliers (default 0.05)
        device: 'cpu', 'cuda', or the fastest there is (default 'auto')
        precision: arithmetic of the networks while training (default 'float32')
        compiled: whether training steps are compiled; 'auto': where that saves time (default 'auto')
        random_state: seed, for the same result every time (default None)
        verbose: 1 shows progress (default 0)

    Learnt attributes: `history_` (one dict per epoch), `latent_dim_`, `domain_` (the data's schema), `model_`
    (the
        variant, a torch module), `offset_` (the score below which a row is an outlier), `step_offset_` (of
    series: the
        score below which a step is unusual), `pixel_offset_` (of images: that of a pixel), `training_` (facts of
    the run),
        `size_search_` (with latent_dim="auto": what each size achieved), `n_features_in_`, `feature_names_in_`.
    """

    def __init__(
        self,
        latent_dim: int | Literal["auto"] = 8,
        *,
        active: int = 4,
        hidden: Literal["auto"] | tuple[int, ...] = "auto",
        network: Literal["auto", "dense", "convolutional", "residual", "attention"] = "auto",
        activation: Literal["relu", "silu", "gelu", "tanh"] = "relu",
        data: str = "auto",
        likelihood: str = "auto",
        largest_side: int | Literal["auto"] = "auto",
        augment: tuple[Literal["flip", "shift", "crop"], ...] | None = None,
        missing: Literal["auto", "ignored", "modelled"] = "auto",
        prior: Literal["own", "flow_matching", "flow"] = "own",
        epochs: int | Literal["auto"] = "auto",
        batch_size: int = 128,
        learning_rate: float = 0.002,
        schedule: Literal["cosine", "constant"] = "cosine",
        validation_fraction: float = 0.1,
        patience: int | None = 20,
        contamination: float = 0.05,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compiled: Literal["auto"] | bool = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None: ...

class VAE(_Estimator):
    """q(z|x) = N(μ, σ²), p(z) = N(0, 1); maximises E[log p(x|z)] − β KL(q(z|x) ‖ p(z)).

    Kingma & Welling (2014), https://arxiv.org/abs/1312.6114; β: Higgins et al. (2017); free bits: Kingma et al.
    (2016), https://arxiv.org/abs/1606.04934; hidden cells: Ivanov et al. (2019),
    https://arxiv.org/abs/1806.02382; of counts: Liang et al. (2018), https://arxiv.org/abs/1802.05814

    Options:
        latent_dim: latent units; 'auto' picks a number from the data (default 8)
        beta: weight on the KL term; 1 gives the evidence lower bound (default 1.0)
        free_bits: nats each latent unit may carry before its KL is charged; 'auto': 0.2 for texts, else 0
    (default 'auto')
        warmup: epochs over which the KL term's weight rises from 0, at most half of all (default 0.0)
        mask_fraction: share of cells hidden from the encoder in training (tables, counts, series) (default 0.0)
        kl: how the KL term is found (default 'closed form')
        hidden: widths of the hidden layers, such as (400,); the decoder mirrors the encoder (default 'auto')
        network: kind of network; residual is for images, attention for tables (default 'auto')
        activation: function between layers (default 'relu')
        data: what rows are, such as 'series', 'counts' or 'words'; else by their type (default 'auto')
        likelihood: noise of numbers or pixels, such as 'gaussian'; of texts their symbols (default 'auto')
        largest_side: images: a longer side is reduced to this; 'auto': 64 where sizes differ (default 'auto')
        augment: images: random changes in training; any of flip, shift and crop (default None)
        missing: whether missing cells have a probability; 'auto': with 'autoregressive' alone (default 'auto')
        prior: what new codes are drawn from: the model's prior, or a flow fitted to codes (default 'own')
        epochs: passes over the rows; 'auto' aims at 4,000 steps (default 'auto')
        batch_size: rows per step (default 128)
        learning_rate: Adam's step size (default 0.002)
        schedule: how the learning rate changes over training (default 'cosine')
        validation_fraction: share of rows held out to stop in time; 0 for none (default 0.1)
        patience: epochs without a better validation loss before stopping; None for no stopping (default 20)
        contamination: share of the fitted rows that predict() calls outliers (default 0.05)
        device: 'cpu', 'cuda', or the fastest there is (default 'auto')
        precision: arithmetic of the networks while training (default 'float32')
        compiled: whether training steps are compiled; 'auto': where that saves time (default 'auto')
        random_state: seed, for the same result every time (default None)
        verbose: 1 shows progress (default 0)

    Learnt attributes: `history_` (one dict per epoch), `latent_dim_`, `domain_` (the data's schema), `model_`
    (the
        variant, a torch module), `offset_` (the score below which a row is an outlier), `step_offset_` (of
    series: the
        score below which a step is unusual), `pixel_offset_` (of images: that of a pixel), `training_` (facts of
    the run),
        `size_search_` (with latent_dim="auto": what each size achieved), `n_features_in_`, `feature_names_in_`.
    """

    def __init__(
        self,
        latent_dim: int | Literal["auto"] = 8,
        *,
        beta: float = 1.0,
        free_bits: float | Literal["auto"] = "auto",
        warmup: float = 0.0,
        mask_fraction: float = 0.0,
        kl: Literal["closed form", "sampled"] = "closed form",
        hidden: Literal["auto"] | tuple[int, ...] = "auto",
        network: Literal["auto", "dense", "convolutional", "residual", "attention"] = "auto",
        activation: Literal["relu", "silu", "gelu", "tanh"] = "relu",
        data: str = "auto",
        likelihood: str = "auto",
        largest_side: int | Literal["auto"] = "auto",
        augment: tuple[Literal["flip", "shift", "crop"], ...] | None = None,
        missing: Literal["auto", "ignored", "modelled"] = "auto",
        prior: Literal["own", "flow_matching", "flow"] = "own",
        epochs: int | Literal["auto"] = "auto",
        batch_size: int = 128,
        learning_rate: float = 0.002,
        schedule: Literal["cosine", "constant"] = "cosine",
        validation_fraction: float = 0.1,
        patience: int | None = 20,
        contamination: float = 0.05,
        device: str = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        compiled: Literal["auto"] | bool = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None: ...

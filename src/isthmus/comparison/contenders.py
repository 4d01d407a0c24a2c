"""Who is compared: estimators of the variants, and principal components as the measure of what a linear map can do.

Beside them, at one of the four jobs, stands the detector.
"""

import time
from typing import Any, Protocol

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from .. import variants
from ..core.errors import OptionError
from ..core.randomness import Randomness
from ..core.sparse import HeldRows, dense
from ..domains.base import Domain
from ..estimator.base import Estimator
from ..estimator.detector import Detector
from ..estimator.inference import as_input
from ..estimator.models import PRESETS
from ..estimator.public import declared_options, public_class
from ..parts.priors import GaussianMixture

PCA_NAME = "pca"
DETECTOR_NAME = "detector"
SHORT_NAMES = {"ae": "autoencoder"}
# What a comparison decides for all models alike, and what to do instead of setting it.
DECIDED = {
    "latent_dim": "give the sizes to compare",
    "random_state": "give a seed",
    "device": "give the device",
    "validation_fraction": "a tenth of the rows says when to stop; leave it out",
}
TITLES = {PCA_NAME: "PCA", DETECTOR_NAME: "detector", "autoencoder": "AE"}


class Fitted(Protocol):
    """Whatever has learnt from rows and knows unusual ones. Everything is tensors of the domain."""

    @property
    def seconds(self) -> float: ...

    @property
    def epochs(self) -> int: ...

    @property
    def parameters(self) -> int: ...

    def strangeness(self, x: HeldRows) -> np.ndarray:
        """Higher is more unusual, shape (rows,)."""
        ...


class Contender(Fitted, Protocol):
    """A model of one latent size, as measuring sees it."""

    def encode(self, x: HeldRows) -> Tensor:
        """Codes (rows, latent_dim)."""
        ...

    def reconstruct(self, x: HeldRows) -> Tensor: ...

    def sample(self, rows: int) -> HeldRows: ...


class Autoencoding:
    """An estimator as a contender."""

    def __init__(self, variant: str, latent_dim: int, seed: int, options: dict[str, Any]):
        self.estimator: Estimator = public_class(variant)(
            **(options | {"latent_dim": latent_dim, "random_state": seed})
        )
        self.seed = seed

    def name_columns(self, domain: Domain, train: HeldRows, named: bool) -> None:
        """Tell the estimator the width of the rows, and with `named` the names that users know their columns by."""
        self.estimator.n_features_in_ = int(np.prod(train.shape[1:]))
        if named:
            self.estimator.feature_names_in_ = np.array(domain.column_names, dtype=object)

    @property
    def seconds(self) -> float:
        return self.estimator.training_["seconds"]

    @property
    def epochs(self) -> int:
        return self.estimator.training_["epochs"]

    @property
    def parameters(self) -> int:
        return self.estimator.training_["parameters"]

    def encode(self, x: HeldRows) -> Tensor:
        return self.estimator.encode_tensors(x)

    def reconstruct(self, x: HeldRows) -> Tensor:
        return self.estimator.reconstruct_tensors(x)

    def sample(self, rows: int) -> HeldRows:
        return self.estimator.sample_tensors(rows, self.seed)

    def strangeness(self, x: HeldRows) -> np.ndarray:
        return -self.estimator.score_tensors(x)


class PrincipalComponents:
    """Principal component analysis of the features that networks see; samples come from a density fitted to its codes.

    The same density that a plain autoencoder gets, so that what differs is the map and not the sampler.
    """

    def __init__(self, latent_dim: int, seed: int):
        self.latent_dim, self.seed = latent_dim, seed
        self.epochs = 1
        self.parameters = 0
        self.seconds = 0.0

    def fit(self, domain: Domain, train: HeldRows) -> None:
        """Learn from training rows."""
        began = time.perf_counter()
        self.domain = domain
        features = self._features(train)
        units = min(self.latent_dim, *features.shape)
        self.components = PCA(units, random_state=self.seed).fit(features)
        self.density = GaussianMixture(units)
        self.density.fit(self.encode(train), Randomness(self.seed, "prior"))
        self.parameters = units * features.shape[1] + features.shape[1]  # directions and the mean
        self.seconds = time.perf_counter() - began

    def _features(self, x: HeldRows) -> np.ndarray:
        return self.domain.features()(as_input(dense(x))).numpy()

    def encode(self, x: HeldRows) -> Tensor:
        return torch.from_numpy(self.components.transform(self._features(x)).astype(np.float32))

    def reconstruct(self, x: HeldRows) -> Tensor:
        return self._decode(self.encode(x))

    def _decode(self, codes: Tensor) -> Tensor:
        features = self.components.inverse_transform(codes.numpy())
        return self.domain.from_features(torch.from_numpy(np.asarray(features, np.float32)))

    def sample(self, rows: int) -> Tensor:
        return self._decode(self.density.sample(rows, Randomness(self.seed, "sample")))

    def strangeness(self, x: HeldRows) -> np.ndarray:
        features = self._features(x)
        restored = self.components.inverse_transform(self.components.transform(features))
        return np.square(features - restored).sum(1)


class Detecting:
    """The detector, with its defaults: it has several latent sizes at once, and finds unusual rows only."""

    seconds: float

    def __init__(self, seed: int, device: str):
        self.detector = Detector(random_state=seed, device=device)

    def fit(self, domain: Domain, x: Tensor, named: bool) -> None:
        """Learn from rows, of which it holds some out itself; `named` says that users know the columns by name."""
        self.detector.n_features_in_ = int(np.prod(x.shape[1:]))
        if named:
            self.detector.feature_names_in_ = np.array(domain.column_names, dtype=object)
        began = time.perf_counter()
        self.detector.fit_tensors(domain, x)
        self.seconds = time.perf_counter() - began

    @property
    def epochs(self) -> int:
        return self.detector.training_["epochs"]

    @property
    def parameters(self) -> int:
        return self.detector.training_["parameters"]

    def strangeness(self, x: HeldRows) -> np.ndarray:
        return -self.detector.score_tensors(dense(x))


def full_name(model: str) -> str:
    """The name of a model, "ae" spelt out; raises OptionError if there is no such model."""
    name = SHORT_NAMES.get(model, model)
    if name in PRESETS:
        options = " ".join(f"--set {option}={value}" for option, value in PRESETS[name].defaults.items())
        raise OptionError(
            f"model '{name}' is the {PRESETS[name].variant} with {options}, "
            f"which a comparison has for all its models or for none: name {PRESETS[name].variant}, and set it"
        )
    if name not in (PCA_NAME, DETECTOR_NAME, *variants.names()):
        known = [PCA_NAME, *SHORT_NAMES, DETECTOR_NAME, *variants.names()]
        raise OptionError(f"unknown model '{model}'; the models are {', '.join(known)}")
    return name


def short_name(variant: str) -> str:
    """The name that contenders are shown by: "ae" for "autoencoder"."""
    return next((short for short, full in SHORT_NAMES.items() if full == variant), variant)


def title(variant: str) -> str:
    """The name in a sentence."""
    return TITLES.get(variant) or variants.find(variant).title


def least_latent_dim(variant: str) -> int:
    return 1 if variant == PCA_NAME else variants.find(variant).least_latent_dim


def build(variant: str, latent_dim: int, seed: int, options: dict[str, Any]) -> Contender:
    """A contender; of the options it gets those that its variant declares."""
    if variant == PCA_NAME:
        return PrincipalComponents(latent_dim, seed)
    declared = declared_options(variant)
    return Autoencoding(variant, latent_dim, seed, {n: value for n, value in options.items() if n in declared})


def check_options(names: list[str], options: dict[str, Any]) -> None:
    """Refuse an option that no model declares or that the comparison decides, and values that a model does not allow,
    before anything is trained."""
    for option in (name for name in options if name in DECIDED):
        raise OptionError(f"option '{option}' is not set for models that are compared: {DECIDED[option]}")
    trained = [name for name in names if name not in (PCA_NAME, DETECTOR_NAME)]
    for option in options:
        if not any(option in declared_options(name) for name in trained):
            known = dict.fromkeys(option for name in trained for option in declared_options(name))
            raise OptionError(f"no model here has an option '{option}'; they have {', '.join(known) or 'none'}")
    for name in trained:
        declared = declared_options(name)
        public_class(name)(**{n: value for n, value in options.items() if n in declared})._options()

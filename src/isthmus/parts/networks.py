"""Networks between rows and codes: perceptrons with residual connections, convolutions and their transposes."""

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..core.randomness import Randomness
from .likelihood import Likelihood

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}

_building = threading.Lock()


def built(build: Callable[[], nn.Module], randomness: Randomness) -> nn.Module:
    """Call `build` with torch's initial weights drawn from `randomness`; the global generator is left as it was.

    Weights are always drawn on the CPU, so that a seed means the same model on every device.
    """
    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(randomness.seed)
        return build()


class Encoder(nn.Module):
    """Rows → features (fixed, free of NaN) → what a posterior is made of (learned)."""

    def __init__(self, features: nn.Module, network: nn.Module):
        super().__init__()
        self.features = features
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return full_precision(self.network(self.features(x)))


class Decoder(nn.Module):
    """Codes (..., latent_dim) → a likelihood: a network, then a head that reads distributions off its outputs."""

    def __init__(self, network: nn.Module, head: nn.Module):
        super().__init__()
        self.network = network
        self.head = head

    def forward(self, z: Tensor) -> Likelihood:
        return self.head(full_precision(self.network(z)))


def full_precision(outputs: Tensor) -> Tensor:
    """What a network computed in half precision, as float32: densities and their differences need the digits."""
    return outputs.float() if outputs.dtype in (torch.bfloat16, torch.float16) else outputs


class Residual(nn.Module):
    """x + block(x)."""

    def __init__(self, block: nn.Module):
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class Perceptron(nn.Sequential):
    """g(W … f(W x + b) … + b): dense layers with an activation between them.

    With `normalise`, each hidden layer is followed by layer normalisation; with `residual`, a layer whose input and
    output have one width adds its input to its output. No widths means one linear map.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        outputs: int,
        activation: str = "relu",
        normalise: bool = False,
        residual: bool = False,
    ):
        layers: list[nn.Module] = []
        for before, after in pairwise([inputs, *hidden]):
            parts = [nn.Linear(before, after), *([nn.LayerNorm(after)] if normalise else []), ACTIVATIONS[activation]()]
            layer = nn.Sequential(*parts)
            layers.append(Residual(layer) if residual and before == after else layer)
        super().__init__(*layers, nn.Linear(hidden[-1] if hidden else inputs, outputs))


def _groups(channels: int) -> int:
    """The most groups up to 8 that divide the channels."""
    return max(groups for groups in range(1, 9) if channels % groups == 0)


def _halvings(height: int, width: int, widths: Sequence[int]) -> list[tuple[int, int]]:
    """The size of the picture before each stride-2 convolution and after the last; it stops shrinking at one pixel."""
    sizes = [(height, width)]
    for _ in widths:
        tall, wide = sizes[-1]
        sizes.append(((tall + 1) // 2, (wide + 1) // 2))
    return sizes


class ResidualBlock(Residual):
    """x + two convolutions of 3 × 3, each after group normalisation and the activation (He et al., 2016, "Identity
    mappings", https://arxiv.org/abs/1603.05027). It begins as the identity."""

    def __init__(self, maps: int, activation: str):
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.GroupNorm(_groups(maps), maps), ACTIVATIONS[activation]()]
            layers += [nn.Conv2d(maps, maps, 3, padding=1)]
        last = layers[-1]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        super().__init__(nn.Sequential(*layers))


class ConvolutionalEncoder(nn.Sequential):
    """Images (rows, channels · height · width) → outputs: stride-2 convolutions, group normalisation, a dense layer.

    With `residual`, a residual block follows each convolution."""

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        widths: Sequence[int],
        outputs: int,
        activation: str = "relu",
        residual: bool = False,
    ):
        layers: list[nn.Module] = [nn.Unflatten(-1, (channels, height, width))]
        for before, after in pairwise([channels, *widths]):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(_groups(after), after)]
            layers += [ACTIVATIONS[activation](), *([ResidualBlock(after, activation)] if residual else [])]
        tall, wide = _halvings(height, width, widths)[-1]
        super().__init__(*layers, nn.Flatten(), nn.Linear(widths[-1] * tall * wide, outputs))


class ConvolutionalDecoder(nn.Module):
    """Codes (..., latent_dim) → maps (..., maps · height · width): a dense layer, stride-2 transposed convolutions.

    With `residual`, a residual block precedes each of them."""

    def __init__(
        self,
        latent_dim: int,
        widths: Sequence[int],
        maps: int,
        height: int,
        width: int,
        activation: str = "relu",
        residual: bool = False,
    ):
        super().__init__()
        sizes = _halvings(height, width, widths)
        tall, wide = sizes[-1]
        layers: list[nn.Module] = [nn.Linear(latent_dim, widths[-1] * tall * wide), ACTIVATIONS[activation]()]
        layers += [nn.Unflatten(-1, (widths[-1], tall, wide))]
        steps = list(pairwise([*reversed(widths), maps]))
        for index, (before, after) in enumerate(steps):
            (small_tall, small_wide), (tall, wide) = sizes[-1 - index], sizes[-2 - index]
            # A stride-2 transposed convolution gives 2n − 1 pixels, or 2n with output_padding 1.
            padding = (tall - (2 * small_tall - 1), wide - (2 * small_wide - 1))
            layers += [ResidualBlock(before, activation)] if residual else []
            layers += [nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=padding)]
            if index < len(steps) - 1:
                layers += [nn.GroupNorm(_groups(after), after), ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers, nn.Flatten())

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z.reshape(-1, z.shape[-1])).reshape(*z.shape[:-1], -1)

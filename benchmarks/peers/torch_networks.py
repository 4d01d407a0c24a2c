"""The two networks in PyTorch, for the contenders that are written in it. Layers and widths are those of isthmus."""

from torch import Tensor, nn

from contract import GROUPS, HIDDEN, LATENT_DIM, PIXELS, WIDTHS


class Encoder(nn.Module):
    """Pixels (rows, 784) → mean and log-variance of the codes, (rows, 20) each."""

    def __init__(self, convolutional: bool):
        super().__init__()
        self.body, width = _convolutions() if convolutional else _dense_layer()
        self.mean, self.log_variance = nn.Linear(width, LATENT_DIM), nn.Linear(width, LATENT_DIM)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.body(x)
        return self.mean(hidden), self.log_variance(hidden)


def decoder(convolutional: bool) -> nn.Sequential:
    """Codes (rows, 20) → logits (rows, 784)."""
    if not convolutional:
        return nn.Sequential(nn.Linear(LATENT_DIM, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS))
    first, second, third = WIDTHS
    return nn.Sequential(
        nn.Linear(LATENT_DIM, third * 4 * 4),
        nn.ReLU(),
        nn.Unflatten(1, (third, 4, 4)),
        nn.ConvTranspose2d(third, second, 3, stride=2, padding=1),
        nn.GroupNorm(GROUPS, second),
        nn.ReLU(),
        nn.ConvTranspose2d(second, first, 3, stride=2, padding=1, output_padding=1),
        nn.GroupNorm(GROUPS, first),
        nn.ReLU(),
        nn.ConvTranspose2d(first, 1, 3, stride=2, padding=1, output_padding=1),
        nn.Flatten(),
    )


def _dense_layer() -> tuple[nn.Sequential, int]:
    return nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU()), HIDDEN


def _convolutions() -> tuple[nn.Sequential, int]:
    """Stride-2 convolutions with group normalisation, and how many numbers they give for each row."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 28, 28))]
    for before, after in zip((1, *WIDTHS), WIDTHS, strict=False):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(GROUPS, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten()), WIDTHS[-1] * 4 * 4

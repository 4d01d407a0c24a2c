"""How good a VAE 784-400-20 is after ten epochs of binarised MNIST, and how fast it trains.

    python benchmarks/mnist_elbo.py --data DIR [--epochs 10] [--peer]

DIR holds mnist.npz (README.md beside this file says where it comes from). Grey values are probabilities: each pass over
the training images, and the test, draws its own black-and-white pixels (dynamic binarisation, Burda et al., 2016).
With --peer, the loop that tutorials show trains the same network on the same images first.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

import isthmus
from isthmus.core.randomness import Randomness
from isthmus.evaluation.latent import active_units

HIDDEN, LATENT_DIM, BATCH_SIZE = 400, 20, 128
TEST_PASSES = 5  # over the test images, each with fresh pixels and fresh codes
TEST_BATCH = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds mnist.npz")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--peer", action="store_true", help="also train the usual tutorial loop")
    given = parser.parse_args()
    with np.load(given.data / "mnist.npz") as arrays:
        train, test = arrays["x_train"], arrays["x_test"]
    if given.peer:
        report("tutorial loop", measure_tutorial_loop(train, test, given))
    report("isthmus.VAE", measure_isthmus(train, test, given))


def report(name: str, result: dict[str, Any]) -> None:
    print(
        f"{name}: test −ELBO {result['negative_elbo']:.2f} nats (reconstruction {result['reconstruction']:.2f} + KL "
        f"{result['kl']:.2f}), {result['active_units']} of {LATENT_DIM} units active, {result['seconds']:.0f} s, "
        f"{result['rows_per_second']:,.0f} rows/s"
    )
    print(json.dumps({"name": name, **result}))


def measure_isthmus(train: np.ndarray, test: np.ndarray, given: argparse.Namespace) -> dict[str, Any]:
    vae = isthmus.VAE(
        LATENT_DIM,
        hidden=(HIDDEN,),
        likelihood="bernoulli",
        epochs=given.epochs,
        batch_size=BATCH_SIZE,
        learning_rate=given.learning_rate,
        validation_fraction=0,
        device=given.device,
        random_state=given.seed,
    ).fit(train)
    domain, model, device = vae.domain_, vae.model_, next(vae.model_.parameters()).device
    images = domain.tensors(test).to(device)

    def terms(batch: Tensor, randomness: Randomness) -> tuple[Tensor, Tensor, Tensor]:
        drawn = domain.draw(batch, randomness)
        named = model.terms(drawn, randomness)
        return named["reconstruction"], named["kl"], model.posterior(drawn).mean

    return measured(images, terms, vae.training_["seconds"], len(train) * given.epochs)


class TutorialVAE(nn.Module):
    """The network as tutorials write it: x → 400 → μ, log σ² → z → 400 → x."""

    def __init__(self, pixels: int):
        super().__init__()
        self.hidden = nn.Linear(pixels, HIDDEN)
        self.mean = nn.Linear(HIDDEN, LATENT_DIM)
        self.log_variance = nn.Linear(HIDDEN, LATENT_DIM)
        self.decoder = nn.Sequential(nn.Linear(LATENT_DIM, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, pixels))

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction loss and KL of each row in nats, and the codes' means."""
        hidden = self.hidden(x).relu()
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        logits = self.decoder(mean + (log_variance / 2).exp() * noise)
        reconstruction = binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
        kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
        return reconstruction, kl, mean


def measure_tutorial_loop(train: np.ndarray, test: np.ndarray, given: argparse.Namespace) -> dict[str, Any]:
    """DataLoader, Adam at 1e-3, one step a batch, the loss read back at every step."""
    torch.manual_seed(given.seed)
    train_rows, test_rows = (torch.from_numpy(images).flatten(1).float() / 255 for images in (train, test))
    model = TutorialVAE(train_rows.shape[1])
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(train_rows), BATCH_SIZE, shuffle=True)
    total, began = 0.0, time.perf_counter()
    for _ in range(given.epochs):
        for (batch,) in loader:
            reconstruction, kl, _ = model(torch.bernoulli(batch), torch.randn(len(batch), LATENT_DIM))
            loss = (reconstruction + kl).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
    seconds = time.perf_counter() - began

    def terms(batch: Tensor, randomness: Randomness) -> tuple[Tensor, Tensor, Tensor]:
        drawn = (randomness.uniform(*batch.shape) < batch).float()
        return model(drawn, randomness.normal(len(batch), LATENT_DIM))

    return measured(test_rows, terms, seconds, len(train) * given.epochs)


@torch.no_grad()
def measured(
    images: Tensor, terms: Callable[[Tensor, Randomness], tuple[Tensor, Tensor, Tensor]], seconds: float, rows: int
) -> dict[str, Any]:
    """Means over the test images and TEST_PASSES draws, in nats per image; units are counted from the last pass."""
    sums, means = torch.zeros(2, dtype=torch.float64), []
    for test_pass in range(TEST_PASSES):
        randomness = Randomness(0, "test pass", test_pass, device=images.device)
        means = []
        for batch in images.split(TEST_BATCH):
            reconstruction, kl, mean = terms(batch, randomness)
            sums += torch.stack([reconstruction.double().sum(), kl.double().sum()]).cpu()
            means.append(mean.cpu())
    reconstruction, kl = (sums / (TEST_PASSES * len(images))).tolist()
    return {
        "negative_elbo": reconstruction + kl,
        "reconstruction": reconstruction,
        "kl": kl,
        "active_units": active_units(torch.cat(means).numpy())["active_units"],
        "seconds": seconds,
        "rows_per_second": rows / seconds,
    }


if __name__ == "__main__":
    main()

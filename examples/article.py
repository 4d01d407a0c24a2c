"""The two models that introductions to autoencoders contrast, at the sizes they use, on real data.

    python examples/article.py [--epochs 100]

100 inputs, 50 hidden units, relu, sigmoid outputs, Adam, binary cross-entropy, 100 epochs: first the autoencoder, then
the variational one of the same sizes. docs/article.md walks through both, and what the usual snippet gets wrong.
"""

import argparse
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import isthmus

HIDDEN = 50

# Adam at 1e-3 on batches of 32 for every epoch, on all rows: what Keras' `compile(optimizer="adam")` and `fit` do.
TRAINING: dict[str, Any] = {
    "likelihood": "bernoulli",  # a sigmoid and binary cross-entropy
    "activation": "relu",
    "epochs": 100,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "validation_fraction": 0,
    "random_state": 0,
}


def autoencoder(**changes: Any) -> Any:
    """h = relu(W x + b), x̂ = sigmoid(V h + c): no hidden layer but the codes themselves."""
    options = {"hidden": (), "code_activation": "relu", **TRAINING, **changes}
    return isthmus.Autoencoder(HIDDEN, **options)


def vae(**changes: Any) -> Any:
    """100 → 50 relu → (μ, σ) → z → 50 relu → 100 sigmoid, with the decoder and the KL term that the snippet lacks."""
    options = {"hidden": (HIDDEN,), **TRAINING, **changes}
    return isthmus.VAE(HIDDEN, **options)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits as 100 pixels, ink or no ink: 1,437 rows to learn from and 360 to test, 10 × 10 booleans.

    Binary cross-entropy is the log-likelihood of pixels that are 0 or 1; of greys it is not.
    """
    grey = load_digits().images  # 8 × 8, 0 … 16
    ink = np.pad(grey >= 8, ((0, 0), (1, 1), (1, 1)))
    order = np.random.default_rng(0).permutation(len(ink))
    return ink[order[360:]], ink[order[:360]]


def summary(model: Any, train: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """What a fitted model achieves, in nats per row (a pixel's binary cross-entropy times 100)."""
    codes = model.transform(test)
    return {
        "train": -model.score(train),
        "test": -model.score(test),
        "reconstruction": float(cross_entropy(test, probabilities(model, codes)).sum(1).mean()),
        "units_in_use": units_in_use(model, test),
        "seconds": model.training_["seconds"],
        "parameters": model.training_["parameters"],
    }


def units_in_use(model: Any, images: np.ndarray) -> int:
    """Units that tell rows apart: more than 0.05 nats of KL per row in the VAE, not always 0 in the autoencoder."""
    import torch

    with torch.no_grad():
        posterior = model.model_.posterior(model.domain_.tensors(images))
        carried = posterior.kl_per_unit()
    return int(((posterior.mean.var(0) > 0) if carried is None else (carried.mean(0) > 0.05)).sum())


def probabilities(model: Any, codes: np.ndarray) -> np.ndarray:
    """x̂: how likely ink is at each pixel, shape (rows, 100)."""
    import torch

    with torch.no_grad():
        return model.model_.likelihood(torch.as_tensor(codes, dtype=torch.float32)).mode().flatten(1).numpy()


def cross_entropy(x: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """−x log p − (1 − x) log(1 − p) in nats, shape (rows, 100)."""
    ink, p = x.reshape(len(x), -1), np.clip(probability.astype(np.float64), 1e-7, 1 - 1e-7)
    return -np.where(ink, np.log(p), np.log1p(-p))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=TRAINING["epochs"])
    epochs = parser.parse_args().epochs
    train, test = digits()
    ignorant = cross_entropy(test, np.broadcast_to(train.mean(0).ravel(), (len(test), 100))).sum(1).mean()
    print(f"A model that knows only how often each pixel has ink: {ignorant:.1f} nats per row")
    contenders = {
        "autoencoder": autoencoder(epochs=epochs),
        "VAE": vae(epochs=epochs),
        "VAE, cross-entropy averaged over pixels": vae(epochs=epochs, beta=100.0),
    }
    for name, model in contenders.items():
        found = summary(model.fit(train), train, test)
        meaning = "reconstruction" if name == "autoencoder" else "−log p(x), at most"
        print(
            f"{name}: {meaning} {found['train']:.1f} nats per row on the training rows, {found['test']:.1f} on the "
            f"test rows; codes rebuild the test rows at {found['reconstruction']:.1f}; {found['units_in_use']} of "
            f"{HIDDEN} units in use; {found['parameters']:,} parameters, {found['seconds']:.1f} s"
        )


if __name__ == "__main__":
    main()

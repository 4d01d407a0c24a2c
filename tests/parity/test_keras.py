"""The article's networks in Keras, the library it is written for: same weights, same outputs, same loss.

TensorFlow is large and nothing else here needs it: `pip install "isthmus[parity]"`, then run this file.
"""

import numpy as np
import pytest
import torch

from isthmus.core.randomness import Randomness

keras = pytest.importorskip("keras", reason="TensorFlow is not installed; the extra `parity` brings it")
pytest.importorskip("tensorflow", reason="TensorFlow is not installed; the extra `parity` brings it")

INPUTS, HIDDEN = 100, 50
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def held_out(article) -> np.ndarray:
    return article.digits()[1]


def layers(*networks: torch.nn.Module) -> list[list[np.ndarray]]:
    """[kernel, bias] of each dense layer, as Keras takes them: inputs first."""
    dense = [layer for network in networks for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
    return [[layer.weight.detach().numpy().T, layer.bias.detach().numpy()] for layer in dense]


def test_autoencoder(article, held_out):
    ours = article.autoencoder(epochs=3).fit(article.digits()[0])
    inputs = keras.Input((INPUTS,))
    hidden = keras.layers.Dense(HIDDEN, activation="relu")
    output = keras.layers.Dense(INPUTS, activation="sigmoid")
    theirs = keras.Model(inputs, output(hidden(inputs)))
    theirs.compile(optimizer="adam", loss="binary_crossentropy")
    for layer, values in zip((hidden, output), layers(ours.model_.encoder, ours.model_.decoder), strict=True):
        layer.set_weights(values)

    x = held_out.reshape(len(held_out), -1).astype(np.float32)
    outputs = np.abs(article.probabilities(ours, ours.transform(held_out)) - theirs.predict(x, verbose=0)).max()
    # Keras' loss is the mean over 100 outputs; −score is the sum over them.
    loss = abs(-ours.score(held_out) / INPUTS - theirs.evaluate(x, x, batch_size=len(x), verbose=0))
    print(f"autoencoder: outputs differ by at most {outputs:.1e}, the loss by {loss:.1e}")
    assert outputs < TOLERANCE and loss < TOLERANCE


def test_vae(article, held_out):
    ours = article.vae(epochs=3).fit(article.digits()[0])
    # The article's encoder, with the decoder and the loss that it lacks.
    inputs, noise = keras.Input((INPUTS,)), keras.Input((HIDDEN,))
    first = keras.layers.Dense(HIDDEN, activation="relu")
    mean, log_variance = keras.layers.Dense(HIDDEN), keras.layers.Dense(HIDDEN)
    second, output = keras.layers.Dense(HIDDEN, activation="relu"), keras.layers.Dense(INPUTS, activation="sigmoid")
    z_mean, z_log_variance = mean(first(inputs)), log_variance(first(inputs))
    z = z_mean + keras.ops.exp(z_log_variance / 2) * noise
    theirs = keras.Model([inputs, noise], [output(second(z)), z_mean, z_log_variance])

    encoder_first, encoder_second = layers(ours.model_.encoder)
    decoder_first, decoder_second = layers(ours.model_.decoder)
    first.set_weights(encoder_first)
    mean.set_weights([part[..., :HIDDEN] for part in encoder_second])
    log_variance.set_weights([2 * part[..., HIDDEN:] for part in encoder_second])  # log σ² = 2 log σ
    second.set_weights(decoder_first)
    output.set_weights(decoder_second)

    x = held_out.reshape(len(held_out), -1).astype(np.float32)
    epsilon = Randomness(0, "parity").normal(len(x), HIDDEN).numpy()
    their_outputs, their_mean, their_log_variance = theirs.predict([x, epsilon], batch_size=len(x), verbose=0)
    cross_entropy = INPUTS * float(keras.ops.mean(keras.losses.binary_crossentropy(x, their_outputs)))
    kl = -0.5 * (1 + their_log_variance - their_mean**2 - np.exp(their_log_variance)).sum(1).mean()

    rows = ours.domain_.tensors(held_out)
    with torch.no_grad():
        our_loss = float(ours.model_.terms(rows, Randomness(0, "parity")).loss)
        posterior = ours.model_.posterior(rows)
        codes = posterior.sample(Randomness(0, "parity")).numpy()
    outputs = np.abs(article.probabilities(ours, codes) - their_outputs).max()
    # In nats per pixel, as Keras reports it: the sum over 100 pixels is known to float32's seven digits.
    loss = abs(our_loss - cross_entropy - kl) / INPUTS
    print(f"VAE: outputs differ by at most {outputs:.1e}, the loss by {loss:.1e}")
    assert outputs < TOLERANCE and loss < TOLERANCE
    np.testing.assert_allclose(ours.transform(held_out), their_mean, atol=TOLERANCE)

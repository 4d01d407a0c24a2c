"""A VAE in JAX: pixels on the device, an epoch is one compiled scan, Adam from Optax."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from contract import GROUPS, HIDDEN, LATENT_DIM, PIXELS, SIDE, TEST_BATCH, WIDTHS, Record, Task

Weights = dict[str, tuple[Array, Array]]
LAYOUT = ("NHWC", "HWIO", "NHWC")


def initial(key: Array, convolutional: bool) -> Weights:
    """Uniform within 1 / √(inputs of a unit), as PyTorch starts its layers."""
    first, second, third = WIDTHS
    if convolutional:
        shapes = {
            "encoder 1": (3, 3, 1, first),
            "encoder 2": (3, 3, first, second),
            "encoder 3": (3, 3, second, third),
            "codes": (third * 4 * 4, 2 * LATENT_DIM),
            "decoder 0": (LATENT_DIM, third * 4 * 4),
            "decoder 1": (3, 3, third, second),
            "decoder 2": (3, 3, second, first),
            "decoder 3": (3, 3, first, 1),
        }
    else:
        shapes = {
            "encoder 1": (PIXELS, HIDDEN),
            "codes": (HIDDEN, 2 * LATENT_DIM),
            "decoder 0": (LATENT_DIM, HIDDEN),
            "decoder 1": (HIDDEN, PIXELS),
        }
    weights: Weights = {}
    for index, (name, shape) in enumerate(shapes.items()):
        for_matrix, for_bias = jax.random.split(jax.random.fold_in(key, index))
        reach = 1 / math.sqrt(math.prod(shape[:-1]))
        weights[name] = (
            jax.random.uniform(for_matrix, shape, minval=-reach, maxval=reach),
            jax.random.uniform(for_bias, shape[-1:], minval=-reach, maxval=reach),
        )
    if convolutional:
        for name, width in (("1", first), ("2", second), ("3", third), ("-1", second), ("-2", first)):
            weights[f"normalisation {name}"] = (jnp.ones(width), jnp.zeros(width))
    return weights


def dense(x: Array, layer: tuple[Array, Array]) -> Array:
    return x @ layer[0] + layer[1]


def convolution(x: Array, layer: tuple[Array, Array]) -> Array:
    """Stride 2, one pixel of padding: n → ⌈n / 2⌉."""
    return lax.conv_general_dilated(x, layer[0], (2, 2), ((1, 1), (1, 1)), dimension_numbers=LAYOUT) + layer[1]


def transposed(x: Array, layer: tuple[Array, Array], more: int) -> Array:
    """The transpose of a stride-2 convolution: n → 2n − 1 + more."""
    padding = ((1, 1 + more), (1, 1 + more))
    product = lax.conv_general_dilated(x, layer[0], (1, 1), padding, lhs_dilation=(2, 2), dimension_numbers=LAYOUT)
    return product + layer[1]


def normalised(x: Array, layer: tuple[Array, Array]) -> Array:
    """Group normalisation over height, width and a group of channels."""
    grouped = x.reshape(*x.shape[:3], GROUPS, -1)
    mean = grouped.mean((1, 2, 4), keepdims=True)
    variance = grouped.var((1, 2, 4), keepdims=True)
    return ((grouped - mean) * lax.rsqrt(variance + 1e-5)).reshape(x.shape) * layer[0] + layer[1]


def encoded(weights: Weights, x: Array, convolutional: bool) -> tuple[Array, Array]:
    """Mean and log-variance of the codes."""
    if convolutional:
        x = x.reshape(-1, SIDE, SIDE, 1)
        for step in ("1", "2", "3"):
            x = convolution(x, weights[f"encoder {step}"])
            x = jax.nn.relu(normalised(x, weights[f"normalisation {step}"]))
        hidden = x.reshape(len(x), -1)
    else:
        hidden = jax.nn.relu(dense(x, weights["encoder 1"]))
    mean, log_variance = jnp.split(dense(hidden, weights["codes"]), 2, axis=-1)
    return mean, log_variance


def decoded(weights: Weights, z: Array, convolutional: bool) -> Array:
    """Logits of the pixels."""
    hidden = jax.nn.relu(dense(z, weights["decoder 0"]))
    if not convolutional:
        return dense(hidden, weights["decoder 1"])
    x = hidden.reshape(len(z), 4, 4, -1)
    for step, more in (("1", 0), ("2", 1)):
        x = transposed(x, weights[f"decoder {step}"], more)
        x = jax.nn.relu(normalised(x, weights[f"normalisation -{step}"]))
    return transposed(x, weights["decoder 3"], 1).reshape(len(z), -1)


def negative_elbo(weights: Weights, x: Array, key: Array, convolutional: bool) -> Array:
    """In nats, the mean over rows."""
    mean, log_variance = encoded(weights, x, convolutional)
    z = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)
    logits = decoded(weights, z, convolutional)
    reconstruction = optax.sigmoid_binary_cross_entropy(logits, x).sum(-1)
    kl = (jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance).sum(-1) / 2
    return (reconstruction + kl).mean()


@partial(jax.jit, static_argnames=("batch", "adam", "convolutional"), donate_argnums=(0,))
def epoch(
    state: tuple[Weights, Any], pixels: Array, key: Array, batch: int, adam: Any, convolutional: bool
) -> tuple[tuple[Weights, Any], Array]:
    """One pass in a fresh order; the state after it and the mean loss."""
    for_order, for_noise = jax.random.split(key)
    steps = len(pixels) // batch
    order = jax.random.permutation(for_order, len(pixels))[: steps * batch].reshape(steps, batch)

    def step(state: tuple[Weights, Any], given: tuple[Array, Array]) -> tuple[tuple[Weights, Any], Array]:
        (weights, moments), (numbers, key) = state, given
        loss, gradients = jax.value_and_grad(negative_elbo)(weights, pixels[numbers], key, convolutional)
        updates, moments = adam.update(gradients, moments)
        return (optax.apply_updates(weights, updates), moments), loss

    state, losses = lax.scan(step, state, (order, jax.random.split(for_noise, steps)))
    return state, losses.mean()


@partial(jax.jit, static_argnames=("convolutional",))
def over_batches(weights: Weights, test: Array, key: Array, convolutional: bool) -> Array:
    """The mean −ELBO of rows in batches (batches, rows, pixels)."""
    keys = jax.random.split(key, len(test))
    return lax.map(lambda given: negative_elbo(weights, *given, convolutional), (test, keys)).mean()


def main() -> None:
    task = Task()
    key = jax.random.key(task.seed)
    train = jnp.asarray(task.train, jnp.float32)
    whole = len(task.test) // TEST_BATCH * TEST_BATCH or len(task.test)
    test = jnp.asarray(task.test[:whole], jnp.float32).reshape(-1, min(TEST_BATCH, whole), PIXELS)
    record = Record(task)
    record.start()
    weights, adam = initial(jax.random.fold_in(key, 0), task.convolutional), optax.adam(task.learning_rate)
    state = (weights, adam.init(weights))
    for number in range(1, task.epochs + 1):
        state, loss = epoch(state, train, jax.random.fold_in(key, number), task.batch, adam, task.convolutional)
        loss.block_until_ready()
        if record.epoch_ended(
            None if task.goal is None else float(over_batches(state[0], test, key, task.convolutional))
        ):
            break
    if task.goal is None:
        record.ended(float(over_batches(state[0], test, key, task.convolutional)))
    record.print("jax", "jax", "optax")


if __name__ == "__main__":
    main()

"""A VAE as a Keras model with its own training step, trained by `fit` on TensorFlow."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf
from keras import layers, ops

from contract import GROUPS, HIDDEN, LATENT_DIM, PIXELS, SIDE, TEST_BATCH, WIDTHS, Record, Task


class KerasVAE(keras.Model):
    def __init__(self, convolutional: bool, seed: int):
        super().__init__()
        self.encoder, self.decoder = encoder(convolutional), decoder(convolutional)
        self.noise = keras.random.SeedGenerator(seed)
        self.loss_mean = keras.metrics.Mean(name="loss")

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.loss_mean]

    def negative_elbo(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """In nats, the mean over rows."""
        mean, log_variance = ops.split(self.encoder(x, training=training), 2, axis=-1)
        z = mean + ops.exp(log_variance / 2) * keras.random.normal(ops.shape(mean), seed=self.noise)
        logits = self.decoder(z, training=training)
        reconstruction = ops.sum(ops.binary_crossentropy(x, logits, from_logits=True), axis=-1)
        kl = ops.sum(ops.square(mean) + ops.exp(log_variance) - 1 - log_variance, axis=-1) / 2
        return ops.mean(reconstruction + kl)

    def train_step(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = self.negative_elbo(x, training=True)
        self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
        self.loss_mean.update_state(loss)
        return {"loss": self.loss_mean.result()}

    def test_step(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        self.loss_mean.update_state(self.negative_elbo(x, training=False))
        return {"loss": self.loss_mean.result()}


def encoder(convolutional: bool) -> keras.Sequential:
    """Pixels → means and log-variances side by side."""
    if not convolutional:
        body = [layers.Dense(HIDDEN, activation="relu")]
    else:
        body = [layers.Reshape((SIDE, SIDE, 1))]
        for width in WIDTHS:
            body += [layers.Conv2D(width, 3, strides=2, padding="same"), layers.GroupNormalization(GROUPS)]
            body += [layers.ReLU()]
        body += [layers.Flatten()]
    return keras.Sequential([keras.Input((PIXELS,)), *body, layers.Dense(2 * LATENT_DIM)])


def decoder(convolutional: bool) -> keras.Sequential:
    """Codes → logits."""
    if not convolutional:
        body = [layers.Dense(HIDDEN, activation="relu"), layers.Dense(PIXELS)]
    else:
        first, second, third = WIDTHS
        body = [layers.Dense(third * 4 * 4, activation="relu"), layers.Reshape((4, 4, third))]
        for width, output_padding in ((second, 0), (first, 1)):
            body += [transposed(width, output_padding), layers.GroupNormalization(GROUPS), layers.ReLU()]
        body += [transposed(1, 1), layers.Flatten()]
    return keras.Sequential([keras.Input((LATENT_DIM,)), *body])


def transposed(width: int, output_padding: int) -> layers.Layer:
    return layers.Conv2DTranspose(width, 3, strides=2, padding="same", output_padding=output_padding)


class Observer(keras.callbacks.Callback):
    """Notes each epoch as it ends, held-out rows included where they are measured."""

    def __init__(self, record: Record):
        super().__init__()
        self.record = record

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.record.epoch_ended((logs or {}).get("val_loss")):
            self.model.stop_training = True


def main() -> None:
    task = Task()
    tf.config.threading.set_intra_op_parallelism_threads(task.threads)
    tf.config.threading.set_inter_op_parallelism_threads(task.threads)
    keras.utils.set_random_seed(task.seed)
    train, test = (pixels.astype("float32") for pixels in (task.train, task.test))
    model = KerasVAE(task.convolutional, task.seed)
    model.compile(optimizer=keras.optimizers.Adam(task.learning_rate))
    held_out = {} if task.goal is None else {"validation_data": (test,), "validation_batch_size": TEST_BATCH}
    record = Record(task)
    record.start()
    model.fit(train, epochs=task.epochs, batch_size=task.batch, verbose=0, callbacks=[Observer(record)], **held_out)
    if task.goal is None:
        record.ended(float(model.evaluate(test, batch_size=TEST_BATCH, verbose=0, return_dict=True)["loss"]))
    record.print("keras", "keras", "tensorflow")


if __name__ == "__main__":
    main()

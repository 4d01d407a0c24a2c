"""isthmus.VAE as a user fits it, at the rate and schedule of the other contenders."""

from contextlib import suppress

import torch
from torch import Tensor

import isthmus
from contract import HIDDEN, LATENT_DIM, SIDE, TEST_BATCH, WIDTHS, Record, Task
from isthmus.core.randomness import Randomness
from isthmus.domains.image import Image


class GoalReachedError(Exception):
    """Ends training from an observer."""


def main() -> None:
    task = Task()
    train, test = (pixels.reshape(-1, SIDE, SIDE) for pixels in (task.train, task.test))
    domain = Image.fit(train, "bernoulli")
    record = Record(task)

    def observe(epoch: dict, plan: object) -> None:
        if record.epoch_ended(None if task.goal is None else epoch["validation"]["loss"]):
            raise GoalReachedError

    vae = isthmus.VAE(
        LATENT_DIM,
        hidden=WIDTHS if task.convolutional else (HIDDEN,),
        network=task.network,
        epochs=task.epochs,
        batch_size=task.batch,
        learning_rate=task.learning_rate,
        schedule="constant",
        validation_fraction=0,
        patience=None,
        compiled=True,  # as JAX and Keras are; what it costs shows in the first epoch
        device=task.device,
        random_state=task.seed,
    )
    held_out = None if task.goal is None else domain.tensors(test)
    record.start()
    with suppress(GoalReachedError):
        vae.fit_tensors(domain, domain.tensors(train), observers=(observe,), validation=held_out)
    if task.goal is None:
        record.ended(negative_elbo(vae, domain.tensors(test).to(task.device)))
    record.print("isthmus", "torch")


@torch.no_grad()
def negative_elbo(vae: "isthmus.VAE", test: Tensor) -> float:
    randomness = Randomness(0, "test", device=test.device)
    sums = [float(vae.model_.terms(batch, randomness).loss) * len(batch) for batch in test.split(TEST_BATCH)]
    return sum(sums) / len(test)


if __name__ == "__main__":
    main()

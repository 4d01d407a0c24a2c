"""Pythae's VAE with networks of our widths, trained by its own pipeline and trainer."""

import logging
import tempfile
from contextlib import suppress

import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor

from contract import LATENT_DIM, PIXELS, TEST_BATCH, Record, Task
from torch_networks import Encoder, decoder


class GoalReachedError(Exception):
    """Ends training from a callback."""


class PythaeEncoder(BaseEncoder):
    def __init__(self, convolutional: bool):
        super().__init__()
        self.network = Encoder(convolutional)

    def forward(self, x: Tensor) -> ModelOutput:
        mean, log_variance = self.network(x)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class PythaeDecoder(BaseDecoder):
    def __init__(self, convolutional: bool):
        super().__init__()
        self.network = decoder(convolutional)

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.network(z).sigmoid())


class Observer(TrainingCallback):
    """Notes each epoch as it ends; Pythae logs after it has measured the held-out rows."""

    def __init__(self, record: Record):
        self.record = record

    def on_log(self, training_config: BaseTrainerConfig, logs: dict, **others: object) -> None:
        if self.record.epoch_ended(logs.get("eval_epoch_loss")):
            raise GoalReachedError


def main() -> None:
    task = Task()
    logging.disable(logging.INFO)
    torch.set_num_threads(task.threads)
    torch.manual_seed(task.seed)
    train, test = (torch.from_numpy(pixels).float() for pixels in (task.train, task.test))
    record = Record(task)
    model = VAE(
        VAEConfig(input_dim=(PIXELS,), latent_dim=LATENT_DIM, reconstruction_loss="bce"),
        encoder=PythaeEncoder(task.convolutional),
        decoder=PythaeDecoder(task.convolutional),
    )
    with tempfile.TemporaryDirectory() as folder:
        pipeline = TrainingPipeline(model=model, training_config=settings(task, folder))
        record.start()
        with suppress(GoalReachedError):
            pipeline(train_data=train, eval_data=None if task.goal is None else test, callbacks=[Observer(record)])
    if task.goal is None:
        record.ended(negative_elbo(model, test.to(model.device)))
    record.print("pythae", "pythae", "torch")


def settings(task: Task, folder: str) -> BaseTrainerConfig:
    return BaseTrainerConfig(
        output_dir=folder,
        per_device_train_batch_size=task.batch,
        per_device_eval_batch_size=TEST_BATCH,
        num_epochs=task.epochs,
        optimizer_cls="Adam",
        learning_rate=task.learning_rate,
        no_cuda=task.device == "cpu",
        seed=task.seed,
    )


@torch.no_grad()
def negative_elbo(model: VAE, test: Tensor) -> float:
    model.eval()
    return sum(float(model({"data": batch}).loss) * len(batch) for batch in test.split(TEST_BATCH)) / len(test)


if __name__ == "__main__":
    main()

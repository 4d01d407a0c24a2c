"""The loop that tutorials show: DataLoader, Adam, one step a batch, the loss read back at every step."""

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, TensorDataset

from contract import TEST_BATCH, Record, Task
from torch_networks import Encoder, decoder


class PlainVAE(nn.Module):
    def __init__(self, convolutional: bool):
        super().__init__()
        self.encoder, self.decoder = Encoder(convolutional), decoder(convolutional)

    def forward(self, x: Tensor) -> Tensor:
        """−ELBO in nats, the mean over rows."""
        mean, log_variance = self.encoder(x)
        z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        reconstruction = binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum() / 2
        return (reconstruction + kl) / len(x)


def main() -> None:
    task = Task()
    torch.set_num_threads(task.threads)
    torch.manual_seed(task.seed)
    rows = TensorDataset(torch.from_numpy(task.train).float())
    test = torch.from_numpy(task.test).float().to(task.device)
    record = Record(task)
    record.start()
    model = PlainVAE(task.convolutional).to(task.device)
    optimiser = torch.optim.Adam(model.parameters(), lr=task.learning_rate)
    loader = DataLoader(rows, task.batch, shuffle=True)
    total = 0.0
    for _ in range(task.epochs):
        for (batch,) in loader:
            loss = model(batch.to(task.device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
        if record.epoch_ended(None if task.goal is None else negative_elbo(model, test)):
            break
    if task.goal is None:
        record.ended(negative_elbo(model, test))
    record.print("plain", "torch")


@torch.no_grad()
def negative_elbo(model: PlainVAE, test: Tensor) -> float:
    return sum(float(model(batch)) * len(batch) for batch in test.split(TEST_BATCH)) / len(test)


if __name__ == "__main__":
    main()

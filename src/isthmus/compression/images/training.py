"""Learning the whole numbers of a causal network.

The forward pass computes with the rounded numbers, the backward pass as if nothing had been rounded (the
straight-through estimator, Bengio et al., 2013, https://arxiv.org/abs/1308.3432): what is trained is what will code.
The loss is the length of the images in nats per value, and of the weights themselves, as `packed` will code them.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .network import (
    HALF,
    LARGEST_ACTIVATION,
    LARGEST_PIXEL,
    MOST_OFTEN,
    NEARER,
    NO_DISTANCE,
    OFTEN_UNIT,
    UNIT,
    Plan,
    limit,
    predictions,
)

# Values of a minibatch, about.
BATCH = 3584

# Columns of a piece of a row, where rows are wide.
PIECE = 32

# Rows of background below two such rows are drawn this much more seldom, and count as much more.
SELDOM = 4

# Canvases of training images hold at most this many values; of more images, as many as fit are drawn.
MOST_VALUES = 2**28

# Steps to find how long a step takes, and seconds for which it is tried at most.
_TRIAL_STEPS = 12
_TRIAL_SHARE = 0.1

# Of a network whose first layer has 128 neurons; smaller ones can learn faster, and have less time.
_LEARNING_RATE = 2.5e-3
_WARM_UP_STEPS = 50


def trained(
    plan: Plan,
    images: np.ndarray,
    seed: int,
    budget_seconds: float,
    steps: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, np.ndarray]:
    """The weights for images (count, height, width × channels) uint8, background 0; binary ones of 0 and 255.

    The same for the same number of steps; without one, as many are taken as the budget allows.
    """
    started = time.monotonic()
    if not images.size or steps == 0:
        return {name: np.zeros(shape, np.int8) for name, shape in plan.shapes.items()}
    pieces = _Pieces(plan, images, seed)
    if steps is None:
        trial = _Training(plan, pieces, seed, images.size)
        begun, taken = time.monotonic(), 0
        while taken < 2 or (taken < _TRIAL_STEPS and time.monotonic() - begun < _TRIAL_SHARE * budget_seconds):
            trial.step(0.0)
            taken += 1
            if taken == 1:  # the first step also sets things up
                begun = time.monotonic()
        each = (time.monotonic() - begun) / (taken - 1)
        left = budget_seconds - (time.monotonic() - started)
        steps = max(int(left / max(each, 1e-6)), 2)
        deadline = time.monotonic() + 1.25 * max(left, each)
    else:
        deadline = math.inf
    training = _Training(plan, pieces, seed, images.size)
    begun, done = time.monotonic(), 0.0
    for step in range(steps):
        # On a machine that has become slower, the schedule is shortened.
        done = max(step / steps, (time.monotonic() - begun) / (deadline - begun) if deadline < math.inf else 0.0)
        if done >= 1:
            break
        training.step(done)
        if progress is not None and step % 16 == 0:
            progress(done)
    if progress is not None:
        progress(1.0)
    return training.rounded()


class _Pieces:
    """Pieces of rows, drawn at random, with all that the network sees of them."""

    def __init__(self, plan: Plan, images: np.ndarray, seed: int):
        self.plan = plan
        self.random = np.random.default_rng([seed, 1])
        values = (plan.margin + plan.height) * plan.pitch
        most = max(MOST_VALUES // values, 1)
        if len(images) > most:
            images = images[np.sort(self.random.choice(len(images), most, replace=False))]
        self.count = len(images)
        side = plan.side * plan.channels
        self.canvas = np.zeros((self.count, plan.margin + plan.height, plan.pitch), np.uint8)
        self.canvas[:, plan.margin :, side : plan.pitch - side] = images
        self.columns = plan.width if plan.summary else min(plan.width, PIECE)
        self.rows = max(BATCH // (self.columns * plan.channels), 1)
        easy = np.zeros((self.count, plan.height), bool)
        if plan.binary or plan.background:
            empty: np.ndarray = ~np.any(self.canvas, axis=2)
            easy = empty[:, plan.margin :].copy()
            for up in (1, 2):
                easy[:, up:] &= empty[:, plan.margin : plan.margin + plan.height - up]
        self.easy, self.hard = np.flatnonzero(easy), np.flatnonzero(~easy)
        share = len(self.hard) / easy.size
        rest = share + (1 - share) / SELDOM
        self.often_hard = share / rest
        self.weights = (SELDOM * rest, rest)  # of easy rows, and of others
        channels = np.arange(plan.channels)[:, None]
        reach = np.arange(-plan.side * plan.channels, (plan.side + 1) * plan.channels)
        above = (np.arange(-plan.above, 0)[:, None] * plan.pitch + reach).reshape(1, -1)
        self.above = np.repeat(above, plan.channels, 0)  # (channels, inputs), from the first channel's place
        self.behind = channels + np.arange(-plan.behind, 0)
        around = [-plan.channels, -plan.pitch, -plan.pitch - plan.channels, -plan.pitch + plan.channels]
        self.around = channels + np.array(around + [-1] * (plan.channels > 1))

    def draw(self) -> dict[str, np.ndarray]:
        """Pieces × columns are places; arrays are (channels, places, …)."""
        plan = self.plan
        hard = self.random.random(self.rows) < self.often_hard
        drawn_hard = self.hard[self.random.integers(0, max(len(self.hard), 1), hard.sum())]
        at = np.empty(self.rows, np.int64)
        at[hard] = drawn_hard
        at[~hard] = self.easy[self.random.integers(0, max(len(self.easy), 1), (~hard).sum())]
        image, row = np.divmod(at, plan.height)
        start = self.random.integers(0, plan.width - self.columns + 1, self.rows)
        column = start[:, None] + np.arange(self.columns)
        line = image * (plan.margin + plan.height) + plan.margin + row
        place = (line[:, None] * plan.pitch + (column + plan.side) * plan.channels).ravel()
        flat = self.canvas.reshape(-1)
        channels = np.arange(plan.channels)[:, None]
        drawn = {
            "image": image,
            "weight": np.repeat(np.where(hard, self.weights[1], self.weights[0]).astype(np.float32), self.columns),
            "row": row,
            "column": column,
            "place": place,
            "behind": flat[place[:, None] + self.behind[:, None]],
            "pixel": flat[place + channels],
            "above": flat[place[:, None] + self.above[:, None]],
        }
        if plan.relative:
            drawn["predicted"] = self._predicted(place)
        if plan.summary:
            lines = line[:, None] + np.arange(-plan.summarised, 0)
            side = plan.side * plan.channels
            drawn["summary"] = self.canvas.reshape(-1, plan.pitch)[lines, side : plan.pitch - side].reshape(
                self.rows, -1
            )
        return drawn

    def _predicted(self, place: np.ndarray) -> np.ndarray:
        """(channels, places) predictions; places are those of the first channel."""
        plan, flat = self.plan, self.canvas.reshape(-1)
        around = np.array([-plan.channels, -plan.pitch, -plan.pitch - plan.channels])
        predicted = np.empty((plan.channels, place.size), np.float32)
        for channel in range(plan.channels):
            offsets = channel + around
            if channel:
                offsets = np.concatenate([offsets, [channel - 1], offsets - 1])
            predicted[channel] = predictions(*flat[place + offsets[:, None]].astype(np.float32))
        return predicted

    def often(self, drawn: dict[str, np.ndarray], which: np.ndarray, channel: int) -> np.ndarray:
        """(chosen, 16): how often values with the high bits of the chosen places came before in their images."""
        plan = self.plan
        side = plan.side * plan.channels
        image, row = (np.repeat(drawn[name], self.columns)[which] for name in ("image", "row"))
        before = row * plan.width + drawn["column"].ravel()[which]
        pixel = drawn["pixel"][channel, which]
        often = np.empty((len(which), HALF), np.float32)
        most = max(2**22 // (plan.height * plan.width), 1)
        for start in range(0, len(which), most):
            part = slice(start, start + most)
            inside = self.canvas[image[part], plan.margin :, side + channel : plan.pitch - side : plan.channels]
            inside = inside.reshape(len(inside), -1)
            counted = (inside >> 4 == pixel[part, None] >> 4) & (np.arange(inside.shape[1]) < before[part, None])
            if plan.background:
                counted &= inside != 0
            found, at = np.nonzero(counted)
            counts = np.bincount(found * HALF + (inside[found, at] & (HALF - 1)), minlength=len(inside) * HALF)
            often[part] = counts.reshape(-1, HALF)
        return np.minimum(often, MOST_OFTEN)

    def neighbours(self, drawn: dict[str, np.ndarray], which: np.ndarray, channel: int) -> np.ndarray:
        """(chosen, neighbours) pixels around, −1 where there is none."""
        around = self.canvas.reshape(-1)[drawn["place"][which, None] + self.around[channel]].astype(np.int32)
        if self.plan.channels > 1 and channel == 0:
            around[:, -1] = -1
        return around


def _functions() -> tuple[Any, Any]:
    """Rounding of weights and activations, which the backward pass does not see."""
    import torch

    class Rounded(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, weights: Any, largest: int) -> Any:
            return (weights * UNIT).round_().clamp_(-largest, largest).div_(UNIT)

        @staticmethod
        def backward(context: Any, *gradients: Any) -> Any:
            return gradients[0], None

    class Activations(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, sums: Any) -> Any:
            values = (sums * UNIT).floor_().clamp_(0, LARGEST_ACTIVATION).div_(UNIT)
            context.save_for_backward(values)
            return values

        @staticmethod
        def backward(context: Any, *gradients: Any) -> Any:
            (values,) = context.saved_tensors
            return gradients[0] * ((values > 0) & (values < LARGEST_ACTIVATION / UNIT))

    return Rounded.apply, Activations.apply


class _Training:
    """Weights in real numbers, rounded whenever they are used; one unit is 1 / UNIT."""

    def __init__(self, plan: Plan, pieces: _Pieces, seed: int, values: int):
        import torch

        self.torch, self.plan, self.pieces, self.values = torch, plan, pieces, values
        pieces.random = np.random.default_rng([seed, 2])
        random = np.random.default_rng([seed, 3])
        self.weights = {}
        for name, shape in plan.shapes.items():
            weight = random.standard_normal(shape) * _spread(plan, name)
            self.weights[name] = torch.tensor(weight, dtype=torch.float32, requires_grad=True)
        self.limits = {name: limit(plan, name) for name in plan.shapes}
        self.round, self.activate = _functions()
        self.optimiser = torch.optim.Adam(self.weights.values(), lr=_LEARNING_RATE, betas=(0.9, 0.99))
        self.steps = 0
        self.rate = _LEARNING_RATE * min(math.sqrt(128 / plan.first), 4.0)
        self.places = {name: torch.from_numpy(plan.places(name)) for name in ("row", "column")}

    def step(self, done: float) -> None:
        """One minibatch; `done` is the share of the training behind it."""
        self.steps += 1
        rate = self.rate * 0.5 * (1 + math.cos(math.pi * done)) * min(1, self.steps / _WARM_UP_STEPS)
        for group in self.optimiser.param_groups:
            group["lr"] = rate + 1e-6
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(self.pieces.draw()) + self.length() / self.values
        loss.backward()
        self.optimiser.step()

    def length(self) -> Any:
        """The weights in nats, about: each array has a Laplace distribution of its own."""
        return sum(
            weight.numel() * (weight.abs().mean() * UNIT + 0.1).log()
            for weight in self.weights.values()
            if weight.numel()
        )

    def loss(self, drawn: dict[str, np.ndarray]) -> Any:
        """Nats per value."""
        torch, plan, activate = self.torch, self.plan, self.activate
        weight = {name: self.round(weight, self.limits[name]) for name, weight in self.weights.items()}
        count = drawn["place"].size

        def real(values: np.ndarray) -> Any:
            return torch.from_numpy(values.astype(np.float32)).div_(UNIT)

        row = self.places["row"][torch.from_numpy(drawn["row"])]
        column = self.places["column"][torch.from_numpy(drawn["column"])]
        place = weight["row"][row][:, None] + weight["column"][column]
        if plan.relative:
            predicted = drawn["predicted"][..., None]
            behind, above = (
                real(np.clip((drawn[name] - predicted) * NEARER, -LARGEST_PIXEL, LARGEST_PIXEL))
                for name in ("behind", "above")
            )
        else:
            behind, above = real(drawn["behind"]), real(drawn["above"])
        sums = behind @ weight["behind"] + weight["first"] + place.reshape(count, plan.first)
        if plan.above:
            sums = sums + above @ weight["above"]
        if plan.relative:
            sums = sums + real(drawn["predicted"][..., None]) @ weight["predicted"]
        if plan.summary:
            told = activate(real(drawn["summary"]) @ weight["summary"] + weight["summary row"][row])
            told = activate(told @ weight["spread"] + weight["spread constant"]).reshape(count, plan.spread)
            sums = sums + told @ weight["told"]
        first = activate(sums)
        pixel = drawn["pixel"]
        if plan.relative:
            distance = pixel.astype(np.int64) - drawn["predicted"].astype(np.int64) + NO_DISTANCE
            pixel = drawn["pixel"] = (distance & LARGEST_PIXEL).astype(np.uint8)
        counts = torch.from_numpy(drawn["weight"]).expand(pixel.shape)
        present = torch.from_numpy((pixel != 0).astype(np.float32))
        if plan.binary:
            second = activate(first @ weight["second"] + weight["second constant"])
            bit = (second @ weight["bit"] + weight["bit constant"])[..., 0]
            return torch.nn.functional.binary_cross_entropy_with_logits(bit, present, counts)
        nats = torch.zeros(())
        if plan.background:
            flag = activate(first @ weight["flag"] + weight["flag constant"])
            bit = (flag @ weight["flag bit"] + weight["flag bit constant"])[..., 0]
            nats = torch.nn.functional.binary_cross_entropy_with_logits(bit, present, counts, reduction="sum")
        for channel in range(plan.channels):
            which = np.flatnonzero(pixel[channel]) if plan.background else np.arange(count)
            at = torch.from_numpy(which)
            sums = first[channel, at] @ weight["second"][channel] + weight["second constant"][channel]
            if plan.value:
                value = behind[channel, at] @ weight["value behind"][channel] + weight["value constant"][channel]
                if plan.above:
                    value = value + above[channel, at] @ weight["value above"][channel]
                sums = sums + activate(value) @ weight["second value"][channel]
            # No row with anything but background is easy.
            nats = nats + self.pieces.weights[1] * self._halves(weight, drawn, activate(sums), which, channel)
        return nats / pixel.size

    def _halves(
        self, weight: dict[str, Any], drawn: dict[str, np.ndarray], second: Any, which: Any, channel: int
    ) -> Any:
        """Nats of the high and the low bits of the chosen places."""
        torch, plan = self.torch, self.plan
        cross_entropy = torch.nn.functional.cross_entropy
        pixel = drawn["pixel"][channel, which].astype(np.int64)
        high, low = torch.from_numpy(pixel >> 4), torch.from_numpy(pixel & (HALF - 1))
        nats = cross_entropy(second @ weight["high"][channel] + weight["high constant"][channel], high, reduction="sum")
        sums = second @ weight["low"][channel] + weight["low high"][channel][high]
        if not plan.counts:
            logits = self.activate(sums) @ weight["low logits"][channel] + weight["low logits high"][channel][high]
            return nats + cross_entropy(logits, low, reduction="sum")
        often = torch.from_numpy(self.pieces.often(drawn, which, channel)).mul_(OFTEN_UNIT / UNIT)
        sums = sums + often @ weight["low often"][channel]
        logits = self.activate(sums) @ weight["low logits"][channel] + weight["low logits high"][channel][high]
        logits = logits + often @ weight["low logits often"][channel]
        around = self.pieces.neighbours(drawn, which, channel)
        alike = around >> 4 == pixel[:, None] >> 4
        if plan.background:
            alike &= around != 0
        for neighbour in range(plan.neighbours):
            same = torch.from_numpy(alike[:, neighbour, None].astype(np.float32))
            its = torch.from_numpy((around[:, neighbour] & (HALF - 1)).astype(np.int64))
            logits = logits + weight["low logits like"][channel, neighbour][its] * same
        return nats + cross_entropy(logits, low, reduction="sum")

    def rounded(self) -> dict[str, np.ndarray]:
        rounded = {}
        for name, weight in self.weights.items():
            values = np.nan_to_num(np.rint(weight.detach().numpy() * UNIT))
            rounded[name] = np.clip(values, -self.limits[name], self.limits[name]).astype(np.int8)
        return rounded


def _spread(plan: Plan, name: str) -> float:
    """The standard deviation from which an array's weights begin."""
    inputs = plan.shapes[name][-2]
    if name.endswith(("above", "behind", "summary")):  # pixels are as large as 4, and most neighbours say the same
        return 0.5 / (max(inputs, 1) + LARGEST_PIXEL / UNIT)
    if name in ("second", "second value", "flag", "bit", "flag bit", "high", "low", "low logits", "spread"):
        return 1 / math.sqrt(inputs)
    if name in ("told", "low high"):
        return 0.2
    if name.startswith("low logits") or name in ("bit constant", "flag bit constant", "high constant"):
        return 0.0
    return 0.05

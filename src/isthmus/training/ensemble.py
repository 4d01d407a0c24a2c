"""Runs that train side by side: an epoch of all, what is kept of it, and going back to it."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..core.randomness import Randomness
from ..core.sparse import HeldRows
from .batches import Batches
from .distributed import ALONE, Workers
from .members import Members
from .optimiser import PER_MEMBER
from .run import EpochRecord, Run
from .state import TrainingState, nested
from .step import Draw, Kind, Player, Step, best_kind
from .validation import Validation, with_losses

# The share of members still going on at which a step is made anew for them: the more it takes to make one, the fewer.
WORTH_MAKING_ANEW = {"eager": 1.0, "traced": 1 / 2, "compiled": 1 / 4}
WORTH_CAPTURING_ANEW = 1 / 4


@dataclass
class Kept:
    """Where runs go back to: who stood together, their tensors and those of the optimisers, each run's counters."""

    standing: list[Run]
    members: Members
    players: list[Player]
    tensors: dict[str, Tensor]
    moments: list[dict[str, Tensor]]
    runs: list[tuple[dict[str, Any], dict[str, Tensor]]]


class Ensemble:
    """Runs that go on together, epoch by epoch, and what they train on.

    Where making a step takes long, a run that has ended stays among the members, unheard, until few of them go on; then
    those that do are put together anew.
    """

    def __init__(
        self,
        runs: list[Run],
        batches: Batches,
        validation: HeldRows | None,
        draw: Draw,
        kind: Kind | None = None,
        workers: Workers = ALONE,
        augment: Draw | None = None,
    ):
        self.runs, self.batches, self.kind, self.workers = runs, batches, kind, workers
        self.draw = draw if augment is None else lambda x, randomness: draw(augment(x, randomness), randomness)
        self.validation = None if validation is None else Validation(validation, draw)
        self.batch_size = batches.size(runs[0].plan.batch_size)
        self.steps = batches.steps(self.batch_size)
        workers.check_batch_size(self.batch_size)
        self._gather(runs)

    def _gather(self, standing: list[Run]) -> None:
        self.standing = standing
        self.members = Members([run.variant for run in standing])
        plan = standing[0].plan
        left = max(run.plan.epochs - (run.standing_since or 0) for run in standing) * self.steps
        kind = best_kind(self.members, left, self.batch_size, plan.compiled) if self.kind is None else self.kind
        kind = self.workers.told(kind if self.workers.alone else replace(kind, captured=False))
        self.step = Step(self.members, self.draw, plan.precision, kind, self.workers)
        self.workers.broadcast_([tensor.detach() for tensor in self.members.tensors.values()])

    @property
    def active(self) -> list[Run]:
        """Runs that go on."""
        return [run for run in self.standing if not run.finished]

    def begin(self) -> None:
        """To be called once, after runs have been restored."""
        self.keep()
        standing = [run for run in self.runs if run.standing_since is not None or not run.finished]
        if len(standing) < len(self.standing):
            # As when training stopped: others would be the same numbers, rounded otherwise.
            self._go_on_with(standing)
        elif self.can_shrink:
            self.shrink()

    @property
    def can_shrink(self) -> bool:
        """Whether so many members have ended that a step of the others is worth making anew."""
        going, all_ = len(self.active), len(self.standing)
        kind = self.step.kind
        worth = WORTH_CAPTURING_ANEW if kind.captured else WORTH_MAKING_ANEW[kind.program]
        return 0 < going < all_ and going <= worth * all_

    def shrink(self) -> None:
        """Leave out the runs that have ended."""
        now = max(run.epoch for run in self.active)
        for run in self.standing:
            run.standing_since = None if run.finished else now
            if run.ended is not None:
                run.ended.counters.update(run.counters())
        self._go_on_with(self.active)

    def _go_on_with(self, standing: list[Run]) -> None:
        states = [self.state(run) for run in standing]
        self._gather(standing)
        for run, state in zip(standing, states, strict=True):
            self.restore(run, state)
        self.keep()

    # An epoch.

    def epoch(self) -> list[tuple[Run, EpochRecord]]:
        """One pass over the rows for every active run; records of those that came through it."""
        began = time.perf_counter()
        active = self.active
        self._pass()
        means = self._means()
        finite = self._finite()
        validated = self._validate()
        seconds = (time.perf_counter() - began) / len(active)
        records = []
        for place, run in enumerate(self.standing):
            if run.finished:
                continue
            record = {
                "epoch": run.epoch + 1,
                "train": means[place],
                "validation": None if validated is None else validated[place],
                "learning_rate": run.rates([run.epoch])[0],
                "seconds": seconds,
            }
            record = self.workers.told(record)
            if not self.workers.told(finite[place] and _is_finite(record)):
                self._recover(run, place)
                continue
            run.epoch += 1
            if run.is_best(record):
                run.best_weights = self.members.state_dict(place)
            run.history.append(record)
            records.append((run, record))
        self.keep()
        if self.can_shrink:
            self.shrink()
        return records

    def _pass(self) -> None:
        """Nothing waits for the device until it ends."""
        streams = [
            Randomness(run.plan.seed, "epoch", run.epoch, run.recoveries, device=self.batches.device)
            for run in self.standing
        ]
        shares = [step / self.steps for step in range(self.steps)]
        noise = [self.workers.noise(stream) for stream in streams]
        # Members that have ended keep step with one that has not, so that the rates of all are alike.
        leader = self.active[0]
        led = [leader if run.finished else run for run in self.standing]
        epochs = [[run.epoch + share for share in shares] for run in led]
        rates = [run.rates(each) for run, each in zip(led, epochs, strict=True)]
        self._count_steps_like(leader)
        self.members.template.train()
        for batch, *now in zip(
            self._batches(streams), zip(*epochs, strict=True), zip(*rates, strict=True), strict=True
        ):
            self.step(batch, noise, *now)

    def _count_steps_like(self, leader: Run) -> None:
        """Members that have ended count their steps like the leader: those that were ahead of it would tell all how
        far the optimiser is, since members whose rates are alike are counted as one."""
        ended = [place for place, run in enumerate(self.standing) if run.finished]
        if ended:
            for player in self.step.players:
                steps = player.optimiser.steps
                steps[ended] = steps[self.standing.index(leader)].clone()

    def _batches(self, streams: list[Randomness]) -> Iterator[Tensor]:
        if self.members.single:
            return self.batches.epoch(self.batch_size, streams[0])
        return self.batches.epochs(self.batch_size, streams)

    def _means(self) -> list[dict[str, float]]:
        """The mean of each term over the rows of the epoch, for each member."""
        seen = self.steps * self.batch_size
        sums = {name: total.tolist() for name, total in self.workers.summed(self.step.take_sums()).items()}
        places = range(len(self.standing))
        return [with_losses({name: total[place] / seen for name, total in sums.items()}) for place in places]

    def _finite(self) -> list[bool]:
        """A finite loss may have a gradient that is not; without validation rows only the weights would show it."""
        finite = torch.stack([player.optimiser.finite() for player in self.step.players]).all(0)
        return finite.tolist()

    def _validate(self) -> list[dict[str, float]] | None:
        if self.validation is None:
            return None
        return self.validation.means(self.members, [run.plan.seed for run in self.standing])

    # Going back, and going on elsewhere.

    @torch.no_grad()
    def keep(self) -> None:
        """Remember this moment."""
        self.kept = Kept(
            self.standing,
            self.members,
            self.step.players,
            {name: tensor.detach().clone() for name, tensor in self.members.tensors.items()},
            [
                {name: tensor.clone() for name, tensor in player.optimiser.tensors().items()}
                for player in self.step.players
            ],
            [(run.counters(), run.best_weights) for run in self.standing],
        )
        # The numbers of a run that has ended change as long as it stands among the others: they are taken now.
        for run in self.standing:
            if run.finished and run.ended is None:
                run.ended = self.state(run)

    def go_back(self) -> None:
        """All runs as they were when they were last kept."""
        for run, (counters, best_weights) in zip(self.kept.standing, self.kept.runs, strict=True):
            run.restore(counters, best_weights)

    @torch.no_grad()
    def _recover(self, run: Run, place: int) -> None:
        """One run back to the last good state, at half the rate; the others stay where they are."""
        run.recover()
        for name, tensor in self.members.tensors.items():
            self._slot(tensor, place).copy_(self._slot(self.kept.tensors[name], place))
        for player, moments in zip(self.step.players, self.kept.moments, strict=True):
            for name, tensor in player.optimiser.tensors().items():
                if name in PER_MEMBER:
                    tensor[place] = moments[name][place]
                else:
                    self._slot(tensor, place).copy_(self._slot(moments[name], place))

    def _slot(self, tensor: Tensor, place: int) -> Tensor:
        return tensor if self.members.single else tensor[place]

    def states(self) -> list[TrainingState]:
        """Of every run, the state when it was last kept, from which `restore` makes it again."""
        return [run.ended or self.state(run) for run in self.runs]

    def state(self, run: Run) -> TrainingState:
        """Of one run, from what was kept last: also where those that go on are just being put together."""
        kept = self.kept
        place = kept.standing.index(run)
        counters, best_weights = kept.runs[place]
        weights = kept.members.state_dict(place, kept.tensors)
        tensors = {f"model.{name}": value for name, value in weights.items()}
        for index, (player, moments) in enumerate(zip(kept.players, kept.moments, strict=True)):
            for name, tensor in moments.items():
                tensors[f"player.{index}.{name}"] = _moment(kept.members, player.names, name, tensor, place)
        return TrainingState(tensors | {f"best.{name}": value for name, value in best_weights.items()}, counters)

    @torch.no_grad()
    def restore(self, run: Run, state: TrainingState) -> None:
        """Make a run what it was."""
        place = self.standing.index(run)
        run.restore(state.counters, nested(state.tensors, "best."))
        self.members.put(place, nested(state.tensors, "model."))
        for index, player in enumerate(self.step.players):
            held = player.optimiser.tensors()
            for name, value in nested(state.tensors, f"player.{index}.").items():
                if name in PER_MEMBER:
                    held[name][place] = value
                else:
                    self.members.at(held[name], place, player.names[int(name.partition(".")[0])], value)


def _moment(members: Members, names: list[str], name: str, tensor: Tensor, place: int) -> Tensor:
    """A member's own part of what an optimiser holds."""
    if name in PER_MEMBER:
        return tensor[place].clone()
    return members.own(tensor, place, names[int(name.partition(".")[0])])


def _is_finite(record: EpochRecord) -> bool:
    means = [*record["train"].values(), *(record["validation"] or {}).values()]
    return all(math.isfinite(mean) for mean in means)

"""One training step: rows in, better weights out. Eager, traced, compiled, or captured as one CUDA graph.

The eager step of one model is the reference: it says what a step is. The others do the same sums without asking anew
what they are, or in fewer, larger pieces; their losses agree with it up to rounding, which is checked when they are
made.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from ..core.randomness import Randomness
from ..core.terms import Terms
from ..parts.recurrence import Recurrence
from ..variants.base import Variant
from .distributed import ALONE, Workers
from .members import Members
from .noise import Request
from .optimiser import Optimiser

Draw = Callable[[Tensor, Randomness], Tensor]
TermsOf = Callable[[Variant, Tensor, Randomness], Terms]

# Compiling takes this long, and saves about this share of a step. A step takes each model about as long as its
# multiplications and its other operations on each number; on a GPU many fit in the time of one.
COMPILING_SECONDS = 15.0
SAVED_SHARE = 0.3
MULTIPLICATIONS_PER_SECOND = 1e11
OTHER_SECONDS = 1e-3
GPU_STEP_SECONDS = 2e-4
# Tracing a stack takes this long, and saves that much of a step, however many models there are: half of it or more.
TRACING_SECONDS = 1.5
TRACING_SAVES = 4e-3
# Sums in another order differ in the last digits, of which half precision has few; what differs by more was computed
# otherwise.
ROUNDING = {"float32": 1e-3, "bfloat16": 0.1}


@dataclass(frozen=True)
class Kind:
    """How a step is taken: as its code says, from the list of operations that its code came to once, or from that list
    compiled; started from Python, or replayed as one CUDA graph."""

    program: Literal["eager", "traced", "compiled"] = "eager"
    captured: bool = False


EAGER = Kind()


class Player:
    """The parameters that one loss trains: the model's, or its opponent's."""

    def __init__(self, members: Members, name: str, terms_of: TermsOf, parameters: list[nn.Parameter]):
        self.name, self.terms_of = name, terms_of
        self.names = members.names(parameters)
        masks = [members.mask(each) for each in self.names]
        self.optimiser = Optimiser([members.tensors[each] for each in self.names], len(members), masks)
        self.term_names: list[str] = []
        self.sums: Tensor | None = None  # (terms, members): of all rows of this epoch so far

    def add(self, sums: Tensor) -> None:
        self.sums = sums.clone() if self.sums is None else self.sums.add_(sums)


def players_of(members: Members) -> list[Player]:
    """The model, and its opponent if it has one."""
    template = members.template
    players = [Player(members, "", lambda variant, x, noise: variant.terms(x, noise), template.own_parameters())]
    if template.opponent is not None:
        own = list(template.opponent.parameters())
        players.append(Player(members, "opponent ", lambda variant, x, noise: variant.opponent_terms(x, noise), own))
    return players


class Step:
    """A step of members that train side by side."""

    def __init__(
        self,
        members: Members,
        draw: Draw,
        precision: str = "float32",
        kind: Kind = EAGER,
        workers: Workers = ALONE,
    ):
        self.members, self.draw, self.precision, self.kind, self.workers = members, draw, precision, kind, workers
        self.players = players_of(members)
        self.programs = [Program(self, index) for index in range(len(self.players))]
        self.requests: list[list[list[Request]]] = []  # for each player, for each member
        self.capture: Capture | None = None

    def __call__(self, rows: Tensor, streams: Sequence[Randomness], epochs: Sequence[float], rates: Sequence[float]):
        """Train on rows (members, batch, …), or (batch, …) of a single model.

        `streams` are the members' random numbers, `epochs` how many have passed, `rates` their learning rates.
        """
        self._set_epochs(epochs)
        device = self.members.device
        alike = len(set(rates)) == 1 and len(set(epochs)) == 1
        whole, rows = len(rows), self.workers.share(rows)  # several processes train a single model
        self.weight = len(rows) / whole
        if self.members.single and self.kind == EAGER:
            self._single(rows, streams[0], torch.tensor(rates))
            return
        self.requests = self.requests or [self.members.requests(program.loss, rows) for program in self.programs]
        noise = [self.members.drawn(requests, streams) for requests in self.requests]
        if self.kind.captured:
            self._captured(rows, noise, rates, alike)
            return
        self.body(rows, noise, torch.tensor(rates, device=device), alike)

    def body(self, rows: Tensor, noise: Sequence[Sequence[Tensor]], rates: Tensor, alike: bool) -> None:
        """All that happens on the device, given the random numbers."""
        for player, program, own in zip(self.players, self.programs, noise, strict=True):
            rows, gradients, sums = program(rows, own)
            player.optimiser.step(self.averaged(gradients, player), rates, alike)
            player.add(sums)

    def take_sums(self) -> dict[str, Tensor]:
        """The sums of each term over all rows since the last call, by the term's name, shape (members,)."""
        sums = {}
        for player in self.players:
            assert player.sums is not None
            total = player.sums.clone()
            sums |= {player.name + name: total[place] for place, name in enumerate(player.term_names)}
            player.sums.zero_()
        return sums

    def computing(self) -> AbstractContextManager[Any]:
        """The arithmetic of the networks."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.members.device.type, torch.bfloat16)

    def _single(self, rows: Tensor, randomness: Randomness, rates: Tensor) -> None:
        """The reference."""
        variant = self.members.template
        batch = self.draw(rows, randomness)
        for player in self.players:
            with self.computing():
                terms = player.terms_of(variant, batch, randomness)
            player.term_names = list(terms)
            by_term = torch.stack(list(terms.values()))  # (terms, rows)
            loss = by_term.sum(0).mean()
            gradients = torch.autograd.grad(loss, player.optimiser.parameters, allow_unused=True)
            player.optimiser.step(self.averaged(gradients, player), rates.to(batch.device), True)
            player.add(by_term.detach().sum(1, keepdim=True))

    def averaged(self, gradients: Sequence[Tensor | None], player: Player) -> Sequence[Tensor | None]:
        """The gradients of the whole batch, of which this process has a share."""
        if self.workers.alone:
            return gradients
        held = [
            torch.zeros_like(parameter) if gradient is None else gradient
            for parameter, gradient in zip(player.optimiser.parameters, gradients, strict=True)
        ]
        return self.workers.averaged(held, self.weight)

    def _set_epochs(self, epochs: Sequence[float]) -> None:
        held = self.members.tensors["epoch"]
        if len(set(epochs)) == 1:
            held.fill_(epochs[0])
        else:
            held.copy_(torch.tensor(epochs))

    def _captured(self, rows: Tensor, noise: list[list[Tensor]], rates: Sequence[float], alike: bool) -> None:
        if self.capture is None or self.capture.alike != alike:
            self.capture = Capture(self, rows, noise, torch.tensor(rates, device=rows.device), alike)
        self.capture.replay(rows, noise, rates)


class Program:
    """Rows and random numbers → the rows as drawn, gradients, and sums of terms: of one player, for all members."""

    def __init__(self, step: Step, index: int):
        self.step, self.index = step, index
        self.made: Callable[..., Any] | None = None  # traced or compiled
        self.tried = False  # whether making it was tried: what does not do the same is not made again

    def __call__(self, rows: Tensor, noise: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor | None], Tensor]:
        tensors = list(self.step.members.tensors.values())
        if self.step.kind.program != "eager" and not self.tried:
            self.tried = True
            self.made = self._make(tensors, rows, noise)
        if self.made is None:
            return self.compute(tensors, rows, *noise)
        with torch.no_grad():
            return self.made([tensor.detach() for tensor in tensors], rows, noise)

    def loss(self, variant: Variant, x: Tensor, randomness: Randomness) -> dict[str, Tensor]:
        """The terms of the player's loss, shape (terms, rows), and the rows they are of."""
        player = self.step.players[self.index]
        batch = self.step.draw(x, randomness) if self.index == 0 else x
        terms = player.terms_of(variant, batch, randomness)
        player.term_names = list(terms)
        return {"batch": batch, "terms": torch.stack(list(terms.values()))}

    def compute(
        self, tensors: Sequence[Tensor], rows: Tensor, *noise: Tensor
    ) -> tuple[Tensor, Sequence[Tensor | None], Tensor]:
        """The same without state, as tensors in and tensors out."""
        step, members = self.step, self.step.members
        player = step.players[self.index]
        held = dict(zip(members.tensors, tensors, strict=True))
        learned = [held[name].detach().requires_grad_() for name in player.names]
        held |= dict(zip(player.names, learned, strict=True))
        with step.computing():
            result = members.evaluate(self.loss, held, rows, noise)
        by_term = result["terms"] if members.single else result["terms"].movedim(0, -2)  # (terms, [members,] rows)
        # Members share nothing: the gradient of the sum of their losses is the gradient of each one's own.
        total = by_term.sum(0).mean(-1).sum()
        gradients = torch.autograd.grad(total, learned, allow_unused=True)
        sums = by_term.detach().sum(-1)
        return result["batch"].detach(), gradients, sums.unsqueeze(-1) if members.single else sums

    def _make(self, tensors: list[Tensor], rows: Tensor, noise: Sequence[Tensor]) -> Callable[..., Any] | None:
        """The graph of forward and backward operations together, compiled where that is wanted; None if it does not do
        the same. On its own it already leaves out what costs a stack of small models most: stacking and
        differentiating, decided anew at every step.
        """
        count = len(tensors)
        learned: list[bool] = []  # whether there is a gradient for each parameter

        def flat(*held: Tensor) -> list[Tensor]:
            batch, gradients, sums = self.compute(held[:count], held[count], *held[count + 1 :])
            learned[:] = [gradient is not None for gradient in gradients]
            return [batch, sums, *(gradient for gradient in gradients if gradient is not None)]

        held = [*(tensor.detach() for tensor in tensors), rows, *noise]
        graph: Callable[..., Any] = make_fx(flat)(*held)
        if self.step.kind.program == "compiled":
            graph = compiled_graph(graph, held)

        def program(tensors: list[Tensor], rows: Tensor, noise: Sequence[Tensor]) -> Any:
            batch, sums, *gradients = graph(*tensors, rows, *noise)
            left = iter(gradients)
            return batch, [next(left) if known else None for known in learned], sums

        with torch.no_grad():
            _, our_gradients, our_sums = program(held[:count], rows, noise)
        _, gradients, sums = self.compute(tensors, rows, *noise)
        rounding = ROUNDING[self.step.precision]
        pairs = [(our_sums, sums), *zip(our_gradients, gradients, strict=True)]
        return program if all(_alike(ours, theirs, rounding) for ours, theirs in pairs) else None


def _alike(ours: Tensor | None, theirs: Tensor | None, rounding: float) -> bool:
    """Whether two results of one computation differ by no more than rounding, against the largest of their numbers."""
    if ours is None or theirs is None:
        return ours is theirs
    return bool((ours - theirs).abs().max() <= rounding * theirs.abs().max())


def compiled_graph(graph: GraphModule, held: list[Tensor]) -> Callable[..., Any]:
    """The graph as one program, for tensors of these shapes; it is not asked at every call whether they still are."""
    from torch._inductor import compile as compile_graph

    inputs: list[Any] = list(held)
    program: Any = compile_graph(graph, inputs)
    return program


class Capture:
    """A step's work on the device, recorded once as a CUDA graph and replayed: nothing waits for Python."""

    def __init__(self, step: Step, rows: Tensor, noise: list[list[Tensor]], rates: Tensor, alike: bool):
        self.rows, self.noise, self.rates = rows.clone(), [[each.clone() for each in own] for own in noise], rates
        self.alike = alike
        kept = [
            *step.members.tensors.values(),
            *(t for each in step.players for t in each.optimiser.tensors().values()),
        ]
        before = [tensor.detach().clone() for tensor in kept]
        sums = [None if player.sums is None else player.sums.clone() for player in step.players]
        # Libraries set themselves up in the first calls, which a graph cannot hold.
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step.body(self.rows, self.noise, self.rates, alike)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            step.body(self.rows, self.noise, self.rates, alike)
        with torch.no_grad():
            for tensor, value in zip(kept, before, strict=True):
                tensor.copy_(value)
            for player, value in zip(step.players, sums, strict=True):
                assert player.sums is not None
                player.sums.copy_(value) if value is not None else player.sums.zero_()

    def replay(self, rows: Tensor, noise: list[list[Tensor]], rates: Sequence[float]) -> None:
        self.rows.copy_(rows)
        for mine, own in zip(self.noise, noise, strict=True):
            for place, each in zip(mine, own, strict=True):
                place.copy_(each)
        if self.alike:
            self.rates.fill_(rates[0])
        else:
            self.rates.copy_(torch.tensor(rates))
        self.graph.replay()


def best_kind(members: Members, steps: int, batch: int, compiled: bool | None = None) -> Kind:
    """How so many steps are best taken, where `compiled` does not say it.

    It depends on the work alone, so that the same training takes the same steps. A graph is captured wherever there is
    a GPU. Compiling and tracing must save more time than they take; tracing a single model saves none.
    """
    if depends_on_rows(members.template):
        return EAGER
    on_gpu = members.device.type == "cuda"
    numbers = sum(parameter.numel() for parameter in members.template.own_parameters())
    seconds = GPU_STEP_SECONDS if on_gpu else len(members) * (OTHER_SECONDS + product_seconds(batch, numbers))
    worth = SAVED_SHARE * seconds * steps > COMPILING_SECONDS if compiled is None else compiled
    if worth and can_compile(members.device):
        return Kind("compiled", captured=on_gpu)
    traced = not members.single and not on_gpu and TRACING_SAVES * steps > TRACING_SECONDS
    return Kind("traced" if traced else "eager", captured=on_gpu)


def depends_on_rows(variant: Variant) -> bool:
    """Whether a step is other operations for other rows, as of sequences that end where they end: it can be neither
    repeated nor shared with other models."""
    return any(isinstance(layer, Recurrence) for layer in variant.modules())


def product_seconds(batch: int, numbers: int) -> float:
    """About how long a processor takes for the products of a step: forward, backward to weights and to inputs."""
    return 3 * batch * numbers / MULTIPLICATIONS_PER_SECOND


def can_compile(device: torch.device) -> bool:
    """Whether there is a compiler for the device's code."""
    if device.type == "cuda":
        return find_spec("triton") is not None
    return any(shutil.which(name) for name in ("g++", "clang++"))

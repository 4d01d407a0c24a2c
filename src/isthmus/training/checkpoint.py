"""Checkpoints: everything a run needs to go on as if it had never stopped."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.errors import ModelFileError
from ..files.atomic import remove_leftovers
from ..files.tensor_file import read_tensors, write_tensors
from .state import TrainingState, nested

# Of the tensors' names; a checkpoint of another format is one of another run.
FORMAT = 2
# What follows a checkpoint's name: sizes of models that train together, as `part_of` is given them, and "previous".
OWN_ENDING = re.compile(r"(\.\d+(-\d+)*)?(\.previous)?")


class Checkpoint:
    """A file that a training run saves itself to, and the one before it.

    `fingerprint` says what is being trained on what; a checkpoint of anything else is refused.
    """

    def __init__(self, path: str | Path, fingerprint: dict[str, Any]):
        self.path = Path(path)
        self.previous = self.path.with_name(self.path.name + ".previous")
        self.fingerprint = {"format": FORMAT, **fingerprint}
        self._newest_is_damaged = False

    def save(self, states: Sequence[TrainingState]) -> None:
        """Write the states of models that train side by side; a kill at any moment leaves a readable checkpoint, this
        one or the one before."""
        if self.path.exists() and not self._newest_is_damaged:  # what is damaged does not push out what is not
            self.path.replace(self.previous)
        tensors = {
            f"{place}.{name}": value for place, state in enumerate(states) for name, value in state.tensors.items()
        }
        counters = [state.counters for state in states]
        write_tensors(self.path, tensors, {"fingerprint": self.fingerprint, "counters": counters})
        self._newest_is_damaged = False

    def load(self) -> list[TrainingState] | None:
        """The newest readable states, None if there are none yet."""
        damaged: ModelFileError | None = None
        for path in (self.path, self.previous):
            if not path.exists():
                continue
            try:
                tensors, facts = read_tensors(path)
                _check_is_checkpoint(path, facts)
            except ModelFileError as failure:
                damaged = failure
                self._newest_is_damaged |= path == self.path
                continue
            for name, value in self.fingerprint.items():
                if facts["fingerprint"].get(name) != value:
                    raise ModelFileError(
                        f"{path}: the checkpoint of another run: its {name} differs; start without resuming"
                    )
            return [
                TrainingState(nested(tensors, f"{place}."), counters)
                for place, counters in enumerate(facts["counters"])
            ]
        if damaged is not None:
            raise ModelFileError(f"{damaged}; start without resuming")
        return None

    def remove(self) -> None:
        """Delete the files, and what a killed run left half-written; called when training has ended and its result is
        safe elsewhere."""
        for path in self._files():
            if path.is_dir():
                raise ModelFileError(f"{path}: a folder, where a checkpoint would be written; move it or name another")
            path.unlink(missing_ok=True)
            remove_leftovers(path)
        remove_leftovers(self.path)

    @property
    def exists(self) -> bool:
        """Whether there is anything to go on from."""
        return any(path.exists() for path in self._files())

    def _files(self) -> list[Path]:
        """The newest states, those before, and both of its parts; whatever else is named alike is the user's."""
        beside = sorted(self.path.parent.glob(f"{glob.escape(self.path.name)}.*"))
        return [self.path, *(path for path in beside if OWN_ENDING.fullmatch(path.name[len(self.path.name) :]))]


def part_of(path: str | Path, name: str) -> Path:
    """The file of one training of several that belong together; it goes when the checkpoint at `path` is removed."""
    return Path(path).with_name(f"{Path(path).name}.{name}")


def _check_is_checkpoint(path: Path, facts: dict[str, Any]) -> None:
    if not isinstance(facts.get("fingerprint"), dict) or not isinstance(facts.get("counters"), list):
        raise ModelFileError(f"{path}: a file of isthmus, but not a checkpoint")

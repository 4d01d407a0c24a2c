"""Several processes train as one does, decide alike, and end together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import isthmus
from isthmus.core.errors import OptionError
from isthmus.core.randomness import Randomness
from isthmus.training.checkpoint import Checkpoint
from isthmus.training.distributed import ALONE, Workers

from .processes import described, outcome_of

ROOT = Path(__file__).parents[2]
# Processes of their own import torch, which takes seconds.
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]

Process = subprocess.Popen[str]


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


def start(size: int, *command: object) -> list[Process]:
    """The same command in so many processes, with the environment that torchrun gives."""
    common = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = []
    for rank in range(size):
        environment = os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
        environment |= {"TORCH_CPP_LOG_LEVEL": "ERROR"}  # the command line sets it itself
        words = [sys.executable, "-m", *map(str, command)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(words, env=environment, cwd=ROOT, **pipes))
    return processes


def ended(processes: list[Process], within: float = 120) -> list[tuple[int, str, str]]:
    """Status, stdout and stderr of each."""
    results = []
    for process in processes:
        out, err = process.communicate(timeout=within)
        results.append((process.returncode, out, err))
    return results


def wait_until(reached: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.01)


def trained(folder: Path, *asked: str) -> None:
    """Two processes train models, each MODEL:EPOCHS:ROWS."""
    for status, out, err in ended(start(2, "tests.training.processes", folder, *asked)):
        assert (status, out, err) == (0, "", "")


def told(folder: Path) -> list[dict[str, Any]]:
    """What each of two processes says of its training."""
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def epochs_of(folder: Path, rank: int) -> list[int]:
    file = folder / f"{rank}.epochs"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of models that two processes trained without being disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    trained(folder, "autoencoder:6:70", "traced:6:70", "vae:100:2000", "factor_vae:60:2000", "broken:6:70")
    return folder


@pytest.mark.parametrize("kind", ["autoencoder", "traced"])
def test_a_model_without_noise_equals_one_process(kind: str, whole: Path) -> None:
    """To rounding: gradients are sums in another order. Batches have an odd number of rows."""
    first, second = told(whole / kind)
    assert first == second, "the processes do not hold the same model"
    alone = json.loads(json.dumps(described(outcome_of("autoencoder", 6, 70, ALONE, None))))
    assert first["decisions"] == alone["decisions"]
    for mine, theirs in zip(first["history"], alone["history"], strict=True):
        assert mine["train"] == pytest.approx(theirs["train"], rel=1e-4)
        assert mine["validation"] == pytest.approx(theirs["validation"], rel=1e-4)
    for name, values in first["weights"].items():
        torch.testing.assert_close(torch.tensor(values), torch.tensor(alone["weights"][name]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("kind", "epochs", "within"), [("vae", 100, 0.01), ("factor_vae", 60, 0.05)])
def test_a_model_with_noise_comes_to_the_same_loss(kind: str, epochs: int, within: float, whole: Path) -> None:
    """Each process draws its own noise. Two players chase each other: there, seeds alone differ by a twentieth."""
    first, second = told(whole / kind)
    assert first == second
    alone = described(outcome_of(kind, epochs, 2000, ALONE, None))
    assert first["history"][-1]["train"] != alone["history"][-1]["train"]
    loss, expected = (each["history"][-1]["validation"]["loss"] for each in (first, alone))
    assert loss == pytest.approx(expected, rel=within)


def test_all_go_back_to_the_last_good_state_together(whole: Path) -> None:
    first, second = told(whole / "broken")
    assert first == second and first["decisions"][1] == 1


def test_the_first_alone_writes(tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    fit = ("isthmus", "fit", "penguins", "--model", "vae", "--latent", 2, "--epochs", 3, "--json", "--out", model)
    (status, out, err), (other, silence, nothing) = ended(start(2, *fit))
    assert (status, other, err, silence, nothing) == (0, 0, "", "", "")
    assert json.loads(out)["epochs"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]
    assert isthmus.load(model).latent_dim_ == 2


def test_a_lost_process_ends_the_others(tmp_path: Path) -> None:
    processes = start(2, "tests.training.processes", tmp_path, "autoencoder:2000:70")
    folder = tmp_path / "autoencoder"
    wait_until(lambda: len(epochs_of(folder, 0)) >= 5)
    processes[0].kill()  # the other one is lost in the next test
    began = time.monotonic()
    status, _, err = ended(processes[1:])[0]
    assert time.monotonic() - began < 30
    assert status == 2 and err.count("\n") == 1 and "one of the 2 processes was lost" in err and "--resume" in err
    # Who is killed while it writes leaves a hidden file that nobody reads, and whole ones under the names that count.
    left = {path.name for path in folder.iterdir() if not path.name.endswith(".partial")}
    assert left <= {"checkpoint", "checkpoint.previous", "0.epochs", "1.epochs"}
    assert reached(folder, "autoencoder") >= 4


def reached(folder: Path, kind: str) -> int:
    """The epoch of the state that was kept."""
    loaded = Checkpoint(folder / "checkpoint", {"kind": kind}).load()
    assert loaded is not None
    return loaded[0].counters["epoch"]


def test_a_resumed_run_equals_one_that_was_not_stopped(whole: Path, tmp_path: Path) -> None:
    processes = start(2, "tests.training.processes", tmp_path, "vae:100:2000")
    folder = tmp_path / "vae"
    wait_until(lambda: len(epochs_of(folder, 0)) >= 7)
    processes[1].kill()
    assert [status for status, *_ in ended(processes)] == [2, -signal.SIGKILL]
    kept = reached(folder, "vae")
    for file in folder.glob("*.epochs"):
        file.unlink()
    trained(tmp_path, "vae:100:2000")
    assert epochs_of(folder, 0) == epochs_of(folder, 1) == list(range(kept + 1, 101))
    assert told(folder) == told(whole / "vae")


@pytest.mark.parametrize("interrupted", [0, 1])
def test_ctrl_c_in_one_ends_all_at_the_same_place(interrupted: int, tmp_path: Path) -> None:
    processes = start(2, "tests.training.processes", tmp_path, "vae:5000:70")
    wait_until(lambda: len(epochs_of(tmp_path / "vae", interrupted)) >= 3)
    processes[interrupted].send_signal(signal.SIGINT)
    assert ended(processes) == [(0, "", "")] * 2
    first, second = told(tmp_path / "vae")
    assert first == second and first["decisions"][2] is True and 3 <= len(first["history"]) < 5000


def test_the_command_line_under_torchrun(tmp_path: Path) -> None:
    """Ctrl-C keeps the best, as in one process; bad input is one line; other commands are refused."""
    model = tmp_path / "m.safetensors"

    def lines(*words: object, program: str = "isthmus", interrupt: bool = False) -> list[str]:
        torchrun = ("torch.distributed.run", "--nproc-per-node", 2, "-m", program)
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, (*torchrun, *words))], stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        if interrupt:
            wait_until(model.with_name("m.safetensors.checkpoint").exists, seconds=120)
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode != 0
        return [line for line in err.splitlines() if line.startswith("isthmus: ")]

    fit = ("fit", "penguins", "--model", "vae", "--out", model, "--epochs", 100_000, "--set", "patience=none")
    fit += ("--set", "compiled=false")
    (line,) = lines(*fit, program="tests.training.command_line", interrupt=True)
    assert line.startswith("isthmus: interrupted after ") and "--resume" in line
    assert isthmus.load(model).training_["interrupted"] and model.with_name("m.safetensors.checkpoint").exists()
    (line,) = lines("fit", "none.csv", "--model", "vae", "--out", tmp_path / "n.safetensors")
    assert "none.csv: no such file" in line
    encode = ("isthmus", "encode", model, "digits", "--out", tmp_path / "codes.parquet")
    first, second = ended(start(2, *encode))
    assert first[0] == second[0] == 2 and first[2].count("\n") == 1 and second[2] == ""
    assert "for fit only" in first[2]
    left = {path.name for path in tmp_path.iterdir()}
    assert left - {"m.safetensors.checkpoint.previous"} == {"m.safetensors", "m.safetensors.checkpoint"}


class TestOneOfSeveral:
    """What needs no other process."""

    def test_shares_are_the_batch_in_order(self) -> None:
        batch = torch.arange(10)
        shares = [Workers(rank, 3).share(batch) for rank in range(3)]
        assert torch.equal(torch.cat(shares), batch) and [len(share) for share in shares] == [4, 3, 3]

    def test_each_has_noise_of_its_own(self) -> None:
        drawn = [Workers(rank, 2).noise(Randomness(0, "epoch", 1)).normal(3).tolist() for rank in (0, 1)]
        assert drawn[0] != drawn[1]

    def test_too_few_rows(self) -> None:
        with pytest.raises(OptionError, match="batches of 2 rows are too few for 3 processes"):
            Workers(0, 3).check_batch_size(2)

    def test_alone_nothing_happens(self) -> None:
        randomness, batch, gradient = Randomness(0), torch.arange(4.0), torch.ones(2)
        assert ALONE.noise(randomness) is randomness and ALONE.share(batch) is batch
        assert ALONE.averaged([gradient], 1.0)[0] is gradient and ALONE.told("a") == "a" and ALONE.summed({}) == {}
        ALONE.meet()

    def test_several_models_are_not_trained_in_several_processes(self) -> None:
        rows = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).numpy()
        with pytest.raises(OptionError, match="several processes train one"):
            isthmus.VAE("auto", epochs=1).fit(rows, workers=Workers(0, 2))

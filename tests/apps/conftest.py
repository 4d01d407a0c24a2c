"""Run the command line in this process, and small models for commands to work with."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

import pytest

from isthmus.apps.cli import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


def run(*arguments: object) -> Ended:
    """Run `isthmus ARGUMENTS…` as the console script does."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    return Ended(status, out.getvalue(), err.getvalue())


def succeed(*arguments: object) -> Ended:
    """Run a command that should work."""
    ended = run(*arguments)
    assert ended.status == 0, ended.err
    return ended


@pytest.fixture(scope="session")
def penguins_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE of the bundled table; enough epochs that its codes depend on the rows."""
    path = tmp_path_factory.mktemp("penguins") / "m.safetensors"
    succeed("fit", "penguins", "--model", "vae", "--latent", 3, "--epochs", 30, "--device", "cpu", "--out", path)
    return path


@pytest.fixture
def compared_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting others takes longer than what small comparisons do; that they give the same is tested elsewhere."""
    monkeypatch.setattr("isthmus.comparison.compare.workers", lambda *_: 1)


@pytest.fixture(scope="session")
def digits_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An autoencoder of the bundled images."""
    path = tmp_path_factory.mktemp("digits") / "m.safetensors"
    options = ("--latent", 4, "--epochs", 2, "--set", "hidden=32,16", "--device", "cpu")
    succeed("fit", "digits", "--model", "ae", *options, "--out", path)
    return path

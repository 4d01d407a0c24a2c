"""The commands put together, and what happens when one of them fails."""

import os
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ... import __version__
from ...core.errors import IsthmusError, OptionError
from .archives import compress, decompress
from .codes import decode, encode
from .compare import compare
from .describe import info, models
from .evaluate import evaluate
from .explain import explain
from .fit import fit
from .generate import generate
from .impute import impute
from .score import score
from .screen import INTERRUPTED, print_error, print_interrupted

app = typer.Typer(
    name="isthmus",
    help=(
        "Autoencoders, plain and variational, for anyone's unlabelled data: train both on your rows, measure both, "
        "and know which to use to compress, reduce, generate or detect."
    ),
    # Help without boxes comes in half the time: nothing is imported to draw them.
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    compare,
    fit,
    encode,
    decode,
    generate,
    impute,
    evaluate,
    score,
    compress,
    decompress,
    explain,
    info,
    models,
)
for command in COMMANDS:
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"isthmus {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before a command."""
    if _is_one_of_several():
        _prepare_one_of_several(str(context.invoked_subcommand))


def _is_one_of_several() -> bool:
    """Whether torchrun started this process, and others with it."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def _prepare_one_of_several(command: str) -> None:
    """Refuse, with one voice, what several processes cannot do together."""
    # Read when torch is imported: its own warnings of a lost connection are a screen full, and the error says it.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if command != "fit":
        if os.environ["RANK"] != "0":
            raise SystemExit(2)
        raise OptionError(f"torchrun starts several processes for fit only; start {command} without it")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status: 0, 2 after a line about what the user can mend, 130 after Ctrl-C."""
    if not _is_one_of_several():
        return _run(arguments)
    try:
        status = _run(arguments)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1

    from ...training.distributed import leave

    leave(status)


def _run(arguments: Sequence[str] | None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # Without standalone mode errors come back here; typer turns Ctrl-C into a status of its own.
        status = app(
            given or ["--help"],
            prog_name="isthmus",
            standalone_mode=False,
            obj={"command": shlex.join(["isthmus", *given])},
        )
    except typer.TyperException as failure:
        print_error(_misused(failure))
        return 2
    except IsthmusError as failure:
        print_error(str(failure))
        return 2
    except (MemoryError, RuntimeError) as failure:
        if not _is_out_of_memory(failure):
            raise
        what = f": {failure}" if isinstance(failure, MemoryError) and str(failure) else ""
        print_error(f"out of memory{what}; give fewer rows, a smaller model, or a smaller batch_size")
        return 2
    if status == INTERRUPTED and os.environ.get("RANK", "0") == "0":  # one of several processes speaks
        print_interrupted()
    return status or 0


def _is_out_of_memory(failure: MemoryError | RuntimeError) -> bool:
    """PyTorch says so in a RuntimeError, and only on a GPU in one with a name of its own."""
    words = ("allocate memory", "out of memory", "larger than the maximum")
    return isinstance(failure, MemoryError) or any(word in str(failure) for word in words)


def _misused(failure: typer.TyperException) -> str:
    """What is wrong with the command line, and where its help is."""
    context = getattr(failure, "ctx", None)  # the command, where the failure is one of its arguments
    command = "isthmus" if context is None else context.command_path
    return f"{failure.format_message().rstrip('.')}; see {command} --help"

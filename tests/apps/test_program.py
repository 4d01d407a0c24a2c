"""The program as a whole: how fast it answers, what it imports, how it ends."""

import importlib.util
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import isthmus
from isthmus.apps.cli import app, arguments, main
from isthmus.apps.cli.program import COMMANDS
from isthmus.core.errors import OptionError

from .conftest import run

PROGRAM = (sys.executable, "-m", "isthmus")
NAMES = [command.__name__ for command in COMMANDS]
HEAVY = ("torch", "sklearn", "pyarrow", "numpy", "PIL", "scipy", "rich", "jinja2")
DOCS = Path(__file__).parents[2] / "docs"


class TestHelp:
    @pytest.mark.parametrize("command", [(), *((name,) for name in NAMES)])
    def test_help_imports_nothing_that_computes(self, command: tuple[str, ...]) -> None:
        script = f"import sys; from isthmus.apps.cli import main; main({[*command, '--help']!r}); print(*sys.modules)"
        ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        *text, modules = ended.stdout.splitlines()
        assert any("Usage: isthmus" in line for line in text)
        assert not set(HEAVY) & set(modules.split())

    @pytest.mark.skipif(os.name != "posix", reason="the time of child processes is a POSIX matter")
    @pytest.mark.parametrize("command", [(), ("compare",)])
    def test_help_takes_less_than_0_4_seconds(self, command: tuple[str, ...]) -> None:
        """Of processor time, in the best of seven runs: a process that shares a core is only ever slower."""
        import resource

        def seconds() -> float:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([*PROGRAM, *command, "--help"], capture_output=True, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        assert min(seconds() for _ in range(7)) < 0.4

    def test_no_command_shows_the_help(self) -> None:
        assert run() == run("--help") == run("-h") and "compare" in run().out

    def test_every_option_and_argument_is_explained(self) -> None:
        from typer.main import get_command

        commands = get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
        assert list(commands) == NAMES
        for command in commands.values():
            assert command.help
            assert all(getattr(parameter, "help", None) for parameter in command.params), command.name

    def test_the_page_in_the_docs_is_current(self) -> None:
        description = importlib.util.spec_from_file_location("command_line", DOCS / "command_line.py")
        assert description is not None and description.loader is not None
        module = importlib.util.module_from_spec(description)
        description.loader.exec_module(module)
        assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run python docs/command_line.py"

    def test_version(self) -> None:
        assert run("--version").out == f"isthmus {isthmus.__version__}\n"

    def test_typers_own_runner_takes_the_program(self) -> None:
        result = CliRunner().invoke(app, ["models"])
        assert result.exit_code == 0 and "ladder_vae" in result.stdout


class TestStreams:
    @pytest.mark.slow
    def test_json_is_all_there_is_on_stdout(self, tmp_path: Path) -> None:
        out = tmp_path / "m.safetensors"
        fit = [*PROGRAM, "fit", "penguins", "--model", "vae", "--epochs", "2", "--json", "--out", str(out)]
        ended = subprocess.run(fit, capture_output=True, text=True, check=True)
        assert json.loads(ended.stdout)["epochs"] == 2 and ended.stderr == ""

    def test_bad_input_in_a_process_of_its_own(self, tmp_path: Path) -> None:
        decompress = [*PROGRAM, "decompress", "none.isth", "--out", str(tmp_path / "o.csv")]  # needs no PyTorch
        ended = subprocess.run(decompress, capture_output=True, text=True, check=False)
        assert ended.returncode == 2 and ended.stdout == ""
        assert ended.stderr.startswith("isthmus: error: none.isth") and ended.stderr.count("\n") == 1

    @pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX")
    @pytest.mark.slow
    def test_progress_shows_on_a_terminal(self, tmp_path: Path) -> None:
        controller, terminal = pty.openpty()
        fit = [*PROGRAM, "fit", "penguins", "--model", "vae", "--epochs", "2", "--out", str(tmp_path / "m.safetensors")]
        ended = subprocess.run(fit, stdout=subprocess.PIPE, stderr=terminal, check=True)
        os.close(terminal)
        shown = os.read(controller, 65_536).decode()
        os.close(controller)
        assert "epochs" in shown and b"epochs" in ended.stdout and b"\x1b" not in ended.stdout


class TestEndings:
    @pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is a signal on POSIX")
    @pytest.mark.slow
    def test_ctrl_c_keeps_the_best_so_far_and_says_how_to_go_on(self, tmp_path: Path) -> None:
        out = tmp_path / "m.safetensors"
        kept = out.with_name(out.name + ".checkpoint")
        program = [sys.executable, "-m", "tests.training.command_line"]  # which keeps its state from the start
        fit = ["fit", "penguins", "--model", "vae", "--out", str(out), "--epochs", "100000"]
        fit += ["--set", "patience=none", "--set", "compiled=false"]
        process = subprocess.Popen([*program, *fit], stderr=subprocess.PIPE, text=True, cwd=DOCS.parent)
        end = time.monotonic() + 120
        while not kept.exists():
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.01)
        assert not out.exists()
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 130
        assert complaint.startswith("isthmus: interrupted") and complaint.count("\n") == 1
        assert out.exists() and kept.exists() and "--resume" in complaint

    def test_ctrl_c_outside_training_is_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from isthmus.files import reading

        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(reading, "read", interrupted)
        ended = run("fit", "penguins", "--model", "vae", "--out", "m.safetensors")
        assert ended.status == 130 and ended.err == "isthmus: interrupted\n"

    def test_too_little_memory_is_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from isthmus.files import reading

        def too_large(*_: object, **__: object) -> None:
            raise MemoryError("Unable to allocate 9 TiB")

        monkeypatch.setattr(reading, "read", too_large)
        ended = run("fit", "penguins", "--model", "vae", "--out", "m.safetensors")
        assert ended.status == 2 and ended.err.count("\n") == 1
        assert ended.err.startswith("isthmus: error: out of memory: Unable to allocate 9 TiB; give fewer rows")

    def test_a_bug_shows_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from isthmus.files import reading

        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(reading, "read", broken)
        with pytest.raises(ZeroDivisionError):
            main(["fit", "penguins", "--model", "vae", "--out", "m.safetensors"])


class TestSettings:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("4", 4),
            ("0.5", 0.5),
            ("1e-3", 1e-3),
            ("true", True),
            ("False", False),
            ("none", None),
            ("null", None),
            ("400,200", (400, 200)),
            ("400,", (400,)),
            ("(400, 200)", (400, 200)),
            ("[400]", (400,)),
            ("closed form", "closed form"),
            ("auto", "auto"),
            ('"4"', "4"),
            ("NaN", "NaN"),
            ("", ""),
            ("a=b", "a=b"),
        ],
    )
    def test_values(self, text: str, value: object) -> None:
        found = arguments.settings([f"name={text}"])["name"]
        assert found == value and type(found) is type(value)

    def test_whole_numbers(self) -> None:
        assert arguments.whole_numbers("2, 8,32", "--latent") == [2, 8, 32]
        for text in ("", ",", "2;8", "1.5", "-1", "²"):
            with pytest.raises(OptionError):
                arguments.whole_numbers(text, "--latent")

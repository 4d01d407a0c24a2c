"""Writes `isthmus/__init__.pyi` from what models declare, so that editors complete `isthmus.VAE(beta=…)`.

`python -m isthmus.estimator.stubs` writes the file; with `--check` its exit status says whether it is current.
"""

import inspect
import sys
import textwrap
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from . import models
from .public import declared_options, public_class

PLACE = Path(__file__).parents[1] / "__init__.pyi"

HEADER = '''"""The public names and their signatures, for editors and type checkers.

Written by `python -m isthmus.estimator.stubs` from the variants' declarations; change those, not this.
"""

from typing import Any, Literal

from .comparison.compare import compare as compare
from .comparison.result import Comparison as Comparison
from .core import errors as errors
from .estimator.base import Estimator as _Estimator
from .estimator.detector import Detector as Detector
from .estimator.tuning import tune as tune
from .evaluating import Evaluation as Evaluation
from .evaluating import evaluate as evaluate
from .files.streaming import stream as stream
from .saving import load as load

__version__: str
'''


def stubs() -> str:
    """The text of the file."""
    return HEADER + "".join(_class(name) for name in models.names())


def _class(model_name: str) -> str:
    """The class of one model: its documentation, and one line for each option."""
    kind = public_class(model_name)
    first, *rest = [_parameter(name, field) for name, field in declared_options(model_name).items()]
    parameters = ["self", first, "*", *rest]
    lines = [part for line in (inspect.getdoc(kind) or "").splitlines() for part in textwrap.wrap(line, 110) or [""]]
    documentation = "\n".join(f"    {line}" if line else "" for line in lines).strip()
    return (
        f'\nclass {kind.__name__}(_Estimator):\n    """{documentation}\n    """\n\n    def __init__(\n'
        + "".join(f"        {parameter},\n" for parameter in parameters)
        + "    ) -> None: ...\n"
    )


def _parameter(name: str, field: FieldInfo) -> str:
    default = f'"{field.default}"' if isinstance(field.default, str) else repr(field.default)
    return f"{name}: {spelled(field.annotation)} = {default}"


def spelled(annotation: Any) -> str:
    """A type as source text; what `Annotated` adds for checking is left out."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return spelled(arguments[0])
    if origin is Literal:
        values = [f'"{value}"' if isinstance(value, str) else repr(value) for value in arguments]
        return f"Literal[{', '.join(values)}]"
    if origin in (Union, UnionType):
        return " | ".join(spelled(argument) for argument in arguments)
    if origin is tuple:
        return f"tuple[{', '.join('...' if argument is Ellipsis else spelled(argument) for argument in arguments)}]"
    if annotation in (None, NoneType):
        return "None"
    if annotation is Any:
        return "Any"
    return annotation.__name__


def main() -> int:
    """Write or check the file; the exit status."""
    if "--check" in sys.argv[1:]:
        return int(PLACE.read_text(encoding="utf-8") != stubs())
    PLACE.write_text(stubs(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

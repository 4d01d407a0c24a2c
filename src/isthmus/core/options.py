"""Options are declared once; constructors, the command line, the JSON schema and the docs come from the declaration."""

from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from .errors import OptionError

Declared = TypeVar("Declared", bound="Options")


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    weight: bool = False,
) -> Any:
    """Declare one option: its default, a line of help, and bounds (`low` and `high` included, `above` excluded).

    A `weight` is nothing but a factor in the loss: models that differ in it alone can be trained in one step.
    """
    return Field(
        default, description=help, ge=low, le=high, gt=above, json_schema_extra={"weight": True} if weight else None
    )


class Options(BaseModel):
    """A set of options; unknown names and values out of bounds are refused in one line."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @classmethod
    def declared(cls) -> dict[str, FieldInfo]:
        """The declarations by name, in order."""
        return dict(cls.model_fields)

    @classmethod
    def check(cls: type[Declared], values: dict[str, Any], owner: str) -> Declared:
        """The options with these values; raises OptionError naming the option, what is wrong and what is allowed."""
        try:
            return cls(**values)
        except ValidationError as failure:
            raise OptionError(_one_line(cls, failure, owner)) from None


def _one_line(declared: type[Options], failure: ValidationError, owner: str) -> str:
    first = failure.errors()[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return f"{owner} has no option '{name}'; it has {', '.join(declared.declared())}"
    # A union of types reports one complaint per type; the user wants all that is allowed, once.
    complaints = dict.fromkeys(
        error["msg"].removeprefix("Input should be ") for error in failure.errors() if str(error["loc"][0]) == name
    )
    given = first["input"]
    return f"option {name}={given!r} of {owner}: should be {' or '.join(complaints)}"

"""Public classes, made from what variants declare: `isthmus.VAE` is `variants/vae.py` with the shared options."""

import inspect
from functools import cache
from typing import Any

from pydantic.fields import FieldInfo

from .. import variants
from .base import Estimator
from .options import SharedOptions


def declared_options(variant_name: str) -> dict[str, FieldInfo]:
    """All options of a public class by name: `latent_dim`, the variant's own, then the other shared ones."""
    shared = SharedOptions.declared()
    own = variants.find(variant_name).Options.declared()
    return {"latent_dim": shared.pop("latent_dim"), **own, **shared}


@cache
def public_class(variant_name: str) -> type[Estimator]:
    """The scikit-learn estimator of a variant, with an explicit signature."""
    variant = variants.find(variant_name)
    fields = declared_options(variant_name)
    signature = inspect.Signature(
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            *(
                inspect.Parameter(
                    name,
                    # The latent size may be given first and without its name; nothing else is worth guessing about.
                    inspect.Parameter.POSITIONAL_OR_KEYWORD if name == "latent_dim" else inspect.Parameter.KEYWORD_ONLY,
                    default=field.default,
                    annotation=field.annotation,
                )
                for name, field in fields.items()
            ),
        ]
    )

    def __init__(self: Estimator, *given: Any, **named: Any) -> None:  # noqa: N807
        try:
            bound = signature.bind(self, *given, **named)
        except TypeError as failure:
            raise TypeError(f"{variant.__name__}(): {failure}") from None
        bound.apply_defaults()
        for name in fields:
            setattr(self, name, bound.arguments[name])

    __init__.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess] - what inspect.signature reads
    return type(
        variant.__name__,
        (Estimator,),
        {
            "__init__": __init__,
            "__doc__": _documentation(variant_name, fields),
            "__module__": "isthmus",
            "variant_name": variant_name,
        },
    )


def _documentation(variant_name: str, fields: dict[str, FieldInfo]) -> str:
    variant = variants.find(variant_name)
    lines = [f"{variant.__doc__}", "", f"{variant.paper}", "", "Options:"]
    lines += [f"    {name}: {field.description} (default {field.default!r})" for name, field in fields.items()]
    return "\n".join([*lines, "", str(Estimator.__doc__).partition("\n")[2].strip()])

"""Public classes, made from what models declare: `isthmus.VAE` is `variants/vae.py` with the shared options."""

import inspect
from functools import cache
from typing import Any

from pydantic.fields import FieldInfo

from . import models
from .base import Estimator
from .options import SharedOptions


def declared_options(model_name: str) -> dict[str, FieldInfo]:
    """All options of a public class by name: `latent_dim`, the variant's own, then the other shared ones."""
    model = models.find(model_name)
    shared = SharedOptions.declared()
    for name, default in model.defaults.items():
        shared[name] = FieldInfo.merge_field_infos(shared[name], default=default)
    return {"latent_dim": shared.pop("latent_dim"), **model.variant.Options.declared(), **shared}


@cache
def public_class(model_name: str) -> type[Estimator]:
    """The scikit-learn estimator of a model, with an explicit signature."""
    model = models.find(model_name)
    fields = declared_options(model_name)
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
            raise TypeError(f"{model.class_name}(): {failure}") from None
        bound.apply_defaults()
        for name in fields:
            setattr(self, name, bound.arguments[name])

    __init__.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess] - what inspect.signature reads
    return type(
        model.class_name,
        (Estimator,),
        {
            "__init__": __init__,
            "__doc__": _documentation(model, fields),
            "__module__": "isthmus",
            "model_name": model_name,
        },
    )


def _documentation(model: models.Model, fields: dict[str, FieldInfo]) -> str:
    lines = [model.documentation, "", model.paper, "", "Options:"]
    lines += [f"    {name}: {field.description} (default {field.default!r})" for name, field in fields.items()]
    return "\n".join([*lines, "", str(Estimator.__doc__).partition("\n")[2].strip()])

"""The models that are chosen by name: every variant, and those that are a variant with other defaults."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..core.errors import OptionError
from ..variants import find as variant_named
from ..variants import names as variant_names

if TYPE_CHECKING:
    from ..variants.base import Variant


@dataclass(frozen=True)
class Preset:
    """A variant under a name of its own: other defaults of shared options, and nothing else."""

    title: str  # the public class's name, too
    variant: str
    documentation: str
    paper: str
    defaults: dict[str, Any]


PRESETS = {
    "generator": Preset(
        title="Generator",
        variant="vae",
        documentation="The VAE whose tables look most like real ones: columns depend on those before them, too.",
        paper="Larochelle & Murray (2011), http://proceedings.mlr.press/v15/larochelle11a.html, given the code of a "
        "VAE: Chen et al. (2017), https://arxiv.org/abs/1611.02731",
        defaults={"likelihood": "autoregressive"},
    )
}


@dataclass(frozen=True)
class Model:
    """What is chosen by a name: a public class, its variant, and the defaults that differ from the shared ones."""

    name: str
    class_name: str
    variant: "type[Variant]"
    title: str
    documentation: str
    paper: str
    defaults: dict[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return self.documentation.partition("\n")[0]


def names() -> tuple[str, ...]:
    """The names of all models; imports nothing heavy."""
    return tuple(sorted([*variant_names(), *PRESETS]))


def find(name: str) -> Model:
    """The model of this name; raises OptionError if there is none."""
    preset = PRESETS.get(name)
    if preset is not None:
        variant = variant_named(preset.variant)
        return Model(name, preset.title, variant, preset.title, preset.documentation, preset.paper, preset.defaults)
    if name not in variant_names():
        raise OptionError(f"unknown model '{name}'; the models are {', '.join(names())}")
    variant = variant_named(name)
    return Model(name, variant.__name__, variant, variant.title, str(variant.__doc__), variant.paper)

"""Several estimators fitted to the same rows, in as few steps as suits the device."""

from collections.abc import Sequence

from ..core.errors import DivergenceError, OptionError
from ..core.sparse import HeldRows
from ..domains.base import Domain
from ..training.sweep import gains_from_company, sweep
from ..variants.base import Variant
from .base import Estimator
from .checking import check_latent_dim
from .fitting import Fitting, Trained
from .inference import as_input
from .options import SharedOptions


def fit_together(
    estimators: Sequence[Estimator], domain: Domain, x: HeldRows, validation: HeldRows
) -> list[DivergenceError | None]:
    """`fit_tensors` of each; where one diverged, why, and it is then not fitted.

    Their models end as they would alone, up to rounding. Raises KeyboardInterrupt where training was ended: models that
    were not trained alike do not compare.
    """
    prepared = [estimator.prepare(domain) for estimator in estimators]
    models = [_built(shared, fitting, len(x)) for shared, fitting in prepared]
    plans = [fitting.plan(len(x)) for _, fitting in prepared]
    device = prepared[0][1].device
    resident, held_out = as_input(x).to(device), as_input(validation).to(device)
    outcomes = sweep(models, resident, held_out, plans, domain.draw, augment=prepared[0][1].augment)
    if any(outcome.interrupted for outcome in outcomes.values()):
        raise KeyboardInterrupt
    for place, estimator in enumerate(estimators):
        if outcomes[place].failure is None:
            estimator.keep(Trained(models[place], outcomes[place]), prepared[place][0], x, x)
    return [outcomes[place].failure for place in range(len(estimators))]


def gain_from_company(estimator: Estimator, domain: Domain, rows: int) -> bool:
    """Whether several such estimators are fitted in less time together than one after another."""
    shared, fitting = estimator.prepare(domain)
    return gains_from_company(_built(shared, fitting, rows), fitting.plan(rows))


def _built(shared: SharedOptions, fitting: Fitting, rows: int) -> Variant:
    if shared.latent_dim == "auto":
        raise OptionError("latent_dim='auto' trains several models itself; to fit estimators together give numbers")
    check_latent_dim(shared.latent_dim, fitting.variant, rows)
    return fitting.build(shared.latent_dim)

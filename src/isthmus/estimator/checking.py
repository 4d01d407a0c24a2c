"""What rows and codes must be before a model sees them; whatever is wrong is said in terms of the user's own data."""

from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse
import torch
from sklearn.utils.validation import validate_data
from torch import Tensor

from .. import domains
from ..core.errors import DataError, OptionError
from ..domains.base import Domain, Rows
from ..files.streaming import Stream
from ..variants.base import Variant
from .options import SharedOptions

# Options that only some kinds of data have.
FIT_OPTIONS = ("largest_side",)


def checked_rows(estimator: Any, X: Rows, reset: bool, gaps: bool = False) -> Rows:
    """Rows that a domain can take. With `reset` their width and names are learnt, without it they are compared. With
    `gaps`, NaN in an array is a missing cell.

    Raises DataError naming the place: no rows, a cell that is not a finite number, other columns than were fitted.
    """
    if isinstance(X, Stream):
        raise DataError(
            f"{X.name}: only fit() takes a stream whole; take its rows a few at a time, as in "
            "[model.transform(rows) for rows in stream]"
        )
    if not reset and hasattr(estimator, "domain_") and estimator.domain_.checks_rows:
        check_fits_domain(X, estimator.domain_)
    kind = _checking_domain(estimator, X, reset)
    if kind is not None:
        return _counted(estimator, kind.indexed(X), kind, reset)
    if isinstance(X, np.ndarray) and X.ndim in (3, 4):
        return _counted(estimator, X, domains.find("image"), reset)
    if scipy.sparse.issparse(X):
        return _checked_counts(estimator, X, reset)
    if not isinstance(X, np.ndarray) and domains.find("table").accepts(X):
        return _checked_frame(estimator, X, reset)
    return _checked_array(estimator, X, reset, gaps)


def fitted_domain(rows: Rows, shared: SharedOptions) -> Domain:
    """The domain that the options ask for, fitted to these rows."""
    kind = domains.choose(rows) if shared.data == "auto" else domains.find(shared.data)
    if not kind.accepts(rows):
        raise DataError(f"data='{kind.name}' does not suit {_described(rows)}; leave it at data='auto'")
    if shared.likelihood not in ("auto", *kind.likelihoods):
        others = [name for name in domains.names() if shared.likelihood in domains.find(name).likelihoods]
        elsewhere = f" is for {' and '.join(others)} data" if others else ""
        known = f"'auto' or one of {', '.join(kind.likelihoods)}" if kind.likelihoods else "'auto'"
        raise OptionError(f"likelihood={shared.likelihood!r}{elsewhere}: for {kind.name} data it is {known}")
    if rows.shape[0] < 2:
        raise DataError("1 sample (one row) is too few to learn from; give at least 2 rows")
    return domain_of(kind, rows, shared)


def domain_of(kind: type[Domain], rows: Rows, shared: SharedOptions, strict: bool = True) -> Domain:
    """A domain of this kind fitted to rows, with the options that are its own; raises OptionError for one that is
    another kind's."""
    declared = SharedOptions.declared()
    for name in FIT_OPTIONS:
        if name not in kind.fit_options and getattr(shared, name) != declared[name].default:
            raise OptionError(f"{name}={getattr(shared, name)!r}: {kind.name} data has no such option; leave it out")
    if shared.augment and not set(shared.augment) <= set(kind.augmentations):
        raise OptionError(f"augment={','.join(shared.augment)}: is for images, and this is {kind.name} data")
    own = {name: getattr(shared, name) for name in kind.fit_options}
    return kind.fit(rows, shared.likelihood, strict=strict, missing=shared.missing, **own)


def check_fits_domain(rows: Rows, domain: Domain) -> None:
    """Refuse images where a table was fitted, and the other way round."""
    if not domain.accepts(rows):
        raise DataError(f"the model was fitted to {domain.called}; {_described(rows)} cannot be that")


def check_latent_dim(latent_dim: int, variant: type[Variant], rows: int | None = None) -> None:
    """Refuse sizes that the variant cannot have, or that are more than `rows` can teach."""
    least = variant.least_latent_dim
    if latent_dim < least:
        raise OptionError(f"latent_dim={latent_dim}: {variant.title} needs at least {least}")
    if rows is not None and rows < latent_dim:
        raise DataError(
            f"{rows} rows to learn from are too few for {latent_dim} latent units; "
            f"give more rows, or latent_dim={max(least, rows // 2)} or less"
        )


def checked_codes(codes: Any, latent_dim: int) -> Tensor:
    """Codes as a float32 tensor (rows, latent_dim)."""
    try:
        array = np.asarray(codes, dtype=np.float32)
    except (TypeError, ValueError) as failure:
        raise DataError(f"codes should be numbers: {_one_line(failure)}") from None
    if array.ndim != 2 or array.shape[1] != latent_dim:
        raise DataError(f"codes should have shape (rows, {latent_dim}); these have shape {array.shape}")
    _check_count(len(array))
    if not np.isfinite(array).all():
        row, unit = np.argwhere(~np.isfinite(array))[0]
        raise DataError(f"codes, row {row}, unit {unit}: the value is NaN or infinity")
    return torch.tensor(array)


def _checking_domain(estimator: Any, X: Rows, reset: bool) -> type[Domain] | None:
    """The domain that checks rows itself, if they are its own."""
    if not reset and hasattr(estimator, "domain_"):
        kind = type(estimator.domain_)
    elif estimator.data != "auto":
        kind = domains.find(estimator.data)
    else:
        kind = next((kind for kind in map(domains.find, domains.names()) if kind.checks_rows and kind.claims(X)), None)
    return kind if kind is not None and kind.checks_rows and kind.accepts(X) else None


def _checked_counts(estimator: Any, X: Any, reset: bool) -> Any:
    if X.ndim != 2:
        raise DataError(f"sparse rows should be a matrix (rows, columns); these have shape {X.shape}")
    return _counted(estimator, X, domains.find("counts"), reset)


def _counted(estimator: Any, X: Rows, kind: type[Domain], reset: bool) -> Rows:
    """Rows of a domain whose columns have no names for scikit-learn to remember; only their number."""
    _check_count(X.shape[0])
    if reset:
        estimator.n_features_in_ = kind.numbers_per_row(X)
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    return X


def _checked_frame(estimator: Any, X: Rows, reset: bool) -> Rows:
    _check_count(len(X))
    # Arrow tables are what files become: the domain picks their columns by name, in any order. DataFrames obey
    # scikit-learn's rule, the same names in the same order, in its wording, which its own checks ask for to the letter.
    if reset or not isinstance(X, pa.Table):
        try:
            validate_data(estimator, X, reset=reset, skip_check_array=True)
        except (TypeError, ValueError) as failure:
            raise DataError(_repeated_name(X) or str(failure)) from None
    return X


def _repeated_name(X: Rows) -> str | None:
    names = [str(name) for name in getattr(X, "columns", ())]
    repeated = next((name for place, name in enumerate(names) if name in names[:place]), None)
    return None if repeated is None else f"two columns are named '{repeated}'; rename one of them"


def _checked_array(estimator: Any, X: Any, reset: bool, gaps: bool) -> np.ndarray:
    try:
        rows: Any = validate_data(
            estimator,
            X,
            reset=reset,
            dtype="numeric",
            ensure_all_finite=False,  # said better below
            ensure_min_samples=2 if reset else 1,
        )
    except ValueError as failure:
        raise DataError(_text_place(X) or _one_line(failure)) from None
    _check_finite(rows, gaps)
    return rows


def _check_count(rows: int) -> None:
    if rows == 0:
        raise DataError("there are no rows (0 samples); give at least one")


def _check_finite(rows: np.ndarray, gaps: bool) -> None:
    refused = np.isinf if gaps else lambda cells: ~np.isfinite(cells)
    if rows.dtype.kind != "f" or not refused(rows).any():
        return
    row, column = np.argwhere(refused(rows))[0]
    if np.isnan(rows[row, column]):
        raise DataError(
            f"row {row}, column {column}: the value is NaN; fill it in, "
            "or give a DataFrame, whose missing cells are modelled"
        )
    raise DataError(f"row {row}, column {column}: the value is infinity; mend or remove it")


def _text_place(X: Any) -> str | None:
    """Where a 2-D array holds text that is no number, if it does."""
    try:
        cells = np.asarray(X)
    except ValueError:  # rows of several lengths
        return None
    if cells.ndim != 2 or cells.dtype.kind not in "OUS":
        return None
    for (row, column), cell in np.ndenumerate(cells):
        if isinstance(cell, str | bytes) and not _reads_as_number(cell):
            return (
                f"row {row}, column {column}: the text {str(cell)!r} stands in an array of numbers; "
                "mend it, or give a DataFrame, whose columns of text are modelled as categories"
            )
    return None


def _reads_as_number(text: str | bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _described(rows: Rows) -> str:
    if not hasattr(rows, "shape"):
        return f"a {type(rows).__name__} of {len(rows)}"
    shape = "×".join(str(size) for size in rows.shape)
    return f"an array of shape {shape}" if isinstance(rows, np.ndarray) else f"a {type(rows).__name__} of {shape}"


def _one_line(failure: Exception) -> str:
    return " ".join(str(failure).split())

"""`isthmus encode` and `isthmus decode`: rows to codes and back."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...core.errors import DataError
from . import arguments
from .screen import print_notes, print_result

if TYPE_CHECKING:
    from ...estimator.base import Estimator
    from ...files.source import Source


def encode(model: arguments.Model, data: arguments.Data, out: arguments.Rows, as_json: arguments.Json = False) -> None:
    """Write the codes of rows.

    One column per latent unit; for images from a folder also `row`, the name of the file.
    """
    arguments.check_place(out, read=[model, data])

    import numpy as np
    import pyarrow as pa

    from ...files.writing import write_rows
    from ...saving import load
    from .inputs import read_rows_for, row_ids

    estimator = load(model)
    source, rows = read_rows_for(estimator, data)
    # Models compute in single precision: nothing is lost, and files are half as large.
    codes = np.asarray(estimator.transform(rows), np.float32)
    names = [str(name) for name in estimator.get_feature_names_out()]
    table = pa.table([pa.array(column) for column in codes.T], names=names)
    if source.row_ids is not None:
        table = table.add_column(0, "row", row_ids(source, len(codes)))
    write_rows(codes if out.suffix.lower() in (".npy", ".npz") else table, out)
    facts = {"rows": len(codes), "latent_dim": codes.shape[1], "out": str(out)}
    print_result(facts, f"{len(codes):,} rows, {codes.shape[1]} numbers each. Written to {out}", as_json)


def decode(
    model: arguments.Model,
    codes: Annotated[str, typer.Argument(metavar="CODES", help="A file of codes, as `isthmus encode` writes it.")],
    out: arguments.Rows,
    as_json: arguments.Json = False,
) -> None:
    """Write the rows that codes stand for.

    Each is the model's best single guess, in the columns and types that it was trained on.
    """
    arguments.check_place(out, folder=out.is_dir(), read=[model, codes])

    from ...files.reading import read
    from ...files.writing import write_rows
    from ...saving import load

    estimator = load(model)
    source = read(codes)
    print_notes(source.notes)
    numbers = _numbers(estimator, source, codes)
    write_rows(estimator.inverse_transform(numbers), out)
    print_result({"rows": len(numbers), "out": str(out)}, f"{len(numbers):,} rows. Written to {out}", as_json)


def _numbers(estimator: "Estimator", source: "Source", place: str) -> Any:
    """The columns that hold codes, by name; or a matrix as it is."""
    import numpy as np
    import pyarrow as pa

    if not isinstance(source.rows, pa.Table):
        return source.rows
    columns = []
    for name in estimator.get_feature_names_out():
        if name not in source.rows.column_names:
            has = ", ".join(source.rows.column_names[:8])
            raise DataError(f"{place}: column '{name}' is missing; codes of this model need it, and the file has {has}")
        column = source.rows.column(str(name))
        if column.null_count or not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            raise DataError(f"{place}: column '{name}' should hold a number in every row; make the codes with encode")
        columns.append(column.to_numpy())
    return np.stack(columns, axis=1)

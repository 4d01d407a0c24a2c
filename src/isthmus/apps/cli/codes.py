"""`isthmus encode` and `isthmus decode`: rows to codes and back."""

from typing import Annotated

import typer

from . import arguments
from .parts import wants_parts, write_folder
from .screen import print_notes, print_result


def encode(
    model: arguments.Model,
    data: arguments.Data,
    out: arguments.Rows,
    engine: arguments.Engine = None,
    workers: arguments.Workers = None,
    as_json: arguments.Json = False,
) -> None:
    """Write the codes of rows.

    One column per latent unit; for images from a folder also `row`, the name of the file. From a folder of Parquet to a
    folder, memory stays bounded, and the same command goes on where an earlier one was ended.
    """
    if wants_parts(data, out, engine, workers):
        arguments.check_place(out, folder=True, read=[model, data])
        write_folder("encode", model, data, out, engine, workers, as_json)
        return
    arguments.check_place(out, read=[model, data])

    import numpy as np

    from ...files.writing import write_rows
    from ...saving import load_estimator
    from ..results import codes_of
    from .inputs import read_rows_for, row_ids

    estimator = load_estimator(model)
    source, rows = read_rows_for(estimator, data)
    table = codes_of(estimator, rows)
    facts = {"rows": table.num_rows, "latent_dim": table.num_columns, "out": str(out)}
    if out.suffix.lower() in (".npy", ".npz"):
        write_rows(np.stack(table.columns, axis=1), out)
    else:
        if source.row_ids is not None:
            table = table.add_column(0, "row", row_ids(source, len(table)))
        write_rows(table, out)
    sentence = f"{facts['rows']:,} rows, {facts['latent_dim']} numbers each. Written to {out}"
    print_result(facts, sentence, as_json)


def decode(
    model: arguments.Model,
    codes: Annotated[
        str, typer.Argument(metavar="CODES", help="A file or folder of codes, as `isthmus encode` writes it.")
    ],
    out: arguments.Rows,
    engine: arguments.Engine = None,
    workers: arguments.Workers = None,
    as_json: arguments.Json = False,
) -> None:
    """Write the rows that codes stand for.

    Each is the model's best single guess, in the columns and types that it was trained on. From a folder of Parquet to
    a folder, memory stays bounded, and the same command goes on where an earlier one was ended.
    """
    by_parts = wants_parts(codes, out, engine, workers)
    arguments.check_place(out, folder=by_parts or out.is_dir(), read=[model, codes])

    from ...files.reading import read
    from ...files.writing import write_rows
    from ...saving import load_estimator
    from ..results import numbers_of

    estimator = load_estimator(model)
    if by_parts and (engine is not None or estimator.domain_.picture_kind == "table"):
        write_folder("decode", model, codes, out, engine, workers, as_json)
        return
    source = read(codes)
    print_notes(source.notes)
    numbers = numbers_of(estimator, source.rows, codes)
    write_rows(estimator.inverse_transform(numbers), out)
    print_result({"rows": len(numbers), "out": str(out)}, f"{len(numbers):,} rows. Written to {out}", as_json)

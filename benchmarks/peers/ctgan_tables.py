"""TVAE or CTGAN (Xu et al., 2019, https://arxiv.org/abs/1907.00503) of the package ctgan, on a table of any columns.

    python ctgan_tables.py TVAE train.parquet new.parquet SEED

Runs in an environment of its own (requirements/ctgan.txt). Settings are the package's. Numbers with missing cells are
not what it takes: missing cells of categories are a category, those of numbers the mean.
"""

import itertools
import json
import sys
import time

import ctgan
import pandas as pd
import torch

MISSING = "missing"


def main() -> None:
    name, given, made, seed = sys.argv[1:]
    torch.manual_seed(int(seed))
    rows = pd.read_parquet(given)
    texts = [column for column in rows if not pd.api.types.is_numeric_dtype(rows[column])]
    filled = rows.copy()
    for column in rows:
        filled[column] = rows[column].fillna(MISSING if column in texts else rows[column].mean())
    model = getattr(ctgan, name)()
    moments = [(time.perf_counter(), time.process_time())]
    model.fit(filled, discrete_columns=texts)
    moments.append((time.perf_counter(), time.process_time()))
    new = model.sample(len(rows))
    moments.append((time.perf_counter(), time.process_time()))
    new[texts] = new[texts].where(new[texts] != MISSING)
    for column in rows.select_dtypes("integer"):
        new[column] = new[column].round().astype(rows[column].dtype)
    new.to_parquet(made)
    spent = [end - start for pair in itertools.pairwise(moments) for start, end in zip(*pair, strict=True)]
    print(json.dumps(dict(zip(("fit", "fit_processor", "sample", "sample_processor"), spent, strict=True))))


if __name__ == "__main__":
    main()

"""Commands over a folder of Parquet, part by part: bounded in memory, resumable, on one process or many.

A `Manifest` says what there is to do and in which parts; a `PartWriter` writes one part, a file that appears whole or
not at all; engines (`local`, `ray_data`) only decide who writes which part and when.
"""

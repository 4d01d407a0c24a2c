"""How much faster two processes train than one, and whether they come to the same loss.

    python benchmarks/several_processes.py --data DIR [--processes 2] [--batch-size 512] [--epochs 5] [--repeats 3]

DIR holds mnist.npz (README.md beside this file says where it comes from). A VAE 784-400-20-400-784 of dynamically
binarised MNIST, one thread to a process; runs of one process and of several take turns. Timed is the training, with the
validation after each epoch; the loss is that of the same held-out tenth of the rows, in nats per row. `busy_seconds`
are what the first process used of a processor in `fit`: neither waiting nor what else the machine does is in them.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

import isthmus
from isthmus.training.distributed import joined

HIDDEN, LATENT_DIM = 400, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds mnist.npz")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=512, help="of all processes together")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    if "RANK" in os.environ:
        train(given)
        return
    print(f"torch {torch.__version__}, {os.cpu_count()} processors ({platform.machine()}), batch {given.batch_size}")
    sizes = (1, given.processes)
    runs: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for _ in range(given.repeats):
        for size in sizes:
            runs[size].append(measured(size))
            print(f"{size} processes: {json.dumps(runs[size][-1])}", flush=True)
    rates = {size: statistics.median(run["rows_per_second"] for run in runs[size]) for size in sizes}
    losses = {size: statistics.median(run["loss"] for run in runs[size]) for size in sizes}
    several = given.processes
    pairs = [many["rows_per_second"] / one["rows_per_second"] for one, many in zip(*runs.values(), strict=True)]
    print(
        f"{several} processes: {rates[several]:,.0f} rows/s, one: {rates[1]:,.0f} rows/s; median ratio "
        f"{statistics.median(pairs):.2f} ({min(pairs):.2f} … {max(pairs):.2f}); loss {losses[several]:.2f} and "
        f"{losses[1]:.2f} nats ({losses[several] / losses[1] - 1:+.2%})"
    )


def measured(size: int) -> dict[str, float]:
    """What so many processes, started with the same arguments, say of their training."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port = asked.getsockname()[1]
    place = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, *sys.argv], stdout=subprocess.PIPE, env=os.environ | place | {"RANK": str(rank)}
        )
        for rank in range(size)
    ]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit("a process failed")
    return json.loads(outputs[0])


def train(given: argparse.Namespace) -> None:
    """One process; the first one prints."""
    torch.set_num_threads(1)
    with np.load(given.data / "mnist.npz") as arrays:
        images = arrays["x_train"]
    with joined() as workers:
        vae = isthmus.VAE(
            LATENT_DIM,
            hidden=(HIDDEN,),
            likelihood="bernoulli",
            epochs=given.epochs,
            batch_size=given.batch_size,
            patience=None,
            device="cpu",
            random_state=0,
        )
        workers.meet()
        began = time.process_time()
        vae.fit(images, workers=workers)
        busy = time.process_time() - began
        facts = vae.training_
        if workers.leads:
            rate = facts["rows"] * facts["epochs"] / facts["seconds"]
            loss = vae.history_[-1]["validation"]["loss"]
            print(
                json.dumps({"rows_per_second": rate, "seconds": facts["seconds"], "busy_seconds": busy, "loss": loss})
            )


if __name__ == "__main__":
    main()

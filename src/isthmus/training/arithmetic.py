"""How the processor multiplies, and where it keeps its intermediate results, while a model trains.

Two settings slow PyTorch down on many processors, for no precision. Products of single-precision matrices go
through a library made for another vendor's processors; a second library that PyTorch brings is faster there. And
each large intermediate result is given back to the system when it is dropped and asked for anew at the next step, page
by page.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

# Relative error of a product of single-precision matrices. Single precision gives 3e-7, half precision some 2e-3.
SINGLE_PRECISION_ERROR = 2e-6
# glibc's mallopt(): what each number sets, and to what.
KEPT_BYTES = 2**30
MALLOC_SETTINGS = {-1: KEPT_BYTES, -3: KEPT_BYTES, -2: 64 * 2**20}  # trim threshold, map threshold, top pad


@contextmanager
def fast_arithmetic(device: torch.device) -> Iterator[None]:
    """While this is entered, products on the CPU take the fastest way that keeps single precision."""
    if device.type != "cpu":
        yield
        return
    keep_memory()
    before = torch.get_float32_matmul_precision()
    if before == "highest" and second_library_is_better():
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@cache
def second_library_is_better() -> bool:
    """Whether "medium" products are faster here and as precise.

    The word allows half precision, and on processors that have it in hardware means it: so the error is looked at.
    """
    if not torch.backends.mkldnn.is_available() or _vendor() == "GenuineIntel":
        return False
    before = torch.get_float32_matmul_precision()
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(*shape, generator=generator) for shape in ((128, 512), (512, 256)))
    exact = a.double() @ b.double()
    try:
        torch.set_float32_matmul_precision("medium")
        error = ((a @ b).double() - exact).norm() / exact.norm()
    finally:
        torch.set_float32_matmul_precision(before)
    return float(error) < SINGLE_PRECISION_ERROR


def _vendor() -> str | None:
    """The processor's maker; None where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), None)


@cache
def keep_memory() -> bool:
    """Let the process keep freed memory for its next use, where the C library can; whether it does."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return all(mallopt(setting, value) == 1 for setting, value in MALLOC_SETTINGS.items())

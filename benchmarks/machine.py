"""What figures were taken on: they mean little without it."""

import os
import platform
import resource
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def description(*packages: str) -> str:
    """One line: processor, cores, system, Python and the versions of packages."""
    versions = [f"{package} {_version(package)}" for package in packages]
    system = f"{platform.system()} {platform.release()}"
    return ", ".join([f"{processor()}, {cores()} cores", system, f"Python {platform.python_version()}", *versions])


def processor() -> str:
    """The processor's own name for itself, and AVX-512 where it has it."""
    try:
        facts = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in facts.splitlines() if line.startswith("model name")]
    return (names[0] if names else platform.machine()) + (" (AVX-512)" if "avx512f" in facts else "")


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Others:
    """How much of the cores programs other than ours take, from when this is made; known on Linux only.

    Threads that wait for each other, as PyTorch's do, suffer far more from a neighbour than the time that it takes.
    """

    def __init__(self) -> None:
        self.began, self.busy, self.ours = time.perf_counter(), _busy_seconds(), _own_seconds()

    def share(self) -> float:
        """Between 0 and 1, of all the cores; child processes of ours count once they have ended."""
        busy = _busy_seconds() - self.busy - (_own_seconds() - self.ours)
        return max(0.0, busy / (time.perf_counter() - self.began) / (os.cpu_count() or 1))


def wait_for_calm(share: float, most_seconds: float = 60.0) -> None:
    """Wait until others take no more than this share of the cores, but not for ever."""
    began = time.perf_counter()
    while time.perf_counter() - began < most_seconds:
        others = Others()
        time.sleep(1.0)
        if others.share() <= share:
            return


def _busy_seconds() -> float:
    """Processor seconds that all programs have taken, and those that a hypervisor gave to other machines."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, fields[:8])
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"

"""Where the numbers were measured."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .. import __version__
from ..estimator.inference import chosen_device


def environment(device: str) -> dict[str, Any]:
    return {
        "isthmus": __version__,
        "python": platform.python_version(),
        "torch": version("torch"),
        "scikit_learn": version("scikit-learn"),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": str(chosen_device(device)),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _processor() -> str:
    listed = Path("/proc/cpuinfo")  # Linux; elsewhere the platform's own word has to do
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()

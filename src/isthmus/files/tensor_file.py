"""Tensors and facts in one `.safetensors` file that notices damage.

The format has no checksum of its own; a SHA-256 over every name, type, shape, byte and fact is kept in its metadata.
Nothing in a file is executed: it holds numbers and JSON.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..core.errors import ModelFileError
from .atomic import replacing

# The JSON header comes before the tensors and is parsed whole: its declared length is checked first.
LARGEST_HEADER = 100 * 2**20


def write_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and JSON facts; the file appears whole or not at all."""
    held = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(facts, allow_nan=False)
    # As bytes, because safetensors' own way to a file lets nobody but the owner read it.
    content = save(held, metadata={"isthmus": text, "sha256": _digest(held, text)})
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a file that `write_tensors` wrote; raises ModelFileError if it is anything else."""
    try:
        _check_header(path)
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except ModelFileError:
        raise
    except FileNotFoundError:
        raise ModelFileError(f"{path}: there is no such file") from None
    except OSError as failure:
        raise ModelFileError(f"{path}: cannot be read: {failure.strerror or failure}") from None
    except (SafetensorError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as failure:
        raise ModelFileError(f"{path}: damaged, or no file of isthmus: {first_line(failure)}") from None
    text = metadata.get("isthmus")
    if text is None:
        raise ModelFileError(f"{path}: a safetensors file, but not one of isthmus")
    if metadata.get("sha256") != _digest(tensors, text):
        raise ModelFileError(f"{path}: damaged: its checksum does not match; use another copy")
    return tensors, _facts(path, text)


def _facts(path: Path, text: str) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise ModelFileError(f"{path}: what it says is not a JSON object; use another copy")
    return facts


def first_line(failure: Exception) -> str:
    """What an exception says, in one line."""
    return (str(failure).splitlines() or [type(failure).__name__])[0]


def _check_header(path: Path) -> None:
    if path.is_dir():
        raise ModelFileError(f"{path}: a folder, not a model file")
    size = path.stat().st_size
    with path.open("rb") as file:
        declared = int.from_bytes(file.read(8), "little")
    if size < 10 or declared > min(LARGEST_HEADER, size - 8):
        raise ModelFileError(f"{path}: damaged, or no file of isthmus")


def _digest(tensors: dict[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\x1f{name}\x1f{tensor.dtype}\x1f{tuple(tensor.shape)}\x1f".encode())
        if tensor.numel():  # an empty one has no bytes to view
            digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

"""Models that several files ask about."""

import pytest

import isthmus

from . import planted


@pytest.fixture(scope="session")
def model() -> isthmus.VAE:
    """Of a table of two factors, with four units: two too many. After half of the epochs units mix the factors."""
    return isthmus.VAE(4, hidden=(32,), epochs=120, learning_rate=5e-3, random_state=0, device="cpu").fit(
        planted.table()
    )  # pyright: ignore[reportReturnType]

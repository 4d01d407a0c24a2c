"""What `latent_dim="auto"` tried, in words: why a model has as many latent units as it has."""

from typing import Any


def reason(evidence: list[dict[str, Any]]) -> str:
    """One sentence about an estimator's `size_search_`."""
    chosen = next(entry for entry in evidence if entry["chosen"])
    best = min(evidence, key=lambda entry: entry["loss"])
    tried = ", ".join(str(entry["latent_dim"]) for entry in evidence)
    if chosen is best:
        loss = f"{chosen['loss']:.4g} nats each"
        return f"of {tried} latent units, {chosen['latent_dim']} lose least on held-out rows: {loss}"
    return (
        f"of {tried} latent units, {chosen['latent_dim']} are the fewest that lose hardly more on held-out rows than "
        f"{best['latent_dim']} do: {chosen['excess']:.2g} ± {chosen['standard_error']:.1g} nats each"
    )

"""Texts: verses of the World English Bible, of which a tenth is held out.

A VAE over pairs of bytes beside the same decoder without a code, trained as many steps on the same verses: −log p of
held-out verses in nats (for the VAE the importance-weighted bound, which lies above it), the KL divergence of its codes
and how many units are active. And how often the nearest neighbours of a held-out verse, by its code, are of its book,
beside truncated SVDs of as many numbers of bags of words.

`world_english_bible.txt.xz` in `--data` holds a verse on each line, in the order of the books.
"""

import argparse
import lzma
import math
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

import isthmus
from books import OPENINGS
from isthmus.core.randomness import Randomness
from isthmus.core.terms import Terms
from isthmus.domains.base import DomainNetworks, NetworkOptions
from isthmus.domains.text import Text
from isthmus.evaluation.latent import active_units
from isthmus.parts.networks import built
from isthmus.training.loop import train
from isthmus.training.run import Plan
from isthmus.variants.base import GaussianVariant, VariantOptions
from machine import description
from tables import table

FILE = "world_english_bible.txt.xz"
HELD_OUT = 0.1
WIDTH, BATCH = 128, 64
NEIGHBOURS = 10
# Held-out verses that get 20 codes each.
BOUNDED = 1000
# Codes that are drawn for a few verses at a time.
DRAWS_TOGETHER, VERSES_TOGETHER = 25, 32


class WithoutCode(GaussianVariant[VariantOptions]):
    """The decoder of a VAE that is given the same code for every text."""

    Options = VariantOptions

    def own_parameters(self) -> list[torch.nn.Parameter]:
        return list(self.decoder.parameters())

    def terms(self, x: Tensor, randomness: Randomness) -> Terms:
        return Terms(reconstruction=-self.of_texts(x))

    def of_texts(self, x: Tensor) -> Tensor:
        """log p of each text in nats."""
        return self.likelihood(x.new_zeros(len(x), self.latent_dim)).log_prob(x)


def verses(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """The verses, and the number of each one's book."""
    with lzma.open(data / FILE, "rt", encoding="utf-8") as file:
        lines = [line for line in file.read().split("\n") if line.strip()]
    book, books = 0, []
    for line in lines:
        if book < len(OPENINGS) and line.startswith(OPENINGS[book]):
            book += 1
        books.append(book)
    if book < len(OPENINGS):
        raise SystemExit(f"{FILE}: no verse begins with {OPENINGS[book]!r}")
    return np.array(lines, dtype=object), np.array(books)


def bound(model: isthmus.VAE, x: Tensor, draws: int) -> np.ndarray:
    """The importance-weighted bound on log p of each text, in nats, by this many codes of each."""
    variant, randomness, found = model.model_, Randomness(0, "bound"), []
    with torch.no_grad():
        for batch in x.split(VERSES_TOGETHER):
            posterior, logs = variant.posterior(batch), []
            for start in range(0, draws, DRAWS_TOGETHER):
                z = posterior.sample(randomness, min(DRAWS_TOGETHER, draws - start))
                logs.append(variant.likelihood(z).log_prob(batch) + posterior.log_ratio(variant.prior(), z))
            found.append(torch.cat(logs).double().logsumexp(0) - math.log(draws))
    return torch.cat(found).numpy()


def without_code(domain: Text, x: Tensor, test: Tensor, epochs: int, seed: int) -> tuple[np.ndarray, float]:
    """log p of each held-out text by the decoder without a code, and the seconds of training."""
    networks = DomainNetworks(domain, NetworkOptions(hidden=(WIDTH,)))
    variant = built(lambda: WithoutCode(networks, 1, VariantOptions()), Randomness(seed, "model"))
    assert isinstance(variant, WithoutCode)
    outcome = train(variant, x, None, Plan(epochs, BATCH, 2e-3, seed=seed), domain.draw)
    with torch.no_grad():
        return torch.cat([variant.of_texts(batch) for batch in test.split(256)]).double().numpy(), outcome.seconds


def likelihoods(model: isthmus.VAE, learned: list[str], held_out: list[str], epochs: int, seed: int, few: int) -> None:
    domain = model.domain_
    assert isinstance(domain, Text)
    x, test = domain.tensors(learned), domain.tensors(held_out[:BOUNDED])
    alone, seconds = without_code(domain, x, test, epochs, seed)
    rows = [["without a code", "", "", *(f"{-alone[:n].mean():.2f}" for n in (len(alone), few)), f"{seconds:.0f} s"]]
    by_few, by_many = bound(model, test, 20), bound(model, test[:few], 1000)
    with torch.no_grad():
        kl = torch.cat([model.model_.posterior(batch).kl_per_unit() for batch in test.split(256)]).sum(1).mean().item()
    active = active_units(model.transform(held_out))["active_units"]
    nats = [f"{-by_few.mean():.2f}", f"{-by_many.mean():.2f}"]
    rows.append(["VAE", f"{kl:.2f}", f"{active}", *nats, f"{model.training_['seconds']:.0f} s"])
    columns = ["", "KL (goal 3)", "active units (goal 4)", f"−log p, {len(test):,} verses, 20 codes"]
    columns += [f"−log p, {few} verses, 1,000 codes", "training"]
    print(table("Nats for a held-out verse", columns, rows), flush=True)
    for name, difference in (("20 codes", by_few - alone), ("1,000 codes", by_many - alone[:few])):
        error = difference.std(ddof=1) / math.sqrt(len(difference))
        verdict = "better" if difference.mean() > 0 else "worse"
        figure = f"{abs(difference.mean()):.2f} ± {error:.2f} nats {verdict}"
        print(f"\nThe VAE is {figure}, by {name} (standard error over verses).")


def neighbours(model: isthmus.VAE, learned: list[str], held_out: list[str], books: tuple[np.ndarray, ...]) -> None:
    """How often neighbours by the angle between codes are of the verse's own book."""
    size = model.latent_dim_
    counter = CountVectorizer().fit(learned)
    counts = [counter.transform(texts) for texts in (learned, held_out)]
    weights = TfidfTransformer().fit(counts[0])
    weighted = [weights.transform(each) for each in counts]
    places = {"VAE, codes": [model.transform(learned), model.transform(held_out)]}
    for name, bags in (("SVD of counts", counts), ("SVD of tf-idf", weighted)):
        reduced = TruncatedSVD(size, random_state=0).fit(bags[0])
        places[f"{name}, {size} numbers"] = [reduced.transform(each) for each in bags]
    rows = []
    for name, (known, asked) in places.items():
        found = NearestNeighbors(n_neighbors=NEIGHBOURS, metric="cosine").fit(known).kneighbors(asked)[1]
        same = books[0][found] == books[1][:, None]
        rows.append([name, f"{same[:, 0].mean():.1%}", f"{same.mean():.1%}"])
    chance = sum(np.mean(books[0] == book) * np.mean(books[1] == book) for book in np.unique(books[0]))
    rows.append(["by chance", f"{chance:.1%}", f"{chance:.1%}"])
    print(table("Neighbours of the same book", ["", "the nearest", f"of the {NEIGHBOURS} nearest"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help=f"folder that holds {FILE}")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--latent", type=int, default=16)
    parser.add_argument("--free-bits", type=float, default=0.2, help="the default of texts is 0.2")
    parser.add_argument("--warmup", type=float, default=0.0, help="epochs")
    parser.add_argument("--verses", type=int, default=60, help="held-out verses that get 1,000 codes each")
    parser.add_argument("--rows", type=int, help="learn from this many verses only, and hold out a tenth as many")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(description("isthmus", "torch", "tokenizers", "scikit-learn") + "\n", flush=True)
    texts, books = verses(arguments.data)
    order = np.random.default_rng(0).permutation(len(texts))
    test, learned = np.split(order, [int(HELD_OUT * len(order))])
    if arguments.rows:
        learned, test = learned[: arguments.rows], test[: max(NEIGHBOURS, arguments.rows // 10)]
    began = time.perf_counter()
    model = isthmus.VAE(
        latent_dim=arguments.latent,
        likelihood="byte_pairs",
        hidden=(WIDTH,),
        batch_size=BATCH,
        epochs=arguments.epochs,
        free_bits=arguments.free_bits,
        warmup=arguments.warmup,
        validation_fraction=0,
        random_state=arguments.seed,
    ).fit(texts[learned].tolist())
    of_all, symbols = time.perf_counter() - began, model.domain_.describe()["shape"]
    print(f"{len(learned):,} verses, {symbols}, {arguments.epochs} epochs; fit {of_all:.0f} s", flush=True)
    known, held_out = texts[learned].tolist(), texts[test].tolist()
    neighbours(model, known, held_out, (books[learned], books[test]))
    print(flush=True)
    likelihoods(model, known, held_out, arguments.epochs, arguments.seed, min(arguments.verses, len(held_out)))


if __name__ == "__main__":
    main()

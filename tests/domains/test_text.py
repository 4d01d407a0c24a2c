"""Texts: what is particular to them beside the contract that every domain keeps."""

import importlib.util
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.core.errors import DataError, OptionError
from isthmus.core.randomness import Randomness
from isthmus.domains.base import NetworkOptions
from isthmus.domains.text import MOST_SYMBOLS, Text, symbols
from isthmus.domains.text.likelihood import ALONE
from isthmus.domains.text.pictures import pieces
from isthmus.parts.recurrence import STEADY_ROWS, Recurrence, in_parts

needs_tokenizers = pytest.mark.skipif(
    importlib.util.find_spec("tokenizers") is None, reason="the extra `text` is not installed"
)
# Every character that can stand in a text: all but halves of surrogate pairs.
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FEW = ["ab", "ba", "a", "", "bb", "abab", "b"]


@pytest.fixture(scope="module")
def pairs() -> symbols.Symbols:
    return symbols.learned("byte_pairs", ["the cat and the dog", "the dog and the cat", "é日本"] * 300)


def decoded(domain: Text, z: torch.Tensor, seed: int = 0):
    torch.manual_seed(seed)
    decoder = domain.decoder(z.shape[-1], NetworkOptions(hidden=(16,))).eval()
    for parameter in decoder.parameters():  # far from the frequencies that it starts from, so that context counts
        parameter.data += 0.3 * torch.randn(parameter.shape)
    return decoder(z)


class TestSymbols:
    @settings(max_examples=200, deadline=None)
    @given(ANY_TEXT)
    def test_any_text_comes_back_from_its_bytes(self, text):
        alphabet = symbols.learned("bytes", [text])
        (written,) = alphabet.written([text])
        assert alphabet.read(written) == text and len(written) == len(text.encode())

    @needs_tokenizers
    @settings(max_examples=200, deadline=None)
    @given(text=ANY_TEXT)
    def test_any_text_comes_back_from_pairs_that_were_learned_elsewhere(self, text, pairs):
        (written,) = pairs.written([text])
        assert pairs.read(written) == text and max(written, default=0) < pairs.count
        assert b"".join(map(pairs.spelt, written)) == text.encode()

    @needs_tokenizers
    def test_pairs_are_shorter_and_are_kept_as_text(self, pairs):
        (written,) = pairs.written(["the cat and the dog"])
        assert len(written) < 10
        again = symbols.revived("byte_pairs", json.loads(json.dumps(pairs.facts())))
        assert again.written(["the dog", "日"]) == pairs.written(["the dog", "日"])

    @needs_tokenizers
    @pytest.mark.parametrize("damage", ["{}", "no json", '{"model": {"type": "WordLevel"}}'])
    def test_a_damaged_description_is_refused(self, damage):
        with pytest.raises(ValueError):
            symbols.revived("byte_pairs", damage)

    def test_without_the_library_it_is_said_what_to_install(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
        with pytest.raises(OptionError, match=r"isthmus\[text\]") as failure:
            Text.fit(FEW, "byte_pairs")
        assert "\n" not in str(failure.value)


class TestLikelihood:
    def test_all_that_a_text_can_be_has_probability_1(self):
        """It is empty or begins with some symbol; and after "a" it ends or goes on with some symbol."""
        domain = Text.fit(["ab", "ba"])
        likelihood = decoded(domain, torch.zeros(257, 2))
        every, nothing = torch.arange(256.0).unsqueeze(1), torch.full((256, 1), torch.nan)
        first = torch.cat([nothing, every, nothing], 1)  # a length of NaN: the text goes on
        second = torch.cat([nothing, torch.full_like(every, float(ord("a"))), every], 1)
        for begun, ended in ((first, domain.tensors([""])), (second, domain.tensors(["a"]))):
            total = likelihood.log_prob(torch.cat([ended, begun])).exp().sum()
            before = 1.0 if begun is first else likelihood.log_prob(first[ord("a")].expand(257, -1))[0].exp().item()
            assert total.item() == pytest.approx(before, rel=1e-4)

    def test_a_symbol_depends_on_those_before_it_and_not_on_those_after(self):
        domain = Text.fit(["abcde", "edcba"])
        x = domain.tensors(["abcde", "xbcde", "abcdx"])
        scores = decoded(domain, torch.zeros(3, 2)).log_prob_per_feature(x)
        assert torch.equal(scores[0, 1:5], scores[2, 1:5])  # what comes last changes nothing before it
        assert (scores[0, 2:] - scores[1, 2:]).abs().min() > 1e-6  # what comes first changes all after it
        alone = decoded(domain, torch.zeros(3, 2)).without_context().log_prob_per_feature(x)
        assert torch.equal(alone[0, 2:], alone[1, 2:])

    def test_the_code_reaches_every_place(self):
        domain = Text.fit(["abcde", "edcba"])
        x = domain.tensors(["abcde"] * 2)
        z = torch.tensor([[0.0, 0.0], [1.0, -1.0]])
        for likelihood in (decoded(domain, z), decoded(domain, z).without_context()):
            scores = likelihood.log_prob_per_feature(x)
            assert (scores[0] - scores[1]).abs().min() > 1e-6

    def test_training_raises_the_mean_with_and_without_context(self):
        domain = Text.fit(FEW)
        x, likelihood = domain.tensors(FEW), decoded(domain, torch.zeros(len(FEW), 2))
        expected = (1 - ALONE) * likelihood.log_prob(x) + ALONE * likelihood.without_context().log_prob(x)
        torch.testing.assert_close(likelihood.objective(x), expected)

    def test_texts_in_training_and_in_inference_have_the_same_probability(self):
        """In training each text ends in its own time; in inference they go in parts of one length."""
        domain = Text.fit(FEW * 30)
        x = domain.tensors(FEW * 30)
        likelihood = decoded(domain, torch.randn(2, len(x), 3, generator=torch.Generator().manual_seed(0)))
        steady = likelihood.log_prob_per_feature(x)
        likelihood.head.train()
        torch.testing.assert_close(likelihood.log_prob_per_feature(x), steady)

    def test_a_text_has_the_same_code_in_training_and_in_inference(self):
        domain = Text.fit(FEW * 30)
        torch.manual_seed(0)
        encoder, x = domain.encoder(3, NetworkOptions(hidden=(16,))), domain.tensors(FEW * 30)
        torch.testing.assert_close(encoder.eval()(x), encoder.train()(x))

    def test_what_is_drawn_is_as_frequent_as_its_probability(self):
        """The share of empty texts among 4,000, within four standard errors."""
        domain = Text.fit(FEW)
        likelihood = decoded(domain, torch.zeros(4000, 2), seed=3)
        drawn = likelihood.sample(Randomness(1))
        nothing = domain.tensors([""]).expand(4000, -1)
        chance = likelihood.log_prob(nothing)[0].exp().item()
        assert 0.001 < chance < 0.999
        assert (drawn[:, 0] == 0).float().mean().item() == pytest.approx(chance, abs=4 * (chance / 4000) ** 0.5)

    def test_the_best_guess_takes_the_likeliest_symbol_each_time(self):
        domain = Text.fit(FEW)
        likelihood = decoded(domain, torch.randn(5, 2, generator=torch.Generator().manual_seed(4)))
        guess = likelihood.mode()
        beside = likelihood.guess_beside(guess)
        assert torch.equal(guess.nan_to_num(-1), beside.nan_to_num(-1))

    def test_a_hidden_symbol_counts_nothing_and_is_told_from_every_other(self):
        domain = Text.fit(["abcde", "edcba"])
        x = domain.tensors(["abcde"] * 2)
        x[1, 3] = torch.nan
        scores = decoded(domain, torch.zeros(2, 2)).log_prob_per_feature(x)
        assert scores[1, 3] == 0 and torch.equal(scores[0, 1:3], scores[1, 1:3])
        torch.manual_seed(0)
        codes = domain.encoder(3, NetworkOptions(hidden=(16,)), hides_cells=True)(x)
        assert (codes[0] - codes[1]).abs().max() > 1e-5


class TestRecurrence:
    def test_it_is_torch_s_own(self):
        """Against torch.nn.GRUCell with the same weights, whose gates stand in the same order."""
        torch.manual_seed(0)
        ours, theirs = Recurrence(5), torch.nn.GRUCell(3, 5)
        theirs.weight_hh.data.copy_(ours.of_state.weight)
        theirs.bias_hh.data.copy_(ours.of_state.bias)
        x, state = torch.randn(7, 3), torch.randn(7, 5)
        given_ = torch.nn.functional.linear(x, theirs.weight_ih, theirs.bias_ih)
        torch.testing.assert_close(ours(given_, state), theirs(x, state))

    @settings(max_examples=50, deadline=None)
    @given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=150), steady=st.booleans())
    def test_every_sequence_takes_all_of_its_steps(self, lengths, steady):
        lengths = torch.tensor(lengths)
        taken = torch.zeros(len(lengths), 10, dtype=torch.long)
        for part in in_parts(lengths, steady):
            assert len(part.rows) == len(part.steps) == sum(part.going)
            taken[part.numbers[part.rows], part.steps] = 1
            for step in range(len(part.going)):
                ends = part.places(torch.full((part.going[step],), step))
                assert torch.equal(part.steps[ends], torch.full_like(ends, step))
            if steady:
                assert len(part.numbers) == STEADY_ROWS
        for row, length in zip(taken, lengths, strict=True):
            assert row[:length].all() and (steady or row.sum() == length)


class TestBadTexts:
    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            (["a", None], "text 1: is missing"),
            (["a", float("nan")], "text 1: is missing"),
            (pd.Series(["a", pd.NA]), "text 1: is missing"),
            (pd.Series(["a", pd.NA], dtype="string"), "text 1: is missing"),
            (["a", np.zeros(2)], "text 1: .*of type ndarray"),
            (["a", 3.5], r"text 1: 3\.5 is of type float"),
            (["a", b"b"], "text 1: is bytes"),
            (["a", ["b"]], "text 1: .* is of type list"),
            (["a", "b\ud800"], "text 1, character 1: .*surrogates"),
            (["", ""], "every text is empty"),
            (["same", "same"], "all texts are the same"),
        ],
    )
    def test_it_is_said_what_and_where(self, rows, said):
        with pytest.raises(DataError, match=said) as failure:
            Text.fit(rows)
        assert "\n" not in str(failure.value)

    def test_options_that_are_for_others(self):
        with pytest.raises(OptionError, match="tables"):
            Text.fit(FEW, missing="modelled")
        with pytest.raises(OptionError, match="recurrence"):
            Text.fit(FEW).encoder(2, NetworkOptions(network="convolutional"))
        with pytest.raises(OptionError, match="one width"):
            Text.fit(FEW).encoder(2, NetworkOptions(hidden=(8, 8)))

    def test_very_long_texts_are_cut_and_it_is_said(self):
        long = "x" * (MOST_SYMBOLS + 5)
        domain = Text.fit([long, "short"])
        assert domain.notes() == [f"1 text is longer than {MOST_SYMBOLS:,} symbols: what is beyond was not learned"]
        x = domain.tensors([long, "short"])
        assert x.shape == (2, 1 + MOST_SYMBOLS) and torch.isnan(x[0, 0]) and x[1, 0] == 5
        assert domain.rows(x) == [long[:MOST_SYMBOLS], "short"]
        assert "1 text is longer" in domain.surprises([long])[0] and domain.surprises(["short"]) == []
        # Where a text goes on, that it ended has no probability.
        assert decoded(domain, torch.zeros(2, 2)).log_prob_per_feature(x)[0, 0] == 0

    def test_a_schema_that_does_not_fit_is_refused(self):
        good = Text.fit(FEW).schema()
        for name, value in {"family": "words", "steps": 0, "frequencies": [1, 2], "cut": -1}.items():
            with pytest.raises(ValueError):
                Text.from_schema(good | {name: value})


@pytest.mark.parametrize("container", [list, tuple, np.array, pd.Series, pl.Series])
def test_texts_come_in_many_containers_and_leave_in_a_list(container):
    domain = Text.fit(container(FEW))
    assert Text.claims(container(FEW))
    assert domain.rows(domain.tensors(container(FEW))) == FEW
    picked = Text.indexed(container(FEW))[np.array([2, 0])]
    assert picked.tolist() == ["a", "ab"]


@pytest.mark.parametrize("rows", [[], [1, 2], np.zeros((3, 2)), pd.DataFrame({"a": ["b"]}), [np.zeros(3)], "text"])
def test_what_is_no_list_of_texts(rows):
    assert not Text.claims(rows)


def test_texts_are_told_in_words_and_in_signs():
    told = pieces([bytes([byte]) for byte in "to be, 日é".encode()], [1.0] * 12)
    assert told == [("to", 2), (" ", 1), ("be", 2), (",", 1), (" ", 1), ("日", 3), ("é", 2)]
    assert pieces([b"\xff", b"a", b"\xe6"], [1, 1, 1]) == [("�", 1), ("a", 1), ("�", 1)]


def test_planted_cells_make_texts():
    """What evaluation makes of a matrix is a text that ends once."""
    domain = Text.fit(FEW)
    matrix = domain.matrix(domain.tensors(FEW))
    rng = np.random.default_rng(0)
    mixed = rng.permuted(matrix, axis=0)
    x = domain.from_matrix(mixed)
    lengths = (~x[:, 1:].isnan()).sum(1)
    assert torch.equal(x[:, 0], lengths.float())
    assert all(isinstance(text, str) for text in domain.rows(x))

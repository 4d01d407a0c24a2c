"""Rankings whose measures are known by hand."""

import numpy as np
import pytest
import scipy.sparse

from isthmus.core.errors import DataError
from isthmus.evaluation.ranking import ndcg, recall

# Ranks of the items: 0, 2, 1, 3.
SCORES = np.array([[4.0, 2.0, 3.0, 1.0]])


def relevant(*items: int) -> np.ndarray:
    return np.isin(np.arange(4), items)[None]


def test_a_perfect_ranking_has_1_and_the_worst_0():
    assert ndcg(SCORES, relevant(0, 2)) == 1
    assert recall(SCORES, relevant(0, 2), first=2) == 1
    assert recall(SCORES, relevant(0, 1, 2), first=2) == 1  # two of three, and two is all there is room for
    assert recall(SCORES, relevant(3), first=3) == 0
    assert ndcg(SCORES, relevant(3), first=3) == 0


def test_hits_count_by_their_rank():
    # Ranks 2 and 4 beside ranks 1 and 2.
    expected = (1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3))
    np.testing.assert_allclose(ndcg(SCORES, relevant(2, 3)), expected)
    np.testing.assert_allclose(ndcg(SCORES, relevant(2, 3), first=3), (1 / np.log2(3)) / (1 + 1 / np.log2(3)))
    np.testing.assert_allclose(recall(SCORES, relevant(2, 3), first=2), 1 / 2)


def test_what_was_seen_is_no_candidate():
    assert ndcg(SCORES, relevant(2), relevant(0)) == 1
    # Seen and relevant: neither a hit nor a miss.
    assert recall(SCORES, relevant(0, 2), relevant(0), first=1) == 1


def test_a_row_without_relevant_items_has_no_number():
    scores = np.repeat(SCORES, 2, axis=0)
    wanted = np.concatenate([relevant(), relevant(0)])
    np.testing.assert_array_equal(ndcg(scores, wanted), [np.nan, 1])
    np.testing.assert_array_equal(recall(scores, wanted), [np.nan, 1])


def test_only_the_order_of_scores_counts_and_sparse_items_are_as_good():
    rng = np.random.default_rng(0)
    scores, wanted, seen = rng.normal(size=(20, 30)), rng.random((20, 30)) < 0.2, rng.random((20, 30)) < 0.2
    sparse = scipy.sparse.csr_array(wanted.astype(int)), scipy.sparse.csr_matrix(seen.astype(int))
    for measure in (ndcg, recall):
        np.testing.assert_array_equal(measure(scores, wanted, seen), measure(np.exp(scores), *sparse))


def test_random_scores_find_their_share():
    """Of 200 items 40 are looked at: a fifth of 10 relevant ones on average; 2,000 rows, standard error 0.003."""
    rng = np.random.default_rng(1)
    wanted = np.zeros((2000, 200), bool)
    wanted[:, :10] = True
    assert abs(recall(rng.normal(size=wanted.shape), wanted, first=40).mean() - 0.2) < 0.01


@pytest.mark.parametrize(
    ("scores", "wanted", "options", "said"),
    [
        (SCORES[:, :3], relevant(0), {}, "shape"),
        (SCORES, relevant(0), {"seen": relevant(1)[:, :3]}, "seen"),
        (SCORES * np.nan, relevant(0), {}, "NaN"),
        (SCORES, relevant(0), {"first": 0}, "first=0"),
    ],
)
def test_what_cannot_be_ranked_is_refused(scores, wanted, options, said):
    with pytest.raises(DataError, match=said):
        ndcg(scores, wanted, **options)

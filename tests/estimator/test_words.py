"""Texts as bags of words: topics, and what they are called."""

import numpy as np
import pytest

import isthmus
from isthmus.core.errors import DataError
from isthmus.domains.words import Words, words_of

TOPICS = {
    "sea": "ship wave sail salt harbour",
    "farm": "cow barn field hay plough",
    "law": "judge court oath plea fine",
}


def texts(rows: int, seed: int = 0) -> list[str]:
    """Twelve words each, ten of one topic, two of any; with a word that every text has."""
    rng = np.random.default_rng(seed)
    every = " ".join(TOPICS.values()).split()
    made = []
    for row in range(rows):
        own = list(TOPICS.values())[row % 3].split()
        made.append(" ".join(["the", *rng.choice(own, 10), *rng.choice(every, 2)]).capitalize() + ".")
    return made


@pytest.fixture(scope="module")
def fitted() -> "isthmus.VAE":
    return isthmus.VAE(data="words", latent_dim=3, epochs=40, learning_rate=1e-2, random_state=0).fit(texts(300))


def test_topics_are_told_by_their_words(fitted):
    """Each unit that is used moves the words of one topic up or down together, and between them all three are found."""
    facts = fitted.explain(texts(300))
    found = set()
    for unit in facts["carries"]:
        up = [column["name"] for column in unit["columns"] if column["to"] > column["from"]][:4]
        down = [column["name"] for column in unit["columns"] if column["to"] < column["from"]][:4]
        for names in (up, down):
            found |= {topic for topic, own in TOPICS.items() if len(names) == 4 and set(names) <= set(own.split())}
    assert found == set(TOPICS)


def test_codes_tell_topics_apart(fitted):
    codes, topic = fitted.transform(texts(90, 1)), np.arange(90) % 3
    centres = np.stack([codes[topic == each].mean(0) for each in range(3)])
    nearest = np.square(codes[:, None] - centres).sum(-1).argmin(1)
    assert (nearest == topic).mean() > 0.95


def test_words_are_counted_without_those_of_every_text(fitted):
    assert fitted.domain_.words == tuple(sorted(" ".join(TOPICS.values()).split()))
    assert words_of("Don’t re-read THE naïve: 日本 3.5") == ["don’t", "re-read", "the", "naïve", "日本", "3", "5"]


def test_what_comes_out_is_words(fitted):
    (new, back) = fitted.sample(5), fitted.reconstruct(texts(6, 2))
    assert all(set(text.split()) <= set(fitted.domain_.words) for text in [*new, *back])
    # Of each text the words that are expected most are those of its topic.
    assert [
        set(text.split()[:3]) <= set(own.split()) for text, own in zip(back, 2 * list(TOPICS.values()), strict=True)
    ]
    unusual = fitted.score_samples(
        [" ".join(own.split()[0] for own in TOPICS.values()) + " oath hay sail" for _ in "ab"]
    )
    assert (unusual < np.median(fitted.score_samples(texts(50, 3)))).all()


def test_a_model_comes_back_from_its_file(fitted, tmp_path):
    fitted.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    assert again.domain_.words == fitted.domain_.words and again.sample(4) == fitted.sample(4)
    np.testing.assert_array_equal(again.transform(texts(9, 4)), fitted.transform(texts(9, 4)))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["a b", "c d"], "too few words occur in two texts"),
        (["", ""], "too few words"),
        (["a", None], "text 1: is missing"),
    ],
)
def test_bad_texts_are_refused_in_one_line(rows, said):
    with pytest.raises(DataError, match=said) as failure:
        Words.fit(rows)
    assert "\n" not in str(failure.value)


def test_texts_of_no_known_word_are_rows_too(fitted):
    rows = ["", "something else", "ship"]
    assert np.isfinite(fitted.transform(rows)).all() and np.isfinite(fitted.score_samples(rows)).all()
    assert fitted.domain_.surprises(rows) == ["2 texts hold none of the words that are counted"]

"""Rows of several parts: each part as its own domain has it, and one code for all."""

import base64
import io
import json

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch

import isthmus
from isthmus.core.errors import DataError, OptionError
from isthmus.core.parts import Parts
from isthmus.domains.base import DomainNetworks, NetworkOptions
from isthmus.domains.image import Image
from isthmus.domains.multipart import Multipart
from isthmus.domains.table import Table


def lamps(rows: int = 240, seed: int = 0) -> dict[str, object]:
    """A lamp is on or off, or dimmed: its picture and its row of the table both say so."""
    rng = np.random.default_rng(seed)
    state = rng.integers(0, 2, rows)
    photo = (200 * state[:, None, None] + rng.integers(0, 40, (rows, 4, 4))).astype(np.uint8)
    frame = pd.DataFrame({"state": np.where(state, "on", "off"), "watts": 60.0 * state + rng.normal(0, 2, rows)})
    return {"photo": photo, "reading": frame}


@pytest.fixture(scope="module")
def model() -> isthmus.VAE:
    return isthmus.VAE(2, epochs=100, batch_size=32, random_state=0, device="cpu").fit(lamps())


class TestParts:
    def test_rows_are_picked_from_all_parts_at_once(self):
        parts = Parts(lamps())
        some = parts[[3, 1]]
        np.testing.assert_array_equal(some["photo"], parts["photo"][[3, 1]])
        assert some["reading"]["watts"].tolist() == parts["reading"]["watts"].iloc[[3, 1]].tolist()
        assert (
            len(parts[5:8]) == 3
            and len(parts[4]) == 1
            and list(parts) == ["photo", "reading"]
            and parts.shape == (240, 2)
        )

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ({}, "no part at all"),
            ({"a": np.zeros((3, 2)), "b": np.zeros((4, 2))}, "part 'b' has 4 rows, and 'a' has 3"),
            ({"a": 5}, "part 'a' is of type int"),
            ({"a": {"b": np.zeros((3, 2))}}, "part 'a' is of type dict"),
            ({"a": np.array(["x", None], dtype=object)[:, None, None, None, None]}, "part 'a'"),
            ({"a": np.eye(6), "b": np.ones((6, 3, 3))}, "part 'b': .*nothing to learn"),
        ],
    )
    def test_what_cannot_be_parts_is_said_by_name(self, rows, said):
        with pytest.raises(DataError, match=said):
            isthmus.VAE(1, epochs=1, device="cpu").fit(rows)


class TestComposition:
    @pytest.fixture(scope="class")
    def domain(self) -> Multipart:
        return Multipart.fit(lamps())

    def test_parts_are_what_their_own_domains_make_of_them(self, domain):
        rows = lamps()
        photo, reading = domain.layout.split(domain.tensors(rows))
        alone = Image.fit(rows["photo"]), Table.fit(rows["reading"])
        assert torch.equal(photo, alone[0].tensors(rows["photo"]).double())
        assert torch.equal(reading, alone[1].tensors(rows["reading"]))
        assert [part.schema() for part in domain.parts.values()] == [part.schema() for part in alone]

    def test_the_likelihood_is_the_product_of_those_of_the_parts(self, domain):
        x = domain.tensors(lamps())
        torch.manual_seed(0)
        decoder = DomainNetworks(domain, NetworkOptions(hidden=(8,))).decoder(2)
        z = torch.randn(3, len(x), 2)
        each = [
            own(z).log_prob(part) for own, part in zip(decoder.decoders, domain.layout.split(x.float()), strict=True)
        ]
        torch.testing.assert_close(decoder(z).log_prob(x.float()), each[0] + each[1])
        volumes = [
            part.log_volume(own) for part, own in zip(domain.parts.values(), domain.layout.split(x), strict=True)
        ]
        torch.testing.assert_close(domain.log_volume(x), volumes[0] + volumes[1])

    def test_only_parts_that_were_fitted_are_taken(self, domain):
        rows = lamps()
        more = {"reading": rows["reading"], "note": np.zeros((240, 3)), "photo": rows["photo"]}
        assert torch.equal(domain.tensors(more), domain.tensors(rows))
        with pytest.raises(DataError, match=r"part 'reading' is missing.*have photo"):
            domain.tensors({"photo": rows["photo"]})
        with pytest.raises(DataError, match="part 'photo': the model was fitted to images"):
            domain.tensors({"photo": rows["reading"], "reading": rows["reading"]})
        with pytest.raises(DataError, match="part 'photo': images of 3×4; the model was fitted to images of 4×4"):
            domain.tensors({"photo": rows["photo"][:, 1:], "reading": rows["reading"]})

    def test_notes_and_surprises_say_which_part(self, domain):
        rows = lamps(60, seed=1)
        left_out = domain.surprises(rows | {"note": np.zeros((60, 2))})[0]
        assert "left out: note" in left_out
        rows["reading"].loc[3, "state"] = "broken"
        (said,) = [sentence for sentence in domain.surprises(rows) if "broken" in sentence or "state" in sentence]
        assert said.startswith("reading: ")

    def test_whole_numbers_that_floats_cannot_hold_are_refused(self):
        large = np.full((4, 2, 2), 2**53 + 1, np.int64)
        large[0] = 0
        with pytest.raises(DataError, match="beyond 9,007,199,254,740,992"):
            isthmus.VAE(1, epochs=1, device="cpu").fit({"photo": large, "reading": lamps(4)["reading"]})

    @pytest.mark.parametrize("network", ["convolutional", "attention"])
    def test_networks_of_one_kind_are_refused(self, domain, network):
        with pytest.raises(OptionError, match="several parts leave it at 'auto'"):
            domain.encoder(3, NetworkOptions(network=network))

    def test_a_schema_that_is_none_is_refused(self, domain):
        for change in (
            lambda schema: schema["parts"].clear(),
            lambda schema: schema["parts"][0].update(domain="multipart", schema={"parts": []}),
            lambda schema: schema["parts"][0].update(features=0),
            lambda schema: schema["parts"][1].update(name="photo"),
            lambda schema: schema["parts"][0].update(event=[1, -4, 4]),
        ):
            schema = json.loads(json.dumps(domain.schema()))
            change(schema)
            with pytest.raises(ValueError):
                Multipart.from_schema(schema)

    def test_a_picture_shows_the_parts(self, domain):
        on, off = {}, {}
        rows = lamps()
        for state, shown in (("on", on), ("off", off)):
            place = int(np.flatnonzero(rows["reading"]["state"] == state)[0])
            (png,) = domain.pictures(domain.tensors(rows)[[place]])
            shown["pixels"] = np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(png)))).astype(int)
        # The lamp itself is in the middle of the upper part; below, the second bar is the watts.
        assert on["pixels"][30, 48] > 150 > 60 > off["pixels"][30, 48]
        bar = {name: (shown["pixels"][76:, 70] < 128).sum() for name, shown in (("on", on), ("off", off))}
        assert bar["on"] > bar["off"]


class TestModels:
    def test_what_is_drawn_agrees_in_all_parts(self, model):
        """One code says both: with a code for each part, half of the rows would contradict themselves."""
        drawn = model.sample(300, random_state=1)
        bright = drawn["photo"].mean((1, 2)) > 120
        on = (drawn["reading"]["state"] == "on").to_numpy()
        assert 60 < on.sum() < 240
        assert (bright == on).mean() > 0.9

    def test_rows_whose_parts_contradict_each_other_are_unusual(self, model):
        rows = lamps(100, seed=2)
        mixed = rows | {"photo": 240 - rows["photo"]}
        assert (
            np.median(model.score_samples(mixed)) < np.median(model.score_samples(rows)) - 15
        )  # of which usual ones spread by 4
        assert (model.predict(mixed) == -1).mean() > 0.9 > 0.2 > (model.predict(rows) == -1).mean()

    def test_a_detector_of_parts_is_saved_too(self, tmp_path):
        rows = lamps(80, seed=4)
        detector = isthmus.Detector(members=1, random_state=0).fit(rows)
        detector.save(tmp_path / "d.safetensors")
        again = isthmus.load(tmp_path / "d.safetensors")
        np.testing.assert_array_equal(again.score_samples(rows), detector.score_samples(rows))

    def test_a_saved_model_is_the_same(self, model, tmp_path):
        model.save(tmp_path / "m.safetensors")
        again, rows = isthmus.load(tmp_path / "m.safetensors"), lamps(30, seed=3)
        np.testing.assert_array_equal(again.transform(rows), model.transform(rows))
        made = again.sample(4, random_state=0)
        assert isinstance(made, Parts) and made["photo"].dtype == np.uint8
        assert list(made["reading"].columns) == ["state", "watts"]

    def test_synthetic_rows_are_evaluated_beside_real_ones(self, model):
        drawn, contradicting = model.sample(240, random_state=0), lamps() | {"photo": 240 - lamps()["photo"]}
        like, unlike = (isthmus.evaluate(lamps(), rows).facts["measures"] for rows in (drawn, contradicting))
        assert like["pair_trend"]["synthetic"] < 0.5 * unlike["pair_trend"]["synthetic"]

    def test_what_only_tables_can_do_is_refused_in_one_line(self, model):
        rows = lamps(10)
        for refused in (
            lambda: model.impute(rows),
            lambda: model.explain_scores(rows),
            lambda: model.compress(rows),
            lambda: model.sample(3, where={"state": "on"}),
            lambda: model.transform(rows["reading"]),
        ):
            with pytest.raises(DataError) as caught:
                refused()
            assert "\n" not in str(caught.value) and "several parts" in str(caught.value)

"""Images come back bit for bit, cost less than general compressors ask, and no bytes can make the codec crash."""

import os
import subprocess
import sys
import zlib
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.compression.images.codec import ImagesCodec, View, planned
from isthmus.compression.images.network import (
    LARGEST_WEIGHT,
    CausalNetwork,
    Plan,
    check_bounds,
    limit,
    packed,
    unpacked,
)
from isthmus.core.errors import DataError


def pictures(kind: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, shape).astype(np.uint8)
    if kind == "binary":
        return np.where(images > 180, np.uint8(9), np.uint8(200))
    if kind == "constant":
        images[...] = 77
    if kind == "on white":
        images[images < 200] = 255
    if kind == "smooth":
        height, width = shape[1:3]
        ramp = np.arange(height)[:, None] * 5 + np.arange(width) * 3
        images = (images % 32 + ramp.reshape(1, height, width, *[1] * (len(shape) - 3))).astype(np.uint8)
    return images


def discs(count: int, seed: int = 0) -> np.ndarray:
    """Soft discs on black, of random places and sizes, (count, 16, 16)."""
    random = np.random.default_rng(seed)
    y, x, radius = (random.uniform(low, high, (count, 1, 1)) for low, high in ((5, 11), (5, 11), (2, 5)))
    row, column = np.mgrid[:16, :16]
    inside = radius - np.hypot(row - y, column - x)
    return (np.clip(inside + 0.5, 0, 1) * 255).astype(np.uint8)


KINDS = ["noise", "binary", "constant", "on white", "smooth"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "shape", [(5, 9, 7), (3, 1, 1), (4, 6, 5, 3), (3, 1, 9), (3, 9, 1, 2), (1, 4, 4), (0, 4, 4), (2, 70, 130)]
)
def test_round_trip_by_a_restored_codec(kind: str, shape: tuple[int, ...]) -> None:
    images = pictures(kind, shape)
    fitted = ImagesCodec.fit(images, steps=3)
    codec = ImagesCodec.restored(fitted.settings(), fitted.parameters())
    for more in (images, pictures("noise", (4, *shape[1:]), 1), images[:0]):
        decoded = codec.decode(fitted.encode(more), len(more))
        assert decoded.dtype == np.uint8
        np.testing.assert_array_equal(decoded, more)
        assert codec.canonical(decoded) == fitted.canonical(more) == more.tobytes()
    halves = [codec.part(images, 0, 2), codec.part(images, 2, len(images))]
    np.testing.assert_array_equal(codec.joined(halves), images)
    assert codec.joined([]).shape == (0, *shape[1:])


def test_images_may_lie_in_memory_in_any_order() -> None:
    images = pictures("binary", (6, 7, 6))
    images[2, 3, 3] = 5
    codec = ImagesCodec.fit(pictures("binary", (6, 7, 6)), steps=2)
    for laid in (np.asfortranarray(images), images[::-1], images.transpose(0, 2, 1).copy().transpose(0, 2, 1)):
        np.testing.assert_array_equal(codec.decode(codec.encode(laid), 6), laid)
        assert codec.canonical(laid) == np.ascontiguousarray(laid).tobytes()


@cache
def reusable(kind: str) -> ImagesCodec:
    return ImagesCodec.fit(pictures(kind, (6, 7, 6)), steps=5)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(KINDS), st.sampled_from(KINDS), st.integers(0, 12), st.integers(0, 1000))
def test_any_images_of_the_size_come_back(fitted_to: str, kind: str, count: int, seed: int) -> None:
    codec = reusable(fitted_to)
    images = pictures(kind, (count, 7, 6), seed)
    np.testing.assert_array_equal(codec.decode(codec.encode(images), count), images)


@pytest.mark.parametrize("block", [1, 3, 64])
def test_blocks_change_how_images_are_computed_but_not_what_comes_back(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec, images = reusable("on white"), pictures("on white", (40, 7, 6), 2)
    whole = len(codec.encode(images))
    monkeypatch.setattr("isthmus.compression.images.codec._BLOCK_IMAGES", block)
    chunk = codec.encode(images)
    assert abs(len(chunk) - whole) <= 8 * -(-40 // block)
    np.testing.assert_array_equal(codec.decode(chunk, 40), images)


def test_chunks_are_the_same_whatever_the_number_of_threads(tmp_path) -> None:
    codec, images = ImagesCodec.fit(discs(300), steps=10), discs(64, 1)
    np.save(tmp_path / "images.npy", images)
    (tmp_path / "parameters").write_bytes(codec.parameters())
    script = (
        "import numpy as np, sys, hashlib; from isthmus.compression.images.codec import ImagesCodec;"
        f"codec = ImagesCodec.restored({codec.settings()!r}, open('parameters', 'rb').read());"
        "chunk = codec.encode(np.load('images.npy')); codec.decode(chunk, 64);"
        "print(hashlib.sha256(chunk).hexdigest(), 'torch' in sys.modules)"
    )
    printed = set()
    for threads in ("1", "3"):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(Path("src").resolve()), os.environ.get("PYTHONPATH")])
        )
        ran = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert not ran.returncode, ran.stderr
        printed.add(ran.stdout.strip())
    assert len(printed) == 1
    assert printed.pop().endswith("False")  # decoding needs no torch


def test_a_little_training_beats_zlib() -> None:
    images = discs(400)
    codec = ImagesCodec.fit(images, steps=250)
    coded = len(codec.encode(images)) + len(codec.parameters())
    assert coded < 0.85 * len(zlib.compress(images.tobytes(), 9))
    untrained = ImagesCodec.fit(images, steps=0)
    assert coded < 0.5 * len(untrained.encode(images))


def test_training_repeats_itself_and_keeps_to_its_budget() -> None:
    images = discs(100)
    first, again = (ImagesCodec.fit(images, steps=4, seed=3) for _ in range(2))
    assert first.parameters() == again.parameters()
    shares: list[float] = []
    ImagesCodec.fit(images, budget_seconds=0.5, progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0


def plan_for(**changes: object) -> Plan:
    sizes = {
        "height": 5,
        "width": 6,
        "channels": 1,
        "binary": False,
        "background": True,
        "relative": False,
        "above": 2,
        "side": 2,
    }
    sizes |= {"summary": 5, "spread": 3, "first": 7, "value": 5, "second": 6, "flag": 4, "low": 5}
    return Plan(**(sizes | changes))  # pyright: ignore[reportArgumentType]


def view_for(plan: Plan) -> View:
    values, background = (0, 255) if plan.binary else None, 0 if plan.background else -1
    return View(plan.height, plan.width, plan.channels, False, values, background, 1, 1)


def drawn_weights(plan: Plan, seed: int = 0) -> dict[str, np.ndarray]:
    """As large as training may make them: where sums are wrong, activations are neither 0 nor as large as they get."""
    random = np.random.default_rng(seed)
    weights = {}
    for name, shape in plan.shapes.items():
        most = limit(plan, name)
        weights[name] = np.clip(random.normal(0, 25, shape).round(), -most, most).astype(np.int8)
    return weights


def clear_logits(plan: Plan, weights: dict[str, np.ndarray], image: np.ndarray, row: int, column: int, channel: int):
    """The logits of a pixel of an image (height, width, channels) by whole numbers and loops, one list a symbol."""
    w = {name: weight.astype(object) for name, weight in weights.items()}

    def pixel(y: int, x: int, c: int) -> int:
        return int(image[y, x, c]) if 0 <= y < plan.height and 0 <= x < plan.width else 0

    def layer(inputs: list[int], matrix: np.ndarray, constant: np.ndarray) -> list[int]:
        return [
            sum(value * matrix[i, j] for i, value in enumerate(inputs)) + 64 * constant[j]
            for j in range(matrix.shape[1])
        ]

    def activate(sums: list[int]) -> list[int]:
        return [min(max(value // 64, 0), 1023) for value in sums]

    def scaled(sums: list[int]) -> list[int]:
        return [value // 16 for value in sums]

    above = [
        pixel(y, x, c)
        for y in range(row - plan.above, row)
        for x in range(column - plan.side, column + plan.side + 1)
        for c in range(plan.channels)
    ]
    place = column * plan.channels + channel
    before = [divmod(place - back, plan.channels) for back in range(plan.side * plan.channels, 0, -1)]
    behind = [pixel(row, x, c) for x, c in before]
    places = {name: int(plan.places(name)[at]) for name, at in (("row", row), ("column", column))}
    constant = w["first"][channel, 0] + w["row"][places["row"]] + w["column"][places["column"]]
    value = int(image[row, column, channel])
    if plan.relative:
        predicted = clear_prediction(pixel, row, column, channel)
        value = (value - predicted + 136) % 256
        above, behind = ([min(max(4 * (each - predicted), -255), 255) for each in seen] for seen in (above, behind))
        behind.append(predicted)
        w["behind"] = np.concatenate([w["behind"], w["predicted"]], 1)
    matrices, inputs = [w["above"][channel], w["behind"][channel]], above + behind
    if plan.summary:
        whole = [
            pixel(y, x, c)
            for y in range(row - plan.summarised, row)
            for x in range(plan.width)
            for c in range(plan.channels)
        ]
        summary = activate(layer(whole, w["summary"], w["summary row"][places["row"]]))
        spread = activate(layer(summary, w["spread"], w["spread constant"][0]))
        inputs = inputs + spread[column * plan.spread : (column + 1) * plan.spread]
        matrices.append(w["told"][channel])
    first = activate(layer(inputs, np.concatenate(matrices), constant))
    inputs, matrices = first, [w["second"][channel]]
    if plan.value and not plan.binary:
        matrix = np.concatenate([w["value above"][channel], w["value behind"][channel]])
        inputs = first + activate(layer((above + behind)[: len(matrix)], matrix, w["value constant"][channel, 0]))
        matrices.append(w["second value"][channel])
    second = activate(layer(inputs, np.concatenate(matrices), w["second constant"][channel, 0]))
    if plan.binary:
        yield scaled(layer(second, w["bit"][channel], w["bit constant"][channel, 0]))
        return
    if plan.background:
        flag = activate(layer(first, w["flag"][channel], w["flag constant"][channel, 0]))
        yield scaled(layer(flag, w["flag bit"][channel], w["flag bit constant"][channel, 0]))
        if not value:
            return
    yield scaled(layer(second, w["high"][channel], w["high constant"][channel, 0]))
    high = value >> 4
    earlier = image[:, :, channel].ravel()[: row * plan.width + column].tolist()
    often = [
        16 * min(15, earlier.count(high * 16 + low) if high or low or not plan.background else 0) for low in range(16)
    ]
    low = activate(
        layer(
            second + ([] if plan.relative else often),
            w["low"][channel] if plan.relative else np.concatenate([w["low"][channel], w["low often"][channel]]),
            w["low high"][channel, high],
        )
    )
    constant = w["low logits high"][channel, high].copy()
    if plan.relative:
        yield scaled(layer(low, w["low logits"][channel], constant))
        return
    around = [(row, column - 1, channel), (row - 1, column, channel), (row - 1, column - 1, channel)]
    around += [(row - 1, column + 1, channel), (row, column, channel - 1)]
    for neighbour, at in enumerate(around[: plan.neighbours]):
        its = pixel(*at) if at[2] >= 0 else None
        if its is not None and its >> 4 == high and (its or not plan.background):
            constant = constant + w["low logits like"][channel, neighbour, its & 15]
    matrix = np.concatenate([w["low logits"][channel], w["low logits often"][channel]])
    yield scaled(layer(low + often, matrix, constant))


def clear_prediction(pixel, row: int, column: int, channel: int) -> int:
    """The median of left, above and the plane through them and their corner; of colour, of differences."""

    def each(y: int, x: int) -> int:
        return pixel(y, x, channel) - (pixel(y, x, channel - 1) if channel else 0)

    left, above = each(row, column - 1), each(row - 1, column)
    plane = sorted([left, above, left + above - each(row - 1, column - 1)])[1]
    return min(max(plane + pixel(row, column, channel - 1), 0), 255) if channel else plane


@pytest.mark.parametrize(
    "plan",
    [
        plan_for(),
        plan_for(binary=True),
        plan_for(background=False, summary=0, spread=0, value=0),
        plan_for(channels=3, background=False),
        plan_for(channels=2, above=0, height=4),
        plan_for(background=False, relative=True, value=0, above=1),
        plan_for(channels=3, background=False, relative=True, value=0),
    ],
    ids=["background", "binary", "plain", "colour", "two channels", "relative", "relative colour"],
)
def test_logits_are_those_of_a_clear_twin(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = drawn_weights(plan)
    random = np.random.default_rng(1)
    shape = (3, plan.height, plan.width, plan.channels)
    images = random.choice(np.array([0, 0, 3, 16, 20, 20, 250, 255], np.uint8), shape)
    if plan.binary:
        images = np.where(images > 16, np.uint8(255), np.uint8(0))
    codec = ImagesCodec(CausalNetwork(plan, weights), view_for(plan))
    given: list[np.ndarray] = []
    for name in ("bit", "flag", "high", "low"):
        fast = getattr(CausalNetwork, name)
        monkeypatch.setattr(CausalNetwork, name, lambda *a, fast=fast: given.append(fast(*a)) or given[-1])
    for image in images:
        given.clear()
        np.testing.assert_array_equal(codec.decode(codec.encode(image[None]), 1)[0], image)
        asked = iter(given[len(given) // 2 :])  # the decoder's
        for row, column, channel in np.ndindex(image.shape):
            for clear in clear_logits(plan, weights, image, row, column, channel):
                fast = next(each for each in asked if len(each))  # of no pixel that is not background, none
                assert fast.ravel().tolist() == clear
        assert not [each for each in asked if len(each)]


def test_weights_too_large_for_exact_sums_are_refused() -> None:
    plan = plan_for(first=1000, second=8)
    weights = drawn_weights(plan)
    check_bounds(plan, weights)
    weights["second"][0, :, 3] = LARGEST_WEIGHT
    with pytest.raises(ValueError, match="second"):
        CausalNetwork(plan, weights)
    codec = ImagesCodec(CausalNetwork(plan, drawn_weights(plan)), view_for(plan))
    with pytest.raises(ValueError, match="second"):
        ImagesCodec.restored(codec.settings(), packed(plan, weights))


@pytest.mark.parametrize("seed", range(3))
def test_the_largest_weights_that_training_may_give_are_exact(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(20):
        size = {name: int(random.integers(1, 400)) for name in ("first", "value", "second", "flag", "low", "summary")}
        size["spread"] = int(random.integers(1, 129))
        size |= {name: int(random.integers(1, 12)) for name in ("height", "width", "above", "side")}
        size["channels"] = int(random.integers(1, 5))
        binary, relative = (bool(random.integers(2)) for _ in range(2))
        kind = {"binary": binary, "relative": relative and not binary}
        kind["background"] = not kind["relative"] and bool(random.integers(2))
        size["value"] *= not kind["relative"]
        plan = plan_for(**kind, **size)
        check_bounds(plan, {name: np.full(shape, limit(plan, name), np.int8) for name, shape in plan.shapes.items()})


def test_weights_cost_about_their_entropy() -> None:
    plan = plan_for(first=64, second=64)
    weights = drawn_weights(plan)
    data = packed(plan, weights)
    for name, weight in unpacked(plan, data).items():
        np.testing.assert_array_equal(weight, weights[name])
    values = np.concatenate([weight.ravel() for weight in weights.values()])
    shares = np.unique(values, return_counts=True)[1] / len(values)
    assert 8 * len(data) < 1.1 * len(values) * -(shares @ np.log2(shares)) + 8 * len(weights) + 64


def test_the_largest_weights_and_the_least_likely_pixels_can_be_coded() -> None:
    plan = plan_for()
    weights = drawn_weights(plan)
    for weight in weights.values():
        weight.flat[:] = 0
        weight.flat[-1] = LARGEST_WEIGHT
    np.testing.assert_equal(unpacked(plan, packed(plan, weights)), weights)
    for name in ("high constant", "flag bit constant", "low logits high"):
        weights[name][...] = -LARGEST_WEIGHT
        weights[name][..., 0] = LARGEST_WEIGHT
    weights["flag bit"][...] = 50 * (plan.flag > 0)
    weights["flag constant"][...] = LARGEST_WEIGHT
    codec = ImagesCodec(CausalNetwork(plan, weights), view_for(plan))
    images = pictures("noise", (3, *codec.view.shape))
    images[1] = 255
    images[2] = 0
    np.testing.assert_array_equal(codec.decode(codec.encode(images), 3), images)


def test_damaged_chunks_and_parameters_are_refused_or_give_other_images() -> None:
    images = pictures("binary", (4, 7, 6))
    images[2, 3, 3] = 5  # a third value: an exception
    random = np.random.default_rng(0)
    for codec in (reusable("binary"), reusable("on white")):
        chunk, parameters = codec.encode(images), codec.parameters()
        for _ in range(60):
            for data, use in (
                (chunk, lambda bytes_, codec=codec: codec.decode(bytes_, 4)),
                (
                    parameters,
                    lambda bytes_, codec=codec: ImagesCodec.restored(codec.settings(), bytes_).decode(chunk, 4),  # noqa: B023
                ),
            ):
                damaged = bytearray(data)
                place = int(random.integers(len(damaged)))
                damaged[place] ^= int(random.integers(1, 256))
                for broken in (bytes(damaged), data[:place]):
                    try:
                        decoded = use(broken)
                    except ValueError:
                        continue
                    assert decoded.shape == images.shape
        with pytest.raises(ValueError):
            codec.decode(chunk, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"height": 0},
        {"height": 2**40},
        {"width": "7"},
        {"first": 2**20},
        {"first": 7.0},
        {"binary": 1},
        {"above": -1},
        {"height": 2**16, "width": 2**16},
        {"nonsense": 1},
        {"first": 1024, "second": 1024, "summary": 1024, "spread": 128, "width": 4096},
    ],
)
def test_settings_that_no_codec_has_are_refused(change: dict[str, object]) -> None:
    codec = reusable("noise")
    plan = {"plan": asdict(codec.plan) | change}
    with pytest.raises((ValueError, TypeError, KeyError)):
        ImagesCodec.restored(codec.settings() | plan, codec.parameters())


@pytest.mark.parametrize(
    "change",
    [
        {"values": [1, 1]},
        {"values": [0, 255]},
        {"values": 3},
        {"grey": "yes"},
        {"background": 256},
        {"background": 0},
        {"height": 8},
        {"rows": 0},
        {"rows": 2},
        {"channels": 2},
        {"height": 2**40},
    ],
)
def test_settings_must_fit_together(change: dict[str, object]) -> None:
    codec = reusable("noise")
    with pytest.raises((ValueError, TypeError, KeyError)):
        ImagesCodec.restored(codec.settings() | {"view": codec.settings()["view"] | change}, codec.parameters())
    with pytest.raises(KeyError):
        ImagesCodec.restored({}, codec.parameters())


def test_images_of_another_kind_are_refused_in_one_line() -> None:
    codec = reusable("noise")
    for images in (np.zeros((2, 6, 7), np.uint8), np.zeros((2, 7, 6)), np.zeros((2, 7, 6, 1), np.uint8)):
        with pytest.raises(DataError) as raised:
            codec.encode(images)
        assert "\n" not in str(raised.value)
    for images in (np.zeros((2, 7), np.uint8), np.zeros((2, 7, 6), np.int16), np.zeros((2, 0, 6), np.uint8)):
        with pytest.raises(DataError):
            ImagesCodec.fit(images)


def test_networks_grow_with_the_data() -> None:
    small, large = np.zeros((3, 8, 8), np.uint8), np.zeros((3000, 28, 28), np.uint8)
    assert planned(small, 1, False, True).weights < planned(large, 1, False, True).weights / 3
    assert planned(np.zeros((9999, 28, 300), np.uint8), 3, False, True).summary == 0

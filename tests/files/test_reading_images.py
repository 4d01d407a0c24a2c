"""Folders of images: pixels, sizes, colours, and what is left out."""

import numpy as np
import pytest
from PIL import Image

from isthmus import domains
from isthmus.core.errors import DataError
from isthmus.files import images, limits
from isthmus.files.reading import read

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (6, 5, 4), np.uint8)
COLOUR = RANDOM.integers(0, 256, (6, 5, 4, 3), np.uint8)


def save(folder, pixels, ending=".png", **options):
    for position, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{position}{ending}", **options)


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_lossless_images_keep_every_pixel(tmp_path, ending, pixels):
    save(tmp_path, pixels, ending)
    rows = read(tmp_path).rows
    assert rows.dtype == np.uint8
    np.testing.assert_array_equal(rows, pixels)


@pytest.mark.parametrize(("ending", "options"), [(".webp", {"lossless": True}), (".gif", {})])
def test_other_lossless_formats(tmp_path, ending, options):
    save(tmp_path, GREY, ending, **options)
    np.testing.assert_array_equal(read(tmp_path).rows, GREY)


def test_jpegs_are_close(tmp_path):
    smooth = np.broadcast_to(np.arange(0, 160, 10, dtype=np.uint8), (2, 16, 16))
    save(tmp_path, smooth, ".jpg", quality=95)
    assert np.abs(read(tmp_path).rows.astype(int) - smooth).max() <= 4  # quality 95 quantises its steps by 1 to 10


def test_one_colour_image_makes_all_of_them_colour(tmp_path):
    save(tmp_path, [GREY[0], GREY[1], COLOUR[2], GREY[3], COLOUR[4]])
    rows = read(tmp_path).rows
    as_colour = np.repeat(GREY[..., None], 3, axis=-1)
    np.testing.assert_array_equal(rows, [as_colour[0], as_colour[1], COLOUR[2], as_colour[3], COLOUR[4]])


def test_colour_images_without_colour_are_grey(tmp_path):
    save(tmp_path, np.repeat(GREY[..., None], 3, axis=-1))
    np.testing.assert_array_equal(read(tmp_path).rows, GREY)


def test_files_are_found_at_any_depth_in_order_of_their_names(tmp_path):
    for position, name in enumerate(
        ["b/2.png", "a/10.png", "a/9.png", ".hidden/0.png", "__MACOSX/a/9.png", "a/._9.png"]
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(GREY[position]).save(tmp_path / name)
    for name in ("notes.txt", "a/labels.csv", ".DS_Store"):
        (tmp_path / name).write_text("no image")
    source = read(tmp_path)
    assert source.row_ids == ["a/10.png", "a/9.png", "b/2.png"]
    np.testing.assert_array_equal(source.rows, GREY[[1, 2, 0]])
    np.testing.assert_array_equal(source.labels["folder"], ["a", "a", "b"])
    assert source.notes == ("files left out because they are not images: 2",)


def test_images_in_one_folder_have_no_labels(tmp_path):
    save(tmp_path, GREY)
    assert read(tmp_path).labels == {}


def test_transparent_pixels_are_put_on_white_where_not_all_images_have_some(tmp_path):
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 0] = [10, 20, 30, 255]
    save(tmp_path, [pixels, np.full((2, 2, 3), 7, np.uint8)])
    source = read(tmp_path)
    assert source.rows.shape == (2, 2, 2, 3)
    assert source.rows[0, 0, 0].tolist() == [10, 20, 30]
    assert (source.rows[0].reshape(-1, 3)[1:] == 255).all()
    assert source.notes == ("images with transparency, put on white: 1",)


def test_opacity_is_a_channel_where_all_images_have_some(tmp_path):
    pixels = RANDOM.integers(0, 255, (3, 5, 4, 4), np.uint8)
    save(tmp_path, pixels)
    np.testing.assert_array_equal(read(tmp_path).rows, pixels)


def test_opaque_images_with_an_alpha_channel_are_not_noted(tmp_path):
    save(tmp_path, np.concatenate([COLOUR, np.full((6, 5, 4, 1), 255, np.uint8)], axis=-1))
    source = read(tmp_path)
    np.testing.assert_array_equal(source.rows, COLOUR)
    assert source.notes == ()


def test_sixteen_bits_stay_where_all_images_have_them(tmp_path):
    wide = RANDOM.integers(0, 2**16, (2, 5, 4), np.uint16)
    save(tmp_path, wide)
    rows = read(tmp_path).rows
    assert rows.dtype == np.uint16
    np.testing.assert_array_equal(rows, wide)


def test_sixteen_bits_become_the_upper_eight_beside_eight(tmp_path):
    wide = RANDOM.integers(0, 2**16, (1, 5, 4), np.uint16)
    save(tmp_path, [*wide, GREY[0]])
    source = read(tmp_path)
    np.testing.assert_array_equal(source.rows, [wide[0] >> 8, GREY[0]])
    assert source.notes == ("images with 16 bits per pixel, of which the upper 8 were kept: 1",)


def test_images_of_many_sizes_keep_their_own(tmp_path):
    pixels = [GREY[0], COLOUR[1][:3], GREY[2][:, :2], np.array([[7]], np.uint8)]
    save(tmp_path, pixels)
    rows = read(tmp_path).rows
    assert [each.shape for each in rows] == [(5, 4, 3), (3, 4, 3), (5, 2, 3), (1, 1, 3)]  # one in colour makes all so
    np.testing.assert_array_equal(rows[1], COLOUR[1][:3])
    for place in (0, 2, 3):
        np.testing.assert_array_equal(rows[place], np.repeat(pixels[place][..., None], 3, -1))


def test_grey_images_of_many_sizes_have_one_channel(tmp_path):
    save(tmp_path, [GREY[0], GREY[1][:3]])
    rows = read(tmp_path).rows
    assert [each.shape for each in rows] == [(5, 4, 1), (3, 4, 1)]
    assert domains.choose(rows).name == "image"


def test_files_that_cannot_be_read_are_left_out_and_named(tmp_path):
    save(tmp_path, GREY)
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:40])
    (tmp_path / "3.png").write_bytes(b"")
    source = read(tmp_path)
    np.testing.assert_array_equal(source.rows, GREY[[0, 2, 4, 5]])
    assert source.row_ids == ["0.png", "2.png", "4.png", "5.png"]
    assert source.notes == ("images left out because they cannot be read: 2 (1.png, 3.png)",)


def test_with_no_image_left_the_first_one_says_why(tmp_path):
    for name in ("0.png", "1.png"):
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.png: cannot be read as an image"):
        read(tmp_path)


def test_black_and_white_is_0_and_255(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "0.png")
    assert read(tmp_path).rows.tolist() == [[[255, 0]]]


def test_a_rotation_that_the_camera_noted_is_carried_out(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the orientation tag: turn a quarter to the right
    Image.fromarray(GREY[0]).save(tmp_path / "0.png", exif=exif)
    np.testing.assert_array_equal(read(tmp_path).rows[0], np.rot90(GREY[0], -1))


def test_the_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.fromarray(image) for image in GREY]
    frames[0].save(tmp_path / "0.gif", save_all=True, append_images=frames[1:])
    source = read(tmp_path)
    np.testing.assert_array_equal(source.rows[0], GREY[0])
    assert "frames" in source.notes[0]


def test_claimed_pixels_are_checked_before_an_image_is_decoded(tmp_path, monkeypatch):
    Image.new("L", (3000, 3000)).save(tmp_path / "0.png")
    assert (tmp_path / "0.png").stat().st_size < 30_000  # the bomb
    monkeypatch.setattr(images, "MAXIMUM_PIXELS", 8_999_999)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(DataError, match=r"0\.png: claims 3000×3000 pixels"):
        read(tmp_path)


@pytest.mark.parametrize("pixels", [GREY, [*GREY[:5], COLOUR[5]]], ids=["grey", "colour comes late"])
def test_the_total_size_is_checked_before_all_images_are_decoded(tmp_path, monkeypatch, pixels):
    save(tmp_path, pixels)
    needed = 6 * 5 * 4 * (1 if pixels is GREY else 3)
    monkeypatch.setattr(limits, "MAXIMUM_BYTES", needed - 1)
    with pytest.raises(DataError, match="the limit is"):
        read(tmp_path)
    monkeypatch.setattr(limits, "MAXIMUM_BYTES", needed)
    assert len(read(tmp_path).rows) == 6

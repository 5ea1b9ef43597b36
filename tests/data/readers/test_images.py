"""Folders of pictures: the right pixels and classes, and words for all that was done to them."""

import numpy as np
import pytest
from PIL import Image

from dlm import UsageError
from dlm.data.readers import images
from dlm.data.readers.images import read_images

SHADES = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two classes of grey PNGs."""
    for label in ("dog", "cat"):
        for k in range(3):
            save(tmp_path / label / f"{k}.png", SHADES // (k + 1))
    return tmp_path


def save(path, pixels, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **more)
    return path


def said(found, *words):
    return any(all(word in remark for word in words) for remark in found.remarks)


def test_pictures_and_their_classes_come_in_the_order_of_names(folder):
    found = read_images(folder)
    label = found.columns["label"]
    assert (label.names, label.values.tolist()) == (("cat", "dog"), [0, 0, 0, 1, 1, 1])
    assert found.columns["image"].kind == "image"
    assert np.array_equal(found.columns["image"].values[..., 0], [SHADES, SHADES // 2, SHADES // 3] * 2)
    assert (found.counts, found.target, found.remarks) == ({"all": 6}, "label", ())


@pytest.mark.parametrize("ending", ["png", "bmp", "gif", "tif", "webp"])
def test_every_lossless_format_gives_the_same_pixels(tmp_path, ending):
    rgb = np.random.default_rng(1).integers(0, 2, (4, 6, 3), np.uint8) * 255
    more = {"lossless": True} if ending == "webp" else {}
    path = save(tmp_path / f"a.{ending}", rgb, **more)
    column, kept, _ = images.pictures([path])
    assert kept.all()
    assert np.array_equal(column.values[0], rgb)


def test_jpegs_are_close(tmp_path):
    flat = np.full((16, 16, 3), (200, 30, 90), np.uint8)
    column, _, _ = images.pictures([save(tmp_path / "a.JPG", flat, quality=95)])
    assert np.abs(column.values[0].astype(int) - flat).max() < 6


def test_other_and_hidden_files_are_passed_over_and_counted(folder):
    (folder / "cat" / "Thumbs.db").write_text("")
    (folder / "readme.txt").write_text("mine")
    (folder / "cat" / ".DS_Store").write_text("")
    (folder / ".git").mkdir()
    (folder / ".git" / "0.png").write_text("")
    (folder / "empty").mkdir()
    found = read_images(folder)
    assert found.counts == {"all": 6}
    assert said(found, "Hidden files are passed over: 2")
    assert said(found, "Other files are passed over: 2", "Thumbs.db")
    assert said(found, "no classes: empty")


def test_splits_are_read_as_such(folder, tmp_path_factory):
    whole = tmp_path_factory.mktemp("splits")
    for split in ("Train", "val", "test"):
        (whole / split).symlink_to(folder)
    found = read_images(whole)
    assert found.counts == {"train": 6, "validation": 6, "test": 6}
    (whole / "test").unlink()
    assert read_images(whole).counts == {"train": 6, "test": 6}
    (whole / "val").unlink()
    (whole / "test").mkdir()
    save(whole / "test" / "unlabelled.png", SHADES)
    found = read_images(whole)
    assert found.counts == {"all": 6}
    assert said(found, "No files in folders of classes", "test")


def test_classes_may_be_called_train_and_have_folders_inside(tmp_path):
    for name in ("train/fast/1.png", "train/0.png", "plane/0.png"):
        save(tmp_path / name, SHADES)
    found = read_images(tmp_path)
    assert found.columns["label"].names == ("plane", "train")
    assert found.columns["label"].values.tolist() == [0, 1, 1]


def test_a_folder_within_a_folder_is_opened(folder, tmp_path_factory):
    outer = tmp_path_factory.mktemp("outer")
    (outer / "unzipped").symlink_to(folder)
    (outer / "__MACOSX").mkdir()
    found = read_images(outer)
    assert found.columns["label"].names == ("cat", "dog")
    assert said(found, "Read from unzipped")


def test_grey_ones_among_colours_are_made_rgb_and_transparency_is_dropped(folder):
    rgba = np.dstack([SHADES, SHADES // 2, SHADES // 3, np.full_like(SHADES, 9)])
    save(folder / "cat" / "x.png", rgba)
    save(folder / "cat" / "y.png", Image.fromarray(rgba[..., :3]).convert("CMYK").convert("P"))
    found = read_images(folder)
    assert found.columns["image"].values.shape == (8, 5, 7, 3)
    assert np.array_equal(found.columns["image"].values[3], rgba[..., :3])
    assert said(found, "6 of 8", "grey")
    assert said(found, "1 of 8", "transparent")


def test_pictures_of_16_bits_keep_the_upper_bits_that_are_used(tmp_path):
    scan = np.array([[0, 4095, 2048]], np.uint16)
    paths = [save(tmp_path / "a.png", scan), save(tmp_path / "b.tif", scan // 2)]
    column, _, told = images.pictures(paths)
    assert column.values[..., 0].tolist() == [[[0, 255, 128]], [[0, 127, 64]]]
    assert "the upper 8 of the 12 that are used" in told[0]


def test_pictures_of_several_sizes_are_refused_with_the_two_that_most_have(folder):
    save(folder / "dog" / "wide.png", np.zeros((5, 9), np.uint8))
    save(folder / "dog" / "tall.png", np.zeros((9, 5), np.uint8))
    save(folder / "dog" / "wide2.png", np.zeros((5, 9), np.uint8))
    with pytest.raises(UsageError) as error:
        read_images(folder)
    for words in ("3 sizes", "5×7 (6, such as 0.png)", "5×9 (2, such as wide.png)", "data.size=(64, 64)"):
        assert words in str(error.value)
    found = read_images(folder, (10, 14))
    assert found.columns["image"].values.shape == (9, 10, 14, 1)
    assert abs(found.columns["image"].values[0].mean() - SHADES.mean()) < 3
    assert said(found, "9 of 9", "resized to 10×14")


def test_a_large_jpeg_is_resized_as_any_other(tmp_path):
    smooth = np.add.outer(np.arange(800) // 8, np.arange(600) // 8).astype(np.uint8)
    png, jpeg = (save(tmp_path / name, smooth) for name in ("a.png", "a.jpg"))
    column, _, _ = images.pictures([png, jpeg], (16, 12))
    assert np.abs(np.diff(column.values.astype(int), axis=0)).max() < 4


def test_photographs_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    path = save(tmp_path / "a.png", SHADES, exif=exif)
    column, _, told = images.pictures([path])
    assert np.array_equal(column.values[0, ..., 0], np.rot90(SHADES, -1))
    assert "turned upright" in told[0]


def test_a_moving_picture_is_its_first_frame(tmp_path):
    frames = [Image.fromarray(np.full((3, 3), shade, np.uint8)) for shade in (10, 250)]
    path = save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    column, _, told = images.pictures([path])
    assert column.values.max() == 10
    assert "the first is taken" in told[0]


def test_a_few_broken_pictures_are_left_out_and_many_are_refused(folder):
    for k in range(40):
        save(folder / "cat" / f"more{k}.png", SHADES)
    good = (folder / "dog" / "0.png").read_bytes()
    (folder / "dog" / "cut.png").write_bytes(good[: len(good) // 2])
    found = read_images(folder)
    assert found.counts == {"all": 46}
    assert np.bincount(found.columns["label"].values).tolist() == [43, 3]
    assert said(found, "cannot be read are left out: 1", "cut.png")
    for k in range(5):
        (folder / "dog" / f"none{k}.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"6 of 52 pictures cannot be read, such as cut\.png"):
        read_images(folder)


def test_pictures_without_classes_are_refused_with_the_remedy(tmp_path):
    save(tmp_path / "a.png", SHADES)
    with pytest.raises(UsageError, match="no folders of classes; put those of each class"):
        read_images(tmp_path)
    with pytest.raises(UsageError, match="holds no pictures"):
        read_images(save(tmp_path / "x" / "a.txt.png", SHADES).rename(tmp_path / "x" / "a.txt").parent)


@pytest.mark.parametrize("size", [(0, 4), (4,), (4, 99999)])
def test_a_size_that_is_none_is_refused(folder, size):
    with pytest.raises(UsageError, match=r"data\.size=.* must be height and width"):
        read_images(folder, size)


def test_pictures_of_floats_are_refused(folder):
    save(folder / "cat" / "f.tif", SHADES.astype(np.float32))
    with pytest.raises(UsageError, match=r"f\.tif holds floating-point numbers"):
        read_images(folder)

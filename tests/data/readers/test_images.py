"""Folders of images give their pixels and classes, and remarks on every conversion."""

import numpy as np
import pytest
from PIL import Image

from dlm import UsageError
from dlm.data.readers.images import read_images
from dlm.data.readers.read import read_folder

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


def has_remark(found, *words):
    return any(all(word in remark for word in words) for remark in found.remarks)


def test_images_and_classes_are_sorted_by_name(folder):
    found = read_folder(folder, kind="images")
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
    column, readable, _ = read_images([path])
    assert readable.all()
    assert np.array_equal(column.values[0], rgb)


def test_jpegs_are_close(tmp_path):
    flat = np.full((16, 16, 3), (200, 30, 90), np.uint8)
    column, _, _ = read_images([save(tmp_path / "a.JPG", flat, quality=95)])
    assert np.abs(column.values[0].astype(int) - flat).max() < 6


def test_other_and_hidden_files_are_skipped_with_a_remark(folder):
    (folder / "cat" / "Thumbs.db").write_text("")
    (folder / "readme.txt").write_text("mine")
    (folder / "cat" / ".DS_Store").write_text("")
    (folder / ".git").mkdir()
    (folder / ".git" / "0.png").write_text("")
    (folder / "empty").mkdir()
    found = read_folder(folder, kind="images")
    assert found.counts == {"all": 6}
    assert has_remark(found, "Skipped hidden files: 3")
    assert has_remark(found, "Skipped other files: 1", "readme.txt")
    assert has_remark(found, "without suitable files: empty")


def test_folders_of_splits_are_splits(folder, tmp_path_factory):
    whole = tmp_path_factory.mktemp("splits")
    for split in ("Train", "val", "test"):
        (whole / split).symlink_to(folder)
    found = read_folder(whole, kind="images")
    assert found.counts == {"train": 6, "validation": 6, "test": 6}
    (whole / "test").unlink()
    assert read_folder(whole, kind="images").counts == {"train": 6, "test": 6}
    (whole / "val").unlink()
    (whole / "test").mkdir()
    save(whole / "test" / "unlabelled.png", SHADES)
    found = read_folder(whole, kind="images")
    assert found.counts == {"all": 6}
    assert has_remark(found, "without class folders: test")


def test_a_class_may_be_called_train_and_have_sub_folders(tmp_path):
    for name in ("train/fast/1.png", "train/0.png", "plane/0.png"):
        save(tmp_path / name, SHADES)
    found = read_folder(tmp_path, kind="images")
    assert found.columns["label"].names == ("plane", "train")
    assert found.columns["label"].values.tolist() == [0, 1, 1]


def test_a_single_inner_folder_is_opened(folder, tmp_path_factory):
    outer = tmp_path_factory.mktemp("outer")
    (outer / "unzipped").symlink_to(folder)
    (outer / "__MACOSX").mkdir()
    found = read_folder(outer, kind="images")
    assert found.columns["label"].names == ("cat", "dog")
    assert has_remark(found, "Read from unzipped")


def test_grey_images_become_rgb_and_alpha_is_dropped(folder):
    rgba = np.dstack([SHADES, SHADES // 2, SHADES // 3, np.full_like(SHADES, 9)])
    save(folder / "cat" / "x.png", rgba)
    save(folder / "cat" / "y.png", Image.fromarray(rgba[..., :3]).convert("CMYK").convert("P"))
    found = read_folder(folder, kind="images")
    assert found.columns["image"].values.shape == (8, 5, 7, 3)
    assert np.array_equal(found.columns["image"].values[3], rgba[..., :3])
    assert has_remark(found, "6 of 8", "grey")
    assert has_remark(found, "1 of 8", "alpha channel")


def test_16_bit_images_keep_the_upper_8_of_the_used_bits(tmp_path):
    scan = np.array([[0, 4095, 2048]], np.uint16)
    paths = [save(tmp_path / "a.png", scan), save(tmp_path / "b.tif", scan // 2)]
    column, _, remarks = read_images(paths)
    assert column.values[..., 0].tolist() == [[[0, 255, 128]], [[0, 127, 64]]]
    assert "the upper 8 of the 12 used bits" in remarks[0]


def test_several_sizes_are_a_usage_error_with_the_two_most_frequent(folder):
    save(folder / "dog" / "wide.png", np.zeros((5, 9), np.uint8))
    save(folder / "dog" / "tall.png", np.zeros((9, 5), np.uint8))
    save(folder / "dog" / "wide2.png", np.zeros((5, 9), np.uint8))
    with pytest.raises(UsageError) as error:
        read_folder(folder, kind="images")
    for words in ("3 sizes", "5×7 (6, for example 0.png)", "5×9 (2, for example wide.png)", "data.size=(64, 64)"):
        assert words in str(error.value)
    found = read_folder(folder, kind="images", size=(10, 14))
    assert found.columns["image"].values.shape == (9, 10, 14, 1)
    assert abs(found.columns["image"].values[0].mean() - SHADES.mean()) < 3
    assert has_remark(found, "9 of 9", "resized to 10×14")


def test_a_large_jpeg_is_resized_like_other_formats(tmp_path):
    smooth = np.add.outer(np.arange(800) // 8, np.arange(600) // 8).astype(np.uint8)
    png, jpeg = (save(tmp_path / name, smooth) for name in ("a.png", "a.jpg"))
    column, _, _ = read_images([png, jpeg], (16, 12))
    assert np.abs(np.diff(column.values.astype(int), axis=0)).max() < 4


def test_images_are_rotated_by_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    path = save(tmp_path / "a.png", SHADES, exif=exif)
    column, _, remarks = read_images([path])
    assert np.array_equal(column.values[0, ..., 0], np.rot90(SHADES, -1))
    assert "rotated by their EXIF orientation" in remarks[0]


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.fromarray(np.full((3, 3), shade, np.uint8)) for shade in (10, 250)]
    path = save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    column, _, remarks = read_images([path])
    assert column.values.max() == 10
    assert "the first is read" in remarks[0]


def test_a_few_unreadable_images_are_dropped_and_many_are_a_usage_error(folder):
    for k in range(40):
        save(folder / "cat" / f"more{k}.png", SHADES)
    good = (folder / "dog" / "0.png").read_bytes()
    (folder / "dog" / "cut.png").write_bytes(good[: len(good) // 2])
    found = read_folder(folder, kind="images")
    assert found.counts == {"all": 46}
    assert np.bincount(found.columns["label"].values).tolist() == [43, 3]
    assert has_remark(found, "Dropped unreadable images: 1", "cut.png")
    for k in range(5):
        (folder / "dog" / f"none{k}.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"6 of 52 images cannot be read, for example cut\.png"):
        read_folder(folder, kind="images")


def test_images_without_class_folders_are_a_usage_error(tmp_path):
    save(tmp_path / "a.png", SHADES)
    with pytest.raises(UsageError, match="not in class folders; move those of each class"):
        read_folder(tmp_path, kind="images")
    with pytest.raises(UsageError, match="has no images"):
        read_folder(save(tmp_path / "x" / "a.txt.png", SHADES).rename(tmp_path / "x" / "a.txt").parent, kind="images")


@pytest.mark.parametrize("size", [(0, 4), (4,), (4, 99999)])
def test_an_invalid_size_is_a_usage_error(folder, size):
    with pytest.raises(UsageError, match=r"data\.size=.* must be height and width"):
        read_folder(folder, kind="images", size=size)


def test_floating_point_images_are_a_usage_error(folder):
    save(folder / "cat" / "f.tif", SHADES.astype(np.float32))
    with pytest.raises(UsageError, match=r"f\.tif has floating-point pixels"):
        read_folder(folder, kind="images")

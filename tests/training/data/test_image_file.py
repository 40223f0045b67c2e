"""Image files keep their values, whatever their format; damaged ones are named in one sentence."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from convnets.__main__ import app
from convnets.training import load_folder
from convnets.training.batches import Batches
from convnets.training.data.image_file import read_image

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLOUR = np.stack([GREY, GREY.T, 255 - GREY], axis=2)


def saved(path: Path, values: np.ndarray, mode: str | None = None, **options) -> Path:
    picture = Image.fromarray(values)
    (picture if mode is None else picture.convert(mode)).save(path, **options)
    return path


def expected(values: np.ndarray) -> torch.Tensor:
    """The image (3, H, W) of values (H, W) or (H, W, 3) between 0 and 255."""
    image = torch.from_numpy(values).float()
    return image.expand(3, *image.shape) if image.ndim == 2 else image.permute(2, 0, 1)


WIDE = {
    "16 bits": ("a.png", GREY.astype(np.uint16) * 257),
    "16 bits, TIFF": ("a.tif", GREY.astype(np.uint16) * 257),
    "16 bits, big-endian": ("a.tif", (GREY.astype(np.uint16) * 257).astype(">u2")),
    "16 bits, PGM": ("a.pgm", GREY.astype(np.uint16) * 257),
    "32 bits, of which 16 are used": ("a.tif", GREY.astype(np.int32) * 257),
    "32 bits": ("a.tif", GREY.astype(np.int32) * ((2**31 - 1) // 255)),
    "32 bits, of which 8 are used": ("a.tif", GREY.astype(np.int32)),
    "floats from 0 to 1": ("a.tif", GREY.astype(np.float32) / 255),
    "floats from 0 to 255": ("a.tif", GREY.astype(np.float32)),
    "floats from 0 to 65,535": ("a.tif", GREY.astype(np.float32) * 257),
}


@pytest.mark.parametrize("kind", WIDE)
def test_more_than_8_bits_keep_their_values(tmp_path, kind):
    name, values = WIDE[kind]
    image = read_image(saved(tmp_path / name, values))
    torch.testing.assert_close(image, expected(GREY), rtol=0, atol=1e-3)


def test_what_8_bits_could_not_tell_apart_is_kept(tmp_path):
    values = 30_000 + np.arange(256, dtype=np.uint16).reshape(16, 16)
    image = read_image(saved(tmp_path / "a.png", values))
    assert len(image.unique()) == 256
    torch.testing.assert_close(image[0] * 257, torch.from_numpy(values.astype(np.float32)))


@pytest.mark.parametrize("name", ["a.png", "a.pgm", "a.tif"])
def test_a_dark_image_of_16_bits_stays_dark(tmp_path, name):
    image = read_image(saved(tmp_path / name, np.full((8, 8), 200, dtype=np.uint16)))
    assert image.unique().tolist() == pytest.approx([200 / 257])


def test_resampled_floats_that_leave_the_range_a_little_are_clipped(tmp_path):
    values = np.linspace(-0.03, 1.04, 64, dtype=np.float32).reshape(8, 8)
    image = read_image(saved(tmp_path / "a.tif", values))
    torch.testing.assert_close(image[0], torch.from_numpy(values).clamp(0, 1) * 255)


def test_a_black_image_of_floats_is_black(tmp_path):
    assert read_image(saved(tmp_path / "a.tif", np.zeros((8, 8), np.float32))).max() == 0


@pytest.mark.parametrize(
    "values",
    [np.linspace(-1, 1, 64), np.linspace(-1000, 3000, 64), np.full(64, np.nan), np.full(64, 1e12)],
)
def test_values_without_a_black_and_a_white_are_not_guessed(tmp_path, values):
    path = saved(tmp_path / "a.tif", values.astype(np.float32).reshape(8, 8))
    with pytest.raises(ValueError, match=r"its values run from .* but pixels run from 0 to 1"):
        read_image(path)


EIGHT = {
    "grey": ("a.png", GREY, "L", {}),
    "grey with transparency": ("a.png", GREY, "LA", {}),
    "colour": ("a.png", COLOUR, "RGB", {}),
    "colour with transparency": ("a.png", COLOUR, "RGBA", {}),
    "palette": ("a.png", GREY, "P", {}),
    "palette with a transparent entry": ("a.png", GREY, "P", {"transparency": 3}),
    "palette with transparency": ("a.png", GREY, "P", {"transparency": bytes(range(256))}),
    "bitmap": ("a.bmp", COLOUR, "RGB", {}),
    "TIFF": ("a.tif", COLOUR, "RGB", {}),
    "printing colours": ("a.tif", COLOUR, "CMYK", {}),
    "WebP": ("a.webp", COLOUR, "RGB", {"lossless": True}),
}


@pytest.mark.parametrize("kind", EIGHT)
def test_8_bits_keep_their_values_without_a_warning(tmp_path, kind):
    name, values, mode, options = EIGHT[kind]
    path = saved(tmp_path / name, values, mode, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = read_image(path)
    assert image.dtype == torch.uint8
    assert torch.equal(image.float(), expected(values))


def test_black_and_white_are_0_and_255(tmp_path):
    image = read_image(saved(tmp_path / "a.png", GREY > 100))
    assert torch.equal(image.float(), expected(np.where(GREY > 100, 255, 0)))


def png(width: int, height: int) -> bytes:
    """The start of a PNG of this size, without its pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", 0)


DAMAGED = {
    "over Pillow's limit": (png(60_000, 60_000), "exceeds limit"),
    "text": (b"This is not an image.\n", "not an image"),
    "empty": (b"", "not an image"),
    "without pixels": (png(8, 8), "."),
    "cut": (None, "truncated"),
}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Twenty training and four test images of two classes."""
    random = np.random.default_rng(0)
    for part, count in (("train", 10), ("val", 2)):
        for name in ("bag", "coat"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                noise = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
                saved(tmp_path / part / name / f"{number}.jpg", noise)
    return tmp_path


def damage(path: Path, content: bytes | None) -> Path:
    path.write_bytes(path.read_bytes()[:700] if content is None else content)
    return path


def command(folder: Path, *options: str):
    arguments = ["train", "resnet20", "--epochs", "1", "--batch-size", "6", "--image-size", "32"]
    arguments += ["--data", "image-folder", "--data-root", str(folder), "--device", "cpu"]
    return CliRunner().invoke(app, [*arguments, *options], env={"COLUMNS": "200"})


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.filterwarnings("ignore:.*is left out")
def test_a_damaged_image_is_named_or_skipped(folder, kind):
    content, reason = DAMAGED[kind]
    path = damage(folder / "train" / "coat" / "3.jpg", content)
    split = load_folder(folder, image_size=32).train
    place = split.paths.index(path)
    with pytest.raises(
        RuntimeError, match=rf"{path} cannot be read \(.*{reason}.*--on-corrupt skip"
    ):
        split.image(place)
    skipping = load_folder(folder, "skip", image_size=32).train
    assert skipping.image(place) is None


@pytest.mark.parametrize("kind", ["over Pillow's limit", "cut"])
def test_the_box_of_a_damaged_image_holds_no_traceback(folder, kind):
    path = damage(folder / "train" / "coat" / "3.jpg", DAMAGED[kind][0])
    result = command(folder, "--num-workers", "1")
    assert result.exit_code == 2
    assert str(path) in result.output.replace("│\n│ ", "").replace("\n", "")
    assert "Traceback" not in result.output
    assert "worker" not in result.output


def test_a_split_of_damaged_images_only_is_refused(folder):
    for path in (folder / "train").rglob("*.jpg"):
        damage(path, b"")
    dataset = load_folder(folder, "skip", image_size=32)
    made = Batches(dataset.train, dataset, torch.nn.Identity(), torch.device("cpu"), 4, seed=0)
    for attempt in (lambda: list(made.epoch()), dataset.train.pixels):
        with pytest.raises(RuntimeError, match=r"none of 20 images can be read, such as .*jpg"):
            attempt()


def test_images_of_8_and_of_16_bits_share_a_batch(folder):
    path = folder / "train" / "bag" / "0.png"
    saved(path, np.full((40, 40), 51 * 257, dtype=np.uint16))
    dataset = load_folder(folder, image_size=32)
    images, _ = next(
        Batches(dataset.train, dataset, torch.nn.Identity(), torch.device("cpu"), 8).epoch()
    )
    place = dataset.train.paths.index(path)
    pixels = images[place] * dataset.std + dataset.mean
    torch.testing.assert_close(pixels, torch.full((3, 32, 32), 0.2))
    assert dataset.train.pixels().shape == (3, 21 * 32 * 32)


def test_the_command_trains_on_images_of_16_bits(folder):
    for path in folder.rglob("*.jpg"):
        values = np.asarray(Image.open(path).convert("L")).astype(np.uint16) * 257
        saved(path.with_suffix(".png"), values)
        path.unlink()
    result = command(folder, "--num-workers", "0")
    assert result.exit_code == 0, result.output
    assert "test accuracy" in result.output


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda root: (root / "val" / "hat").mkdir(), "val has no images of hat .*.jpg, .*Put"),
        (
            lambda root: [path.unlink() for path in (root / "train" / "bag").iterdir()],
            "train has no images of bag",
        ),
        (
            lambda root: [
                path.rename(path.with_suffix(".txt")) for path in (root / "val").rglob("*.jpg")
            ],
            "val has no images of bag, coat",
        ),
        (
            lambda root: (
                [path.rename(root / "val" / path.name) for path in root.glob("val/*/*")]
                and [path.rmdir() for path in (root / "val").iterdir() if path.is_dir()]
            ),
            "val has no folders; put the images of each class",
        ),
    ],
    ids=["an empty class", "an emptied class", "other files", "no classes"],
)
def test_classes_without_images_are_explained(folder, change, sentence):
    change(folder)
    with pytest.raises(FileNotFoundError, match=sentence):
        load_folder(folder)


@pytest.mark.parametrize("size", [0, -1, 2.5, "32"])
def test_crops_without_pixels_are_refused(folder, size):
    with pytest.raises(ValueError, match=r"image_size \(--image-size\) must be a whole number"):
        load_folder(folder, image_size=size)

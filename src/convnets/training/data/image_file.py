"""One image file as a tensor, with the values that the file holds.

Pillow clips what has more than 8 bits to 255 when it converts to RGB, so that a grey image of 16
bits is white and one of floats between 0 and 1 is black.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

FORMATS_OF_16_BITS = ("PNG", "PPM")
"""Formats that hold at most 16 bits a channel, which Pillow may give 32 bits in memory."""
WHITE_16 = 2**16 - 1
WHITES = (1, 255, WHITE_16, 2**31 - 1)
"""Values that may mean white in a file that does not say which one does."""
OVERSHOOT = 0.1
"""Share of white by which resampled images may leave the range; what lies outside is clipped."""


def read_image(path: Path) -> Tensor:
    """The image (3, H, W) in `path`, from 0 (black) to 255 (white); transparency is left out.

    It is uint8, or float32 if the file has one channel of more than 8 bits. There, 16 bits run from
    0 to 65,535. Files of 32 bits or floats do not say what is white: it is the smallest of 1, 255,
    65,535 and 2,147,483,647 that their values do not exceed by more than a tenth.

    Raises:
        ValueError: it cannot be read, or its values have no such range; the message says why.
    """
    try:
        with path.open("rb") as file, Image.open(file) as image:
            has_16_bits = image.format in FORMATS_OF_16_BITS and image.mode == "I"
            if has_16_bits or image.mode.startswith("I;16"):
                return _grey(np.asarray(image), WHITE_16)
            if image.mode in ("I", "F"):
                values = np.asarray(image)
                return _grey(values, _white(values))
            if "transparency" in image.info:  # otherwise Pillow warns about each such file
                return pil_to_tensor(image.convert("RGBA").convert("RGB"))
            return pil_to_tensor(image.convert("RGB"))
    except UnidentifiedImageError:
        raise ValueError("it is not an image, or its first bytes are damaged") from None
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    except Exception as error:  # damaged files make Pillow raise errors of all kinds
        raise ValueError(str(error) or type(error).__name__) from None


def _grey(values: np.ndarray, white: float) -> Tensor:
    """Values (H, W) from 0 to `white` as an image (3, H, W) from 0 to 255."""
    image = torch.from_numpy(values.astype(np.float64)) * (255 / white)
    return image.clamp(0, 255).float().expand(3, -1, -1)


def _white(values: np.ndarray) -> int:
    low, high = float(values.min()), float(values.max())
    if low >= -OVERSHOOT * high:  # false for NaN, too
        for white in WHITES:
            if high <= (1 + OVERSHOOT) * white:
                return white
    raise ValueError(
        f"its values run from {low:g} to {high:g}, but pixels run from 0 to 1, 255, 65,535 or "
        "2,147,483,647"
    )

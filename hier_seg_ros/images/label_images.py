# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label images in files and messages: the values of pixels as they are stored, or their colours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.image_files import (
    UPRIGHT,
    converted,
    decoded,
    file_data,
    orientation_of,
)
from hier_seg_ros.images.messages import (
    CompressedMessage,
    RawMessage,
    check_compressed_image,
    check_rows,
    rgb_from_raw_image,
)

# Their compression changes the values of pixels. (MPO is a JPEG with several pictures.)
_LOSSY = ('JPEG', 'MPO', 'WEBP')
PNG_HEADER = 25  # bytes up to the one that says how many bits a channel has
# What messages of one whole number for each pixel are made of.
_SAMPLES = {
    'mono8': 'u1', '8UC1': 'u1', 'mono16': 'u2', '16UC1': 'u2', '16SC1': 'i2', '32SC1': 'i4',
}  # fmt: skip


@dataclass(frozen=True)
class LabelPixels:
    """What a label image says of each pixel.

    Attributes
    ----------
    values
        (H, W) whole numbers; None where it has colours alone.
    colors
        (H, W, 3) uint8 RGB; None where it is grey. An image with a palette has both, and so has
        one of three equal channels.

    """

    values: NDArray[Any] | None
    colors: NDArray[np.uint8] | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        pixels = self.values if self.values is not None else self.colors
        assert pixels is not None
        return pixels.shape[0], pixels.shape[1]


def label_file(path: Path) -> LabelPixels:
    """Return the labels of a PNG or TIFF file.

    Raises
    ------
    HierSegError
        It cannot be read, is compressed with losses, or is no label image.

    """
    return _label_data(file_data(path), str(path), 'save it as PNG')


def label_message(message: RawMessage | CompressedMessage) -> LabelPixels:
    """Return the labels of a sensor_msgs/Image, or of a CompressedImage with a PNG or TIFF.

    Raises
    ------
    InvalidFrameError
        It is no image that can be read, or none of labels.

    """
    try:
        if hasattr(message, 'encoding'):
            return _raw_labels(cast(RawMessage, message))
        check_compressed_image(message)
        name = f'the compressed image ({message.format!r})'
        return _label_data(message.data.tobytes(), name, 'publish PNG')
    except InvalidFrameError:
        raise
    except HierSegError as error:
        raise InvalidFrameError('labels', str(error)) from error


def _raw_labels(message: RawMessage) -> LabelPixels:
    if message.width == 0 or message.height == 0:
        raise InvalidFrameError('size', 'the image has no pixels; correct its publisher')
    kind = _SAMPLES.get(message.encoding)
    if kind is None:
        return _colored(np.ascontiguousarray(rgb_from_raw_image(message)))
    sample = np.dtype(('>' if message.is_bigendian else '<') + kind)
    check_rows(message, message.width * sample.itemsize, message.height, sample.itemsize)
    values: NDArray[Any] = np.ndarray(
        (message.height, message.width),
        dtype=sample,
        buffer=message.data,
        strides=(message.step, sample.itemsize),
    )
    return LabelPixels(values.astype(sample.newbyteorder('=')), None)


def _label_data(data: bytes, name: str, advice: str) -> LabelPixels:
    bits = png_bits(data[:PNG_HEADER])
    return decoded(data, name, advice, _LABEL_FORMATS, lambda image: _opened(image, name, bits))


# JPEG is among them to be refused for what it is.
_LABEL_FORMATS = ('PNG', 'TIFF', 'JPEG')


def _opened(image: Image.Image, name: str, bits: int) -> LabelPixels:
    check_lossless(image, name)
    if image.mode in ('RGB', 'RGBA') and bits == 8:
        check_not_turned(image, name)
        return _colored(np.array(converted(image, upright=False)))
    palette = image.mode == 'P'
    values = label_values(image, name, bits)
    return LabelPixels(values, np.array(image.convert('RGB')) if palette else None)


def _colored(rgb: NDArray[np.uint8]) -> LabelPixels:
    gray = bool((rgb == rgb[..., :1]).all())
    return LabelPixels(np.ascontiguousarray(rgb[..., 0]) if gray else None, rgb)


def label_values(image: Image.Image, name: str, bits: int) -> NDArray[Any]:
    """Return the values of an opened label image, as they are stored.

    They are the grey values, or the indices of a palette: also of 1, 2 or 4 bits, and of three
    equal channels or of one beside an opacity, as some programs write grey. Where the palette's
    colours may as well be the labels as its indices, the image is refused.

    Parameters
    ----------
    image
        As Pillow opened it, not yet loaded.
    name
        What stands for it in errors.
    bits
        The bits of a channel of its file, as `png_bits` returns them.

    Returns
    -------
    NDArray[Any]
        (H, W) uint8; of 16 bits with values above 255 int32, as they are stored.

    Raises
    ------
    HierSegError
        It is compressed with losses, turned by an EXIF tag, or does not have one value for each
        pixel.

    """
    check_lossless(image, name)
    check_not_turned(image, name)
    values = np.array(image)
    if image.mode == '1':
        return values.astype(np.uint8)
    if image.mode == 'P':
        _check_palette(image, values, name)
        return values
    if image.mode == 'L':
        # Programs that shrink PNG store few values in few bits, which Pillow stretches.
        return values // (255 // (2**bits - 1))
    if image.mode.startswith('I'):
        fits = values.min() >= 0 and values.max() <= 255
        return values.astype(np.uint8 if fits else np.int32)
    # Of channels of 16 bits Pillow keeps the upper 8, which of small values are 0.
    if image.mode in ('LA', 'RGB', 'RGBA') and bits == 8:
        grey = values[..., : len(image.mode.removesuffix('A'))]
        if (grey == grey[..., :1]).all():
            return grey[..., 0]
    reason, advice = f'its mode is {image.mode}', 'it must have one 8-bit channel of label values'
    if bits == 16:
        reason += ', with 16 bits per channel'
    else:
        # OpenCV's imread applies a palette; written again, the file has colours for indices.
        advice += ', so restore the original if a program has turned its palette into colours'
    raise HierSegError(f'{name}: is no label image ({reason}); {advice}')


def check_lossless(image: Image.Image, name: str) -> None:
    """Raise HierSegError if the compression of an opened image changes labels."""
    if image.format in _LOSSY:
        raise HierSegError(
            f'{name}: is a {image.format}, whose compression changes label values, whatever its '
            f'name; give the PNG from before'
        )


def check_not_turned(image: Image.Image, name: str) -> None:
    """Raise HierSegError if viewers turn the labels: nobody knows whether those who drew them did.

    The image must not be loaded yet: a TIFF image forgets it then.
    """
    orientation = orientation_of(image)
    if orientation != UPRIGHT:
        raise HierSegError(
            f'{name}: has the EXIF orientation {orientation}, and labels are read as they are '
            f'stored; write them without it, so that they lie on the upright photograph'
        )


def _check_palette(image: Image.Image, indices: NDArray[np.uint8], name: str) -> None:
    """Raise HierSegError if the palette's greys may as well be the labels as its indices.

    Programs that reduce colours number those of an image from 0 on, and fill up the palette in
    their own ways; or they take a palette that is the same for all images.
    """
    colors = np.array(image.getpalette('RGB') or []).reshape(-1, 3)
    used = np.unique(indices[indices < len(colors)]).astype(np.int64)
    for places in (np.arange(used.max(initial=-1) + 1), used if len(used) > 2 else used[:0]):
        greys = colors[places, 0]
        other = np.flatnonzero(greys != places)
        if (
            len(other)
            and (colors[places] == greys[:, None]).all()
            and len(np.unique(greys)) == len(greys)
        ):
            raise HierSegError(
                f'{name}: its palette has the grey {greys[other[0]]} at index {places[other[0]]}, '
                f'and either may be the label; write it as a grey PNG of the labels, without a '
                f'palette'
            )


def png_bits(header: bytes) -> int:
    """Return the bits of a channel of a PNG file, by its first bytes; 8 for any other file."""
    # The header chunk, which comes first, holds the bit depth (W3C, "Portable Network Graphics",
    # 11.2.1).
    return header[PNG_HEADER - 1] if header[:8] == b'\x89PNG\r\n\x1a\n' else 8

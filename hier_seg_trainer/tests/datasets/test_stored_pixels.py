# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of images, labels and instances, as the programs of this world write and damage them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.image_files import read_image
from hier_seg_trainer.datasets import stored_pixels
from hier_seg_trainer.datasets.stored_pixels import (
    decode_mask,
    open_colors,
    open_image,
    open_instances,
    open_labels,
)


@pytest.mark.parametrize('content', [b'', b'no image', b'P6\n20 20\n255\nshort'])
def test_a_broken_image_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'broken.ppm'
    path.write_bytes(content)
    with pytest.raises(
        HierSegError, match=r'broken\.ppm: cannot be read as an image.*restore'
    ) as e:
        open_image(path)
    assert '\n' not in str(e.value)


def test_a_cut_off_image_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for name in ('a.png', 'a.jpg'):
        path = tmp_path / name
        Image.fromarray(noise).save(path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(HierSegError, match=rf'{name}: cannot be read'):
            open_image(path)


def test_a_missing_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HierSegError, match=r'gone\.png: cannot be read'):
        open_labels(tmp_path / 'gone.png')


def test_grey_images_become_rgb_and_colour_is_no_label(tmp_path: Path) -> None:
    Image.new('L', (4, 3), 9).save(tmp_path / 'grey.png')
    assert np.asarray(open_image(tmp_path / 'grey.png')).tolist() == [[[9, 9, 9]] * 4] * 3
    Image.new('RGB', (4, 3), (7, 7, 8)).save(tmp_path / 'color.png')
    with pytest.raises(HierSegError, match=r'color\.png: is no label image.*RGB.*8-bit.*palette'):
        open_labels(tmp_path / 'color.png')
    with pytest.raises(HierSegError, match=r'color\.png: is no instance image.*RGB.*16-bit'):
        open_instances(tmp_path / 'color.png')


@pytest.mark.parametrize('kind', ['grey', 'palette'])
@pytest.mark.parametrize('bits', [1, 2, 4, 8])
def test_labels_of_few_bits_keep_their_values(tmp_path: Path, kind: str, bits: int) -> None:
    """Programs that shrink PNG write such files; Pillow writes only those with a palette."""
    count = 2**bits
    values = (np.arange(count * 3) % count).reshape(3, count).astype(np.uint8)
    path = tmp_path / 'labels.png'
    if kind == 'palette':
        image = Image.fromarray(values, 'P')
        image.putpalette([200, 90, 20] * count)
        image.save(path, bits=bits)
    else:
        path.write_bytes(grey_png(values, bits))
    header = path.read_bytes()[:26]
    assert (header[24], header[25]) == (bits, {'grey': 0, 'palette': 3}[kind])
    assert open_labels(path).dtype == np.uint8
    assert open_labels(path).tolist() == values.tolist()


def grey_png(values: np.ndarray, bits: int) -> bytes:
    """Return a grey PNG file: no filter, each row in whole bytes, the first value highest."""
    planes = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    rows = np.packbits(planes.reshape(len(values), -1).astype(bool), axis=1)
    return png(values.shape, bits, 0, b''.join(b'\0' + row.tobytes() for row in rows))


def png(shape: tuple[int, ...], bits: int, color_type: int, data: bytes) -> bytes:
    """Return a PNG file of rows of `data`."""
    header = struct.pack('>IIBBBBB', shape[1], shape[0], bits, color_type, 0, 0, 0)
    chunks = ((b'IHDR', header), (b'IDAT', zlib.compress(data)), (b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))
        for name, body in chunks
    )


def test_instance_images_keep_16_bits(tmp_path: Path) -> None:
    values = np.array([[0, 26001, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / 'instances.png')
    assert open_instances(tmp_path / 'instances.png').tolist() == values.tolist()


# Labels as other programs write them

VALUES = np.array([[0, 3, 255], [7, 7, 1]], np.uint8)


def grey_channels(mode: str) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        channels = [VALUES] * len(mode.removesuffix('A').removesuffix('L') or 'L')
        if mode.endswith('A'):
            channels.append(np.full_like(VALUES, 90))
        Image.fromarray(np.stack(channels, axis=-1), mode).save(path)

    return save


@pytest.mark.parametrize(
    'save',
    [
        lambda path: Image.fromarray(VALUES).save(path),
        grey_channels('RGB'),
        grey_channels('RGBA'),
        grey_channels('LA'),
        lambda path: Image.fromarray(VALUES.astype(np.uint16)).save(path),
        lambda path: Image.fromarray(VALUES).save(path, format='BMP'),
        lambda path: Image.fromarray(VALUES.astype(np.uint16)).save(path, format='TIFF'),
    ],
    ids=['grey', 'RGB', 'RGBA', 'grey and alpha', '16 bits', 'BMP', 'TIFF of 16 bits'],
)
def test_grey_labels_are_read_however_they_are_stored(
    tmp_path: Path, save: Callable[[Path], None]
) -> None:
    save(tmp_path / 'a.png')
    labels = open_labels(tmp_path / 'a.png')
    assert labels.dtype == np.uint8
    assert labels.tolist() == VALUES.tolist()


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'a.png'
    one_differs = np.stack([VALUES, VALUES, VALUES], axis=-1)
    one_differs[1, 2, 1] += 1
    for image in (
        Image.fromarray(VALUES.astype(np.uint16) + 1),
        Image.fromarray(one_differs),
        Image.fromarray(one_differs).convert('CMYK'),
    ):
        image.save(path, format='TIFF')
        with pytest.raises(HierSegError, match=r'a\.png: is no label image .*one 8-bit channel'):
            open_labels(path)


@pytest.mark.parametrize('color_type', [2, 4, 6], ids=['RGB', 'grey and alpha', 'RGBA'])
def test_channels_of_16_bits_are_refused(tmp_path: Path, color_type: int) -> None:
    """Pillow keeps their upper 8 bits, so that every small label would become 0."""
    channels = {2: 3, 4: 2, 6: 4}[color_type]
    rows = np.repeat(VALUES.astype('>u2')[..., None], channels, axis=-1)
    data = b''.join(b'\0' + row.tobytes() for row in rows)
    (tmp_path / 'a.png').write_bytes(png(VALUES.shape, 16, color_type, data))
    with pytest.raises(HierSegError, match=r'a\.png: is no label image .*16 bits') as error:
        open_labels(tmp_path / 'a.png')
    assert 'palette' not in str(error.value)


def test_values_that_are_no_ids_are_named(tmp_path: Path) -> None:
    values = np.array([[7, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / 'a.png')
    with pytest.raises(HierSegError, match='its values reach from 7 to 65535'):
        open_labels(tmp_path / 'a.png')


def save_palette(path: Path, indices: np.ndarray, colors: list[list[int]]) -> None:
    image = Image.fromarray(indices, 'P')
    image.putpalette([part for color in colors for part in color])
    image.save(path)


def test_a_palette_of_other_greys_is_refused_with_the_reason(tmp_path: Path) -> None:
    """A program that shrinks PNG writes greys so: 3 and 7 would become 1 and 2."""
    path = tmp_path / 'a.png'
    indices = np.array([[0, 1, 2]], np.uint8)
    save_palette(path, indices, [[0] * 3, [3] * 3, [7] * 3])
    with pytest.raises(HierSegError, match=r'a\.png: its palette has the grey 3 at index 1, and'):
        open_labels(path)
    for colors in (
        [[0] * 3, [1] * 3, [2] * 3],
        [[0] * 3, [3] * 3, [3] * 3],
        [[0] * 3, [3] * 3, [7, 7, 8]],
    ):
        save_palette(path, indices, colors)
        assert open_labels(path).tolist() == indices.tolist(), (
            'no doubt: the indices are the labels'
        )


@pytest.mark.parametrize(
    'reduce',
    [
        lambda image: image.quantize(16),
        lambda image: image.convert('RGB').quantize(256),
        lambda image: image.convert('RGB').quantize(16, method=Image.Quantize.FASTOCTREE),
        lambda image: image.convert('RGBA').quantize(16),
        lambda image: image.convert('RGB').convert('P'),
        lambda image: image.convert('RGB').convert('P', palette=Image.Palette.ADAPTIVE, colors=8),
    ],
    ids=['grey', 'RGB', 'octree', 'RGBA', 'web palette', 'adaptive'],
)
def test_labels_whose_colours_a_program_has_reduced_are_refused(
    tmp_path: Path, reduce: Callable[[Image.Image], Image.Image]
) -> None:
    reduce(Image.fromarray(np.array([[0, 3, 255], [7, 90, 1]], np.uint8))).save(tmp_path / 'a.png')
    with pytest.raises(HierSegError, match=r'a\.png: its palette has the grey \d+ at index'):
        open_labels(tmp_path / 'a.png')


@pytest.mark.parametrize('rest', [[0] * 3, [255] * 3, [255, 0, 0]], ids=['black', 'white', 'red'])
def test_what_a_palette_is_filled_up_with_hides_no_greys(tmp_path: Path, rest: list[int]) -> None:
    colors = [[0] * 3, [3] * 3, [7] * 3, *[rest] * 253]
    save_palette(tmp_path / 'a.png', np.array([[0, 1, 2]], np.uint8), colors)
    with pytest.raises(HierSegError, match=r'a\.png: its palette has the grey 3 at index 1, and'):
        open_labels(tmp_path / 'a.png')


def test_an_image_of_two_grey_classes_is_read_by_its_coloured_palette(tmp_path: Path) -> None:
    """Sky is grey in CamVid's palette and in others, and void is black."""
    indices = np.array([[0, 11, 11]], np.uint8)
    colors = [[128] * 3, *[[128, 64, 9 * place] for place in range(10)], [0] * 3]
    save_palette(tmp_path / 'a.png', indices, colors)
    assert open_labels(tmp_path / 'a.png').tolist() == indices.tolist()


@pytest.mark.parametrize('kind', ['JPEG', 'MPO', 'WEBP'])
@pytest.mark.parametrize('read', [open_labels, open_colors])
def test_labels_that_were_compressed_with_losses_are_refused(
    tmp_path: Path, kind: str, read: Callable[[Path], np.ndarray]
) -> None:
    path = tmp_path / 'a.png'
    image = Image.new('RGB', (16, 16), (7, 7, 7))
    image.save(
        path, format=kind, **({'save_all': True, 'append_images': [image]} if kind == 'MPO' else {})
    )
    with pytest.raises(HierSegError, match=rf'a\.png: is a {kind}, whose compression changes'):
        read(path)
    assert open_image(path).size == (16, 16), 'as a photograph it will do'


def test_colors_are_those_of_any_lossless_image(tmp_path: Path) -> None:
    colors = np.array([[[0, 0, 142], [128, 64, 128]]], np.uint8)
    Image.fromarray(colors).save(tmp_path / 'rgb.png')
    save_palette(tmp_path / 'palette.png', np.array([[1, 0]], np.uint8), colors[0, ::-1].tolist())
    opaque = np.concatenate([colors, np.full((1, 2, 1), 255, np.uint8)], axis=-1)
    Image.fromarray(opaque).save(tmp_path / 'rgba.png')
    for name in ('rgb', 'palette', 'rgba'):
        assert open_colors(tmp_path / f'{name}.png').tolist() == colors.tolist()


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_a_photograph_of_16_bits_keeps_its_upper_8(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 255, 256], [4096, 40000, 65535]], np.uint16)
    path = tmp_path / f'a.{suffix}'
    Image.fromarray(values).save(path)
    pixels = np.asarray(open_image(path))
    assert pixels[..., 0].tolist() == [[0, 0, 1], [16, 156, 255]]
    assert pixels.tolist() == read_image(path).tolist(), 'as the other commands read it'


def test_a_mask_in_memory_has_the_size_that_is_said() -> None:
    data = grey_png(np.array([[0, 1, 0], [1, 0, 1]], np.uint8), 1)
    assert decode_mask(data, 'm', (3, 2)).tolist() == [[False, True, False], [True, False, True]]
    for broken, reason in ((data[:40], ''), (b'', 'it is no PNG'), (data, 'it has 3x2 pixels')):
        with pytest.raises(HierSegError, match=f'm: cannot be read as an image .*{reason}'):
            decode_mask(broken, 'm', (2, 3))


# Damaged files

READERS: dict[str, Callable[[Path], object]] = {
    'image': open_image,
    'labels': open_labels,
    'colors': open_colors,
    'instances': open_instances,
}


@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.parametrize('reader', READERS)
@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'PPM', 'BMP', 'TIFF', 'WEBP'])
def test_a_damaged_file_is_read_or_refused_in_one_line(
    tmp_path: Path, reader: str, kind: str
) -> None:
    rng = np.random.default_rng(3)
    path = tmp_path / 'damaged.png'
    Image.fromarray(rng.integers(0, 9, (20, 24)).astype(np.uint8)).save(path, format=kind)
    whole = path.read_bytes()
    for _ in range(120):
        data = bytearray(whole)
        for _ in range(int(rng.integers(1, 6))):
            # What stands first says most of what follows.
            place = int(rng.integers(min(len(data), 120) if rng.random() < 0.8 else len(data)))
            data[place] = int(rng.integers(256))
        if rng.random() < 0.3:
            del data[int(rng.integers(len(data))) :]
        path.write_bytes(data)
        try:
            READERS[reader](path)
        except HierSegError as error:
            assert str(error).startswith(f'{path}: ')
            assert '\n' not in str(error)


@pytest.mark.parametrize('reader', READERS)
@pytest.mark.parametrize(
    'error',
    [
        AssertionError, AttributeError('a\nb'), EOFError, IndexError(3), KeyError('x'),
        NotImplementedError, OSError('truncated'), OverflowError, RuntimeError, SyntaxError,
        TypeError, ZeroDivisionError, struct.error('unpack'), zlib.error,
        Image.DecompressionBombError,
    ],
    ids=lambda error: getattr(error, '__name__', type(error).__name__),
)  # fmt: skip
def test_whatever_a_decoder_raises_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, error: Exception
) -> None:
    path = tmp_path / 'a.png'
    Image.new('L', (4, 4)).save(path)

    def load(self: object) -> None:
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, 'load', load)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, 'load', load, raising=False)
    with pytest.raises(
        HierSegError, match=r'a\.png: cannot be read as an image \(.+\); '
    ) as raised:
        READERS[reader](path)
    assert '\n' not in str(raised.value)


def test_a_lack_of_memory_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new('RGB', (4, 4)).save(tmp_path / 'a.jpg')

    def load(self: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, 'load', load)
    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, 'load', load, raising=False)
    with pytest.raises(MemoryError):
        open_image(tmp_path / 'a.jpg')


def test_other_formats_are_not_decoded(tmp_path: Path) -> None:
    """Some of Pillow's decoders start programs."""
    for kind in ('GIF', 'EPS', 'PDF', 'ICO', 'TGA'):
        path = tmp_path / 'a.png'
        Image.new('RGB', (16, 16)).save(path, format=kind)
        with pytest.raises(HierSegError, match=r'it is no PNG, JPEG, PPM, BMP, TIFF, WEBP'):
            open_image(path)


def test_every_reader_opens_images_here() -> None:
    """No other module of the room calls Pillow's ``open``."""
    folder = Path(stored_pixels.__file__).parent
    for path in folder.rglob('*.py'):
        opens = 'Image.open(' in path.read_text('utf-8')
        assert opens == (path.name == 'stored_pixels.py'), path

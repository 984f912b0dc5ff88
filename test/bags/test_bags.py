# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from encoded_pixels import BAYER_NAMES, GRAY, encode, mosaic, padded, ramps, source, tolerance
from PIL import Image
from rosbags.rosbag2 import StoragePlugin, Writer

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.messages import (
    COMPRESSED_IMAGE,
    IMAGE,
    TYPES,
    compressed_image_message,
    header,
    image_message,
    image_pixels,
    jpeg_message,
    string_message,
)
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.opencv import opencv_fault
from hier_seg_ros.images.encodings import ENCODINGS, InvalidFrameError

RGB = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
MONO = np.arange(4 * 5, dtype=np.uint8).reshape(4, 5)


def write(path: Path, *messages: tuple[str, Any]) -> Path:
    with BagWriter(path) as bag:
        for time, (topic, message) in enumerate(messages):
            bag.write(topic, message, time)
    return path


def image(**changes: Any) -> SimpleNamespace:
    """Return a sensor_msgs/Image of RGB, with some fields changed."""
    fields = {
        'width': 5,
        'height': 4,
        'step': 15,
        'encoding': 'rgb8',
        'is_bigendian': 0,
        'data': RGB.reshape(-1),
    }
    return SimpleNamespace(**{**fields, **changes})


def encoded(encoding: str, rgb: np.ndarray, stamp: int = 0, padding: int = 0) -> Any:
    """Return an RGB image as a message in that encoding, with padding behind its rows."""
    rows = padded(encode(encoding, rgb), padding)
    return TYPES.types[IMAGE](
        header=header(stamp, 'camera'),
        height=rgb.shape[0],
        width=rgb.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=rows.shape[1],
        data=rows.reshape(-1),
    )


def read_through(path: Path) -> int:
    with ImageBag(path) as bag:
        return sum(1 for topic in bag.image_topics for _ in bag.images(topic))


def one_line(error: pytest.ExceptionInfo[HierSegError]) -> str:
    text = str(error.value)
    assert '\n' not in text
    return text


@pytest.mark.parametrize('pixels', [RGB, MONO], ids=['rgb', 'mono'])
def test_image_comes_back_as_it_was_written(tmp_path: Path, pixels: np.ndarray) -> None:
    stamp = 12 * 10**9 + 345_678_901
    path = write(tmp_path / 'bag', ('/image', image_message(pixels, stamp, 'front')))
    with ImageBag(path) as bag:
        (read,) = bag.images('/image')
    assert (read.topic, read.stamp, read.frame_id) == ('/image', stamp, 'front')
    np.testing.assert_array_equal(read.pixels, pixels)


def test_single_mcap_file_is_read_like_its_folder(street_bag: Path) -> None:
    assert read_through(street_bag / 'street.mcap') == read_through(street_bag) == 6


def test_chunks_are_compressed_and_read_by_the_mcap_library(street_bag: Path) -> None:
    reader = pytest.importorskip('mcap.reader', reason='the mcap library is not installed')
    with (street_bag / 'street.mcap').open('rb') as file:
        summary = reader.make_reader(file).get_summary()
        messages = sum(1 for _ in reader.make_reader(file, validate_crcs=True).iter_messages())
    assert {chunk.compression for chunk in summary.chunk_indexes} == {'zstd'}
    assert messages == 6


def test_jpeg_is_decoded(tmp_path: Path) -> None:
    grey = np.full((16, 16, 3), 90, np.uint8)
    path = write(tmp_path / 'bag', ('/image/compressed', jpeg_message(grey, 7, 'camera')))
    with ImageBag(path) as bag:
        (read,) = bag.images(bag.choose_image_topic())
    np.testing.assert_allclose(read.pixels.astype(int), 90, atol=2)


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', ENCODINGS)
def test_every_encoding_is_read(tmp_path: Path, encoding: str, padding: int) -> None:
    sizes = [(3, 3), (5, 7), (6, 10), (7, 6)]
    sent = [source(encoding, height, width) for height, width in sizes]
    messages = [encoded(encoding, rgb, stamp, padding) for stamp, rgb in enumerate(sent)]
    path = write(tmp_path / 'bag', *[('/image', message) for message in messages])
    with ImageBag(path) as bag:
        read = [image.pixels for image in bag.images('/image')]
    assert len(read) == len(sent)
    for pixels, rgb in zip(read, sent, strict=True):
        expected = rgb[:, :, 0] if encoding in ('mono8', '8UC1') else rgb
        assert pixels.shape == expected.shape and pixels.dtype == np.uint8
        difference = np.abs(pixels.astype(int) - expected)
        # At the border a mosaic's pixel gets the colours of its neighbour inside.
        inside = difference[1:-1, 1:-1] if encoding in BAYER_NAMES else difference
        assert inside.max() <= tolerance(encoding)


@pytest.mark.parametrize('big_endian', [0, 1])
def test_gray_of_16_bits_is_no_label_image(tmp_path: Path, big_endian: int) -> None:
    values = np.array([[0, 255, 256, 0x1234, 65535]], np.uint16)
    message = encoded('mono16', np.zeros((1, 5, 3), np.uint8))
    message.is_bigendian = big_endian
    message.data = values.astype('>u2' if big_endian else '<u2').view(np.uint8).reshape(-1)
    with ImageBag(write(tmp_path / 'bag', ('/image', message))) as bag:
        (read,) = bag.images('/image')
    assert read.pixels.tolist() == [[[value] * 3 for value in (0, 0, 1, 0x12, 255)]]


@pytest.mark.parametrize('pattern', ['rggb', 'grbg'])
def test_compressed_mosaic_gets_its_colors(tmp_path: Path, pattern: str) -> None:
    rgb = ramps(8, 10)
    buffer = io.BytesIO()
    Image.fromarray(mosaic(rgb, pattern)).save(buffer, 'PNG')
    message = TYPES.types[COMPRESSED_IMAGE](
        header=header(0, 'camera'),
        format=f'bayer_{pattern}8; png compressed ',
        data=np.frombuffer(buffer.getvalue(), np.uint8),
    )
    with ImageBag(write(tmp_path / 'bag', ('/image/compressed', message))) as bag:
        (read,) = bag.images(bag.choose_image_topic())
    difference = np.abs(read.pixels.astype(int) - rgb)
    assert difference[1:-1, 1:-1].max() <= 1


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'step': 14}, 'the step is 14 bytes'),
        ({'data': RGB.reshape(-1)[:-1]}, 'the data has 59 bytes'),
        ({'width': 0}, 'no pixels: 0 x 4'),
        ({'height': 0}, 'no pixels: 5 x 0'),
        ({'encoding': 'bayer_rggb16'}, "'bayer_rggb16' is not supported"),
    ],
)
def test_image_that_makes_no_sense_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidFrameError, match=reason) as error:
        image_pixels(image(**changes))
    one_line(error)


@pytest.mark.parametrize(
    ('encoding', 'changes', 'reason'),
    [
        ('yuyv', {'step': 13}, 'a row of 7 pixels in yuyv has 16; correct its publisher'),
        ('nv12', {'data': np.zeros(47, np.uint8)}, '9 rows with a step of 8'),
        ('nv21', {'data': np.zeros(80, np.uint8)}, '9 rows with a step of 8'),
        ('bayer_gbrg8', {'width': 2}, 'at least 3 x 3 pixels'),
        ('mono16', {'is_bigendian': 7}, 'is_bigendian is 7'),
        ('bgra8', {'height': 0}, 'no pixels: 7 x 0'),
        ('rgb8', {'encoding': 'rgb\n8'}, 'is not supported: let the camera send one of rgb8, '),
    ],
)
def test_bad_fields_give_one_line_that_names_the_topic(
    tmp_path: Path, encoding: str, changes: dict[str, Any], reason: str
) -> None:
    good, bad = (encoded(encoding, source(encoding, 6, 7), stamp) for stamp in (1, 2))
    for name, value in changes.items():
        setattr(bad, name, value)
    path = write(tmp_path / 'bag', ('/image', good), ('/image', bad))
    rejected: list[str] = []
    with ImageBag(path) as bag:
        assert [read.stamp for read in bag.images('/image', rejected)] == [1]
        with pytest.raises(HierSegError, match=reason) as error:
            list(bag.images('/image'))
    assert rejected == [one_line(error)]
    assert rejected[0].startswith(f'{path}: /image: image with stamp 2: ')


@pytest.fixture
def without_opencv(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make it impossible to import OpenCV."""
    monkeypatch.setitem(sys.modules, 'cv2', None)
    opencv_fault.cache_clear()
    yield
    opencv_fault.cache_clear()


def test_without_opencv_its_encodings_are_refused_by_name(
    tmp_path: Path, without_opencv: None
) -> None:
    names = ('yuyv', 'rgb8', 'bayer_rggb8', 'mono16', 'nv12')
    messages = [encoded(name, source(name, 6, 10), stamp) for stamp, name in enumerate(names)]
    path = write(tmp_path / 'bag', *[('/image', message) for message in messages])
    rejected: list[str] = []
    with ImageBag(path) as bag:
        assert [read.stamp for read in bag.images('/image', rejected)] == [1, 3]
    assert len(rejected) == 3 and all('python3-opencv' in line for line in rejected)


def test_bad_images_are_left_out_with_a_line_each(tmp_path: Path) -> None:
    short = image_message(RGB, 1, 'camera')
    short.step = 14
    path = write(
        tmp_path / 'bag',
        ('/image', image_message(RGB, 0, 'camera')),
        ('/image', short),
        ('/image', image_message(RGB, 2, 'camera')),
    )
    rejected: list[str] = []
    with ImageBag(path) as bag:
        stamps = [read.stamp for read in bag.images('/image', rejected)]
        with pytest.raises(HierSegError, match='the step is 14'):
            list(bag.images('/image'))
    assert stamps == [0, 2]
    assert len(rejected) == 1 and 'stamp 1' in rejected[0]


def test_corrupt_jpeg_is_left_out_with_a_line(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(buffer, 'JPEG')
    path = write(
        tmp_path / 'bag',
        ('/a/compressed', compressed_image_message(buffer.getvalue()[:100], 1, 'camera')),
        ('/a/compressed', compressed_image_message(buffer.getvalue(), 2, 'camera')),
    )
    rejected: list[str] = []
    with ImageBag(path) as bag:
        assert [read.stamp for read in bag.images('/a/compressed', rejected)] == [2]
    assert len(rejected) == 1


def test_second_image_with_a_stamp_is_left_out_if_they_must_be_distinct(tmp_path: Path) -> None:
    message = image_message(RGB, 5, 'camera')
    path = write(tmp_path / 'bag', ('/image', message), ('/image', message))
    rejected: list[str] = []
    with ImageBag(path) as bag:
        assert len(list(bag.images('/image'))) == 2
        assert len(list(bag.images('/image', rejected, distinct=True))) == 1
    assert 'second image with stamp 5' in rejected[0]


def test_image_is_found_by_its_stamp(tmp_path: Path) -> None:
    path = write(
        tmp_path / 'bag',
        *[('/image', image_message(RGB + index, 100 - index, 'camera')) for index in range(4)],
    )
    with ImageBag(path) as bag:
        stamps = bag.stamps(['/image'])['/image']
        assert stamps == {100: 0, 99: 1, 98: 2, 97: 3}
        found = bag.image_at('/image', 98, stamps[98])
    np.testing.assert_array_equal(found.pixels, RGB + 2)


def test_only_color_topic_is_chosen(tmp_path: Path) -> None:
    path = write(
        tmp_path / 'bag',
        ('/camera/mono', image_message(MONO, 0, 'camera')),
        ('/camera/image', image_message(RGB, 0, 'camera')),
        ('/segmenter/overlay', image_message(RGB, 0, 'camera')),
        ('/ground_truth/level_1/labels', image_message(MONO, 0, 'camera')),
    )
    with ImageBag(path) as bag:
        assert bag.choose_image_topic(leave_out=['/segmenter/']) == '/camera/image'
        with pytest.raises(HierSegError, match='/camera/image, /segmenter/overlay') as error:
            bag.choose_image_topic()
    assert '--image-topic' in one_line(error)


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_gray_and_depth_are_not_taken_for_the_camera(tmp_path: Path, encoding: str) -> None:
    camera = encoded(encoding, source(encoding, 6, 10))
    others = [(f'/gray/{name}', encoded(name, source(name, 6, 10))) for name in GRAY]
    with ImageBag(write(tmp_path / 'bag', *others, ('/camera', camera))) as bag:
        if encoding in GRAY:
            with pytest.raises(HierSegError, match='no topic of 8-bit colour images, only /camera'):
                bag.choose_image_topic()
        else:
            assert bag.choose_image_topic() == '/camera'


def test_bag_without_image_topic_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / 'chatter', ('/chatter', string_message('hello')))
    with ImageBag(path) as bag, pytest.raises(HierSegError, match='has no image topic') as error:
        bag.choose_image_topic()
    assert one_line(error).startswith(str(path)) and '/chatter' in one_line(error)


def test_bag_with_mono_images_only_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / 'mono', ('/camera/mono', image_message(MONO, 0, 'camera')))
    with ImageBag(path) as bag, pytest.raises(HierSegError, match='only /camera/mono'):
        bag.choose_image_topic()


def test_missing_topic_is_named(street_bag: Path) -> None:
    with ImageBag(street_bag) as bag, pytest.raises(HierSegError, match='has no topic /nothing'):
        list(bag.images('/nothing'))


def test_missing_bag_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(HierSegError, match='there is no such bag') as error,
        ImageBag(tmp_path / 'no'),
    ):
        pass
    assert one_line(error).startswith(str(tmp_path / 'no'))


@pytest.mark.parametrize('content', ['folder', 'text file'])
def test_what_is_no_bag_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / ('empty' if content == 'folder' else 'notes.txt')
    if content == 'folder':
        path.mkdir()
    else:
        path.write_text('not a bag')
    with pytest.raises(HierSegError, match='is no bag') as error, ImageBag(path):
        pass
    assert one_line(error).startswith(str(path))


@pytest.mark.parametrize('share', [0.0, 0.001, 0.01, 0.3, 0.7, 0.99, 0.9999])
@pytest.mark.parametrize('whole_folder', [True, False], ids=['folder', 'file'])
def test_cut_off_bag_is_named(street_bag: Path, share: float, whole_folder: bool) -> None:
    file = street_bag / 'street.mcap'
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    path = street_bag if whole_folder else file
    with pytest.raises(HierSegError, match='cut off or damaged') as error:
        read_through(path)
    assert one_line(error).startswith(str(path)) and 'mcap recover' in one_line(error)


def test_damaged_bag_raises_nothing_but_the_one_error(tmp_path: Path) -> None:
    # Small images, so that the damage often hits the structure of the file.
    images = [('/image', image_message(RGB + index, index, 'camera')) for index in range(4)]
    path = write(tmp_path / 'bag', *images)
    file = path / 'bag.mcap'
    content = file.read_bytes()
    generator = np.random.default_rng(7)
    named = 0
    for _ in range(200):
        damaged = bytearray(content)
        for position in generator.integers(0, len(content), 4):
            damaged[position] = generator.integers(0, 256)
        file.write_bytes(damaged)
        try:
            read_through(path)
        except HierSegError:
            named += 1
    assert named > 50


@pytest.mark.parametrize('share', [0.0, 0.1, 0.5, 0.9])
def test_cut_off_sqlite_bag_is_named(tmp_path: Path, share: float) -> None:
    path = tmp_path / 'bag'
    with Writer(path, version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection('/image', IMAGE, typestore=TYPES)
        for time in range(200):
            message = image_message(RGB, time, 'camera')
            writer.write(connection, time, TYPES.serialize_cdr(message, IMAGE))
    assert read_through(path) == 200
    file = path / 'bag.db3'
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(HierSegError, match='cut off or damaged') as error:
        read_through(path)
    assert one_line(error).startswith(str(path))


def test_cut_off_metadata_is_named(street_bag: Path) -> None:
    metadata = street_bag / 'metadata.yaml'
    metadata.write_text(metadata.read_text()[:200])
    with pytest.raises(HierSegError, match='cut off or damaged'):
        read_through(street_bag)


def test_existing_folder_is_not_overwritten(street_bag: Path) -> None:
    before = (street_bag / 'street.mcap').read_bytes()
    with pytest.raises(HierSegError, match='exists already'), BagWriter(street_bag):
        pass
    assert (street_bag / 'street.mcap').read_bytes() == before


def test_failure_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), BagWriter(tmp_path / 'bag') as bag:
        bag.write('/image', image_message(RGB, 0, 'camera'), 0)
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rosbags.rosbag2 import StoragePlugin, Writer

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.bags import (
    IMAGE,
    TYPES,
    Bag,
    BagWriter,
    compressed_image_message,
    image_message,
    image_pixels,
    jpeg_message,
    string_message,
)

RGB = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
MONO = np.arange(4 * 5, dtype=np.uint8).reshape(4, 5)


def write(path: Path, *messages: tuple[str, Any]) -> Path:
    with BagWriter(path) as bag:
        for time, (topic, message) in enumerate(messages):
            bag.write(topic, message, time)
    return path


def image(**changes: Any) -> SimpleNamespace:
    """Return a sensor_msgs/Image of RGB, with some fields changed."""
    fields = {'width': 5, 'height': 4, 'step': 15, 'encoding': 'rgb8', 'data': RGB.reshape(-1)}
    return SimpleNamespace(**{**fields, **changes})


def read_through(path: Path) -> int:
    with Bag(path) as bag:
        return sum(1 for topic in bag.image_topics for _ in bag.images(topic))


def one_line(error: pytest.ExceptionInfo[HierSegError]) -> str:
    text = str(error.value)
    assert '\n' not in text
    return text


@pytest.mark.parametrize('pixels', [RGB, MONO], ids=['rgb', 'mono'])
def test_image_comes_back_as_it_was_written(tmp_path: Path, pixels: np.ndarray) -> None:
    stamp = 12 * 10**9 + 345_678_901
    path = write(tmp_path / 'bag', ('/image', image_message(pixels, stamp, 'front')))
    with Bag(path) as bag:
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
    with Bag(path) as bag:
        (read,) = bag.images(bag.choose_image_topic())
    np.testing.assert_allclose(read.pixels.astype(int), 90, atol=2)


@pytest.mark.parametrize(
    ('encoding', 'pixels'),
    [
        ('bgr8', RGB[..., ::-1]),
        ('8UC3', RGB[..., ::-1]),
        ('rgba8', np.dstack([RGB, MONO])),
        ('bgra8', np.dstack([RGB[..., ::-1], MONO])),
    ],
)
def test_color_encodings_become_rgb(encoding: str, pixels: np.ndarray) -> None:
    data = np.ascontiguousarray(pixels).reshape(-1)
    message = image(encoding=encoding, step=5 * pixels.shape[2], data=data)
    np.testing.assert_array_equal(image_pixels(message, 'x'), RGB)


def test_padding_at_the_end_of_rows_is_left_out() -> None:
    padded = np.full((4, 20), 99, np.uint8)
    padded[:, :15] = RGB.reshape(4, 15)
    message = image(step=20, data=padded.reshape(-1))
    np.testing.assert_array_equal(image_pixels(message, 'x'), RGB)


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'step': 14}, 'step is 14'),
        ({'data': RGB.reshape(-1)[:-1]}, 'has 59 bytes'),
        ({'width': 0}, '0×4 pixels'),
        ({'height': 0}, '5×0 pixels'),
        ({'encoding': 'bayer_rggb16'}, "'bayer_rggb16' is not read"),
    ],
)
def test_image_that_makes_no_sense_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(HierSegError, match=reason) as error:
        image_pixels(image(**changes), 'bag: /image')
    assert one_line(error).startswith('bag: /image: ')


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
    with Bag(path) as bag:
        stamps = [read.stamp for read in bag.images('/image', rejected)]
        with pytest.raises(HierSegError, match='step is 14'):
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
    with Bag(path) as bag:
        assert [read.stamp for read in bag.images('/a/compressed', rejected)] == [2]
    assert len(rejected) == 1


def test_second_image_with_a_stamp_is_left_out_if_they_must_be_distinct(tmp_path: Path) -> None:
    message = image_message(RGB, 5, 'camera')
    path = write(tmp_path / 'bag', ('/image', message), ('/image', message))
    rejected: list[str] = []
    with Bag(path) as bag:
        assert len(list(bag.images('/image'))) == 2
        assert len(list(bag.images('/image', rejected, distinct=True))) == 1
    assert 'second image with stamp 5' in rejected[0]


def test_image_is_found_by_its_stamp(tmp_path: Path) -> None:
    path = write(
        tmp_path / 'bag',
        *[('/image', image_message(RGB + index, 100 - index, 'camera')) for index in range(4)],
    )
    with Bag(path) as bag:
        stamps = bag.stamps('/image')
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
    with Bag(path) as bag:
        assert bag.choose_image_topic(leave_out=['/segmenter/']) == '/camera/image'
        with pytest.raises(HierSegError, match='/camera/image, /segmenter/overlay') as error:
            bag.choose_image_topic()
    assert '--image-topic' in one_line(error)


def test_bag_without_image_topic_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / 'chatter', ('/chatter', string_message('hello')))
    with Bag(path) as bag, pytest.raises(HierSegError, match='has no image topic') as error:
        bag.choose_image_topic()
    assert one_line(error).startswith(str(path)) and '/chatter' in one_line(error)


def test_bag_with_mono_images_only_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / 'mono', ('/camera/mono', image_message(MONO, 0, 'camera')))
    with Bag(path) as bag, pytest.raises(HierSegError, match='only /camera/mono'):
        bag.choose_image_topic()


def test_missing_topic_is_named(street_bag: Path) -> None:
    with Bag(street_bag) as bag, pytest.raises(HierSegError, match='has no topic /nothing'):
        list(bag.images('/nothing'))


def test_missing_bag_is_named(tmp_path: Path) -> None:
    with pytest.raises(HierSegError, match='there is no such bag') as error, Bag(tmp_path / 'no'):
        pass
    assert one_line(error).startswith(str(tmp_path / 'no'))


@pytest.mark.parametrize('content', ['folder', 'text file'])
def test_what_is_no_bag_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / ('empty' if content == 'folder' else 'notes.txt')
    if content == 'folder':
        path.mkdir()
    else:
        path.write_text('not a bag')
    with pytest.raises(HierSegError, match='is no bag') as error, Bag(path):
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

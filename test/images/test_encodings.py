# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every encoding, every size, padded rows, both byte orders, and messages that make no sense."""

from __future__ import annotations

import os
import subprocess
import sys
from array import array

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from encoded_images import encoded_image, message_of
from encoded_pixels import (
    ALL,
    BAYER_NAMES,
    VIEWS,
    YUV_420,
    YUV_422,
    encode,
    mosaic,
    ramps,
    rgb_of,
    source,
    tolerance,
)
from sensor_msgs.msg import Image

from hier_seg_ros.images import cv_bridge_encodings as encodings
from hier_seg_ros.images.encodings import ENCODINGS, InvalidFrameError
from hier_seg_ros.images.messages import check_raw_image, rgb_from_raw_image

SIZES = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (1, 9), (8, 1), (5, 7), (6, 10), (7, 6), (24, 36)]


def refusal(message):
    """Return the reason for which a message is refused, without being read."""
    with pytest.raises(InvalidFrameError) as caught:
        check_raw_image(message)
    assert '\n' not in str(caught.value)
    return caught.value.reason


def test_every_encoding_is_tested():
    assert set(ALL) == set(ENCODINGS)


@pytest.mark.parametrize('padding', [0, 1, 6])
@pytest.mark.parametrize(('height', 'width'), SIZES)
@pytest.mark.parametrize('encoding', ALL)
def test_pixels_are_read(encoding, height, width, padding):
    rgb = source(encoding, height, width)
    message = encoded_image(encoding, rgb, padding)
    if encoding in BAYER_NAMES and min(height, width) < 3:
        assert refusal(message) == 'size'
        return
    pixels = rgb_from_raw_image(message)
    assert pixels.shape == rgb.shape
    assert pixels.dtype == np.uint8
    difference = np.abs(pixels.astype(int) - rgb)
    if encoding in BAYER_NAMES:
        # A pixel at the border gets the colors of its neighbour inside.
        assert difference.max() <= 2 * 4
        difference = difference[1:-1, 1:-1]
    assert difference.max() <= tolerance(encoding)


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', VIEWS)
def test_8_bit_color_and_gray_are_not_copied(encoding, padding):
    message = encoded_image(encoding, source(encoding, 6, 10), padding)
    pixels = rgb_from_raw_image(message)
    assert np.shares_memory(pixels, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('encoding', ['mono16', '16UC1'])
def test_16_bits_become_8_in_both_byte_orders(encoding, big_endian):
    values = np.array([[0, 255, 256, 0x1234, 0x3412, 32768, 65279, 65280, 65535]], np.uint16)
    rows = values.astype('>u2' if big_endian else '<u2').view(np.uint8)
    message = message_of(encoding, rows, *values.shape)
    message.is_bigendian = int(big_endian)
    pixels = rgb_from_raw_image(message)
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 0x12, 0x34, 128, 254, 255, 255]
    assert (pixels == pixels[:, :, :1]).all()
    # Nowhere further than 1 from the nearest of 255 steps, over all values there are.
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    rows = every.astype('>u2' if big_endian else '<u2').view(np.uint8)
    message = message_of(encoding, rows, 256, 256)
    message.is_bigendian = int(big_endian)
    difference = rgb_from_raw_image(message)[:, :, 0] - every.astype(float) * 255 / 65535
    assert np.abs(difference).max() <= 1


def test_the_byte_order_must_make_sense_where_it_matters():
    for encoding in ALL:
        message = encoded_image(encoding, source(encoding, 6, 10))
        message.is_bigendian = 2
        if '16' in encoding:
            assert refusal(message) == 'byte_order'
        else:
            assert rgb_from_raw_image(message).shape == (6, 10, 3)


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_the_bayer_pattern_is_the_one_from_the_top_left_pixel_on(pattern):
    # Pure colors: a pattern taken for another gives another color.
    for color in range(3):
        rgb = np.zeros((8, 10, 3), np.uint8)
        rgb[:, :, color] = 200
        message = message_of(f'bayer_{pattern}8', mosaic(rgb, pattern), 8, 10)
        np.testing.assert_array_equal(rgb_from_raw_image(message), rgb)


def yuv_planes():
    """Return luma, Cb and Cr, 64 x 64: values from all over, equal in cells of 2 x 2.

    Luma below black (16) is noise that OpenCV takes for black before it adds the chroma.
    """
    random = np.random.default_rng(3)
    planes = random.integers(0, 256, (3, 32, 32), np.uint8)
    planes[0] = planes[0].clip(16)
    planes[:, 0, :5] = [[235, 16, 81, 145, 41], [128, 128, 90, 54, 240], [128, 128, 240, 34, 110]]
    return [plane.repeat(2, 0).repeat(2, 1) for plane in planes]


@pytest.mark.parametrize('encoding', [*YUV_422, *YUV_420])
def test_yuv_is_bt_601_in_limited_range(encoding):
    luma, blue_chroma, red_chroma = yuv_planes()
    if encoding in YUV_420:
        pair = (blue_chroma, red_chroma) if encoding == 'nv12' else (red_chroma, blue_chroma)
        chroma = np.stack([plane[::2, ::2] for plane in pair], axis=2).reshape(32, 64)
        rows = np.concatenate([luma, chroma])
    else:
        rows = np.zeros((64, 128), np.uint8)
        first_luma, first_chroma = (1, 0) if encoding in ('yuv422', 'uyvy') else (0, 1)
        rows[:, first_luma::2] = luma
        rows[:, first_chroma::4] = blue_chroma[:, ::2]
        rows[:, first_chroma + 2 :: 4] = red_chroma[:, ::2]
    pixels = rgb_from_raw_image(message_of(encoding, rows, 64, 64)).astype(int)
    assert np.abs(pixels - rgb_of(luma, blue_chroma, red_chroma)).max() <= 1
    # White, black, and the red, green and blue of the standard's table.
    expected = [(255,) * 3, (0,) * 3, (255, 0, 0), (0, 255, 0), (0, 0, 255)]
    assert np.abs(pixels[0, :10:2] - np.array(expected)).max() <= 2


@pytest.mark.parametrize('encoding', [*YUV_422, *YUV_420])
def test_a_row_of_half_a_pair_is_refused(encoding):
    rows = encode(encoding, source(encoding, 6, 9))
    cut = rows[:, : rows.shape[1] - (1 if encoding in YUV_420 else 2)]
    assert refusal(message_of(encoding, cut, 6, 9)) == 'step'


@pytest.mark.parametrize('encoding', YUV_420)
@pytest.mark.parametrize(('height', 'rows'), [(6, 9), (7, 11), (1, 2)])
def test_yuv_420_has_a_row_of_chroma_for_two_of_luma(encoding, height, rows):
    def message(count):
        return Image(
            height=height, width=8, encoding=encoding, step=8, data=array('B', bytes(8 * count))
        )

    assert rgb_from_raw_image(message(rows)).shape == (height, 8, 3)
    assert refusal(message(rows - 1)) == 'data_length'
    assert refusal(message(height)) == 'data_length'
    assert refusal(message(rows + 1)) == 'data_length'


@pytest.mark.parametrize('encoding', ALL)
def test_a_buffer_may_be_longer_by_less_than_a_row(encoding):
    rgb = source(encoding, 6, 10)
    expected = rgb_from_raw_image(encoded_image(encoding, rgb))
    for extra in (1, encode(encoding, rgb).shape[1] - 1):
        message = encoded_image(encoding, rgb)
        message.data.frombytes(bytes(extra))
        np.testing.assert_array_equal(rgb_from_raw_image(message), expected)
    message.data.append(0)
    assert refusal(message) == 'data_length'
    del message.data[len(message.data) - message.step - 1 :]
    assert refusal(message) == 'data_length'


def test_sizes_and_encodings_may_change_from_frame_to_frame():
    for height, width in [(6, 10), (12, 4), (5, 5), (6, 10)]:
        for encoding in ALL:
            rgb = source(encoding, height, width)
            pixels = rgb_from_raw_image(encoded_image(encoding, rgb)).astype(int)
            assert np.abs(pixels - rgb)[1:-1, 1:-1].max() <= tolerance(encoding)


WITHOUT_OPENCV = """
import sys
sys.modules['cv2'] = None  # as if it were not installed
from array import array
from sensor_msgs.msg import Image
from hier_seg_ros.images.messages import rgb_from_raw_image
from hier_seg_ros.images.encodings import InvalidFrameError
for encoding in ('bayer_rggb8', 'yuyv', 'nv12', 'mono16', 'rgb8'):
    step = 12 if encoding in ('yuyv', 'mono16') else 18 if encoding == 'rgb8' else 6
    rows = 6 if encoding == 'nv12' else 4
    message = Image(width=6, height=4, encoding=encoding, step=step,
                    data=array('B', bytes(step * rows)))
    try:
        print(encoding, rgb_from_raw_image(message).shape)
    except InvalidFrameError as error:
        print(encoding, error.reason, 'OpenCV' in str(error), 'python3-opencv' in str(error))
"""


def test_without_opencv_its_encodings_are_refused_by_name_and_the_others_work():
    command = [sys.executable, '-c', WITHOUT_OPENCV]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert output.splitlines() == [
        'bayer_rggb8 encoding True True',
        'yuyv encoding True True',
        'nv12 encoding True True',
        'mono16 (4, 6, 3)',
        'rgb8 (4, 6, 3)',
    ]


def test_opencv_is_imported_only_when_a_frame_needs_it():
    program = (
        'import sys; import hier_seg_ros.images.messages; print("cv2" in sys.modules, '
        '"cv_bridge" in sys.modules)'
    )
    output = subprocess.run([sys.executable, '-c', program], check=True, capture_output=True)
    assert output.stdout.split() == [b'False', b'False']


@pytest.mark.parametrize(
    ('encoding', 'kind'),
    [
        *((name, 'a depth image') for name in ('32FC1', '64FC1', '32FC')),
        *((name, 'an image of numbers') for name in ('32FC3', '64FC4', '16SC1', '32SC1', '8UC2')),
    ],
)
def test_what_has_no_colours_is_called_what_it_is(encoding, kind, monkeypatch):
    # With cv_bridge or without.
    monkeypatch.setattr(encodings, 'cv_bridge_fault', lambda: pytest.fail('not asked'))
    message = Image(height=2, width=2, encoding=encoding, step=64, data=array('B', bytes(128)))
    with pytest.raises(InvalidFrameError) as caught:
        check_raw_image(message)
    assert caught.value.reason == 'encoding'
    assert str(caught.value) == (
        f"the encoding {encoding!r} is that of {kind}, which has no colours: choose the camera's "
        f'topic of colour images'
    )


@pytest.mark.parametrize(
    ('encoding', 'advice'),
    [
        ('RGB8', "did you mean 'rgb8'?"),
        ('rbg8', "did you mean 'rgb8'?"),
        ('RGB 8', "did you mean 'rgb8'?"),
        ('YUYV', "did you mean 'yuyv'?"),
        ('bayer_rgbg8', "did you mean 'bayer_rggb8'?"),
        *(
            (name, 'let the camera send one of rgb8, ')
            for name in ('', 'h264', 'jpeg', '3', 'x' * 200)
        ),
    ],
)
def test_an_encoding_that_nobody_knows_is_not_asked_of_cv_bridge(encoding, advice, monkeypatch):
    monkeypatch.setattr(encodings, 'cv_bridge_fault', lambda: pytest.fail('not asked'))
    message = Image(height=2, width=2, encoding=encoding, step=64, data=array('B', bytes(128)))
    with pytest.raises(InvalidFrameError) as caught:
        check_raw_image(message)
    assert caught.value.reason == 'encoding'
    line = str(caught.value)
    assert line.startswith(f'the encoding {encoding!r} is none that ROS names; ')
    assert advice in line and 'cv_bridge' not in line


@pytest.mark.parametrize('encoding', ['x' * 10**6, f'16SC{"1" * 10**6}', '\n' * 10**6])
def test_megabytes_in_place_of_a_name_do_not_fill_the_log(encoding):
    message = Image(height=2, width=2, encoding=encoding, step=64, data=array('B', bytes(128)))
    with pytest.raises(InvalidFrameError) as caught:
        check_raw_image(message)
    assert caught.value.reason == 'encoding'
    assert len(str(caught.value)) < 500 and str(caught.value).isprintable()


def test_an_image_of_more_pixels_than_a_camera_has_is_refused_before_it_is_converted():
    message = Image(height=1, width=2**26 + 1, encoding='mono8', step=2**26 + 1)
    message.data = array('B', bytes(2**26 + 1))
    with pytest.raises(InvalidFrameError, match='more than 67108864 pixels; scale it') as caught:
        rgb_from_raw_image(message)
    assert caught.value.reason == 'size'


@pytest.mark.parametrize('encoding', ['rgb16', 'bayer_rggb16', 'bgra16', 'nv24'])
def test_without_cv_bridge_other_encodings_are_refused_by_name(encoding):
    if not encodings.cv_bridge_fault():
        pytest.skip('cv_bridge is installed here')
    message = Image(height=2, width=2, encoding=encoding, step=12, data=array('B', bytes(24)))
    with pytest.raises(InvalidFrameError, match='cv_bridge') as caught:
        check_raw_image(message)
    assert caught.value.reason == 'encoding'
    assert repr(encoding) in str(caught.value)
    assert 'rgb8' in str(caught.value)


BROKEN_CV_BRIDGES = {
    'raise ImportError("libopencv_core.so.406: cannot open shared object file")': 'libopencv_core',
    'import os, signal; os.kill(os.getpid(), signal.SIGSEGV)': 'signal 11',
    'CvBridge = None': 'NoneType',
}


@pytest.mark.parametrize('content', BROKEN_CV_BRIDGES)
def test_a_broken_cv_bridge_is_named_and_breaks_nothing(content, tmp_path):
    # As one built for another NumPy does: it raises, or ends the process.
    (tmp_path / 'cv_bridge.py').write_text(content)
    program = """
from array import array
from sensor_msgs.msg import Image
from hier_seg_ros.images.messages import rgb_from_raw_image
from hier_seg_ros.images.encodings import InvalidFrameError
message = Image(height=1, width=1, encoding='rgb16', step=6, data=array('B', bytes(6)))
for _ in range(2):
    try:
        rgb_from_raw_image(message)
    except InvalidFrameError as error:
        print(error.reason, error)
"""
    environment = dict(os.environ, PYTHONPATH=f'{tmp_path}:{os.environ.get("PYTHONPATH", "")}')
    output = subprocess.run(
        [sys.executable, '-c', program], check=True, capture_output=True, text=True, env=environment
    ).stdout
    lines = output.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("encoding the encoding 'rgb16' is not supported")
        assert BROKEN_CV_BRIDGES[content] in line


@pytest.fixture
def cv_bridge():
    missing = encodings.cv_bridge_fault()
    if missing:
        pytest.skip(f'cv_bridge cannot be used here: {missing}')


@pytest.mark.parametrize('padding', [0, 3])
@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('encoding', ['rgb16', 'bgr16', 'rgba16', 'bgra16', 'bayer_grbg16'])
def test_cv_bridge_converts_the_rest(cv_bridge, encoding, big_endian, padding):
    rgb = ramps(6, 10)
    if encoding.startswith('bayer'):
        pixels = mosaic(rgb, 'grbg')
    else:
        pixels = rgb if encoding.startswith('rgb') else rgb[:, :, ::-1]
        pixels = np.dstack([pixels, rgb[:, :, 0]]) if 'a' in encoding else pixels
    samples = (pixels.astype(np.uint16) * 257).astype('>u2' if big_endian else '<u2')
    rows = np.frombuffer(samples.tobytes(), np.uint8).reshape(6, -1)
    message = message_of(encoding, rows, 6, 10, padding)
    message.is_bigendian = int(big_endian)
    difference = np.abs(rgb_from_raw_image(message).astype(int) - rgb)
    assert difference[1:-1, 1:-1].max() <= 1
    message.step -= padding + 1
    assert refusal(message) == 'step'


@pytest.mark.parametrize('encoding', ['32FC1', '8UC2', '64FC4', 'nonsense', '8UC0', '8UC9999', ''])
def test_what_cv_bridge_cannot_convert_is_refused_by_name(cv_bridge, encoding):
    message = Image(height=2, width=2, encoding=encoding, step=64, data=array('B', bytes(128)))
    with pytest.raises(InvalidFrameError) as caught:
        rgb_from_raw_image(message)
    assert caught.value.reason in ('encoding', 'step')
    assert encoding in str(caught.value)


def inconsistent_message(random):
    """Return an image message of which up to three fields have been changed."""
    encoding = str(random.choice(ALL))
    height, width = (int(side) for side in random.integers(1, 20, 2))
    message = encoded_image(encoding, source(encoding, height, width), int(random.integers(0, 4)))
    numbers = [0, 1, 2, 3, height, width, message.step, 255, 65536, 2**31 - 1, 2**31, 2**32 - 1]
    for _ in range(random.integers(0, 4)):
        number = int(random.choice(numbers)) + int(random.integers(-1, 2))
        number = min(max(number, 0), 2**32 - 1)
        match random.integers(0, 6):
            case 0:
                message.height = number
            case 1:
                message.width = number
            case 2:
                message.step = number
            case 3:
                message.is_bigendian = number % 256
            case 4:
                message.encoding = str(
                    random.choice([*ALL, '', 'rgb', 'RGB8', '8UC', '8UC0', '32FC1', 'nv12\n', 'é'])
                )
            case 5:
                message.data = array('B', random.bytes(min(number, 5000)))
    return message


def addresses(pixels):
    """Return the addresses of an array's first byte and of the one behind its last."""
    first = last = pixels.__array_interface__['data'][0]
    for side, stride in zip(pixels.shape, pixels.strides, strict=True):
        first += min(0, (side - 1) * stride)
        last += max(0, (side - 1) * stride)
    return first, last + 1


def test_whatever_a_message_says_it_is_read_within_its_data_or_refused():
    random = np.random.default_rng(20)
    outcomes = {'read': 0}
    for _ in range(6000):
        message = inconsistent_message(random)
        try:
            pixels = rgb_from_raw_image(message)
        except InvalidFrameError as error:
            assert '\n' not in str(error)
            outcomes[error.reason] = outcomes.get(error.reason, 0) + 1
            continue
        outcomes['read'] += 1
        assert pixels.shape == (message.height, message.width, 3)
        assert pixels.dtype == np.uint8
        if message.encoding in VIEWS:
            start, length = message.data.buffer_info()
            first, last = addresses(pixels)
            assert start <= first <= last <= start + length
    assert set(outcomes) == {'read', 'size', 'encoding', 'byte_order', 'step', 'data_length'}
    assert min(outcomes.values()) > 50, outcomes

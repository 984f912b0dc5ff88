# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from array import array

from ros_client import image, street
from sensor_msgs.msg import CameraInfo, CompressedImage

from hier_seg_ros.ros.messages import (
    ENCODINGS,
    InvalidFrameError,
    camera_info_message,
    check_image,
    image_message,
    rgb_from_compressed_image,
    rgb_from_image,
)

RGB = street(6, 10)
GRAY = np.ascontiguousarray(RGB[:, :, 0])
ALPHA = np.full((6, 10, 1), 77, np.uint8)
AS_SENT = {
    'rgb8': RGB,
    'bgr8': np.ascontiguousarray(RGB[:, :, ::-1]),
    'rgba8': np.concatenate([RGB, ALPHA], axis=2),
    'bgra8': np.concatenate([RGB[:, :, ::-1], ALPHA], axis=2),
    'mono8': GRAY,
    '8UC1': GRAY,
    '8UC3': np.ascontiguousarray(RGB[:, :, ::-1]),
}


def test_every_encoding_has_a_test():
    assert set(AS_SENT) == set(ENCODINGS)


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', list(ENCODINGS))
def test_pixels_are_read(encoding, padding):
    sent = AS_SENT[encoding]
    rows = sent.reshape(6, -1)
    padded = np.concatenate([rows, np.full((6, padding), 200, np.uint8)], axis=1)
    message = image(sent, encoding)
    message.step = padded.shape[1]
    message.data = array('B', padded.tobytes())

    expected = np.repeat(GRAY[:, :, None], 3, axis=2) if sent.ndim == 2 else RGB
    np.testing.assert_array_equal(rgb_from_image(message), expected)


def test_rgb8_is_not_copied():
    message = image(RGB)
    pixels = rgb_from_image(message)
    message.data[0] ^= 255
    assert pixels[0, 0, 0] == message.data[0]


def broken(**changes):
    message = image(RGB)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ('message', 'reason', 'text'),
    [
        (broken(width=0), 'size', '0 x 6'),
        (broken(height=0), 'size', '10 x 0'),
        (broken(step=29), 'step', '29'),
        (broken(step=31), 'data_length', '180 bytes'),
        (broken(data=array('B', bytes(179))), 'data_length', '179 bytes'),
        (broken(data=array('B')), 'data_length', '0 bytes'),
        (broken(height=7), 'data_length', '180 bytes'),
        (broken(height=2**32 - 1, width=2**32 - 1), 'step', '30 bytes'),
        (broken(encoding='bayer_of_nowhere8'), 'encoding', 'bayer_of_nowhere8'),
        (broken(encoding=''), 'encoding', "''"),
    ],
)
def test_bad_images_are_refused_before_they_are_read(message, reason, text):
    with pytest.raises(InvalidFrameError, match=text) as caught:
        check_image(message)
    assert caught.value.reason == reason
    assert '\n' not in str(caught.value)


def test_byte_order_does_not_matter_to_bytes():
    np.testing.assert_array_equal(rgb_from_image(broken(is_bigendian=1)), RGB)


def compressed(pixels, form, format_text=None):
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, format=form)
    message = CompressedImage(format=format_text or form)
    message.data = array('B', buffer.getvalue())
    return message


def test_png_is_decoded_exactly():
    np.testing.assert_array_equal(rgb_from_compressed_image(compressed(RGB, 'png')), RGB)


def test_jpeg_is_decoded_with_its_colours_in_order():
    red = np.zeros((16, 16, 3), np.uint8)
    red[:, :, 0] = 255
    pixels = rgb_from_compressed_image(compressed(red, 'jpeg', 'rgb8; jpeg compressed bgr8'))
    assert pixels.shape == (16, 16, 3)
    assert pixels[..., 0].min() > 240
    assert pixels[..., 1:].max() < 15


def test_bad_compressed_images_are_refused():
    message = compressed(street(64, 64), 'jpeg')
    message.data = message.data[: len(message.data) // 2]
    with pytest.raises(InvalidFrameError) as caught:
        rgb_from_compressed_image(message)
    assert caught.value.reason == 'compressed'

    with pytest.raises(InvalidFrameError) as caught:
        rgb_from_compressed_image(CompressedImage(format='jpeg'))
    assert caught.value.reason == 'data_length'

    with pytest.raises(InvalidFrameError) as caught:
        rgb_from_compressed_image(compressed(RGB, 'png', '16UC1; compressedDepth png'))
    assert caught.value.reason == 'encoding'


@pytest.mark.parametrize(('pixels', 'encoding', 'step'), [(RGB, 'rgb8', 30), (GRAY, 'mono8', 10)])
def test_messages_are_built_tight_with_the_header_given(pixels, encoding, step):
    header = image(RGB, frame_id='left').header
    message = image_message(pixels, encoding, header)
    assert (message.width, message.height, message.step) == (10, 6, step)
    assert message.encoding == encoding
    assert message.header == header
    assert bytes(message.data) == pixels.tobytes()


def test_slices_can_be_sent():
    message = image_message(RGB[:, ::2, ::-1], 'rgb8', image(RGB).header)
    assert (message.width, message.step) == (5, 15)
    assert bytes(message.data) == RGB[:, ::2, ::-1].tobytes()


def test_camera_info_takes_the_images_header_and_leaves_the_original_alone():
    header = image(RGB, frame_id='left').header
    original = CameraInfo(width=10, height=6, distortion_model='plumb_bob', d=[0.1, 0.2])
    original.header.frame_id = 'other'
    copied = camera_info_message(original, header)
    assert copied.header == header
    assert list(copied.d) == [0.1, 0.2]
    assert copied.distortion_model == 'plumb_bob'
    assert original.header.frame_id == 'other'

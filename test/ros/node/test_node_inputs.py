# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every encoding, and what is no image, through the real node over DDS.

With overlay_alpha 0 the overlay is the input as the node understands it.
"""

from __future__ import annotations

import io
from array import array

import numpy as np
import PIL.Image
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from encoded_images import encoded_image
from encoded_pixels import ALL, BAYER_NAMES, source, tolerance
from ros_client import Client, Command, image, pixels_of, street
from sensor_msgs.msg import CompressedImage, Image

HEIGHT, WIDTH = 32, 38  # sides that no encoding takes for one another


class Talk:
    """A node, and a client that sends it messages and gets the overlay of each."""

    def __init__(self, model, name, topic, message_class, *arguments):
        self.command = Command(
            'segmenter_node',
            '--ros-args',
            *('-p', f'model:={model}', '-p', 'device:=cpu', '-p', 'overlay_alpha:=0.0'),
            *('-r', f'__node:={name}'),
            *arguments,
        )
        self.command.wait_for_output('is ready')
        self._client = Client()
        self._publisher = self._client.publisher(topic, message_class)
        self.overlays = self._client.collect(f'/{name}/overlay', Image)

    def ask(self, message):
        (overlay,) = self._client.ask(self._publisher, message, [self.overlays])
        assert overlay.header == message.header
        return pixels_of(overlay)

    def send_until_logged(self, message, text):
        self._client.publish_until_logged(self._publisher, message, self.command, text)

    def close(self):
        self._client.close()
        self.command.kill()
        print(self.command.output)


@pytest.fixture(scope='module')
def raw(own_ros_domain, varied_model):
    talk = Talk(varied_model, 'from_raw', '/image', Image)
    yield talk
    talk.close()


@pytest.fixture(scope='module')
def compressed(own_ros_domain, varied_model):
    talk = Talk(
        varied_model,
        'from_compressed',
        '/image/compressed',
        CompressedImage,
        *('-p', 'image_transport:=compressed'),
    )
    yield talk
    talk.close()


def with_header(message, frame_id='camera'):
    """Give a message a stamp that no other one has."""
    message.header = image(street(8, 8), frame_id=frame_id).header
    return message


def compressed_image(picture, form, format_text, **options):
    buffer = io.BytesIO()
    picture.save(buffer, format=form, **options)
    message = CompressedImage(format=format_text, data=array('B', buffer.getvalue()))
    return with_header(message)


@pytest.mark.parametrize('padding', [0, 7])
@pytest.mark.parametrize('encoding', ALL)
def test_the_node_reads_every_encoding(raw, encoding, padding):
    rgb = source(encoding, HEIGHT, WIDTH)
    pixels = raw.ask(with_header(encoded_image(encoding, rgb, padding)))
    assert pixels.shape == rgb.shape
    difference = np.abs(pixels.astype(int) - rgb)
    if encoding in BAYER_NAMES:
        difference = difference[1:-1, 1:-1]
    assert difference.max() <= tolerance(encoding)


@pytest.mark.parametrize('encoding', ['mono16', '16UC1'])
def test_the_node_obeys_the_byte_order(raw, encoding):
    rgb = source(encoding, HEIGHT, WIDTH)
    # 0x5AA5 one way round, 0xA55A the other: 257 times a byte would look the same in both.
    message = with_header(encoded_image(encoding, rgb))
    message.data = array('B', b'\x5a\xa5' * (HEIGHT * WIDTH))
    for big_endian, expected in ((1, 0x5A), (0, 0xA5)):
        message.is_bigendian = big_endian
        assert (raw.ask(with_header(message)) == expected).all()


def test_sizes_and_encodings_change_from_frame_to_frame(raw):
    for height, width in [(1, 1), (5, 7), (64, 33), (3, 38), (32, 38)]:
        for encoding in ('rgb8', 'bgra8', 'mono16', 'yuyv', 'nv12'):
            rgb = source(encoding, height, width)
            pixels = raw.ask(with_header(encoded_image(encoding, rgb)))
            assert pixels.shape == rgb.shape
            assert np.abs(pixels.astype(int) - rgb).max() <= tolerance(encoding)


def changed(encoding='rgb8', **changes):
    message = encoded_image(encoding, source(encoding, HEIGHT, WIDTH))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ('message', 'text'),
    [
        (changed(width=0), 'the image has no pixels: 0 x 32'),
        (changed('yuyv', step=75), 'the step is 75 bytes, but a row of 38 pixels in yuyv has 76'),
        (changed('nv12', data=array('B', bytes(38 * 32))), '48 rows with a step of 38'),
        (changed('mono16', is_bigendian=7), 'is_bigendian is 7'),
        (changed(encoding='bayer_of_nowhere8'), "'bayer_of_nowhere8'"),
    ],
)
def test_what_is_no_image_is_dropped_and_named_and_the_next_frame_works(raw, message, text):
    raw.ask(with_header(changed()))  # both sides know each other
    received = len(raw.overlays)
    message = with_header(message)
    raw.send_until_logged(message, text)
    assert raw.ask(with_header(changed())).shape == (HEIGHT, WIDTH, 3)
    answered = [overlay.header.stamp for overlay in raw.overlays[received:]]
    assert message.header.stamp not in answered
    assert raw.command.process.poll() is None
    assert 'Traceback' not in raw.command.output


def test_the_node_decodes_compressed_images(compressed):
    rgb = street(HEIGHT, WIDTH)
    picture = PIL.Image.fromarray(rgb)
    gray = rgb[:, :, 1]
    as_rgb = gray[:, :, None].repeat(3, axis=2)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    exact = [
        (picture, 'rgb8; png compressed bgr8', rgb, {}),
        (picture.convert('RGBA'), 'png', rgb, {}),
        (PIL.Image.fromarray(gray), 'mono8; png compressed ', as_rgb, {}),
        (PIL.Image.fromarray(gray.astype(np.uint16) * 257), 'mono16; png compressed ', as_rgb, {}),
        (picture, 'png', rgb, {'exif': exif}),
    ]
    for sent, format_text, expected, options in exact:
        message = compressed_image(sent, 'png', format_text, **options)
        np.testing.assert_array_equal(compressed.ask(message), expected)

    decoded = io.BytesIO()
    picture.save(decoded, format='jpeg')
    expected = np.array(PIL.Image.open(decoded))
    for format_text in ('jpeg', 'rgb8; jpeg compressed bgr8', 'bayer_rggb8; jpeg compressed bgr8'):
        message = compressed_image(picture, 'jpeg', format_text, exif=exif)
        pixels = compressed.ask(message).astype(int)
        assert np.abs(pixels - expected).max() <= 1


def picture_message(form='jpeg', format_text='jpeg'):
    return compressed_image(PIL.Image.fromarray(street(HEIGHT, WIDTH)), form, format_text)


def cut_off():
    message = picture_message()
    message.data = message.data[: len(message.data) // 2]
    return message


@pytest.mark.parametrize(
    ('message', 'text'),
    [
        (cut_off(), 'is no image that can be read'),
        (CompressedImage(format='jpeg'), 'the compressed image has no data'),
        (picture_message('png', '16UC1; compressedDepth png'), 'is a depth image'),
    ],
)
def test_damaged_pictures_are_dropped_and_named_and_the_next_one_works(compressed, message, text):
    compressed.ask(picture_message())
    received = len(compressed.overlays)
    message = with_header(message)
    compressed.send_until_logged(message, text)
    assert compressed.ask(picture_message()).shape == (HEIGHT, WIDTH, 3)
    answered = [overlay.header.stamp for overlay in compressed.overlays[received:]]
    assert message.header.stamp not in answered
    assert compressed.command.process.poll() is None
    assert 'Traceback' not in compressed.command.output

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from array import array

from encoded_pixels import mosaic, ramps
from ros_client import image, street
from sensor_msgs.msg import CameraInfo, CompressedImage, RegionOfInterest

from hier_seg_ros.images.encodings import InvalidFrameError
from hier_seg_ros.images.messages import (
    check_raw_image,
    rgb_from_compressed_image,
    rgb_from_raw_image,
)
from hier_seg_ros.ros.topics.messages import (
    camera_info_message,
    image_message,
    scaled_camera_info,
)

RGB = street(6, 10)
GRAY = np.ascontiguousarray(RGB[:, :, 0])


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
        (broken(data=array('B', bytes(210))), 'data_length', '210 bytes'),
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
        check_raw_image(message)
    assert caught.value.reason == reason
    assert '\n' not in str(caught.value)


def test_byte_order_does_not_matter_to_bytes():
    np.testing.assert_array_equal(rgb_from_raw_image(broken(is_bigendian=1)), RGB)


def compressed(picture, form, format_text=None, **options):
    """Return a CompressedImage of a Pillow image or of what one can be made of."""
    if isinstance(picture, np.ndarray):
        picture = PIL.Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, format=form, **options)
    message = CompressedImage(format=form if format_text is None else format_text)
    message.data = array('B', buffer.getvalue())
    return message


def refused(message):
    with pytest.raises(InvalidFrameError) as caught:
        rgb_from_compressed_image(message)
    assert '\n' not in str(caught.value)
    return caught.value


@pytest.mark.parametrize('format_text', ['png', 'rgb8; png compressed bgr8', '', 'jpeg'])
def test_png_is_decoded_exactly_whatever_the_format_is_called(format_text):
    message = compressed(RGB, 'png', format_text)
    np.testing.assert_array_equal(rgb_from_compressed_image(message), RGB)


@pytest.mark.parametrize(
    'format_text',
    [
        'jpeg',
        'jpg',
        '',
        'rgb8; jpeg compressed bgr8',
        'bgra8; jpeg compressed bgr8',
        'bayer_rggb8; jpeg compressed bgr8',
        'yuv422_yuy2; jpeg compressed bgr8',
    ],
)
def test_jpeg_is_decoded_with_its_colors_in_order(format_text):
    red = np.zeros((16, 24, 3), np.uint8)
    red[:, :, 0] = 255
    pixels = rgb_from_compressed_image(compressed(red, 'jpeg', format_text))
    assert pixels.shape == (16, 24, 3)
    assert pixels.dtype == np.uint8
    assert pixels[..., 0].min() > 240
    assert pixels[..., 1:].max() < 15


PALETTE = np.arange(256)[:, None] * [1, 0, 0] + [0, 7, 9]
PICTURES = {
    'gray': (PIL.Image.fromarray(GRAY), GRAY),
    'gray and alpha': (
        PIL.Image.merge('LA', [PIL.Image.fromarray(GRAY), PIL.Image.new('L', (10, 6), 3)]),
        GRAY,
    ),
    'black and white': (PIL.Image.fromarray(GRAY > 100), np.uint8(GRAY > 100) * 255),
    'color and alpha': (PIL.Image.fromarray(np.dstack([RGB, GRAY])), RGB),
    'palette': (PIL.Image.fromarray(GRAY), PALETTE[GRAY]),
}
PICTURES['palette'][0].putpalette(PALETTE.astype(np.uint8).tobytes())


@pytest.mark.parametrize('kind', PICTURES)
def test_every_kind_of_png_becomes_rgb(kind):
    picture, expected = PICTURES[kind]
    pixels = rgb_from_compressed_image(compressed(picture, 'png'))
    if expected.ndim == 2:
        expected = expected[:, :, None].repeat(3, axis=2)
    np.testing.assert_array_equal(pixels, expected)


def png_of_16_bits(samples):
    """Return a PNG file of H x W (gray) or H x W x 3 (color) samples, written chunk by chunk."""
    height, width = samples.shape[:2]
    color_type = 0 if samples.ndim == 2 else 2
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in samples)
    chunks = [
        (b'IHDR', struct.pack('>IIBBBBB', width, height, 16, color_type, 0, 0, 0)),
        (b'IDAT', zlib.compress(rows)),
        (b'IEND', b''),
    ]
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.mark.parametrize('format_text', ['mono16; png compressed ', '16UC1; png compressed '])
def test_16_bit_gray_png_keeps_its_range(format_text):
    samples = np.array([[0, 255, 256, 32768, 65279, 65535]], np.uint16).repeat(2, axis=0)
    message = CompressedImage(format=format_text, data=array('B', png_of_16_bits(samples)))
    pixels = rgb_from_compressed_image(message)
    assert pixels.shape == (2, 6, 3)
    assert (pixels == np.array([0, 0, 1, 128, 254, 255])[None, :, None]).all()


def test_16_bit_color_png_keeps_its_range():
    samples = RGB.astype(np.uint16) * 257
    message = CompressedImage(format='rgb16; png compressed bgr16')
    message.data = array('B', png_of_16_bits(samples))
    np.testing.assert_array_equal(rgb_from_compressed_image(message), RGB)


def test_gray_and_cmyk_jpeg_become_rgb():
    gray = np.full((8, 8), 90, np.uint8)
    pixels = rgb_from_compressed_image(compressed(gray, 'jpeg', 'mono8; jpeg compressed '))
    assert pixels.shape == (8, 8, 3)
    assert np.abs(pixels.astype(int) - 90).max() <= 2
    red = PIL.Image.new('RGB', (8, 8), (255, 0, 0)).convert('CMYK')
    pixels = rgb_from_compressed_image(compressed(red, 'jpeg'))
    assert pixels[..., 0].min() > 240
    assert pixels[..., 1:].max() < 15


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_a_compressed_mosaic_gets_its_colors(pattern, bits):
    # image_transport compresses a Bayer image as if it were gray.
    rgb = ramps(8, 10)
    pixels = mosaic(rgb, pattern)
    message = compressed(pixels, 'png', f'bayer_{pattern}{bits}; png compressed ')
    if bits == 16:
        message.data = array('B', png_of_16_bits(pixels.astype(np.uint16) * 257))
    difference = np.abs(rgb_from_compressed_image(message).astype(int) - rgb)
    assert difference[1:-1, 1:-1].max() <= 1


def test_the_exif_orientation_is_not_applied():
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    for form in ('jpeg', 'png'):
        message = compressed(street(16, 24), form, exif=exif)
        assert rgb_from_compressed_image(message).shape == (16, 24, 3)


def test_a_jpeg_without_huffman_tables_is_decoded():
    # Webcams leave them out of MJPEG; the tables of the standard are meant.
    message = compressed(street(16, 24), 'jpeg')
    whole = rgb_from_compressed_image(message)
    data = message.data.tobytes()
    start = data.index(b'\xff\xc4')
    end = start
    while data[end : end + 2] == b'\xff\xc4':
        end += 2 + int.from_bytes(data[end + 2 : end + 4], 'big')
    message.data = array('B', data[:start] + data[end:])
    np.testing.assert_array_equal(rgb_from_compressed_image(message), whole)


@pytest.mark.parametrize('form', ['jpeg', 'png'])
def test_a_picture_cut_off_anywhere_is_refused(form):
    message = compressed(street(64, 64), form)
    whole = message.data
    for length in {1, 2, 8, 20, len(whole) // 4, len(whole) // 2, len(whole) * 9 // 10}:
        message.data = whole[:length]
        assert refused(message).reason == 'compressed'


def test_what_is_no_jpeg_png_or_tiff_is_refused():
    assert refused(CompressedImage(format='jpeg')).reason == 'data_length'
    assert refused(CompressedImage(format='jpeg', data=array('B', bytes(99)))).reason == (
        'compressed'
    )
    for form in ('gif', 'bmp', 'webp', 'eps'):
        error = refused(compressed(RGB, form, f'rgb8; {form} compressed '))
        assert error.reason == 'compressed'
        assert form in str(error)
    depth = compressed(RGB, 'png', '16UC1; compressedDepth png')
    assert refused(depth).reason == 'encoding'


def test_a_picture_that_claims_a_huge_size_is_refused_before_it_is_decoded():
    png = compressed(RGB, 'png').data.tobytes()
    start = png.index(b'IHDR')
    for width, height in [(50000, 50000), (9000, 9000), (2**31 - 1, 1), (1, 70_000_000)]:
        header = b'IHDR' + struct.pack('>II', width, height) + png[start + 12 : start + 17]
        data = png[:start] + header + struct.pack('>I', zlib.crc32(header)) + png[start + 21 :]
        message = CompressedImage(format='png', data=array('B', data))
        assert 'pixels' in str(refused(message))
    jpeg = compressed(RGB, 'jpeg').data.tobytes()
    start = jpeg.index(b'\xff\xc0') + 5
    data = jpeg[:start] + struct.pack('>HH', 65500, 65500) + jpeg[start + 4 :]
    assert 'pixels' in str(refused(CompressedImage(format='jpeg', data=array('B', data))))


@pytest.mark.parametrize('form', ['jpeg', 'png'])
def test_damaged_pictures_are_decoded_or_refused(form):
    random = np.random.default_rng(21)
    whole = np.frombuffer(compressed(street(24, 32), form).data, np.uint8)
    refusals = 0
    for _ in range(1500):
        data = whole.copy()
        # Most of the headers lie at the beginning.
        place = random.integers(0, len(data) if random.random() < 0.5 else 200, 3) % len(data)
        data[place] = random.integers(0, 256, 3)
        if random.random() < 0.2:
            data = np.delete(data, slice(place[0], place[0] + random.integers(1, 9)))
        message = CompressedImage(format=form, data=array('B', data.tobytes()))
        try:
            pixels = rgb_from_compressed_image(message)
        except InvalidFrameError as error:
            assert '\n' not in str(error)
            refusals += 1
        else:
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3
    assert refusals > 100


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


def calibrated(**fields):
    """Return a CameraInfo of 1280 x 720 pixels, the right camera of a pair."""
    info = CameraInfo(width=1280, height=720, distortion_model='plumb_bob', **fields)
    info.d = [-0.3, 0.1, 0.001, -0.002, 0.0]
    info.k = [700.0, 0.0, 641.3, 0.0, 710.0, 355.2, 0.0, 0.0, 1.0]
    info.r = [0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [690.0, 0.0, 650.0, -82.8, 0.0, 690.0, 360.0, 6.9, 0.0, 0.0, 1.0, 0.0]
    return info


def pixel_of(info, point):
    """Return where a camera sees a point, in pixels of its image, as image_geometry has it."""
    x, y, w = np.array(info.p).reshape(3, 4) @ [*point, 1.0]
    full = np.array([x / w, y / w])
    offset = np.array([info.roi.x_offset, info.roi.y_offset])
    return (full - offset) / np.maximum(1, [info.binning_x, info.binning_y])


@pytest.mark.parametrize('factor', [2, 4, 8])
@pytest.mark.parametrize(
    'region',
    [
        {},
        {'x_offset': 320, 'y_offset': 80, 'width': 640, 'height': 400},
        {'x_offset': 101, 'y_offset': 33, 'width': 731, 'height': 415, 'do_rectify': True},
    ],
)
@pytest.mark.parametrize('binning', [0, 1, 2])
def test_a_point_is_seen_at_the_same_place_of_a_smaller_image(factor, region, binning):
    info = calibrated(binning_x=binning, binning_y=binning, roi=RegionOfInterest(**region))
    small = scaled_camera_info(info, factor)
    for point in ([0.0, 0.0, 2.0], [0.7, -0.3, 3.0], [-2.0, 1.0, 9.0]):
        # The left border of the first pixel is at -0.5 in both.
        expected = (pixel_of(info, point) + 0.5) / factor - 0.5
        np.testing.assert_allclose(pixel_of(small, point), expected, atol=1e-9)
    size = np.array([info.width, info.height]) // factor
    assert [small.width, small.height] == size.tolist()
    if region:
        assert small.roi.width == region['width'] // factor
        assert small.roi.height == region['height'] // factor
        assert small.roi.x_offset == region['x_offset'] // factor
        assert small.roi.x_offset + small.roi.width <= small.width
    else:
        assert small.roi == RegionOfInterest()
    assert small.roi.do_rectify == info.roi.do_rectify
    assert (small.binning_x, small.binning_y) == (binning, binning)
    assert (list(small.d), list(small.r)) == (list(info.d), list(info.r))
    assert small.distortion_model == 'plumb_bob'
    # K's principal point moves as that of P.
    shifts = np.array(small.p)[[2, 6]] - np.array(info.p)[[2, 6]] / factor
    np.testing.assert_allclose(
        np.array(small.k)[[2, 5]], [641.3, 355.2] / np.float64(factor) + shifts
    )
    np.testing.assert_allclose(np.array(small.k)[[0, 4]], [700 / factor, 710 / factor])
    # The one that was given is left as it was.
    assert info == calibrated(binning_x=binning, binning_y=binning, roi=RegionOfInterest(**region))


def test_a_camera_that_is_not_calibrated_stays_so():
    small = scaled_camera_info(CameraInfo(width=640, height=480), 4)
    assert small == CameraInfo(width=160, height=120)
    assert scaled_camera_info(CameraInfo(width=3, height=0), 8) == CameraInfo(width=1, height=0)

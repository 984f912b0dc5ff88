# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builds the demo bag from a copy of the German Traffic Sign Detection Benchmark.

    python demo/make_bag.py --gtsdb PATH [--out demo/street] [--overwrite]

PATH holds 00500.jpg … 00599.jpg, gt.txt and gtFine/NNNNN_labelIds.png. The same input and the same
versions of the libraries give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from hier_seg_ros.bags.messages import (
    TYPES,
    compressed_image_message,
    header,
    image_message,
)
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.errors import HierSegError

IMAGES = range(500, 600)  # the validation part of the suggested split
WITH_SIGNS = 20
WITHOUT_SIGNS = 4
FRAME_ID = 'camera'
FIRST_STAMP = 1_500_000_000 * 10**9
PERIOD = 500_000_000  # 2 Hz, in nanoseconds
MAX_BYTES = 8_000_000
FIRST_SIGN_LABEL = 2000  # gtFine: 2000 + class id inside a sign's shape, 0 elsewhere
UNLABELLED = 255


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--gtsdb', type=Path, required=True, help='folder with the data set')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path(__file__).parent / 'street',
        help='the bag to write (default: %(default)s)',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace a bag that exists')
    options = parser.parse_args(arguments)
    try:
        numbers = choose_images(read_sign_classes(options.gtsdb))
        write_bag(options.gtsdb, numbers, options.out, options.overwrite)
    except HierSegError as error:
        print(f'make_bag: {error}', file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in options.out.iterdir())
    print(f'{options.out}: {len(numbers)} images, {size / 1e6:.1f} MB')
    return 0


def read_sign_classes(gtsdb: Path) -> dict[int, Counter[int]]:
    """Return how many signs of each class there are, by image number; empty for none.

    Raises
    ------
    HierSegError
        Gt.txt is missing or has a line of another form.

    """
    path = gtsdb / 'gt.txt'
    try:
        lines = path.read_text(encoding='ascii').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HierSegError(
            f'{path}: cannot be read ({error}); give the folder of GTSDB with --gtsdb'
        ) from error
    signs: dict[int, Counter[int]] = {number: Counter() for number in IMAGES}
    for line in lines:
        fields = line.split(';')
        try:
            number, sign = int(fields[0].split('.')[0]), int(fields[5])
        except (IndexError, ValueError) as error:
            raise HierSegError(f'{path}: line {line!r} is no sign; restore the file') from error
        if number in signs:
            signs[number][sign] += 1
    return signs


def choose_images(signs: dict[int, Counter[int]]) -> list[int]:
    """Choose images that show many different signs, and some that show none.

    Greedily: next comes the image with the most classes that have been seen least, the lower
    number on a tie. Images without a sign are taken at even distances. Returns sorted numbers.
    """
    seen: Counter[int] = Counter()
    chosen: list[int] = []
    remaining = {number: classes for number, classes in signs.items() if classes}
    while remaining and len(chosen) < WITH_SIGNS:
        # A class that has been seen n times counts 1/10^n, so new ones come before all others.
        best = max(remaining, key=lambda number: (_novelty(remaining[number], seen), -number))
        seen.update(set(remaining.pop(best)))
        chosen.append(best)
    empty = [number for number, classes in signs.items() if not classes]
    spread = np.linspace(0, len(empty) - 1, min(WITHOUT_SIGNS, len(empty))).round().astype(int)
    return sorted([*chosen, *(empty[index] for index in spread)])


def _novelty(classes: Counter[int], seen: Counter[int]) -> float:
    return sum(10.0 ** -seen[sign] for sign in sorted(classes))


def write_bag(gtsdb: Path, numbers: list[int], out: Path, overwrite: bool) -> None:
    """Write the bag; HierSegError if an image is missing or the bag gets too large."""
    with BagWriter(out, overwrite) as bag:
        size = 0
        for index, number in enumerate(numbers):
            stamp = FIRST_STAMP + index * PERIOD
            image = gtsdb / f'{number:05}.jpg'
            try:
                jpeg = image.read_bytes()
            except OSError as error:
                raise HierSegError(f'{image}: cannot be read ({error.strerror})') from error
            labels = read_labels(gtsdb / 'gtFine' / f'{number:05}_labelIds.png')
            size += len(jpeg)
            bag.write(
                '/camera/image_raw/compressed',
                compressed_image_message(jpeg, stamp, FRAME_ID),
                stamp,
            )
            bag.write('/camera/camera_info', camera_info_message(labels.shape, stamp), stamp)
            bag.write(
                '/ground_truth/traffic_signs/labels',
                image_message(labels, stamp, FRAME_ID),
                stamp,
            )
        if size > MAX_BYTES:
            raise HierSegError(
                f'{out}: the photographs alone take {size} bytes, more than {MAX_BYTES}; '
                'choose fewer'
            )


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Return the class id inside the shape of each sign and 255 elsewhere, H×W uint8.

    Raises
    ------
    HierSegError
        The file is no 16-bit label image.

    """
    try:
        with Image.open(path) as image:
            values = np.asarray(image).astype(np.int64)
    except (OSError, UnidentifiedImageError) as error:
        raise HierSegError(f'{path}: cannot be read ({error}); restore the data set') from error
    labels = np.where(values >= FIRST_SIGN_LABEL, values - FIRST_SIGN_LABEL, UNLABELLED)
    if values.ndim != 2 or labels.max() > UNLABELLED:
        raise HierSegError(f'{path}: is no label image of traffic signs; restore the data set')
    return labels.astype(np.uint8)


def camera_info_message(shape: tuple[int, ...], stamp: int) -> object:
    """Return a nominal pinhole CameraInfo: focal length = image width, no distortion.

    The cameras of the data set were never calibrated for it; see README.md.
    """
    height, width = shape
    focal, center_x, center_y = float(width), (width - 1) / 2, (height - 1) / 2
    return TYPES.types['sensor_msgs/msg/CameraInfo'](
        header=header(stamp, FRAME_ID),
        height=height,
        width=width,
        distortion_model='plumb_bob',
        d=np.zeros(5),
        k=np.array([focal, 0, center_x, 0, focal, center_y, 0, 0, 1]),
        r=np.eye(3).reshape(-1),
        p=np.array([focal, 0, center_x, 0, 0, focal, center_y, 0, 0, 0, 1, 0]),
        binning_x=0,
        binning_y=0,
        roi=TYPES.types['sensor_msgs/msg/RegionOfInterest'](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        ),
    )


if __name__ == '__main__':
    sys.exit(main())

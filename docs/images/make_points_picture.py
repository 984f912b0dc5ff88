# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the picture of `~/points` and of a mask for README.md and docs/node.md.

    python docs/images/make_points_picture.py

The photograph comes from the demo's bag, its labels from models/street_lite0. Its depth, which no
sensor has measured, is made up: the ground is flat, and everything else stands upright on it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hier_seg_ros import Segmenter
from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.files.writing import written_file
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter import SegmentationResult
from hier_seg_ros.segmenter.pictures.drawing import overlay
from hier_seg_ros.segmenter.points import POINT, fill_points, pixel_rays
from hier_seg_ros.segmenter.region import Region

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
# A photograph by its place in the bag.
STREET = 13
# Of the camera that may have taken it: pixels, and metres above the ground.
FOCAL = 1000.0
HEIGHT_METRES = 1.4
FARTHEST_METRES = 45.0
GROUND = ('construction--driveable', 'construction--flat', 'marking', 'nature--terrain')
# The view: metres from the camera to the right, up and back, and radians downwards.
VIEWPOINT = (1.5, 3.5, 3.0)
TILT = 0.22
TILE = (520, 306)
CAPTION_HEIGHT = 18
BLEND = 0.6


def main() -> None:
    """Write the picture beside this file."""
    segmenter = Segmenter.load(ROOT / 'models' / 'street_lite0', device='cpu')
    with ImageBag(ROOT / 'demo' / 'street') as bag:
        photographs = [image.pixels for image in bag.images('/camera/image_raw/compressed')]
    rgb = photographs[STREET]
    height, width = rgb.shape[:2]
    region = Region(mask=bonnet(height, width))
    (result,) = segmenter.segment([rgb])
    result = region.restore(result, height, width)
    tree = segmenter.hierarchy
    camera = (FOCAL, FOCAL, (width - 1) / 2, (height - 1) / 2)
    points = np.empty((height, width), POINT)
    depth = made_up_depth(result, tree, camera)
    fill_points(points, depth, pixel_rays(height, width, camera), rgb, result, BLEND)
    write(
        'points.jpg',
        [
            ('~/overlay; a mask leaves out the bonnet', overlay(rgb, result.finest, tree, BLEND)),
            ('~/points, seen from above (depth made up)', view(points)),
        ],
    )


def bonnet(height: int, width: int) -> NDArray[np.bool_]:
    """Return (H, W), true where a car's bonnet would be: an ellipse at the lower edge."""
    rows, columns = np.ogrid[:height, :width]
    across = (columns - width / 2) / (0.45 * width)
    up = (height - rows) / (0.12 * height)
    return across**2 + up**2 < 1.0


def made_up_depth(
    result: SegmentationResult, tree: Hierarchy, camera: tuple[float, float, float, float]
) -> NDArray[np.float32]:
    """Return (H, W) metres: flat ground, and what stands on it as far as its lowest pixel."""
    _, focal, _, horizon = camera
    names = np.array([''] * 256, dtype=object)
    for node in tree.nodes:
        names[node.id] = node.name
    is_ground = np.array([name.startswith(GROUND) for name in names])[result.finest]
    height, width = result.finest.shape
    rows = np.arange(height)[:, None]
    below = np.maximum(rows - horizon, 1e-6)
    ground = np.where(rows > horizon, focal * HEIGHT_METRES / below, np.inf)
    depth = np.where(is_ground, ground, np.nan)
    standing = np.full(width, np.nan)
    for row in range(height - 1, -1, -1):
        standing = np.where(is_ground[row], depth[row], standing)
        depth[row] = standing
    sky = np.array([name.endswith('sky') for name in names])[result.finest]
    depth[sky | (depth > FARTHEST_METRES)] = np.nan
    return depth.astype(np.float32)


def view(points: NDArray[np.void]) -> NDArray[np.uint8]:
    """Return a picture of the points from another place, H x W x 3."""
    height, width = points.shape
    there = points[np.isfinite(points['z'])]
    right, up, back = VIEWPOINT
    x, y, z = there['x'] - right, there['y'] + up, there['z'] + back
    y, z = y * np.cos(TILT) - z * np.sin(TILT), y * np.sin(TILT) + z * np.cos(TILT)
    columns = np.round(FOCAL * 0.8 * x / z + width / 2).astype(int)
    rows = np.round(FOCAL * 0.8 * y / z + height / 2).astype(int)
    # Far points first, so that near ones cover them; each is as large as the gap to the next.
    order = np.argsort(-z)
    picture = np.full((height, width), 0x303030, np.uint32)
    for down in range(4):
        for along in range(4):
            row, column = rows[order] + down, columns[order] + along
            seen = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            picture[row[seen], column[seen]] = there['rgb'][order][seen]
    return np.stack([picture >> 16, picture >> 8 & 255, picture & 255], axis=-1).astype(np.uint8)


def write(name: str, tiles: list[tuple[str, NDArray[np.uint8]]]) -> None:
    """Write pictures side by side, each under its caption."""
    width, height = TILE
    sheet = Image.new('RGB', (len(tiles) * width, height + CAPTION_HEIGHT), 'white')
    draw = ImageDraw.Draw(sheet)
    for index, (caption, pixels) in enumerate(tiles):
        draw.text((index * width + 4, 0), caption, fill='black', font=ImageFont.load_default(13))
        tile = Image.fromarray(pixels).resize((width - 4, height))
        sheet.paste(tile, (index * width + 2, CAPTION_HEIGHT))
    with written_file(FOLDER / name) as partial:
        sheet.save(partial, 'JPEG', quality=75, optimize=True)


if __name__ == '__main__':
    main()

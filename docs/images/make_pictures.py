# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of README.md, docs/viewing.md, docs/several_cameras.md and docs/nav2.md.

    python docs/images/make_pictures.py

The photographs come from the demo's bag, the labels from models/street_lite0.
"""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hier_seg_ros import Segmenter
from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.files.reading import read_yaml
from hier_seg_ros.files.writing import written_file
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter import SegmentationResult
from hier_seg_ros.segmenter.class_groups import ClassGroups
from hier_seg_ros.segmenter.outputs import ImageOutput, image_outputs, label_values
from hier_seg_ros.segmenter.pictures.legend import legend
from hier_seg_ros.segmenter.pictures.scaling import scaled_photograph, scaled_result
from hier_seg_ros.signs.finding import TRAFFIC_SIGN_IDS, find_signs

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
TILE = (416, 245)
CAPTION_HEIGHT = 18
DEMO_TILE = (436, 256)
GAP = 4
BLEND = 0.6
# Photographs by their place in the bag.
SIGNS = 1
STREETS = (12, 13, 15)
PEOPLE = 13
DEMO = (1, 4, 9)
ALPHA = 0.5
GROUPS = {
    'free': ('Driveable', 'Sidewalk'),
    'person': ('Person', 'Rider'),
    'vehicle': ('Car', 'Bus', 'Truck', 'Bicycle', 'Motorcycle'),
}
# By how much overlays are smaller, so that their names can be read in small pictures.
FACTOR = 3

Pixels = NDArray[np.uint8]


def main() -> None:
    """Write the pictures beside this file."""
    segmenter = Segmenter.load(ROOT / 'models' / 'street_lite0', device='cpu')
    with ImageBag(ROOT / 'demo' / 'street') as bag:
        images = [image.pixels for image in bag.images('/camera/image_raw/compressed')]
    wanted = sorted({SIGNS, PEOPLE, *STREETS, *DEMO})
    results = {index: segmenter.segment([images[index]])[0] for index in wanted}
    tree = segmenter.hierarchy

    offered = {
        output.name: output
        for output in image_outputs(tree, groups=ClassGroups(GROUPS, tree), min_named_pixels=50)
    }

    def overlay_of(index: int) -> Pixels:
        return small_overlay(images[index], results[index], offered)

    write_demo([(images[index], overlay_of(index)) for index in DEMO])
    shown = outputs(images[SIGNS], results[SIGNS], offered)
    write('outputs.jpg', shown, columns=3)
    picture = Image.fromarray(legend(tree, segmenter.supervised))
    with written_file(FOLDER / 'legend.png') as partial:
        picture.quantize(128).save(partial, 'PNG', optimize=True)
    overlays = [overlay_of(index) for index in STREETS]
    names = ('~/front/overlay', '~/left/overlay', '~/right/overlay')
    write('cameras.jpg', list(zip(names, overlays, strict=True)), columns=3)
    write('costs.jpg', costs(images[PEOPLE], results[PEOPLE], tree), columns=3)


def outputs(
    rgb: Pixels, result: SegmentationResult, offered: dict[str, ImageOutput]
) -> list[tuple[str, Pixels]]:
    """Return a picture of each output of the node, with its caption."""
    tree = result.hierarchy
    shown = {name: output.render(rgb, result, ALPHA) for name, output in offered.items()}
    return [
        ('image', rgb),
        ('~/overlay', small_overlay(rgb, result, offered)),
        ('~/confidence', shown['confidence']),
        ('~/level_1/color', shown['level_1_color']),
        ('~/level_2/color', shown['level_2_color']),
        ('~/level_3/color, ~/color', shown['level_3_color']),
        ('~/traffic_signs/labels, by name', sign_names(rgb, result, tree)),
        (
            '~/categories/labels, in colours',
            named_colors(shown['categories'], dict(enumerate(tree.categories))),
        ),
        (
            '~/groups/labels, in colours',
            named_colors(shown['groups'], dict(enumerate(GROUPS)) | {255: 'elsewhere'}),
        ),
    ]


def small_overlay(
    rgb: Pixels, result: SegmentationResult, offered: dict[str, ImageOutput]
) -> Pixels:
    """Return an overlay as the node draws it for smaller outputs."""
    return offered['overlay'].render(
        scaled_photograph(rgb, FACTOR), scaled_result(result, FACTOR), ALPHA
    )


def named_colors(labels: Pixels, names: dict[int, str]) -> Pixels:
    """Return H×W×3 with a hue for each value, named in the corner."""
    hues = [colorsys.hsv_to_rgb(index / len(names), 0.7, 0.9) for index in range(len(names))]
    palette = np.zeros((256, 3), np.uint8)
    palette[list(names)] = np.array(hues) * 255
    picture = Image.fromarray(palette[labels])
    draw = ImageDraw.Draw(picture)
    for line, value in enumerate(np.unique(labels).tolist()):
        top = picture.height - 46 * (line + 1)
        draw.rectangle((8, top, 300, top + 40), fill='black')
        draw.text((16, top), names[value], fill=tuple(palette[value].tolist()), font=font(34))
    return np.asarray(picture)


def sign_names(rgb: Pixels, result: SegmentationResult, tree: Hierarchy) -> Pixels:
    """Return the largest signs of a photograph side by side, with their names."""
    names = label_values(tree)['traffic_signs'].texts
    height, width = rgb.shape[:2]
    tiles = []
    for area in find_signs(result.traffic_signs, TRAFFIC_SIGN_IDS)[:2]:
        left, top, right, bottom = area.box
        size = 2 * max(right - left, bottom - top)
        x = min(max((left + right - size) // 2, 0), width - size)
        y = min(max((top + bottom - size) // 2, 0), height - size)
        tile = Image.fromarray(rgb[y : y + size, x : x + size]).resize((680, 800))
        draw = ImageDraw.Draw(tile)
        draw.rectangle((0, 750, 680, 800), fill='black')
        draw.text((16, 752), names[area.sign], fill='white', font=font(36))
        tiles.append(np.asarray(tile))
    return np.hstack(tiles)


def costs(rgb: Pixels, result: SegmentationResult, tree: Hierarchy) -> list[tuple[str, Pixels]]:
    """Return a photograph, its categories, and what these cost in examples/nav2_semantic_layer."""
    content = read_yaml(ROOT / 'examples' / 'nav2_semantic_layer.yaml')
    costmap = content['local_costmap']['local_costmap']['ros__parameters']
    source = costmap['semantic_layer']['camera']
    cost_of_category = np.zeros(256)
    for kind in source['class_types']:
        for name in source[kind]['classes']:
            cost_of_category[tree.categories.index(name)] = source[kind]['max_cost']
    share = cost_of_category[result.categories][:, :, None] / 254
    # Green through yellow to red.
    colors = 255 * np.concatenate(
        [np.minimum(2 * share, 1), np.minimum(2 - 2 * share, 1), np.zeros_like(share)], axis=2
    )
    blended = (1 - BLEND) * rgb + BLEND * colors
    return [
        ('image', rgb),
        (
            '~/categories/labels, in colours',
            named_colors(result.categories, dict(enumerate(tree.categories))),
        ),
        ('costs: green 0, orange 200, red 254', blended.astype(np.uint8)),
    ]


def write_demo(pairs: list[tuple[Pixels, Pixels]]) -> None:
    """Write photographs over what the node makes of them."""
    width, height = DEMO_TILE
    sheet = Image.new('RGB', (len(pairs) * (width + GAP) - GAP, 2 * height + GAP), 'white')
    for column, pair in enumerate(pairs):
        for row, pixels in enumerate(pair):
            tile = Image.fromarray(pixels).resize((width, height))
            sheet.paste(tile, (column * (width + GAP), row * (height + GAP)))
    save(sheet, 'demo.jpg', quality=80)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that comes with Pillow."""
    return ImageFont.load_default(size)


def write(name: str, tiles: list[tuple[str, Pixels]], columns: int) -> None:
    """Write pictures in rows, each under its caption."""
    width, height = TILE
    rows = -(-len(tiles) // columns)
    sheet = Image.new('RGB', (columns * width, rows * (height + CAPTION_HEIGHT)), 'white')
    draw = ImageDraw.Draw(sheet)
    for index, (caption, pixels) in enumerate(tiles):
        left = index % columns * width
        top = index // columns * (height + CAPTION_HEIGHT)
        draw.text((left + 4, top), caption, fill='black', font=font(13))
        tile = Image.fromarray(pixels).convert('RGB').resize((width - 4, height))
        sheet.paste(tile, (left + 2, top + CAPTION_HEIGHT))
    save(sheet, name, quality=70)


def save(sheet: Image.Image, name: str, quality: int) -> None:
    """Write a picture beside this file."""
    with written_file(FOLDER / name) as partial:
        sheet.save(partial, 'JPEG', quality=quality, optimize=True)


if __name__ == '__main__':
    main()

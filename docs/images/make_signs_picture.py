# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the picture of the signs as objects for docs/node.md.

    python docs/images/make_signs_picture.py

The photograph comes from the demo's bag, its signs from models/street_lite0. Boxes, names and
colours are those of `~/traffic_signs/annotations`, scores those of `~/traffic_signs/detections`.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from hier_seg_ros import Segmenter
from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.files.writing import written_file
from hier_seg_ros.settings import Settings
from hier_seg_ros.signs.finding import find_signs, sign_node_ids

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
# A photograph by its place in the bag.
SIGNS = 1
WIDTH = 900
FONT_SIZE = 20


def main() -> None:
    """Write the picture beside this file."""
    segmenter = Segmenter.load(ROOT / 'models' / 'street_lite0', device='cpu')
    with ImageBag(ROOT / 'demo' / 'street') as bag:
        photographs = [image.pixels for image in bag.images('/camera/image_raw/compressed')]
    rgb = photographs[SIGNS]
    (result,) = segmenter.segment([rgb])
    tree = segmenter.hierarchy
    picture = Image.fromarray(rgb)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(FONT_SIZE)
    least = Settings().min_sign_pixels
    for sign in find_signs(result.finest, sign_node_ids(tree), result.confidence, least):
        node = tree.node_by_id(sign.sign)
        left, top, right, bottom = sign.box
        draw.rectangle((left, top, right - 1, bottom - 1), outline=node.color, width=3)
        text, place = f'{node.readable_name} {sign.confidence:.2f}', (left, top - 4)
        draw.rectangle(draw.textbbox(place, text, font, anchor='lb'), fill=node.color)
        ink = 'black' if sum(node.color) >= 3 * 128 else 'white'
        draw.text(place, text, ink, font, anchor='lb')
    picture = picture.resize((WIDTH, WIDTH * picture.height // picture.width))
    with written_file(FOLDER / 'signs.jpg') as partial:
        picture.save(partial, 'JPEG', quality=75, optimize=True)


if __name__ == '__main__':
    main()

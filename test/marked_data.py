# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data whose every text has a mark, and guarded processes that read them (`guarded.py`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from street_bag import STAMPS, TRUTH, photograph, true_labels

from hier_seg_ros.bags.messages import image_message
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.hierarchy import Hierarchy

GUARDED = Path(__file__).with_name('guarded.py')
# No program has this word.
MARK = 'marked_by_the_test'
CAMERA = f'/{MARK}/image_raw'


def guarded_words(*commands: list[Any], options: tuple[str, ...] = ()) -> list[str]:
    """Return the words after `python` that run commands, each behind the exit code expected."""
    return [str(GUARDED), *options, MARK, json.dumps(commands, default=str)]


def run_guarded(*commands: list[Any]) -> tuple[int, str]:
    """Run commands in one guarded process; return its exit code and all that it said."""
    words = [sys.executable, *guarded_words(*commands)]
    done = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600
    )
    return done.returncode, done.stdout


def write_marked_model(folder: Path, tree: Hierarchy) -> Path:
    """Write an untrained model whose name and classes have the mark."""
    from model_folders import change_yaml, write_untrained_model

    content = tree.as_dict()
    for node in content['nodes']:
        node['readable_name'] += f' {MARK}'
    folder.mkdir()
    path = folder / 'hierarchy.yaml'
    path.write_text(yaml.safe_dump(content), encoding='utf-8')
    model = write_untrained_model(folder / 'model', Hierarchy.load(path))
    change_yaml(model, lambda description: description.update(name=MARK))
    return model


def write_marked_images(folder: Path) -> Path:
    """Write a PNG, a JPEG with EXIF, a TIFF and a video; their names and comments have the mark."""
    import cv2

    folder.mkdir()
    image = Image.fromarray(photograph(0))
    text = PngInfo()
    text.add_text('Comment', MARK)
    image.save(folder / f'{MARK}.png', pnginfo=text)
    exif = Image.Exif()
    exif[0x010E] = MARK  # ImageDescription
    image.save(folder / f'{MARK}_jpeg.jpg', exif=exif)
    image.save(folder / f'{MARK}_tiff.tiff', description=MARK)
    video = cv2.VideoWriter(
        str(folder / f'{MARK}.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, image.size
    )
    video.write(photograph(0))
    video.release()
    return folder


def write_marked_bag(path: Path) -> Path:
    """Write a bag with an image and its signs; the camera's topic and the frame have the mark."""
    path.parent.mkdir()
    with BagWriter(path) as bag:
        for pixels, topic in ((photograph(0), CAMERA), (true_labels(0), TRUTH)):
            bag.write(topic, image_message(pixels, STAMPS[0], MARK), STAMPS[0])
    return path

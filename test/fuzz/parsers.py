# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our parsers as functions of bytes, for a fuzzer or for a corpus: they return, or one has a bug.

What may be wrong with the bytes ends in a HierSegError of one line, which is checked here.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from hier_seg_ros.bags.bag import Bag
from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.messages import deserialize
from hier_seg_ros.errors import MOST_CHARACTERS, HierSegError
from hier_seg_ros.files.reading import parse_json, parse_yaml
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.images.depth import depth_in_metres
from hier_seg_ros.images.encodings import ENCODINGS
from hier_seg_ros.images.image_files import decode_pixels
from hier_seg_ros.images.messages import rgb_of
from hier_seg_ros.images.video_codecs import video_codec
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_ros.ros.launching.arguments import params_file
from hier_seg_ros.segmenter.model_folder.description import (
    check_hierarchy,
    parse_description,
    read_content,
)
from hier_seg_ros.segmenter.model_folder.weights import check_header, read_header
from hier_seg_trainer.configuration import load_experiment
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.datasets.readers.run_lengths import read_runs

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = struct.Struct('<IIIBB')  # height, width, step, byte order, encoding

Parse = Callable[[bytes], object]


@cache
def tree() -> Hierarchy:
    """Return the default tree."""
    return Hierarchy.load(ROOT / 'config/hierarchies/street_108.yaml')


@cache
def _folder() -> Path:
    # As long as this process.
    _folder_kept.append(tempfile.TemporaryDirectory(prefix='parsers-'))
    return Path(_folder_kept[0].name)


_folder_kept: list[tempfile.TemporaryDirectory[str]] = []


def _text(data: bytes) -> str:
    return data.decode('utf-8', 'replace')


def _file(data: bytes, name: str) -> Path:
    path = _folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _parse_tree(data: bytes) -> None:
    Hierarchy(parse_yaml(_text(data), 'tree'), 'tree')


def _parse_model(data: bytes) -> None:
    content = read_content(_file(data, 'model.yaml'))
    parse_description(content, Path('model.yaml'))
    check_hierarchy(content, tree(), Path())


def _parse_weights(data: bytes) -> None:
    path = _file(data, 'weights.safetensors')
    check_header(read_header(path), {}, path)


def _parse_bag(suffix: str) -> Parse:
    def parse(data: bytes) -> None:
        with Bag(_file(data, f'bag{suffix}')) as bag:
            for message in bag.messages(bag.topics):
                deserialize(message.data, bag.topics[message.topic].type_name)

    return parse


def _parse_bag_folder(data: bytes) -> None:
    path = _file(data, 'bag_folder/metadata.yaml')
    with ImageBag(path.parent) as bag:
        bag.stamps(bag.image_topics)


def _raw_image(data: bytes) -> SimpleNamespace:
    head = data[: LAYOUT.size].ljust(LAYOUT.size, b'\0')
    height, width, step, order, kind = LAYOUT.unpack(head)
    names = (*ENCODINGS, '32FC1', _text(data[LAYOUT.size : LAYOUT.size + 9]))
    return SimpleNamespace(
        height=height,
        width=width,
        step=step,
        is_bigendian=order,
        encoding=names[kind % len(names)],
        data=np.frombuffer(data[LAYOUT.size :], np.uint8),
    )


def _parse_runs(data: bytes) -> None:
    runs = read_runs(_text(data[4:]), int.from_bytes(data[:4], 'little'))
    assert runs is None or runs.min(initial=0) >= 0


def _parse_data_set(name: str, file: str, mapping: str, picture: str) -> Parse:
    """Return what reads a file of a data set that has one picture."""

    def parse(data: bytes) -> None:
        from PIL import Image

        root = _folder() / name
        image = root / picture
        if not image.is_file():
            image.parent.mkdir(parents=True)
            Image.new('RGB', (12, 8)).save(image)
        _file(data, f'{name}/{file}')
        own = _file(mapping.encode(), f'{name}.yaml')
        data_set = open_dataset(name, root, 'train', tree(), own, strict=False)
        for index in range(len(data_set)):
            data_set[index]

    return parse


OWN_MAPPING = """
format: 1
classes:
- {value: 1, name: sky, node: Sky}
- {value: 2, name: car, node: Car}
"""
COLORS = """
format: 1
classes:
- {color: [255, 0, 0], name: sky, node: Sky}
- {color: [2, 2, 2], name: car, node: Car}
"""
NAMED = 'format: 1\nclasses: [{name: sky, node: Sky}, {name: car, node: Car}]\n'

PARSERS: dict[str, Parse] = {
    'yaml': lambda data: parse_yaml(_text(data), 'text'),
    'json': lambda data: parse_json(_text(data), 'text'),
    'tree': _parse_tree,
    'model': _parse_model,
    'weights': _parse_weights,
    'parameters': lambda data: params_file({'params_file': str(_file(data, 'parameters.yaml'))}),
    'mcap': _parse_bag('.mcap'),
    'sqlite': _parse_bag('.db3'),
    'ros1': _parse_bag('.bag'),
    'bag_folder': _parse_bag_folder,
    'picture': lambda data: decode_pixels(data, 'picture'),
    'raw_image': lambda data: rgb_of(_raw_image(data)),  # type: ignore[arg-type]
    'depth': lambda data: depth_in_metres(_raw_image(data)),  # type: ignore[arg-type]
    'video': lambda data: video_codec(_text(data[:12]), data[12:]),
    'mapping': lambda data: LabelMapping.load(_file(data, 'mapping.yaml'), tree()),
    'experiment': lambda data: load_experiment(_file(data, 'experiment.yaml')),
    'run_lengths': _parse_runs,
    'polygons': _parse_data_set('polygons', 'polygons/train/a.json', NAMED, 'images/train/a.png'),
    'boxes_csv': _parse_data_set('boxes_csv', 'train.csv', NAMED, 'images/train/a.png'),
    'boxes_coco': _parse_data_set('boxes_coco', 'train.json', NAMED, 'images/train/a.png'),
    'masks_coco': _parse_data_set('masks_coco', 'train.json', NAMED, 'images/train/a.png'),
    'labels': _parse_data_set('folder', 'labels/train/a.png', OWN_MAPPING, 'images/train/a.png'),
    'colors': _parse_data_set('folder', 'labels/train/a.png', COLORS, 'images/train/a.png'),
}


def parse(name: str, data: bytes) -> str:
    """Let a parser have some bytes; return the line that refuses them, '' for none.

    Raises
    ------
    Exception
        The parser has a bug.

    """
    try:
        PARSERS[name](data)
    except HierSegError as error:
        line = str(error)
        assert len(line.splitlines()) == 1 and len(line) <= MOST_CHARACTERS, line[:MOST_CHARACTERS]
        return line
    return ''

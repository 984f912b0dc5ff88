# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worst frames of an evaluation as a data set, to be labelled and trained on.

The layout is that of the trainer's format ``folder``: images, label images with the ids of the
tree's nodes as they were predicted, and a mapping file. Where there is ground truth, it lies beside
them in the same ids.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from hier_seg_ros.bags.messages import StampedImage
from hier_seg_ros.bags.storage.damage import DamagedBagError
from hier_seg_ros.evaluation.output_folder import output_folder
from hier_seg_ros.evaluation.recorded_outputs import Outputs
from hier_seg_ros.evaluation.report.frame_pictures import badness_rank
from hier_seg_ros.evaluation.report.frame_records import FRAMES_FILE, frame_records
from hier_seg_ros.evaluation.running.source import Source
from hier_seg_ros.files.writing import write_text
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.images.image_files import as_rgb, write_png
from hier_seg_ros.segmenter.outputs import level_name

SPLIT = 'train'
README = """\
{count} frames of {bags}, the worst first in frames.txt. The labels are what was predicted: correct
them, then train with

    format: folder
    path: this folder
    mapping: mapping.yaml

Folder truth, if there is one, has the ground truth with the same values.
"""


def export_worst_frames(
    sources: Sequence[Source], folder: Path, count: int, target: Path
) -> list[str]:
    """Write the worst frames as a data set.

    Parameters
    ----------
    sources
        The bags, which are read again for the images themselves.
    folder
        That of their evaluation.
    count
        How many frames at most.
    target
        The folder to write. One that `evaluate_bag` wrote is replaced.

    Returns
    -------
    list[str]
        The names of the frames, the worst first.

    Raises
    ------
    HierSegError
        The folder cannot be written, or is something else.

    """
    records = heapq.nsmallest(count, frame_records(folder / FRAMES_FILE), key=badness_rank)
    hierarchy = sources[0].hierarchy
    by_bag: dict[int, dict[int, str]] = defaultdict(dict)
    for record in records:
        by_bag[record['bag']][record['stamp']] = record['frame']
    with output_folder(target) as partial:
        for index, name_of in by_bag.items():
            for image in _images(sources[index], name_of):
                _write(partial, name_of[image.stamp], image, sources[index])
        write_text(partial / 'mapping.yaml', _mapping(hierarchy))
        hierarchy.save(partial / 'hierarchy.yaml')
        worst = [record['frame'] for record in records]
        write_text(partial / 'frames.txt', ''.join(f'{name}\n' for name in worst))
        bags = ', '.join(source.bag.path.name for source in sources)
        write_text(partial / 'README.txt', README.format(count=len(worst), bags=bags))
    return worst


def _images(source: Source, stamps: Mapping[int, str]) -> Iterator[StampedImage]:
    """Yield the images with the stamps of a bag."""
    with suppress(DamagedBagError):
        if source.bag.is_stream(source.topic):
            for image in source.bag.each_image(source.topic, distinct=True):
                if isinstance(image, StampedImage) and image.stamp in stamps:
                    yield image
            return
        times = source.bag.stamps([source.topic])[source.topic]
        for stamp in stamps:
            yield source.bag.image_at(source.topic, stamp, times[stamp])


def _write(folder: Path, name: str, image: StampedImage, source: Source) -> None:
    rgb = as_rgb(image.pixels)
    outputs = source.predictions.at(rgb, image.stamp, []) or {}
    number = int(name.removeprefix(source.prefix))
    truth = source.truth.at(outputs, image.stamp, number, []) if outputs else {}
    found: dict[str, NDArray[np.uint8] | None] = {
        'images': rgb,
        'labels': _node_ids(outputs, source.hierarchy),
        'truth': _node_ids(truth, source.hierarchy),
    }
    for kind, pixels in found.items():
        if pixels is not None:
            (folder / kind / SPLIT).mkdir(parents=True, exist_ok=True)
            write_png(folder / kind / SPLIT / f'{name}.png', pixels)


def _node_ids(outputs: Outputs, hierarchy: Hierarchy) -> NDArray[np.uint8] | None:
    """Return the finest label image of some outputs, with ids of nodes; None for none of them."""
    for level in range(hierarchy.depth, 0, -1):
        if level_name(level) in outputs:
            return outputs[level_name(level)]
    if 'traffic_signs' not in outputs:
        return None
    id_of_sign = np.full(256, UNLABELLED, np.uint8)
    for node in hierarchy.nodes:
        if node.traffic_sign_id is not None:
            id_of_sign[node.traffic_sign_id] = node.id
    return id_of_sign.take(outputs['traffic_signs'])


def _mapping(hierarchy: Hierarchy) -> str:
    """Return the mapping file: each node is a class of its own."""
    content: dict[str, Any] = {
        'format': 1,
        'classes': [
            {'value': node.id, 'name': node.name, 'node': node.name} for node in hierarchy.nodes
        ],
        'ignored': [{'value': UNLABELLED, 'name': 'unlabelled'}],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the pictures come from: a recording, a data set, or a folder of images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.messages import GROUND_TRUTH, StampedImage
from hier_seg_ros.bags.storage.damage import DamagedBagError
from hier_seg_ros.bags.storage.opening import KINDS, METADATA
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import parse_json
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.images.compression import encode_rgb_png
from hier_seg_ros.images.image_files import as_rgb, file_data, read_image
from hier_seg_trainer.datasets.opening import FORMATS, open_dataset
from hier_seg_trainer.datasets.readers.image_pairs import find_images
from hier_seg_trainer.datasets.samples import StreetDataset
from hier_seg_trainer.evaluation.scores.box_labels import draw_boxes
from hier_seg_trainer.labelling.node_mapping import write_node_mapping

FOLDER = 'folder'
_MAPPING = 'mapping.yaml'


@dataclass(frozen=True)
class Picture:
    """An image and what is known of it.

    Attributes
    ----------
    name
        Of its file, or one of a file that it could be.
    data
        What its file holds.
    rgb
        (H, W, 3) uint8, upright.
    labels
        (H, W) uint8 node ids that are recorded or given, 255 where nothing is; None without any.

    """

    name: str
    data: bytes
    rgb: NDArray[np.uint8]
    labels: NDArray[np.uint8] | None


class Source(Protocol):
    """Pictures of one origin.

    Attributes
    ----------
    tree
        Whose ids its labels have; None where it leaves the tree open.
    has_labels
        Whether its pictures have labels.

    """

    tree: Hierarchy | None
    has_labels: bool

    def __len__(self) -> int:
        """Return how many pictures there are, some of which may turn out to be broken."""

    def pictures(self, chosen: Iterable[int]) -> Iterator[Picture]:
        """Yield the pictures at some places, in that order."""


class ImageFiles:
    """A folder of images without labels, or one image."""

    tree: Hierarchy | None = None
    has_labels = False

    def __init__(self, path: Path) -> None:
        """Look for the images; HierSegError if there is none."""
        self._paths = [path] if path.is_file() else list(find_images(path, []).values())

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._paths)

    def pictures(self, chosen: Iterable[int]) -> Iterator[Picture]:
        """Yield the images at some places; HierSegError names one that is broken."""
        for path in (self._paths[place] for place in chosen):
            yield Picture(path.name, file_data(path), read_image(path), None)


class DatasetImages:
    """The labelled images of splits of a data set.

    Attributes
    ----------
    datasets
        The splits.

    """

    has_labels = True

    def __init__(self, datasets: list[StreetDataset], tree: Hierarchy) -> None:
        """Take the opened splits, whose labels have ids of `tree`."""
        self.tree: Hierarchy | None = tree
        self.datasets = datasets
        self._places = [(data, index) for data in datasets for index in range(len(data))]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._places)

    def names(self) -> list[str]:
        """Return the name of each image's file."""
        return [data.image_path(index).name for data, index in self._places]

    def pictures(self, chosen: Iterable[int]) -> Iterator[Picture]:
        """Yield the images at some places; HierSegError names one that is broken."""
        for data, index in (self._places[place] for place in chosen):
            sample, path = data[index], data.image_path(index)
            rgb = np.asarray(sample.image)
            if sample.labels is not None:
                labels = sample.labels
            elif sample.boxes is not None:
                labels = draw_boxes(sample.boxes, rgb.shape)
            else:
                labels = np.full(rgb.shape[:2], sample.image_label, np.uint8)
            yield Picture(path.name, file_data(path), rgb, labels)


class BagImages:
    """The images of a recording, with the labels that the node published for them, if any.

    A capture of the node is such a recording.

    Attributes
    ----------
    left_out
        A line for each picture so far that makes no sense, and for what is damaged.

    """

    def __init__(self, path: Path, image_topic: str | None = None) -> None:
        """Open the recording and find its topics.

        Raises
        ------
        HierSegError
            It cannot be read, or its images have to be told apart by a topic's name.

        """
        self._bag = ImageBag(path)
        self.left_out: list[str] = []
        self._labels_topic, self.tree = self._recorded_labels()
        self.has_labels = self._labels_topic is not None
        # The node's own pictures are no camera's.
        node = '' if self._labels_topic is None else _node_of(self._labels_topic)
        leave_out = [node] if node else []
        self._topic = image_topic or self._bag.choose_image_topic(leave_out=leave_out)
        self._bag.topic(self._topic)
        topics = [self._topic, *([self._labels_topic] if self._labels_topic else [])]
        times = self._bag.stamps(topics)
        self._times, self._label_times = times[self._topic], times[topics[-1]]
        self._stamps = list(self._times)

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self._stamps)

    def pictures(self, chosen: Iterable[int]) -> Iterator[Picture]:
        """Yield the images at some places; those that make no sense are left out."""
        stem = self._topic.strip('/').replace('/', '_')
        for stamp in (self._stamps[place] for place in chosen):
            try:
                image = self._bag.image_at(self._topic, stamp, self._times[stamp])
                rgb = as_rgb(image.pixels)
                data, suffix = self._stored(image, rgb)
                labels = self._labels(stamp, rgb)
            except HierSegError as error:
                self.left_out.append(str(error))
                continue
            yield Picture(f'{stem}_{stamp}{suffix}', data, rgb, labels)
        if self._bag.damage is not None:
            self.left_out.append(str(self._bag.damage))

    def _stored(self, image: StampedImage, rgb: NDArray[np.uint8]) -> tuple[bytes, str]:
        """Return the image as it was recorded, if that is a JPEG or a PNG, else as PNG."""
        message = self._bag.message_at(image.topic, image.stamp, self._times[image.stamp])
        if hasattr(message, 'format'):
            data = bytes(message.data)
            for start, suffix in ((b'\xff\xd8\xff', '.jpg'), (b'\x89PNG', '.png')):
                if data.startswith(start):
                    return data, suffix
        return encode_rgb_png(rgb), '.png'

    def _labels(self, stamp: int, rgb: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        recorded = self._label_times.get(stamp) if self._labels_topic else None
        if recorded is None or self._labels_topic is None:
            return None
        labels = self._bag.image_at(self._labels_topic, stamp, recorded).pixels
        if labels.shape != rgb.shape[:2]:
            raise HierSegError(
                f'{self._bag.path}: {self._labels_topic}: is {labels.shape}, its image '
                f'{rgb.shape[:2]}; record with output_scale 1.0, or give --model'
            )
        return labels

    def _recorded_labels(self) -> tuple[str | None, Hierarchy | None]:
        """Return the topic of the finest labels, and the tree that the node published."""
        topics = [name for name in self._bag.image_topics if _level_of(name)]
        topics = [name for name in topics if not name.startswith(GROUND_TRUTH)]
        if not topics:
            return None, None
        deepest = max(topics, key=_level_of)
        space = _node_of(deepest).rstrip('/')
        while space:
            topic = f'{space}/hierarchy'
            if topic in self._bag.topics:
                source = f'{self._bag.path}: {topic}'
                with suppress(DamagedBagError):
                    for message in self._bag.deserialized(topic):
                        return deepest, Hierarchy(parse_json(message.data, source), source)
            space = space.rpartition('/')[0]
        return deepest, None


def _level_of(topic: str) -> int:
    """Return the level of a topic …/level_N/labels; 0 for any other."""
    parts = topic.split('/')
    number = parts[-2].removeprefix('level_') if len(parts) > 2 and parts[-1] == 'labels' else ''
    return int(number) if number.isdecimal() and parts[-2].startswith('level_') else 0


def _node_of(topic: str) -> str:
    """Return what a topic of labels begins with before its level, with its slash."""
    return f'{topic.rsplit("/", 2)[0]}/'


def is_bag(path: Path) -> bool:
    """Return whether a path is a recording's: its folder, or one of its files."""
    if path.is_file():
        return path.suffix.lower() in KINDS
    return (path / METADATA).is_file() or any(
        file.suffix.lower() in KINDS for file in (path.iterdir() if path.is_dir() else ())
    )


def open_source(
    path: Path,
    tree: Hierarchy,
    *,
    format_name: str | None = None,
    splits: tuple[str, ...] = (),
    mapping: Path | None = None,
    image_topic: str | None = None,
) -> Source:
    """Return the pictures at a path.

    Parameters
    ----------
    path
        A recording; a data set; a folder with ``images/SPLIT`` and ``labels/SPLIT``; an image or a
        folder of images.
    tree
        On whose nodes labels fall.
    format_name
        The layout of a data set; None: what the path looks like.
    splits
        Those of a data set; none given: those that there are.
    mapping
        A mapping file of a data set. A folder with labels that has none, and no ``mapping.yaml``,
        has node ids.
    image_topic
        The topic of a recording's images, where it has several.

    Raises
    ------
    HierSegError
        There is nothing that could be used.

    """
    if not path.exists():
        raise HierSegError(f'{path}: does not exist; give a recording, a data set or images')
    if format_name is None and is_bag(path):
        return BagImages(path, image_topic)
    if format_name is None and (path / 'images').is_dir() and (path / 'labels').is_dir():
        format_name = FOLDER
    if format_name is None:
        return ImageFiles(path)
    return open_labelled(path, tree, format_name, splits, mapping)


def open_labelled(
    path: Path,
    tree: Hierarchy,
    format_name: str,
    splits: tuple[str, ...] = (),
    mapping: Path | None = None,
) -> DatasetImages:
    """Return the labelled images of a data set; parameters and errors as for `open_source`."""
    with ExitStack() as stack:
        if mapping is None and format_name == FOLDER:
            mapping = path / _MAPPING
            if not mapping.is_file():
                mapping = Path(stack.enter_context(tempfile.TemporaryDirectory())) / _MAPPING
                write_node_mapping(mapping, tree)
        names = splits or splits_of(path, format_name)
        return DatasetImages(
            [open_dataset(format_name, path, name, tree, mapping) for name in names], tree
        )


def splits_of(path: Path, format_name: str) -> tuple[str, ...]:
    """Return the splits of a data set that are there.

    Raises
    ------
    HierSegError
        None can be found.

    """
    known = FORMATS[format_name].splits
    if known:
        candidates = [name for name in known if name in ('train', 'val')] or list(known)
    else:
        folders = [
            *(path / 'images').glob('*/'),
            *(found.parent for found in path.glob('*/images')),
        ]
        lists = [file for file in path.glob('*.txt') if file.stem != 'labelmap']
        candidates = sorted({found.stem for found in folders or lists})
    if not candidates:
        raise HierSegError(f'{path}: has no split that could be found; name it with --split')
    return tuple(candidates)

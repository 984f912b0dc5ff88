# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an experiment names, opened: its trees and its data sets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.label_spaces.node_sets import NodeSet, common_node
from hier_seg_ros.resources import find_hierarchy
from hier_seg_trainer.augmentation.augmentation_options import CropOptions
from hier_seg_trainer.augmentation.pasting import sign_places
from hier_seg_trainer.batches.mixed_batches import Stream
from hier_seg_trainer.configuration import DataOptions, Experiment
from hier_seg_trainer.datasets.flat import flat_hierarchy
from hier_seg_trainer.datasets.formats.gtsrb import Gtsrb
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.datasets.samples import StreetDataset, node_sets_of
from hier_seg_trainer.loss.targets import supervised_nodes


@dataclass(frozen=True)
class TrainingData:
    """The trees and data sets of an experiment.

    Attributes
    ----------
    hierarchy
        The tree that the data sets are read by and scored on.
    network_hierarchy
        The tree of the network's classifiers: the same one, or a flat one.
    streams
        What the batches are made of, in the order of the experiment.
    validation
        What is scored, by the name that its scores go by, with its entry.
    supervised
        Names of the nodes of ``network_hierarchy`` that some data set teaches.
    node_sets
        The sets of nodes that labels of the data sets may be, each of an id of its own.
    box_ids, image_ids
        Ids of the nodes that boxes and image labels may show.
    negative_ids
        Ids of the nodes that no pixel far from all boxes shows, in any of the data sets whose boxes
        are complete.

    """

    hierarchy: Hierarchy
    network_hierarchy: Hierarchy
    streams: tuple[Stream, ...]
    validation: Mapping[str, tuple[DataOptions, StreetDataset]]
    supervised: tuple[str, ...]
    node_sets: tuple[NodeSet, ...]
    box_ids: frozenset[int]
    image_ids: frozenset[int]
    negative_ids: frozenset[int]

    @property
    def datasets(self) -> list[StreetDataset]:
        """What is trained on, in the order of the experiment."""
        return [stream.dataset for stream in self.streams]


def open_training_data(experiment: Experiment, data: Path) -> TrainingData:
    """Open everything that an experiment names below the folder `data`.

    Raises
    ------
    HierSegError
        Something is missing, is broken or does not go together.

    """
    hierarchy = Hierarchy.load(find_hierarchy(experiment.hierarchy))
    streams: list[Stream] = []
    node_sets: dict[int, NodeSet] = {}
    for entry in experiment.data:
        streams.append(_stream(entry, experiment, data, hierarchy, node_sets.values()))
        # Data sets with the same set of nodes share its id.
        node_sets = {one.id: one for one in node_sets_of(streams[-1].dataset)} | node_sets
    named = frozenset().union(*(_named(stream, hierarchy) for stream in streams))
    if not experiment.flat:
        # Whichever of its nodes a set's pixel shows, it shows what is above all of them.
        above = (common_node(one, hierarchy) for one in node_sets.values())
        named |= {node.name for node in above if node is not None}
    network_hierarchy = flat_hierarchy(hierarchy, named) if experiment.flat else hierarchy
    ids_of = {
        kind: {
            _ids(_named(stream, hierarchy), hierarchy)
            for stream in streams
            if stream.dataset.supervision == kind
        }
        for kind in ('boxes', 'image')
    }
    # Of pasted signs only what is pasted has a box.
    complete = {
        _ids(stream.dataset.node_names, hierarchy)
        for stream in streams
        if stream.dataset.complete_boxes
    }
    negative_ids = frozenset.intersection(*complete) if complete else frozenset()
    boxed = any(stream.dataset.supervision == 'boxes' for stream in streams)
    if experiment.loss.negatives_per_positive > 0 and boxed and not complete:
        raise HierSegError(
            'loss.negatives_per_positive: does nothing, as no mapping of boxes says '
            'complete_boxes: true; write 0, or complete_boxes if every object has its box'
        )
    if experiment.loss.negatives_per_positive > 0 and complete and not negative_ids:
        raise HierSegError(
            'loss.negatives_per_positive: the data sets with boxes name different classes: what '
            'shows none of one may show one of another; write 0'
        )
    return TrainingData(
        hierarchy=hierarchy,
        network_hierarchy=network_hierarchy,
        streams=tuple(streams),
        validation=_validation(experiment, data, hierarchy),
        supervised=supervised_nodes(network_hierarchy, named),
        node_sets=tuple(node_sets.values()),
        box_ids=frozenset().union(*ids_of['boxes']),
        image_ids=frozenset().union(*ids_of['image']),
        negative_ids=negative_ids,
    )


def _stream(
    entry: DataOptions,
    experiment: Experiment,
    data: Path,
    hierarchy: Hierarchy,
    known_sets: Collection[NodeSet],
) -> Stream:
    """Open a data set with its share of the batch."""
    signs = Gtsrb(data / entry.pasted_signs, 'train', hierarchy) if entry.pasted_signs else None
    dataset = _open(entry, entry.split, data, hierarchy, known_sets)
    ids = [*_ids(dataset.node_names, hierarchy), *(one.id for one in node_sets_of(dataset))]
    if entry.flip and (dataset.mirror_of_id[ids] < 0).all():
        raise HierSegError(
            f'data {entry.path}: flip does nothing, as its mapping says of no class what a mirror '
            f'shows; write mirror: all there if every class may be mirrored, or flip: false'
        )
    return Stream(
        dataset,
        entry.images_per_batch,
        CropOptions(
            experiment.crop, entry.scale, entry.flip, entry.focus_on_boxes, entry.scale_to_crop
        ),
        experiment.augmentation,
        entry.paste,
        signs,
        sign_places(hierarchy, signs.node_names) if signs else frozenset(),
    )


def _validation(
    experiment: Experiment, data: Path, hierarchy: Hierarchy
) -> dict[str, tuple[DataOptions, StreetDataset]]:
    """Open what is to be scored; what two entries share is scored once."""
    places = {
        (entry.format, entry.path, entry.mapping, entry.validation_split): entry
        for entry in experiment.data
        if entry.validation_split
    }
    opened: dict[str, tuple[DataOptions, StreetDataset]] = {}
    for entry in places.values():
        dataset = _open(entry, entry.validation_split, data, hierarchy)
        name, number = dataset.name, 1
        while name in opened:
            number += 1
            name = f'{dataset.name}_{number}'
        opened[name] = (entry, dataset)
    return opened


def _open(
    entry: DataOptions,
    split: str,
    data: Path,
    hierarchy: Hierarchy,
    known_sets: Collection[NodeSet] = (),
) -> StreetDataset:
    mapping = data / entry.mapping if entry.mapping else None
    return open_dataset(
        entry.format, data / entry.path, split, hierarchy, mapping, known_sets=known_sets
    )


def _named(stream: Stream, hierarchy: Hierarchy) -> frozenset[str]:
    """Return the names of the nodes that the labels of a stream's crops show, pasted signs too."""
    dataset, signs, paste = stream.dataset, stream.signs, stream.paste
    if signs is None:
        return dataset.node_names
    beside_boxes = paste.count > 0 and dataset.supervision == 'boxes'
    onto_signs = paste.replace > 0 and bool(
        _ids(dataset.node_names, hierarchy) & stream.sign_places
    )
    return dataset.node_names | (signs.node_names if beside_boxes or onto_signs else frozenset())


def _ids(node_names: Collection[str], hierarchy: Hierarchy) -> frozenset[int]:
    return frozenset(hierarchy.node(name).id for name in node_names)

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The labels of an image as they stand: those of the whole frame, and the answers to proposals.

What an answer says holds within its region. Labels of the whole frame that are newer than the
answer hold where they differ from the prediction that they were painted on, so that a frame which
is painted does not take back the answers before it. Without labels of the frame, what is around the
regions is that of the data set that the folder was made from, or unlabelled: what a model predicts
is no label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.hierarchy import UNLABELLED, Node
from hier_seg_ros.images.image_files import read_image
from hier_seg_trainer.labelling.folder import LabellingFolder
from hier_seg_trainer.labelling.proposals import Proposal
from hier_seg_trainer.labelling.state import Entry, State


@dataclass(frozen=True)
class LabelledObject:
    """An object of an image whose class somebody has given.

    Attributes
    ----------
    node
        Its class; the parent of the classes to choose from where it is none of these.
    unknown
        Whether it is none of these.
    mask
        H×W bool, what of its region has not been painted over.

    """

    node: Node
    unknown: bool
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class ImageLabels:
    """The labels of an image.

    Attributes
    ----------
    name
        The image's name in the folder.
    labels
        H×W uint8 node ids, 255 = unlabelled.
    objects
        The objects among them that were answers to proposals; none covers another.

    """

    name: str
    labels: NDArray[np.uint8]
    objects: tuple[LabelledObject, ...]

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Where an object is none of the classes to choose from, H×W bool."""
        found = np.zeros(self.labels.shape, bool)
        for item in self.objects:
            if item.unknown:
                found |= item.mask
        return found

    @property
    def around(self) -> NDArray[np.uint8]:
        """The labels without the objects, H×W uint8 node ids."""
        rest = self.labels.copy()
        for item in self.objects:
            rest[item.mask] = UNLABELLED
        return rest


def labels_of_image(folder: LabellingFolder, state: State, name: str) -> ImageLabels:
    """Return the labels of an image after the entries of `state`.

    Raises
    ------
    HierSegError
        A file cannot be read.

    """
    prediction = folder.prediction(name)
    if prediction is None:
        shape = read_image(folder.image_path(name)).shape[:2]
        prediction = np.full(shape, UNLABELLED, np.uint8)
    frame = state.frames.get(name)
    painted = prediction if frame is None else folder.frame_labels(frame)
    labels = painted
    if frame is None and folder.description.get('model') is not None:
        labels = np.full_like(prediction, UNLABELLED)
    labels = labels.copy()
    # Each pixel's answer: its place among them, -1 for none.
    owner = np.full(labels.shape, -1, np.int32)
    answers = list(_answers(folder, state, name))
    for place, (entry, proposal) in enumerate(answers):
        left, top, right, bottom = proposal.box
        window = np.s_[top:bottom, left:right]
        region = proposal.mask[: max(0, labels.shape[0] - top), : max(0, labels.shape[1] - left)]
        if frame is not None and frame.number > entry.number:
            region = region & (painted[window] == prediction[window])
        labels[window][region] = _node_id(folder, entry, proposal)
        owner[window][region] = place
    objects = tuple(
        LabelledObject(folder.tree.node_by_id(node_id), entry.action == 'unknown', owner == place)
        for place, (entry, proposal) in enumerate(answers)
        if (node_id := _node_id(folder, entry, proposal)) != UNLABELLED and (owner == place).any()
    )
    return ImageLabels(name, labels, objects)


def labelled_images(folder: LabellingFolder, state: State) -> list[str]:
    """Return the names of the images that somebody has labelled, sorted."""
    answered = {folder.proposal_of_id[key].image for key in state.answers}
    return sorted(answered | set(state.frames))


def _answers(folder: LabellingFolder, state: State, name: str) -> Iterator[tuple[Entry, Proposal]]:
    """Yield the answers to an image's proposals in the order in which they were given."""
    for key, entry in sorted(state.answers.items(), key=lambda item: item[1].number):
        proposal = folder.proposal_of_id[key]
        if proposal.image == name:
            yield entry, proposal


def _node_id(folder: LabellingFolder, entry: Entry, proposal: Proposal) -> int:
    """Return what an answer makes of its region; 255 where it is nothing of its class."""
    if entry.action == 'nothing':
        return UNLABELLED
    name = entry.values['class'] if entry.action == 'label' else proposal.parent
    return folder.tree.node(name).id

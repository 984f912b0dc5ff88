# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cityscapes Extended: the labels of Cityscapes in 16 bits, with 43 classes of signs among them.

::

    leftImg8bit/train/ulm/ulm_000012_000019_leftImg8bit.png
    gtFine/train/ulm/ulm_000012_000019_gtFine_labelIds.png      0-33, 2000-2042, 2043

What is not a sign of a known class has the label id of Cityscapes. A sign has 2000 and the class id
of GTSDB; 2043 is a sign of none of these classes. ``hier-seg label`` writes such files, too.

>>> dataset = CityscapesExtended(data, 'train', tree)
>>> len(dataset), dataset[0].image.size
(3, (96, 64))
>>> tree.node_by_id(dataset[0].labels[0, 0]).readable_name
'Sky'
>>> tree.node_by_id(dataset[0].labels[20, 20]).readable_name
'stop'

Meletis & Dubbelman, "Training of Convolutional Networks on Multiple Heterogeneous Datasets for
Street Scene Semantic Segmentation", IV 2018.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.bundled import bundled_mapping
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_ros.label_spaces.node_sets import NodeSet
from hier_seg_trainer.datasets.formats.cityscapes import Cityscapes
from hier_seg_trainer.datasets.stored_pixels import open_instances

FIRST_SIGN = 2000
UNKNOWN_SIGN = 2043


class CityscapesExtended(Cityscapes):
    """Images of Cityscapes, or others in its layout, whose signs have a class."""

    name = 'cityscapes_extended'
    title = 'Cityscapes Extended'

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
        known_sets: Collection[NodeSet] = (),
    ) -> None:
        """List the images of a split; parameters and errors as for ``Reader``."""
        super().__init__(root, split, hierarchy, mapping, strict, known_sets)
        signs = LabelMapping.load(bundled_mapping('gtsdb'), hierarchy)
        # 65536 entries, one for each value of 16 bits; -1 is no value of the data set.
        self._id_of_value = np.full(2**16, -1, np.int16)
        for value, entry in signs.by_value().items():
            self._id_of_value[FIRST_SIGN + value] = entry.node.id
        parents = {hierarchy.node(name).parent for name in signs.node_names}
        parent = parents.pop() if len(parents) == 1 else None
        self._id_of_value[UNKNOWN_SIGN] = hierarchy.node(parent).id if parent else UNLABELLED
        self.node_names |= signs.node_names
        own = self.mirror_of_id == -1
        self.mirror_of_id = np.where(own, signs.mirror_of_id, self.mirror_of_id)

    def labels(self, index: int) -> NDArray[np.uint8]:
        """Return an image's labels; see ``LabelledImages.labels``."""
        path = self._files[index].labels
        values = open_instances(path)
        is_label_id = (values >= 0) & (values <= UNLABELLED)
        label_ids = np.where(is_label_id, values, 0).astype(np.uint8)
        if is_label_id.all():
            self.check_labels(label_ids, path)
        ids = self._id_of_value[values.clip(0, 2**16 - 1)]
        strange = ~is_label_id & (ids < 0)
        if strange.any():
            raise HierSegError(
                f'{path}: has the value {values[strange][0]}; label ids are 0-33, signs 2000-2043: '
                f'correct the file'
            )
        return np.where(is_label_id, self.mapping.to_node_ids(label_ids, path), ids).astype(
            np.uint8
        )

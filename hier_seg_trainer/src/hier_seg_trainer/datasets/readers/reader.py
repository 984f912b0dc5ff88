# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The head of every format: how a split is opened, and what its data set says of itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.label_spaces.bundled import bundled_mapping
from hier_seg_ros.label_spaces.mapping import LabelMapping
from hier_seg_ros.label_spaces.node_sets import NodeSet
from hier_seg_trainer.datasets.faults import Fault, FaultKind, check_faults
from hier_seg_trainer.datasets.samples import Supervision


class ImageFile(Protocol):
    """What a reader knows of one image before it reads it: at least its file."""

    @property
    def image(self) -> Path:
        """The image's file."""


AnyFile = TypeVar('AnyFile', bound=ImageFile)


class Reader(Generic[AnyFile]):
    """A split of a data set, whose images are listed when it is opened and read one by one.

    A format says what stands under Attributes, and finds the files in ``list_files``.

    Attributes
    ----------
    name
        The format, as experiment files and command lines name it.
    title, licence
        As the log and the model card give them. Data of one's own has the name of its folder.
    bundled
        The mapping file that comes with the trainer, if any.
    splits
        The splits that there are; empty: any name will do.
    refused_splits
        Splits that the data set has and training cannot use, with the reason.
    labelled_by_value
        Whether the data tells classes by value (or colour), so that a mapping must give them all.
    tolerated
        Faults for which a strict reader does not refuse the data set, beside pictures in formats
        that are not read.
    supervision, complete_boxes, node_names, node_sets, mirror_of_id, faults
        See ``StreetDataset``.
    mapping
        The mapping file's content.

    """

    name: str
    title = ''
    licence = 'as its owner says'
    bundled = ''
    splits: tuple[str, ...] = ()
    refused_splits: Mapping[str, str] = {}
    labelled_by_value = True
    tolerated: tuple[FaultKind, ...] = ()
    supervision: Supervision

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
        known_sets: Collection[NodeSet] = (),
    ) -> None:
        """List the images of a split.

        Parameters
        ----------
        root
            The folder of the data set.
        split
            The name of the split.
        hierarchy
            The tree on whose nodes the classes fall.
        mapping
            A mapping file in place of the bundled one; the formats of one's own data need it.
        strict
            Refuse the data set if any file or entry cannot be used; otherwise leave those out.
        known_sets
            Sets of nodes of other data sets, from which those of this one are told by their ids.

        Raises
        ------
        HierSegError
            The data set or the split is not there, the mapping does not fit, nothing can be used,
            or `strict` is true and something cannot.

        """
        if split in self.refused_splits:
            raise HierSegError(f'{self.name}: {self.refused_splits[split]}')
        if self.splits and split not in self.splits:
            choices = ', '.join(self.splits)
            raise HierSegError(f'{self.name}: has no split {split!r}; choose among {choices}')
        if mapping is None and not self.bundled:
            raise HierSegError(
                f'{self.name}: needs a mapping file, which says on which node of the tree each '
                f'class falls; give one as mapping (--mapping on a command line)'
            )
        self.title = self.title or root.resolve().name
        mapping = mapping or bundled_mapping(self.bundled)
        self.mapping = LabelMapping.load(mapping, hierarchy, known_sets)
        if self.mapping.node_sets and self.supervision != 'pixels':
            raise HierSegError(
                f'{mapping}: class {self.mapping.node_sets[0].name!r}: lists nodes, and only '
                f'labelled pixels may show one of several; name a single node'
            )
        faults: list[Fault] = []
        files = [
            file for file in self.list_files(root, split, faults) if self.is_whole(file, faults)
        ]
        if self.labelled_by_value:
            self.mapping.require_values()
        if strict:
            tolerated = {*self.tolerated, 'unread_format'}
            faults = [fault for fault in faults if fault.kind not in tolerated]
        self.faults = check_faults(faults, strict or not files)
        if not files:
            raise HierSegError(f'{root}: has no image of the {split} split; check the folder')
        self._files = files
        self.node_names = self.mapping.node_names
        self.node_sets = self.mapping.node_sets
        self.mirror_of_id = self.mapping.mirror_of_id
        # Of boxes alone a mapping file can say so.
        self.complete_boxes = self.supervision == 'boxes' and self.mapping.complete_boxes

    def list_files(self, root: Path, split: str, faults: list[Fault]) -> Iterable[AnyFile]:
        """Find the files of a split, and complete ``mapping`` where the data set itself helps.

        Parameters
        ----------
        root, split
            As for the constructor.
        faults
            What cannot be used is added here.

        Raises
        ------
        HierSegError
            The split cannot be used as a whole.

        """
        raise NotImplementedError

    def is_whole(self, file: AnyFile, faults: list[Fault]) -> bool:
        """Return whether all that belongs to an image is there; what is not goes to `faults`."""
        return True

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._files)

    def image_path(self, index: int) -> Path:
        """Return the image's file."""
        return self._files[index].image

    def label_path(self, index: int) -> Path | None:
        """Return the file that holds the image's labels; None if it has none of its own."""
        return None

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that ``hier-seg propose`` writes and ``hier-seg label`` opens.

::

    folder.json             what it is: the tree, the model, the command
    hierarchy.yaml          the tree of all names and ids in it
    images/NAME.EXT         the pictures
    predictions/NAME.png    node ids of the model, or the labels given; 255 = unlabelled
    proposals.jsonl         the regions that wait for a label, in the order to label them
    log.jsonl               who said what and when (``log``)
    frames/NAME.NUMBER.png  labels of whole frames, by the number of their entry in the log
    labels/                 the results, written anew from the log
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError, shown
from hier_seg_ros.files.reading import read_json
from hier_seg_ros.files.suggestions import did_you_mean
from hier_seg_ros.files.writing import write_bytes
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.images.compression import encode_png
from hier_seg_ros.images.image_files import read_png
from hier_seg_trainer.labelling.log import Log
from hier_seg_trainer.labelling.proposals import Proposal, read_proposals
from hier_seg_trainer.labelling.state import Entry

FORMAT = 'hier_seg labelling folder'
VERSION = 1
DESCRIPTION = 'folder.json'
TREE = 'hierarchy.yaml'
IMAGES = 'images'
PREDICTIONS = 'predictions'
PROPOSALS = 'proposals.jsonl'
LOG = 'log.jsonl'
FRAMES = 'frames'
LOCK = 'lock'
_NEEDED = 'give a folder that hier-seg propose has written'


@dataclass(frozen=True)
class LabellingFolder:
    """A labelling folder that has been read and checked.

    Attributes
    ----------
    path
        Where it is.
    description
        What ``folder.json`` holds.
    tree
        The label tree of all names and ids.
    proposals
        The proposals in the order to label them.
    images
        The files of all pictures by their names, sorted.

    """

    path: Path
    description: Mapping[str, Any]
    tree: Hierarchy
    proposals: tuple[Proposal, ...]
    images: Mapping[str, Path]

    @classmethod
    def open(cls, path: Path) -> LabellingFolder:
        """Read and check a folder.

        Raises
        ------
        HierSegError
            It is none, its tree is another one, or an image is gone.

        """
        description = _description(path)
        tree = Hierarchy.load(path / TREE)
        if tree_digest(path / TREE) != description['tree_sha256']:
            raise HierSegError(
                f'{path / TREE}: is not the tree that the folder was written with '
                f'({shown(description["tree"])}); restore it, or propose again with this tree'
            )
        images = _images(path / IMAGES)
        proposals = read_proposals(path / PROPOSALS)
        names = {node.name for node in tree.nodes}
        for proposal in proposals:
            if proposal.image not in images:
                count = sum(other.image == proposal.image for other in proposals)
                raise HierSegError(
                    f'{path / IMAGES / proposal.image}: is missing, and {count} proposals are of '
                    f'it; restore it'
                )
            for name in (proposal.parent, *(guess.name for guess in proposal.guesses)):
                if name not in names:
                    hint = did_you_mean(name, names, 'propose again')
                    raise HierSegError(
                        f'{path / PROPOSALS}: proposal {proposal.id}: the tree {tree.name} has no '
                        f'class {shown(name)}; {hint}'
                    )
        return cls(path, description, tree, tuple(proposals), images)

    @cached_property
    def proposal_of_id(self) -> Mapping[int, Proposal]:
        """Each proposal by its id."""
        return {proposal.id: proposal for proposal in self.proposals}

    def image_path(self, name: str) -> Path:
        """Return the file of a picture, which lies in the folder.

        Raises
        ------
        HierSegError
            The folder has no such picture, or it is gone.

        """
        path = self.images.get(name)
        if path is None:
            hint = did_you_mean(name, self.images, 'see its folder images')
            raise HierSegError(f'{self.path}: has no image {shown(name)}; {hint}')
        if path.is_symlink() or not path.is_file():
            raise HierSegError(f'{path}: is missing; restore it')
        return path

    def prediction(self, name: str) -> NDArray[np.uint8] | None:
        """Return an image's prediction, H×W node ids, 255 = unlabelled; None where there is none.

        Raises
        ------
        HierSegError
            The folder has no such picture, or the file cannot be read.

        """
        path = self.path / PREDICTIONS / f'{self.image_path(name).stem}.png'
        return self._labels(path) if path.is_file() else None

    def frame_labels(self, entry: Entry) -> NDArray[np.uint8]:
        """Return the labels of a whole frame, H×W node ids, which an entry of the log names.

        Raises
        ------
        HierSegError
            The entry does not name its own file, or that cannot be read.

        """
        name = frame_file(entry.values['image'], entry.number)
        if entry.values['labels'] != name:
            raise HierSegError(
                f'{self.path / LOG}: line {entry.number}: names the labels '
                f'{shown(entry.values["labels"])} instead of {name}; correct it'
            )
        return self._labels(self.path / name)

    def check_action(self, action: Mapping[str, Any]) -> None:
        """Check that the folder has what an action names: the proposal, the class, the image.

        Raises
        ------
        HierSegError
            It has not.

        """
        if 'proposal' in action and action['proposal'] not in self.proposal_of_id:
            raise HierSegError(
                f'{self.path}: has no proposal {shown(action["proposal"])}; reload the page'
            )
        if 'class' in action:
            name = action['class']
            names = [node.name for node in self.tree.nodes]
            if name not in names:
                hint = did_you_mean(name, names, f'see {TREE}')
                raise HierSegError(f'the tree {self.tree.name}: has no class {shown(name)}; {hint}')
        if 'image' in action and action['image'] not in self.images:
            raise HierSegError(f'{self.path}: has no image {shown(action["image"])}')

    def open_log(self) -> Log:
        """Read the log, and check that the folder has all that it names.

        To append to it is for the process that holds the `lock`.

        Raises
        ------
        HierSegError
            A line is wrong.

        """
        log = Log(self.path / LOG)
        for entry in log.state.entries:
            try:
                self.check_action(entry.values)
            except HierSegError as error:
                raise HierSegError(f'{log.path}: line {entry.number}: {error}') from error
        return log

    def append(self, log: Log, author: str, session: str, action: Mapping[str, Any]) -> Entry:
        """Check an action against the folder and the state, and write its entry.

        Raises
        ------
        ConflictError, HierSegError
            As for `check_action` and ``Log.append``.

        """
        self.check_action(action)
        return log.append(author, session, action)

    def append_frame(
        self,
        log: Log,
        author: str,
        session: str,
        image: str,
        labels: NDArray[np.uint8],
        base: int,
    ) -> Entry:
        """Write the labels of a whole frame, and then their entry.

        Parameters
        ----------
        log, author, session
            As for `append`.
        image
            The name of the picture.
        labels
            H×W node ids, 255 = unlabelled.
        base
            The number of the entry whose labels they were painted on; 0 for the prediction.

        Raises
        ------
        ConflictError
            These are not the newest labels any more.
        HierSegError
            The labels hold other values than ids of the tree, or cannot be written.

        """
        values = np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist()
        known = {node.id for node in self.tree.nodes} | {UNLABELLED}
        if wrong := [value for value in values if value not in known]:
            raise HierSegError(
                f'{image}: its labels hold {wrong[0]}, which is no id of the tree '
                f'{self.tree.name}; use those of {TREE}'
            )
        name = frame_file(image, len(log.state.entries) + 1)
        action = {'action': 'frame', 'image': image, 'labels': name, 'base': base}
        self.check_action(action)
        newest = log.state.frames.get(image)
        # Not written for nothing; the log checks it again.
        if base == (newest.number if newest else 0):
            write_bytes(self.path / name, encode_png(np.ascontiguousarray(labels)))
        return log.append(author, session, action)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder's lock: one process at a time writes to it.

        Raises
        ------
        HierSegError
            Another process holds it, or the folder cannot be written.

        """
        path = self.path / LOCK
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise HierSegError(
                f'{self.path}: cannot be written ({error.strerror}); labels need a folder that '
                f'you may write'
            ) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(descriptor, 20, 0).decode(errors='replace').strip()
                raise HierSegError(
                    f'{self.path}: is open in another hier-seg label (process {holder or "?"}); '
                    f'use its page, or end it'
                ) from error
            _name_holder(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _labels(self, path: Path) -> NDArray[np.uint8]:
        labels = read_png(path)
        if labels.ndim != 2:
            raise HierSegError(f'{path}: is no 8-bit grey PNG; restore it')
        return labels


def frame_file(image: str, number: int) -> str:
    """Return where the labels of a whole frame are, below the folder."""
    return f'{FRAMES}/{Path(image).stem}.{number}.png'


def tree_digest(path: Path) -> str:
    """Return the SHA-256 of a tree file that has been read before."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _name_holder(descriptor: int) -> None:
    """Write this process into the lock's file, for the one that finds it taken."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f'{os.getpid()}\n'.encode(), 0)
    except OSError:  # a full disk: the lock holds all the same
        return


def _description(path: Path) -> Mapping[str, Any]:
    file = path / DESCRIPTION
    if not file.is_file():
        raise HierSegError(f'{path}: is no labelling folder, {DESCRIPTION} is missing; {_NEEDED}')
    content = read_json(file, _NEEDED)
    if not isinstance(content, Mapping) or content.get('format') != FORMAT:
        raise HierSegError(f'{file}: describes no labelling folder; {_NEEDED}')
    if content.get('version') != VERSION:
        raise HierSegError(
            f'{file}: its version is {shown(content.get("version"))}, this program reads '
            f'{VERSION}; use the program that wrote it'
        )
    for key in ('tree', 'tree_sha256'):
        if not isinstance(content.get(key), str):
            raise HierSegError(f'{file}: its {key} is {shown(content.get(key))}; restore it')
    return content


def _images(folder: Path) -> dict[str, Path]:
    """Return the files of a folder by their names; a link may lead out of it and is left out."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError as error:
        raise HierSegError(f'{folder}: cannot be read ({error.strerror}); {_NEEDED}') from error
    return {name: folder / name for name in sorted(names) if not name.startswith('.')}

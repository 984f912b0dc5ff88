# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing a new labelling folder: it appears whole or not at all."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import written_folder
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.images.compression import encode_png, encode_rgb_png
from hier_seg_ros.images.image_files import decode_image
from hier_seg_trainer.labelling.folder import (
    DESCRIPTION,
    FORMAT,
    IMAGES,
    LOG,
    PREDICTIONS,
    PROPOSALS,
    TREE,
    VERSION,
    tree_digest,
)
from hier_seg_trainer.labelling.log import Log
from hier_seg_trainer.labelling.proposals import Proposal, write_proposals

# What every browser shows.
_SHOWN_SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp')
_UNSAFE = re.compile(r'[^A-Za-z0-9_-]+')
# Of a file name, with room for what is added to it.
_MOST_CHARACTERS = 120


class NewFolder:
    """A labelling folder that is being written."""

    def __init__(self, path: Path, tree: Hierarchy) -> None:
        """Begin it in a new, empty folder."""
        self._path = path
        self._stems: set[str] = set()
        for folder in (IMAGES, PREDICTIONS):
            (path / folder).mkdir()
        tree.save(path / TREE)

    def add_image(
        self,
        name: str,
        data: bytes,
        prediction: NDArray[np.uint8] | None = None,
        rgb: NDArray[np.uint8] | None = None,
    ) -> str:
        """Add a picture; return its name in the folder.

        Parameters
        ----------
        name
            The name of its file, or one with its suffix; those that are there already, and
            characters that a path or an address may not have, are changed.
        data
            What its file holds. It is stored as it is, or as PNG where browsers cannot show it.
        prediction
            H×W node ids, 255 = unlabelled; None where there are none.
        rgb
            H×W×3, its pixels, for what browsers cannot show; None: they are decoded.

        Raises
        ------
        HierSegError
            It is to be decoded, and is neither JPEG nor PNG nor TIFF.

        """
        suffix = Path(name).suffix.lower()
        if suffix not in _SHOWN_SUFFIXES:
            pixels = decode_image(data, name) if rgb is None else np.ascontiguousarray(rgb)
            data, suffix = encode_rgb_png(pixels), '.png'
        stem = self._free_stem(_UNSAFE.sub('_', Path(name).stem)[:_MOST_CHARACTERS] or 'image')
        (self._path / IMAGES / f'{stem}{suffix}').write_bytes(data)
        if prediction is not None:
            content = encode_png(np.ascontiguousarray(prediction))
            (self._path / PREDICTIONS / f'{stem}.png').write_bytes(content)
        return f'{stem}{suffix}'

    def add_proposals(self, proposals: Iterable[Proposal]) -> None:
        """Write the proposals, in the order to label them."""
        write_proposals(self._path / PROPOSALS, proposals)

    def add_labels(self, author: str, labels: Iterable[tuple[int, str]]) -> None:
        """Begin the log with labels that were given elsewhere.

        Parameters
        ----------
        author
            Where they come from.
        labels
            The id of the proposal and the name of the class, for each.

        """
        log, session = Log(self._path / LOG), uuid.uuid4().hex
        log.append_all(
            author,
            session,
            ({'action': 'label', 'proposal': key, 'class': name} for key, name in labels),
        )

    def _free_stem(self, stem: str) -> str:
        """Return a stem that no other image has, also where case does not count."""
        free, number = stem, 1
        while free.lower() in self._stems:
            number += 1
            free = f'{stem}_{number}'
        self._stems.add(free.lower())
        return free


@contextmanager
def new_labelling_folder(
    path: Path, tree: Hierarchy, description: Mapping[str, Any]
) -> Iterator[NewFolder]:
    """Yield a labelling folder to fill, which is at `path` when the block ends well.

    Parameters
    ----------
    path
        Where it will be: nothing or an empty folder may be there.
    tree
        The tree of its names and ids.
    description
        What else ``folder.json`` says: the model, the command, the parent classes.

    Raises
    ------
    HierSegError
        Something is at `path`, or the folder cannot be written.

    """
    require_free(path)
    with written_folder(path) as partial:
        folder = NewFolder(partial, tree)
        yield folder
        for name in (PROPOSALS, LOG):
            (partial / name).touch()
        content = {
            'format': FORMAT,
            'version': VERSION,
            'tree': tree.name,
            'tree_sha256': tree_digest(partial / TREE),
            **description,
        }
        (partial / DESCRIPTION).write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


def require_free(path: Path) -> None:
    """Check that a new folder may be at `path`: labels that are there must not be lost.

    Raises
    ------
    HierSegError
        A file or a folder that is not empty is there.

    """
    try:
        taken = path.exists() and (not path.is_dir() or any(path.iterdir()))
    except OSError as error:
        raise HierSegError(
            f'{path}: cannot be read ({error.strerror}); choose another --out'
        ) from error
    if taken:
        raise HierSegError(
            f'{path}: exists already, and its labels would be lost; choose another --out'
        )

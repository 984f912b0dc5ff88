# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a data set: the kinds, and one finding of a kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hier_seg_ros.files.reading import read_yaml


@dataclass(frozen=True)
class Kind:
    """A kind of problem.

    Attributes
    ----------
    title
        What the page calls it.
    severity
        An 'error' spoils training or its scores, a 'warning' wants a look.
    advice
        What it means and what to do.

    """

    title: str
    severity: Literal['error', 'warning']
    advice: str


# In the order of the page.
KINDS = {
    name: Kind(**kind)
    for name, kind in read_yaml(Path(__file__).with_name('problem_kinds.yaml')).items()
}


@dataclass(frozen=True)
class Problem:
    """One finding.

    Attributes
    ----------
    kind
        A key of ``KINDS``.
    path
        The file, or folder.
    detail
        What is wrong with it.
    images
        Images to show with it, the file itself apart.

    """

    kind: str
    path: Path
    detail: str
    images: tuple[Path, ...] = ()

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ordered class names of each classifier: what the positions of its logits stand for.

Tensors of another tree may have the right shapes and mean other classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy


def class_names(hierarchy: Hierarchy) -> dict[str, list[str]]:
    """Return the names of each classifier's classes, in the order of its logits."""
    return {c.name: [node.name for node in c.nodes] for c in hierarchy.classifiers}


def other_classifiers(one: Mapping[str, Sequence[str]], hierarchy: Hierarchy) -> list[str]:
    """Return the classifiers of a tree that stand in `one`, too, but not for the same classes."""
    wanted = class_names(hierarchy)
    return [name for name in wanted if name in one and list(one[name]) != wanted[name]]


def check_class_names(
    found: Mapping[str, Sequence[str]] | None, hierarchy: Hierarchy, where: str, advice: str
) -> None:
    """Check that tensors are those of a tree.

    Parameters
    ----------
    found
        What is recorded beside the tensors, as `class_names` returns it; None, as older versions
        recorded nothing: it is not checked.
    hierarchy
        The tree.
    where, advice
        The beginning and the end of the error's line.

    Raises
    ------
    HierSegError
        There are other classifiers or classes, or in another order.

    """
    if found is None:
        return
    others = other_classifiers(found, hierarchy)
    if others or list(found) != list(class_names(hierarchy)):
        what = f'its classifier {others[0]} has other classes' if others else 'other classifiers'
        raise HierSegError(f'{where} ({what} than the tree, or in another order); {advice}')

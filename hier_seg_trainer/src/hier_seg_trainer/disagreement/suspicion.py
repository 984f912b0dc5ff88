# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How suspicious a label is.

It is the probability of the most probable class beside the label, minus that of the label: -1 where
what is compared with is certain of the label, 1 where it is certain of another class. Against a
model these are its probabilities; against other labels, the shares of the object's pixels that
these give to each class, or to none of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hier_seg_ros.hierarchy import Hierarchy, Node
from hier_seg_ros.signs.sign_areas import SignArea


@dataclass(frozen=True)
class LabelledSign:
    """An object with a label, and what else it may be.

    Attributes
    ----------
    place
        Which of the source's pictures it is in.
    image
        The name of that picture.
    area
        Where it is.
    parent
        The class whose children are told apart.
    given
        The label: one of these children, or below one.
    probabilities
        Those of the children by name, of a model or of other labels; '' is none of them.

    """

    place: int
    image: str
    area: SignArea
    parent: Node
    given: Node
    probabilities: Mapping[str, float]


@dataclass(frozen=True)
class Disagreement:
    """A label and what contradicts it.

    Attributes
    ----------
    sign
        The object and its label.
    suspicion
        How suspicious the label is, -1 to 1.
    other
        The name of the most probable other class; '' where there is none.
    own_probability, other_probability
        Of the label and of the other class, 0-1.

    """

    sign: LabelledSign
    suspicion: float
    other: str
    own_probability: float
    other_probability: float


def disagreement(sign: LabelledSign, child: str) -> Disagreement:
    """Return how suspicious the label of an object is.

    Parameters
    ----------
    sign
        The object.
    child
        The name of the child of its class that the label is, or is below.

    """
    own = sign.probabilities.get(child, 0.0)
    others = {name: value for name, value in sign.probabilities.items() if name != child}
    other = max(others, key=lambda name: others[name], default='')
    best = others.get(other, 0.0)
    return Disagreement(sign, best - own, other if best > 0 else '', own, best)


def label_of(sign: LabelledSign, tree: Hierarchy) -> str:
    """Return the name of the child of an object's class that its label is, or is below."""
    return tree.path(sign.given)[sign.parent.depth].name


def ranked(found: Sequence[Disagreement]) -> list[Disagreement]:
    """Return disagreements, the most suspicious first; equal ones keep their order."""
    return sorted(found, key=lambda item: -item.suspicion)

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The order in which to label: how much a label would teach.

The value of a proposal is its doubt, plus half of its rarity. The doubt is the entropy of the
probabilities of its class's children and of "none of them", divided by the largest that it can be;
what is known of none is shared by all. The rarity is the mean, by these probabilities, of
1 / sqrt(1 + n), n being how many proposals of the folder are probably of the child: the sum of its
probabilities. So doubt counts first; among equally doubtful ones, the rare come before the common,
and a rare one that is half certain before a common one. Both lie in 0-1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hier_seg_trainer.labelling.proposals import MOST_GUESSES, Guess

RARITY_WEIGHT = 0.5
# A guess of less says nothing.
_LEAST_PROBABILITY = 1e-4


def doubt(probabilities: Mapping[str, float], children: int) -> float:
    """Return the normalised entropy, 0-1, of a choice.

    Parameters
    ----------
    probabilities
        Those of children by name; what is missing to 1 is shared evenly by "none of them" and all
        children.
    children
        How many there are to choose from.

    """
    given = np.zeros(children + 1)
    given[: len(probabilities)] = list(probabilities.values())
    shared = given + max(0.0, 1.0 - given.sum()) / (children + 1)
    shared /= shared.sum()
    present = shared[shared > 0]
    return float(-(present * np.log(present)).sum() / np.log(children + 1)) + 0.0


def values(probabilities: Sequence[Mapping[str, float]], children: Sequence[int]) -> list[float]:
    """Return how much the label of each proposal would teach; see above.

    Parameters
    ----------
    probabilities
        Those of the children of its class, for each proposal.
    children
        How many children its class has, for each proposal.

    """
    expected: dict[str, float] = {}
    for some in probabilities:
        for name, value in some.items():
            expected[name] = expected.get(name, 0.0) + value
    rarity = {name: 1.0 / np.sqrt(1.0 + count) for name, count in expected.items()}
    return [
        doubt(some, count)
        + RARITY_WEIGHT * float(sum(value * rarity[name] for name, value in some.items()))
        for some, count in zip(probabilities, children, strict=True)
    ]


def best_guesses(probabilities: Mapping[str, float]) -> tuple[Guess, ...]:
    """Return the most probable children, at most 9, the first one first."""
    ranked = sorted(probabilities.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        Guess(name, value) for name, value in ranked[:MOST_GUESSES] if value >= _LEAST_PROBABILITY
    )

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the decision may decide, as users set it."""

from __future__ import annotations

from dataclasses import dataclass

VOID_DECISIONS = ('keep', 'replace')


@dataclass(frozen=True)
class DecisionOptions:
    """What may be decided.

    A pixel decided for a class that may not be reported stays at its parent (at level 1:
    unlabelled); no other class takes its place, so nothing is reported that was not decided.

    Attributes
    ----------
    void_decisions
        What happens where "unlabelled" has the largest logit: ``'keep'`` leaves the pixel at its
        parent (at level 1: unlabelled), ``'replace'`` takes the runner-up.
    min_confidence
        0-1. A decision stops at its parent (at level 1: unlabelled) if its confidence, which is
        the product of the softmax values on the path down to it, is lower than this.
    allowed_classes
        Names of the only classes that may be reported, with what lies below them; empty: all.
    forbidden_classes
        Names of classes that must not be reported, nor what lies below them.

    """

    void_decisions: str = 'keep'
    min_confidence: float = 0.0
    allowed_classes: tuple[str, ...] = ()
    forbidden_classes: tuple[str, ...] = ()

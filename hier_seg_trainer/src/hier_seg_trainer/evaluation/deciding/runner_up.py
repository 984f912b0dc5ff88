# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rule for flat baselines: where an ancestor of the runner-up wins, the runner-up is decided.

A flat model has "traffic sign" beside "stop": a pixel of a stop sign is right when "stop" wins, or
when "traffic sign" wins and "stop" is second (Meletis & Dubbelman, IV 2018).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.decision import Choice, DecisionRule
from hier_seg_ros.segmenter.interpolation import upsample_rows
from hier_seg_ros.segmenter.logits import Logits

_ROWS = 64  # upsampled at once, which bounds the memory


def runner_up(finest: Tensor, logits: Logits, rule: DecisionRule, tree: Hierarchy) -> Tensor:
    """Return what is decided after the rule.

    Parameters
    ----------
    finest
        (height, width) uint8, the node ids that won.
    logits
        Those of the image.
    rule
        The decision of the flat model.
    tree
        Which node is above which.

    Returns
    -------
    Tensor
        (height, width) uint8, the node ids after the rule.

    """
    root = rule.choices[0]
    second = _second(logits, root, void_may_win=rule.options.void_decisions == 'keep')
    below = torch.from_numpy(_ancestor_table(tree)).to(finest.device)
    return torch.where(below[finest.long(), second.long()], second, finest)


def _second(logits: Logits, choice: Choice, void_may_win: bool) -> Tensor:
    """Return the node id of the second largest logit at each pixel, (height, width) uint8.

    Only the supervised classes and, if `void_may_win`, "unlabelled" count. 255 where "unlabelled"
    is the second, or a class that may not be reported.
    """
    count = len(choice.logit_indices) if void_may_win else len(choice.logit_indices) - 1
    ids = [
        node_id if may else choice.node_ids[-1]
        for node_id, may in zip(choice.node_ids, choice.reported, strict=True)
    ]
    selected, grid = choice.select(logits[choice.name])[:count], logits.grid
    table = torch.tensor(ids, dtype=torch.uint8, device=selected.device)
    if count < 2:
        return table[-1].expand(grid.height, grid.width)
    rows = []
    for first in range(0, grid.height, _ROWS):
        dense = upsample_rows(selected, grid, first, min(first + _ROWS, grid.height))
        rows.append(table[dense.topk(2, dim=0).indices[1]])
    return torch.cat(rows)


def _ancestor_table(tree: Hierarchy) -> NDArray[np.bool_]:
    """Return (256, 256) bool: whether the node of the row's id is above that of the column's."""
    table = np.zeros((256, 256), bool)
    for node in tree.nodes:
        for ancestor in tree.path(node)[:-1]:
            table[ancestor.id, node.id] = True
    return table

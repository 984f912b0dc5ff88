# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tree and the options as tables on the device, as the fused decision reads them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.segmenter.decision import Choice, DecisionRule


class DecisionTables:
    """What decides, down to one level of a tree.

    The logits of all classifiers lie one after the other in one tensor, the root's first and each
    parent's before its children's; a channel is a position among them.

    Attributes
    ----------
    choices
        The classifiers that decide, K of them, in the order of their channels.
    classifiers
        (K, 3) int32: each one's first channel, number of channels and parent's id.
    child_of_id
        (256,) int32: the classifier that refines a node's id; K where there is none.
    reported
        (channels,) uint8: the id to report where a channel wins.
    options
        (2,) float32: 1 where the runner-up replaces "unlabelled", else 0; ``min_confidence``.
    has_minimum
        Whether ``min_confidence`` is above 0, so that the softmax is needed.

    """

    def __init__(self, rule: DecisionRule, max_level: int, device: torch.device) -> None:
        """Lay the classifiers of a rule out, without those of levels deeper than `max_level`."""
        root, *others = rule.choices
        self.choices = (root, *(choice for choice in others if choice.depth <= max_level))
        rows, channels = [], 0
        child_of_id = [len(self.choices)] * 256
        for position, choice in enumerate(self.choices):
            rows.append((channels, len(choice.logit_indices), choice.parent_id))
            channels += len(choice.logit_indices)
            if choice.parent_id != UNLABELLED:
                child_of_id[choice.parent_id] = position
        self.classifiers = torch.tensor(rows, dtype=torch.int32, device=device)
        self.child_of_id = torch.tensor(child_of_id, dtype=torch.int32, device=device)
        self.reported = torch.empty(channels, dtype=torch.uint8, device=device)
        self.options = torch.empty(2, device=device)
        self._rule: DecisionRule | None = None
        self.set_options(rule)

    def set_options(self, rule: DecisionRule) -> None:
        """Take over the options of a rule for the same tree and supervised nodes.

        The tables stay where they are, because captured graphs read them there.
        """
        if rule is self._rule:
            return
        reported = [
            node_id
            for choice in rule.choices[: len(self.choices)]
            for node_id in choice.ids_to_report
        ]
        replaces_void = rule.options.void_decisions == 'replace'
        self.reported.copy_(torch.tensor(reported, dtype=torch.uint8))
        self.options.copy_(torch.tensor([float(replaces_void), rule.options.min_confidence]))
        self.has_minimum = rule.options.min_confidence > 0.0
        self._rule = rule

    def pack(self, logits_of: Callable[[str], Tensor]) -> Tensor:
        """Return the logits that are decided among, (N, channels, h, w).

        Parameters
        ----------
        logits_of
            Returns a classifier's logits by its name, (N, C, h, w): all of them, or no others than
            those that are decided among.

        """
        return torch.cat([_selected(choice, logits_of(choice.name)) for choice in self.choices], 1)


def _selected(choice: Choice, logits: Tensor) -> Tensor:
    if logits.shape[1] == len(choice.logit_indices):
        return logits
    return logits[:, list(choice.logit_indices)]

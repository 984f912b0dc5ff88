# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decision: from logits to one node of the tree for each pixel, top down.

Every classifier takes the largest of its logits, but only at the pixels that its parent decided
for its node (Meletis & Dubbelman, IV 2018). So only the root is computed everywhere; a child
classifier costs as much as there are pixels of its parent.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Classifier, Hierarchy
from hier_seg_ros.segmenter.decision_options import VOID_DECISIONS, DecisionOptions
from hier_seg_ros.segmenter.interpolation import Grid, neighbours, upsample_at, upsample_rows
from hier_seg_ros.segmenter.logits import Logits

_CPU_BLOCK_VALUES = 1 << 20
# The same where the confidence is computed: 15 % faster than with four times or a quarter of it.
_CONFIDENCE_BLOCK_VALUES = 1 << 18
# Marks, in a map of bytes that say which logit is the largest, where neighbours disagree.
_DISAGREE = 255


@dataclass(frozen=True)
class Choice:
    """A classifier as the decision uses it: only the classes that training supervised.

    Attributes
    ----------
    name
        The classifier's name.
    parent_id
        The id of the node that it refines, 255 for the root.
    depth
        The level of its classes.
    logit_indices
        The positions of the supervised classes and, last, of "unlabelled" among its logits.
    node_ids
        The ids of those classes and, last, 255.
    reported
        Which of them may be reported.

    """

    name: str
    parent_id: int
    depth: int
    logit_indices: tuple[int, ...]
    node_ids: tuple[int, ...]
    reported: tuple[bool, ...]

    @property
    def ids_to_report(self) -> tuple[int, ...]:
        """The id to report for each of the logits.

        The last one, "unlabelled", and what may not be reported lead back to the parent.
        """
        return tuple(
            node_id if may else self.parent_id
            for node_id, may in zip(self.node_ids, self.reported, strict=True)
        )

    def select(self, logits: Tensor) -> Tensor:
        """Return, in float32, the logits that are decided among.

        Parameters
        ----------
        logits
            (C, h, w), either all of the classifier's or no others than those.

        """
        if len(self.logit_indices) == len(logits):
            return logits.float()
        return logits[list(self.logit_indices)].float()


class DecisionRule:
    """The decision for one tree, one set of supervised nodes and one set of options."""

    def __init__(
        self, hierarchy: Hierarchy, supervised: Collection[str], options: DecisionOptions
    ) -> None:
        """Check the options; HierSegError names the one that is wrong."""
        if options.void_decisions not in VOID_DECISIONS:
            raise HierSegError(
                f'void_decisions: {options.void_decisions!r} is not one of '
                f'{", ".join(VOID_DECISIONS)}'
            )
        if not 0.0 <= options.min_confidence <= 1.0:
            raise HierSegError(
                f'min_confidence: {options.min_confidence!r} is outside 0-1; choose a value between'
            )
        self.options = options
        reported = _reported_ids(hierarchy, options)
        self.choices = tuple(
            choice
            for classifier in hierarchy.classifiers
            if (choice := _choice(classifier, supervised, reported)) is not None
        )
        if not self.choices or self.choices[0].parent_id != UNLABELLED:
            raise HierSegError(
                'the model: training supervised no class of the root classifier; train one'
            )

    def decide(
        self,
        logits: Logits,
        *,
        confidence: bool,
        max_level: int,
    ) -> tuple[Tensor, Tensor | None]:
        """Decide one image.

        A pixel at which the logits that decide are NaN or infinite stays at the parent, so at the
        root at 255: the largest of them would be a class by chance.

        Parameters
        ----------
        logits
            Those of the image; only classifiers whose parent was decided somewhere are asked for.
        confidence
            Whether to return the confidence, which needs the softmax.
        max_level
            Classifiers of deeper levels are not asked.

        Returns
        -------
        ids
            Node ids (height, width) uint8, 255 where nothing was decided.
        confidence
            The product of the softmax values on the decided path (height, width) float32, 0 where
            nothing was decided; None where it was not asked for.

        """
        with_softmax = confidence or self.options.min_confidence > 0.0
        root, *others = self.choices
        grid = logits.grid
        finest, path_confidence = self._decide_root(
            root.select(logits[root.name]), root, grid, with_softmax
        )
        for choice in others:
            if choice.depth > max_level:
                break
            pixels = _where(finest, choice.parent_id)
            if len(pixels) == 0:
                continue
            # To look where they lie would mean to wait for a GPU.
            on_cpu = pixels.device.type == 'cpu'
            for cluster in grid.clusters(pixels) if on_cpu else [pixels]:
                part = grid.part_around(cluster, logits.size)
                selected = choice.select(logits.within(choice.name, part))
                origin = (part.top, part.left)
                for some in cluster.split(_block_length(selected)):
                    sparse = upsample_at(selected, some, grid, origin)
                    before = None if path_confidence is None else path_confidence[some]
                    ids, after = self._decide_pixels(sparse, choice, 1, before, with_softmax)
                    finest[some] = ids
                    if path_confidence is not None and after is not None:
                        path_confidence[some] = after
        shape = (grid.height, grid.width)
        if not confidence or path_confidence is None:
            return finest.reshape(shape), None
        return finest.reshape(shape), path_confidence.reshape(shape)

    def _decide_root(
        self, logits: Tensor, choice: Choice, grid: Grid, with_softmax: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Decide every pixel of an image; the results are flat."""
        if logits.device.type == 'cpu':
            decided = self._decide_root_sparsely(logits, choice, grid)
            if decided is not None:
                if not with_softmax:
                    return decided, None
                return self._root_confidence(logits, decided, grid)
        rows = max(1, _block_length(logits) // grid.width)
        blocks = []
        for first in range(0, grid.height, rows):
            dense = upsample_rows(logits, grid, first, min(first + rows, grid.height))
            blocks.append(self._decide_pixels(dense.flatten(1), choice, 0, None, with_softmax))
        finest = torch.cat([ids for ids, _ in blocks])
        if not with_softmax:
            return finest, None
        return finest, torch.cat([after for _, after in blocks if after is not None])

    def _decide_root_sparsely(self, logits: Tensor, choice: Choice, grid: Grid) -> Tensor | None:
        """Decide every pixel, interpolating only where neighbours on the grid disagree.

        Bilinear interpolation is a mean of four neighbours: the logit that is the largest of each
        of them is the largest in between, too. None where logits are not finite: no such thing
        holds then, nor where there are so many classes that no byte is left over.
        """
        if len(logits) > _DISAGREE or not math.isfinite(logits.sum()):
            return None
        winner = _largest(logits[:-1] if self._replaces_void else logits)
        top, _, _ = neighbours(torch.arange(grid.height), grid.scale_y, logits.shape[1])
        left, _, _ = neighbours(torch.arange(grid.width), grid.scale_x, logits.shape[2])
        along_row = _agrees_with_next(winner, 1)
        agree = along_row & _agrees_with_next(winner, 0) & along_row.roll(-1, 0)
        agree[-1] = along_row[-1]
        # From here on bytes are looked up, which NumPy does several times as fast. Columns come
        # first: there are fewer rows then, and whole rows are quickly copied.
        winner.masked_fill_(~agree, _DISAGREE)
        winners = winner.numpy().take(left.numpy(), axis=1).take(top.numpy(), axis=0).ravel()
        table = np.full(_DISAGREE + 1, UNLABELLED, np.uint8)
        table[: len(logits)] = choice.ids_to_report
        ids = torch.from_numpy(table.take(winners))
        uncertain = torch.from_numpy(np.flatnonzero(winners == _DISAGREE))
        for pixels in uncertain.split(_block_length(logits)):
            sparse = upsample_at(logits, pixels, grid)
            ids[pixels], _ = self._decide_pixels(sparse, choice, 1, None, False)
        return ids

    def _root_confidence(self, logits: Tensor, ids: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        """Return the root's decision with the confidence, given what the largest logits decide."""
        rows = max(1, _CONFIDENCE_BLOCK_VALUES // (len(logits) * grid.width))
        confidence = torch.empty(grid.height, grid.width)
        for first in range(0, grid.height, rows):
            last = min(first + rows, grid.height)
            dense = upsample_rows(logits, grid, first, last)
            value = (dense[:-1] if self._replaces_void else dense).amax(0)
            # The softmax of the largest logit is 1 / sum(exp(logit - largest)).
            torch.sum(dense.sub_(value).exp_(), 0, out=confidence[first:last])
        confidence = confidence.flatten().reciprocal_()
        if self.options.min_confidence > 0.0:
            ids = torch.where(confidence >= self.options.min_confidence, ids, UNLABELLED)
        return ids, confidence.masked_fill_(ids == UNLABELLED, 0.0)

    def _decide_pixels(
        self,
        logits: Tensor,
        choice: Choice,
        axis: int,
        before: Tensor | None,
        with_softmax: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """Decide pixels whose classes lie along `axis` of `logits`.

        `before` is the confidence of the path down to the parent (None at the root). Returns the
        node ids, the parent's where nothing was decided, and the new confidence of the path.
        """
        parent_id = choice.parent_id
        if self._replaces_void:
            value, winner = logits.narrow(axis, 0, logits.shape[axis] - 1).max(axis)
            evidence = value + logits.select(axis, -1)
        else:
            value, winner = logits.max(axis)
            evidence = value
        ids = self._reported_table(choice, logits.device)[winner]
        _stay_where_not_finite(ids, evidence, parent_id)
        if not with_softmax:
            return ids, None
        probability = torch.exp(value - torch.logsumexp(logits, axis))
        after = probability if before is None else before * probability
        if self.options.min_confidence > 0.0:
            ids = torch.where(after >= self.options.min_confidence, ids, parent_id)
        stays = torch.zeros_like(after) if before is None else before
        return ids, torch.where(ids != parent_id, after, stays)

    @property
    def _replaces_void(self) -> bool:
        return self.options.void_decisions == 'replace'

    @staticmethod
    def _reported_table(choice: Choice, device: torch.device) -> Tensor:
        """Return the id to report for each of a choice's logits, (C,) uint8."""
        return torch.tensor(choice.ids_to_report, dtype=torch.uint8, device=device)


def _where(ids: Tensor, node_id: int) -> Tensor:
    """Return the positions (P,) int64 at which flat `ids` are that of a node."""
    if ids.device.type == 'cpu':
        # A fifth of the time.
        return torch.from_numpy(np.flatnonzero(ids.numpy() == node_id))
    return torch.nonzero(ids.eq(node_id)).flatten()


def _largest(logits: Tensor) -> Tensor:
    """Return which of `logits` (C, h, w) is the largest at each position, (h, w) uint8.

    On a CPU, comparing whole maps takes a tenth of the time of ``Tensor.argmax``.
    """
    value = logits[0].clone()
    winner = torch.zeros_like(value, dtype=torch.uint8)
    for index, other in enumerate(logits[1:], start=1):
        winner.masked_fill_(other > value, index)
        torch.maximum(value, other, out=value)
    return winner


def _agrees_with_next(winner: Tensor, axis: int) -> Tensor:
    """Return where a position has the same winner as the next one along an axis.

    The last position has no next one, and pixels beyond it take its logits: it agrees.
    """
    agree = winner == winner.roll(-1, axis)
    agree.select(axis, -1).fill_(True)
    return agree


def _stay_where_not_finite(ids: Tensor, evidence: Tensor, parent_id: int) -> None:
    """Put `parent_id` into `ids` where `evidence`, of the same shape, is NaN or infinite."""
    # The sum shows whether there is any, in a tenth of the time. To read it from a GPU would mean
    # to wait for it.
    if evidence.device.type == 'cpu' and math.isfinite(evidence.sum()):
        return
    ids.masked_fill_(~(evidence.abs() < math.inf), parent_id)


def _block_length(logits: Tensor) -> int:
    """Return how many pixels to decide at once, for logits (C, h, w)."""
    if logits.device.type == 'cpu':
        # What is computed in between then stays in the cache: 1.5 to 2.4 times as fast as all at
        # once (1360x800, 55 and 111 supervised nodes, two cores).
        return max(1, _CPU_BLOCK_VALUES // len(logits))
    return 1 << 30


def _choice(
    classifier: Classifier, supervised: Collection[str], reported: Collection[int]
) -> Choice | None:
    indices = [i for i, node in enumerate(classifier.nodes) if node.name in supervised]
    if not indices:
        return None
    nodes = [classifier.nodes[i] for i in indices]
    return Choice(
        name=classifier.name,
        parent_id=UNLABELLED if classifier.parent is None else classifier.parent.id,
        depth=classifier.depth,
        logit_indices=(*indices, len(classifier.nodes)),
        node_ids=(*(node.id for node in nodes), UNLABELLED),
        reported=(*(node.id in reported for node in nodes), False),
    )


def _reported_ids(hierarchy: Hierarchy, options: DecisionOptions) -> set[int]:
    def below(names: tuple[str, ...], option: str) -> set[int]:
        nodes = []
        for name in names:
            try:
                nodes.append(hierarchy.node(name))
            except HierSegError as error:
                raise HierSegError(f'{option}: {error}') from error
        return {node.id for named in nodes for node in hierarchy.subtree(named)}

    forbidden = below(options.forbidden_classes, 'forbidden_classes')
    if options.allowed_classes:
        allowed = below(options.allowed_classes, 'allowed_classes')
        # A class can only be reached through its ancestors.
        for name in options.allowed_classes:
            allowed.update(node.id for node in hierarchy.path(hierarchy.node(name)))
    else:
        allowed = {node.id for node in hierarchy.nodes}
    return allowed - forbidden

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels that name several nodes: the loss is -log of the sum of their probabilities.

The probability of a node is the product of the softmax values on its path. As long as all nodes of
a set lie below one class of a classifier, the set is an ordinary label of that class. At the first
classifier where they part, its `SetTerm` sums them up, with what the classifiers below say of the
classes of which the set holds a part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import torch
from torch import Tensor

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy, Node
from hier_seg_ros.label_spaces.node_sets import NodeSet
from hier_seg_trainer.loss.batch_logits import BatchLogits
from hier_seg_trainer.loss.label_map import LabelMap
from hier_seg_trainer.loss.targets import Target


@dataclass(frozen=True)
class SetTerm:
    """The part of a set of nodes that lies below one classifier.

    A node that training does not supervise counts as the nearest one above that it does, as the
    decision stops there.

    Attributes
    ----------
    target
        The classifier.
    whole
        The positions among its C classes that the set holds wholly.
    parts
        Those of which it holds a part, each with that part below.

    """

    target: Target
    whole: tuple[int, ...]
    parts: tuple[tuple[int, SetTerm], ...]

    @property
    def positions(self) -> list[int]:
        """The classes of which the set holds anything."""
        return [*self.whole, *(position for position, _ in self.parts)]


@dataclass(frozen=True)
class SetSamples:
    """Pixels whose label is a set of nodes.

    Attributes
    ----------
    log_probabilities
        (P,) of the set, below the class that led to its classifier.
    mean_log_probabilities
        (P,) means over the supervised classes of that classifier, for label smoothing.
    class_weight
        () how much a pixel counts.
    share
        In 0-1, how much of that the image counts.

    """

    log_probabilities: Tensor
    mean_log_probabilities: Tensor
    class_weight: Tensor
    share: Tensor | float = 1.0


@dataclass(frozen=True)
class SetTargets:
    """Sets of nodes as the loss uses them.

    Attributes
    ----------
    targets
        The classifiers, which know the sets as ordinary labels where they can.
    terms
        By the name of the classifier at which the nodes of a set part, the sets' terms by their id.

    """

    targets: tuple[Target, ...]
    terms: Mapping[str, Mapping[int, SetTerm]]


def add_sets(
    targets: Sequence[Target], hierarchy: Hierarchy, node_sets: Iterable[NodeSet]
) -> SetTargets:
    """Return targets that know sets of nodes, too.

    Parameters
    ----------
    targets
        The classifiers, from ``build_targets``.
    hierarchy
        The tree of the classifiers.
    node_sets
        The sets; each id is one set.

    Raises
    ------
    HierSegError
        None of a set's nodes is supervised.

    """
    by_parent = {target.classifier.parent: target for target in targets}
    index_of_id = {target.name: target.index_of_id.clone() for target in targets}
    terms: dict[str, dict[int, SetTerm]] = {}
    for node_set in node_sets:
        counted = _counted(targets, hierarchy, node_set)
        if not counted:
            names = ', '.join(node.readable_name for node in node_set.nodes)
            raise HierSegError(
                f'class {node_set.name!r}: may be {names}, and no data set labels any of these '
                f'alone; add one that does, or move the class to ignored'
            )
        term = _term(by_parent, by_parent[None], hierarchy, counted)
        while len(term.positions) == 1:
            index_of_id[term.target.name][node_set.id] = term.positions[0]
            if not term.parts:
                break
            term = term.parts[0][1]
        else:
            terms.setdefault(term.target.name, {})[node_set.id] = term
    known = tuple(replace(each, index_of_id=index_of_id[each.name]) for each in targets)
    return SetTargets(known, terms)


def _counted(targets: Sequence[Target], hierarchy: Hierarchy, node_set: NodeSet) -> set[int]:
    """Return the ids of the supervised nodes that stand for a set; some may lie below others."""
    supervised = {
        target.classifier.nodes[index].id
        for target in targets
        for index in target.logit_indices[:-1].tolist()
    }
    counted = supervised & node_set.member_ids
    # A flat tree lacks nodes that no data set names.
    for node in (node for node in node_set.nodes if node in hierarchy.nodes):
        reached = list(takewhile(lambda step: step.id in supervised, hierarchy.path(node)))
        counted |= {step.id for step in reached[-1:]}
    return counted


def _term(
    by_parent: Mapping[Node | None, Target],
    target: Target,
    hierarchy: Hierarchy,
    counted: Collection[int],
) -> SetTerm:
    """Return what of the nodes `counted`, by their ids, lies below a classifier."""
    whole, parts = [], []
    for position, index in enumerate(target.logit_indices[:-1].tolist()):
        node = target.classifier.nodes[index]
        if node.id in counted:
            whole.append(position)
        elif any(below.id in counted for below in hierarchy.subtree(node)):
            parts.append((position, _term(by_parent, by_parent[node], hierarchy, counted)))
    return SetTerm(target, tuple(whole), tuple(parts))


def set_pixels(
    logits: BatchLogits,
    terms: Mapping[int, SetTerm],
    labels: LabelMap,
    shares: Tensor | None = None,
) -> Iterator[SetSamples]:
    """Yield the pixels of each image whose label is a set of nodes that part at one classifier.

    Parameters
    ----------
    logits
        Those of the batch.
    terms
        Those of the classifier, by the ids of the sets.
    labels
        The ids of the pixels.
    shares
        (N,) how much the pixels of each image count, 0-1; None: wholly.

    """
    for set_id, term in terms.items():
        wanted = torch.zeros(256, dtype=torch.bool, device=labels.node_ids.device)
        wanted[set_id] = True
        weights = term.target.class_weights[term.positions]
        for image in labels.images_with(wanted):
            pixels = torch.nonzero(labels.node_ids[image].flatten() == set_id).flatten()
            probabilities, means = log_probabilities(logits, term, image, pixels)
            share = 1.0 if shares is None else shares[image]
            # What most pixels of the set show is its most frequent class, which weighs least.
            yield SetSamples(probabilities, means, weights.min(), share)


def log_probabilities(
    logits: BatchLogits, term: SetTerm, image: int, pixels: Tensor
) -> tuple[Tensor, Tensor]:
    """Return log of the summed probability, (P,), and the mean over the classifier's classes."""
    log_softmax = logits.at_any(term.target, image, pixels).log_softmax(1)
    summands = [log_softmax[:, position] for position in term.whole]
    for position, below in term.parts:
        inside, _ = log_probabilities(logits, below, image, pixels)
        summands.append(log_softmax[:, position] + inside)
    return torch.stack(summands, 1).logsumexp(1), log_softmax[:, :-1].mean(1)

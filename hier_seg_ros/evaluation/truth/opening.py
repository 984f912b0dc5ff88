# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the truth of a recording: what the user names, or what lies below ``/ground_truth/``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.messages import GROUND_TRUTH
from hier_seg_ros.bags.storage.damage import DamagedBagError
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.truth.true_labels import TrueLabels, Truth
from hier_seg_ros.evaluation.truth.true_outputs import TrueOutputs, agreement_tables
from hier_seg_ros.evaluation.truth.truth_files import TruthFolder
from hier_seg_ros.evaluation.truth.truth_topics import TruthTopic
from hier_seg_ros.files.suggestions import did_you_mean
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.label_spaces.finding import TREE, find_space
from hier_seg_ros.label_spaces.label_space import LabelSpace, node_space, output_space
from hier_seg_ros.segmenter.outputs import evaluated_outputs, level_name

COMPRESSED = '/compressed'


def open_truth(
    bag: ImageBag,
    image_topic: str,
    hierarchy: Hierarchy,
    truth: str | None = None,
    space: str = TREE,
    output: str | None = None,
) -> Truth:
    """Find the truth of an open recording.

    Parameters
    ----------
    bag
        The recording.
    image_topic
        The topic of its images.
    hierarchy
        The tree of the predictions.
    truth
        A topic of the recording, or a folder of label images; in a folder that has one of the
        recording's name, that one counts. None for the topics below ``/ground_truth/``.
    space
        Whose ids they are (see `find_space`).
    output
        The output whose ids they are, if they are the tree's; None for node ids of any depth, or
        what the topic's name says.

    Raises
    ------
    HierSegError
        What is named is not there, or does not fit.

    """
    outputs = _label_outputs(hierarchy)
    if output is not None and output not in outputs:
        hint = did_you_mean(output, outputs, f'choose among {", ".join(outputs)}')
        raise HierSegError(
            f'--truth-output {output}: tree {hierarchy.name} has no such output of labels; {hint}'
        )
    if output is not None and space != TREE:
        raise HierSegError(
            f'--truth-output {output}: says which ids of the tree the truth has, but those of '
            f'--truth-space {space} are others; leave one of the two out'
        )
    if truth is None and space == TREE and output is None:
        return _conventional_truth(bag, hierarchy)
    if truth is None:
        truth = _only_truth_topic(bag)
    source: TruthFolder | TruthTopic
    if truth not in bag.topics and Path(truth).is_dir():
        source = _folder(Path(truth), bag, image_topic)
    elif truth in bag.topics:
        source = TruthTopic(bag, truth)
        output = output or (_output_of(truth, outputs) if space == TREE else None)
    else:
        known = bag.image_topics
        hint = did_you_mean(truth, known, f'its image topics: {", ".join(known) or "none"}')
        raise HierSegError(
            f'--truth {truth}: is neither a topic of {bag.path} nor a folder; {hint}'
        )
    named = find_space(space, hierarchy) if output is None else _space_of(output, hierarchy)
    labels = TrueLabels(source, named, TrueOutputs(hierarchy, output, named))
    return Truth(
        {output or named.name: labels},
        agreement_tables(hierarchy, named.nodes if space != TREE else None, named.node_sets),
        space=None if space == TREE else named.name,
        asked_for=truth,
        node_sets=named.node_sets,
    )


def _conventional_truth(bag: ImageBag, hierarchy: Hierarchy) -> Truth:
    """Return the topics ``/ground_truth/<output>/labels``; others below it are named."""
    outputs = _label_outputs(hierarchy)
    found: dict[str, TrueLabels] = {}
    faults = []
    available = bag.image_topics
    for topic in available:
        if not topic.startswith(GROUND_TRUTH):
            continue
        # What is published in both forms is the same.
        if topic.endswith(COMPRESSED) and topic.removesuffix(COMPRESSED) in available:
            continue
        output = _output_of(topic, outputs)
        if output is None:
            faults.append(_unknown_topic(bag, topic, outputs, hierarchy))
        elif output in found:
            faults.append(
                f'{bag.path}: {topic}: is truth for {output}, for which there is another topic, '
                f'and is left out; name the one that counts with --truth'
            )
        else:
            space = _space_of(output, hierarchy)
            found[output] = TrueLabels(
                TruthTopic(bag, topic), space, TrueOutputs(hierarchy, output, space)
            )
    faults += [
        f'{bag.path}: {name}: lies below {GROUND_TRUTH} and is of type {topic.type_name}, no '
        f'image; record label images'
        for name, topic in bag.topics.items()
        if name.startswith(GROUND_TRUTH) and topic.count and name not in bag.image_topics
    ]
    return Truth(found, agreement_tables(hierarchy), faults=faults)


def _unknown_topic(
    bag: ImageBag, topic: str, outputs: Mapping[str, str], hierarchy: Hierarchy
) -> str:
    name = topic.removesuffix(COMPRESSED).removeprefix(GROUND_TRUTH).removesuffix('/labels')
    what = f'{name!r} is no output of labels of tree {hierarchy.name}'
    if name.startswith('level_') and name.removeprefix('level_').isdigit():
        what = f'tree {hierarchy.name} has the levels 1 to {hierarchy.depth}'
    hint = did_you_mean(name, outputs, f'call it {GROUND_TRUTH}<output>/labels')
    return (
        f'{bag.path}: {topic}: is not compared: {what}; {hint} (or name it with --truth and '
        f'--truth-output)'
    )


def _output_of(topic: str, outputs: Mapping[str, str]) -> str | None:
    """Return the output whose labels a topic's name says it has."""
    path = topic.removesuffix(COMPRESSED)
    matching = (name for name, ending in outputs.items() if path.endswith(f'/{ending}'))
    return next(matching, None)


def _label_outputs(hierarchy: Hierarchy) -> dict[str, str]:
    """Return the topic below the node's name of each output of labels, by the output's name."""
    return {
        name: output.topic
        for name, output in evaluated_outputs(hierarchy).items()
        if output.values is not None
    }


def _space_of(output: str, hierarchy: Hierarchy) -> LabelSpace:
    for level in range(1, hierarchy.depth + 1):
        if output == level_name(level):
            return node_space(hierarchy, level)
    values = evaluated_outputs(hierarchy)[output].values
    assert values is not None
    return output_space(output, values.texts, values.colors)


def _only_truth_topic(bag: ImageBag) -> str:
    """Return the only topic of label images below ``/ground_truth/``."""
    found = [topic for topic in bag.image_topics if topic.startswith(GROUND_TRUTH)]
    if len(found) != 1:
        said = ', '.join(found) or 'none'
        raise HierSegError(
            f'{bag.path}: --truth-space and --truth-output need one truth, and below '
            f'{GROUND_TRUTH} there are: {said}; name a topic or a folder with --truth'
        )
    return found[0]


def _folder(path: Path, bag: ImageBag, image_topic: str) -> TruthFolder:
    name = bag.path.resolve().name
    for own in (path / name, path / bag.path.resolve().stem):
        if own.is_dir():
            path = own
            break
    first = None
    with suppress(DamagedBagError):
        first = next(bag.images(image_topic, rejected=[]), None)
    return TruthFolder(path, first.stamp if first else 0, bag.topic(image_topic).count)

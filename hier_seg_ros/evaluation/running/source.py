# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag that is open to be evaluated: its images, their truth and their predictions."""

from __future__ import annotations

import argparse
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.storage.damage import DamagedBagError
from hier_seg_ros.evaluation.predictions import (
    RecordedPredictions,
    SegmenterPredictions,
    recorded_hierarchy,
)
from hier_seg_ros.evaluation.replay_account import ReplayAccount, replay_account
from hier_seg_ros.evaluation.running.options import bags_of, prediction_bags
from hier_seg_ros.evaluation.truth.opening import open_truth
from hier_seg_ros.evaluation.truth.true_labels import Truth
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.resources import DEFAULT_MODEL, find_model
from hier_seg_ros.segmenter.decision_options import DecisionOptions
from hier_seg_ros.segmenter.engines.engine_options import engine_arguments

if TYPE_CHECKING:  # a recording is evaluated without torch
    from hier_seg_ros.segmenter import Segmenter

# A segmenter takes seconds to load, so that a thread keeps the one that it used last.
_kept = threading.local()


@dataclass
class Source:
    """One of the bags.

    Attributes
    ----------
    index
        Its place among them.
    prefix
        What the names of its frames begin with; '' where it is the only one.
    bag
        The open bag.
    topic
        That of its images.
    total
        How many there are.
    predictions, origin
        What predicts, and where that comes from as the report says it.
    recorded
        The open recording of the predictions; None where a segmenter runs.
    replay
        What it says of a live replay; None where it is none of one.
    truth
        The ground truth.
    reading
        Held while the bag is read: its images and its truth are by different threads.

    """

    index: int
    prefix: str
    bag: ImageBag
    topic: str
    total: int
    predictions: SegmenterPredictions | RecordedPredictions
    origin: str
    recorded: ImageBag | None
    replay: ReplayAccount | None
    truth: Truth
    reading: threading.Lock = field(default_factory=threading.Lock)

    @property
    def hierarchy(self) -> Hierarchy:
        """The tree of the predictions."""
        return self.predictions.hierarchy

    @property
    def opened(self) -> list[ImageBag]:
        """The bags that are open, the recording of the predictions included."""
        return [self.bag] if self.recorded is None else [self.bag, self.recorded]

    @property
    def damages(self) -> list[DamagedBagError]:
        """What is damaged in these bags, as far as they were read."""
        return [bag.damage for bag in self.opened if bag.damage is not None]

    def name_of(self, number: int) -> str:
        """Return what the files of an image are called, by its place in the bag from 0."""
        digits = max(3, len(str(self.total - 1)))
        return f'{self.prefix}{number:0{digits}}'


def namespace_of(options: argparse.Namespace) -> str:
    """Return the name of the node, beginning with a slash."""
    return '/' + str(options.namespace).strip('/')


def open_source(options: argparse.Namespace, index: int, stack: ExitStack) -> Source:
    """Open one of the bags.

    Parameters
    ----------
    options
        What the parser returned.
    index
        The bag's place among those that are named.
    stack
        Closes what is opened.

    Raises
    ------
    HierSegError
        Bag, model or recording are not as they must be.

    """
    namespace = namespace_of(options)
    bags = bags_of(options.bag)
    path = prediction_bags(bags, options.predictions)[index]
    bag = stack.enter_context(ImageBag(bags[index]))
    others = [f'{namespace}/', *filter(None, [options.truth])]
    topic = options.image_topic or bag.choose_image_topic(leave_out=others)
    recorded = None if path is None else stack.enter_context(ImageBag(path))
    predictions, origin = _open_predictions(options, namespace, recorded)
    return Source(
        index=index,
        prefix=f'{index:0{len(str(len(bags) - 1))}}_' if len(bags) > 1 else '',
        bag=bag,
        topic=topic,
        total=bag.topic(topic).count,
        predictions=predictions,
        origin=origin,
        recorded=recorded,
        replay=None if recorded is None else replay_account(recorded, namespace),
        truth=open_truth(
            bag,
            topic,
            predictions.hierarchy,
            options.truth,
            options.truth_space,
            options.truth_output,
        ),
    )


def kept_source(options: argparse.Namespace, index: int) -> Source:
    """Do as `open_source`; the bag stays open for the next part of it that this thread evaluates.

    To read a recording of predictions takes a pass over all of it.
    """
    key = repr(sorted(vars(options).items())), index
    if getattr(_kept, 'key', None) != key:
        _kept.key = None
        with ExitStack() as stack:
            _kept.source = open_source(options, index, stack)
            if hasattr(_kept, 'stack'):
                _kept.stack.close()
            _kept.stack, _kept.key = stack.pop_all(), key
    source: Source = _kept.source
    return source


def _open_predictions(
    options: argparse.Namespace, namespace: str, recorded: ImageBag | None
) -> tuple[SegmenterPredictions | RecordedPredictions, str]:
    """Return the predictions, and where they come from as the report says it."""
    if recorded is None:
        segmenter = _segmenter(options)
        origin = f'model {segmenter.name} on {segmenter.device}'
        return SegmenterPredictions(segmenter, options.alpha), origin
    hierarchy = recorded_hierarchy(recorded, namespace) or Hierarchy.load(
        find_model(options.model or DEFAULT_MODEL) / 'hierarchy.yaml'
    )
    origin = f'recorded from the node at {namespace} in {recorded.path.name}'
    if options.model is not None:
        origin = f'model {Path(options.model).name}, {origin}'
    return RecordedPredictions(recorded, namespace, hierarchy, options.alpha), origin


def _segmenter(options: argparse.Namespace) -> Segmenter:
    settings: dict[str, Any] = {
        'model': str(options.model or DEFAULT_MODEL),
        'device': options.device,
        'void_decisions': options.void_decisions,
        'min_confidence': options.min_confidence,
        **engine_arguments(options),
    }
    if getattr(_kept, 'settings', None) != settings:
        from hier_seg_ros.segmenter import Segmenter

        _kept.segmenter = Segmenter.load(
            find_model(settings['model']),
            options.device,
            DecisionOptions(
                void_decisions=options.void_decisions, min_confidence=options.min_confidence
            ),
            **engine_arguments(options),
        )
        _kept.settings = settings
    segmenter: Segmenter = _kept.segmenter
    return segmenter

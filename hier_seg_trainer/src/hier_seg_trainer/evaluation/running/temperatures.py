# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Temperatures that make a model's confidence true, fitted on one half of a data set.

What every logit of a classifier is divided by changes no decision, only how sure it is. The best
divisor is the one with the least mean of -log p(label) (Guo et al., ICML 2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.decision import Choice
from hier_seg_ros.segmenter.interpolation import upsample_at
from hier_seg_ros.segmenter.model_folder import read_model_folder
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.datasets.samples import StreetDataset
from hier_seg_trainer.evaluation.running.dataset_evaluation import spread_evenly
from hier_seg_trainer.evaluation.scores.reliability import Reliability, known_labels

# Neighbours say the same: so many pixels of an image are enough for each classifier.
_PIXELS = 4000
_LEAST_PIXELS = 1000
# Of a temperature. Labels for which it would be beyond tell nothing of how sure to be.
_BOUNDS = (0.25, 4.0)


@dataclass(frozen=True)
class Fit:
    """Temperatures, and what they do on both halves of a data set.

    Attributes
    ----------
    temperatures
        By the name of the classifier; those of the model where nothing could be fitted.
    pixels
        How many pixels each of the fitted ones comes from.
    reliability
        The counts by the half (``fitted`` on, ``held out``) and by ``before`` or ``after``.

    """

    temperatures: dict[str, float]
    pixels: dict[str, int]
    reliability: dict[tuple[str, str], Reliability]


def fit_temperatures(
    segmenter: Segmenter, dataset: StreetDataset, limit: int | None = None, *, progress: bool
) -> Fit:
    """Fit temperatures on every other image of a data set and measure on the rest.

    A classifier is fitted where its labelled pixels, at which the classifiers above decide for it,
    show at least two of its classes.

    Parameters
    ----------
    segmenter
        The model, read from a folder.
    dataset
        Its images have labelled pixels or boxes.
    limit
        Only so many images, spread evenly; None: all.
    progress
        Whether to show bars.

    Raises
    ------
    HierSegError
        The labels do not suit, or are too few.

    """
    if dataset.supervision == 'image':
        raise HierSegError(
            f'{dataset.name}: its images have one label each; give a data set with labelled pixels '
            f'or boxes to fit temperatures on'
        )
    indices = spread_evenly(len(dataset), limit)
    halves = {'fitted': indices[::2], 'held out': indices[1::2]}
    logits, labels = _labelled_logits(segmenter, dataset, halves['fitted'], progress)
    temperatures = dict(segmenter.description.temperatures)
    pixels: dict[str, int] = {}
    for name in logits:
        if len(labels[name]) >= _LEAST_PIXELS and len(np.unique(labels[name])) > 1:
            # The segmenter has divided by what the model has.
            undivided = logits[name] * temperatures.get(name, 1.0)
            temperatures[name] = round(best_temperature(undivided, labels[name]), 4)
            pixels[name] = len(labels[name])
    if not pixels:
        raise HierSegError(
            f'{dataset.name}: no classifier has {_LEAST_PIXELS} labelled pixels of two classes; '
            f'give more images to fit temperatures on'
        )
    tempered = with_temperatures(segmenter, temperatures)
    reliability = {
        (half, when): measured_reliability(model, dataset, some, progress=progress)
        for half, some in halves.items()
        for when, model in (('before', segmenter), ('after', tempered))
    }
    return Fit(temperatures, pixels, reliability)


def best_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return what logits (P, C) are divided by for the least mean of -log p(label), labels (P,).

    It is in 0.25-4.
    """
    right = logits[np.arange(len(labels)), labels]

    def loss(logarithm: float) -> float:
        divisor = np.exp(logarithm)
        return float((logsumexp(logits / divisor, axis=1) - right / divisor).mean())

    found = minimize_scalar(loss, bounds=np.log(_BOUNDS), method='bounded')
    return float(np.exp(found.x))


def with_temperatures(segmenter: Segmenter, temperatures: dict[str, float]) -> Segmenter:
    """Return the same model, read anew, with other temperatures."""
    description, hierarchy, network = read_model_folder(segmenter.model_folder)
    return Segmenter(
        replace(description, temperatures=temperatures),
        hierarchy,
        network,
        model_folder=segmenter.model_folder,
        device=str(segmenter.device),
        input_long_side=segmenter.input.long_side,
    )


def _labelled_logits(
    segmenter: Segmenter, dataset: StreetDataset, indices: Sequence[int], progress: bool
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.int64]]]:
    """Return logits (P, C) and the positions of the labels among them, (P,), by classifier."""
    choices = segmenter.decision_rule.choices
    positions = {choice.name: _positions(choice, segmenter.hierarchy) for choice in choices}
    logits: dict[str, list[NDArray[np.float64]]] = {choice.name: [] for choice in choices}
    labels: dict[str, list[NDArray[np.int64]]] = {choice.name: [] for choice in choices}
    for index in tqdm(indices, disable=not progress, unit='image', desc='fit'):
        sample = dataset[index]
        image = np.asarray(sample.image)
        known = known_labels(sample, image.shape[:2]).ravel()
        with torch.inference_mode():
            all_logits = segmenter.logits(image)
        for choice, pixels in _asked(segmenter, image, known, positions):
            with torch.inference_mode():
                selected = choice.select(all_logits[choice.name])
                values = upsample_at(
                    selected, torch.from_numpy(pixels).to(selected.device), all_logits.grid
                )
            logits[choice.name].append(values.cpu().numpy().astype(np.float64))
            labels[choice.name].append(positions[choice.name][known[pixels]])
    return (
        {name: np.concatenate(each) for name, each in logits.items() if each},
        {name: np.concatenate(each) for name, each in labels.items() if each},
    )


def _asked(
    segmenter: Segmenter,
    image: NDArray[np.uint8],
    known: NDArray[np.uint8],
    positions: dict[str, NDArray[np.int64]],
) -> Iterator[tuple[Choice, NDArray[np.int64]]]:
    """Yield for each classifier labelled pixels at which it is asked, spread evenly."""
    finest = segmenter.segment([image], confidence=False)[0].finest.ravel()
    for choice in segmenter.decision_rule.choices:
        wanted = positions[choice.name][known] >= 0
        if choice.parent_id != UNLABELLED:
            below = segmenter.hierarchy.subtree(segmenter.hierarchy.node_by_id(choice.parent_id))
            wanted &= np.isin(finest, [node.id for node in below])
        pixels = np.flatnonzero(wanted)
        if pixels.size:
            yield choice, pixels[:: -(-pixels.size // _PIXELS)]


def _positions(choice: Choice, hierarchy: Hierarchy) -> NDArray[np.int64]:
    """Return the place of each label among a classifier's logits, (256,); -1 for none of them."""
    table = np.full(256, -1, np.int64)
    for place, node_id in enumerate(choice.node_ids[:-1]):
        below = hierarchy.subtree(hierarchy.node_by_id(node_id))
        table[[node.id for node in below]] = place
    return table


def measured_reliability(
    segmenter: Segmenter, dataset: StreetDataset, indices: Sequence[int], *, progress: bool
) -> Reliability:
    """Return how often a model is right beside its confidence, over images of a data set.

    Parameters
    ----------
    segmenter
        The model.
    dataset
        Its images have labelled pixels or boxes.
    indices
        Which of them.
    progress
        Whether to show a bar.

    """
    reliability = Reliability(dataset, segmenter.hierarchy)
    for index in tqdm(indices, disable=not progress, unit='image', desc='confidence'):
        sample = dataset[index]
        (result,) = segmenter.segment([np.asarray(sample.image)])
        reliability.add(sample, result.finest, result.confidence)
    return reliability

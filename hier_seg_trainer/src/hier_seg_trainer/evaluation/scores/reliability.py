# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a model is right as often as its confidence says, over the labelled pixels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hier_seg_ros.files.writing import written_file
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.label_spaces.class_tables import counted_pairs, deepest_level
from hier_seg_ros.label_spaces.node_sets import level_table
from hier_seg_ros.scoring.calibration import calibration_summary, confidence_counts, right_table
from hier_seg_ros.scoring.label_scores import LabelImage
from hier_seg_trainer.datasets.samples import StreetDataset, StreetSample, node_sets_of
from hier_seg_trainer.evaluation.scores.box_labels import draw_boxes


class Reliability:
    """The pixels of a data set by their confidence: `add` each image, then ask for the numbers.

    Attributes
    ----------
    counts
        (2, 256) int64, the pixels that were decided wrongly and rightly, by their confidence.

    """

    def __init__(self, dataset: StreetDataset, tree: Hierarchy) -> None:
        """Begin with nothing; right is what scores count as right."""
        names, sets = dataset.node_names, node_sets_of(dataset)
        level = deepest_level(names, tree, sets)
        self._at_level = level_table(sets, tree, level)
        self._verdicts = right_table(counted_pairs(names, tree, level, sets)).reshape(256, 256)
        self.counts = np.zeros((2, 256), np.int64)

    def add(self, sample: StreetSample, finest: LabelImage, confidence: LabelImage) -> None:
        """Count an image: what is known of it, its decisions and their confidence, (H, W) each."""
        labels = known_labels(sample, finest.shape)
        verdicts = self._verdicts[self._at_level[labels], self._at_level[finest]].ravel()
        self.counts += confidence_counts({'pixels': verdicts}, confidence)['pixels']

    @property
    def error(self) -> float:
        """The expected calibration error (ECE), 0-1; NaN for no pixel."""
        error = calibration_summary(self.counts)['ECE']
        return float('nan') if error is None else float(error)


def known_labels(sample: StreetSample, shape: tuple[int, ...]) -> LabelImage:
    """Return the labels of an image, or the outlines of its boxes, (H, W); 255 where none is."""
    return draw_boxes(sample.boxes or (), shape) if sample.labels is None else sample.labels


def write_diagram(path: Path, counts: Mapping[str, NDArray[np.int64]], advice: str) -> None:
    """Write a PNG: the share of right pixels over their confidence, a line for each of `counts`.

    Parameters
    ----------
    path
        The file.
    counts
        Those of a `Reliability`, by what the legend calls them.
    advice
        The end of the error's line where the file cannot be written.

    Raises
    ------
    HierSegError
        The file cannot be written.

    """
    figure = Figure((5.0, 5.0), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color='0.7', linestyle='--')
    for name, one in counts.items():
        bins = calibration_summary(one)
        pixels, right = np.array(bins['count']), np.array(bins['right'])
        shown = pixels > 0
        confidence = np.array(bins['confidence_sum'])[shown] / 255 / pixels[shown]
        label = f'{name}: ECE {bins["ECE"] or 0:.4f}'
        axes.plot(confidence, right[shown] / pixels[shown], marker='o', label=label)
    axes.set_xlabel('confidence')
    axes.set_ylabel('share of right pixels')
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.legend(loc='upper left')
    with written_file(path, advice) as partial:
        figure.savefig(partial, format='png')

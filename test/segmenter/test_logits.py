# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The logits before the decision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hier_seg_ros import HierSegError, Segmenter
from hier_seg_ros.segmenter.interpolation import upsample


def picture(height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC))


def test_the_rule_makes_of_them_what_segment_returns(untrained_model: Path) -> None:
    segmenter = Segmenter.load(untrained_model, 'cpu')
    image = picture(75, 110)
    logits = segmenter.logits(image)
    assert (logits.grid.height, logits.grid.width) == (75, 110)
    with torch.inference_mode():
        ids, _ = segmenter.decision_rule.decide(logits, confidence=False, max_level=3)
    (result,) = segmenter.segment([image])
    assert np.array_equal(ids.numpy(), result.finest)
    # Independently: the largest of the root's logits, upsampled everywhere.
    root = segmenter.hierarchy.classifiers[0]
    winner = upsample(logits['root'][None], logits.grid)[0].argmax(0).numpy()
    table = np.array([*(node.id for node in root.nodes), 255])
    assert (table[winner] == result.level(1)).mean() > 0.999


@pytest.mark.parametrize('classifier', ['root', 'Traffic Sign (Front)'])
def test_a_classifier_is_computed_once(untrained_model: Path, classifier: str) -> None:
    segmenter = Segmenter.load(untrained_model, 'cpu')
    name = 'root' if classifier == 'root' else segmenter.hierarchy.node(classifier).name
    logits = segmenter.logits(picture(64, 96))
    assert logits[name].data_ptr() == logits[name].data_ptr()
    (classes,) = (len(c.nodes) for c in segmenter.hierarchy.classifiers if c.name == name)
    assert logits[name].shape[0] == classes + 1


def test_scale_is_of_what_the_network_sees(untrained_model: Path) -> None:
    image = picture(300, 500)
    fine = Segmenter.load(untrained_model, 'cpu', input_long_side=128)
    coarse = Segmenter.load(untrained_model, 'cpu', input_long_side=64)
    halved = fine.logits(image, scale=0.5)
    plain = coarse.logits(image)
    assert halved.grid == plain.grid
    assert torch.equal(halved['root'], plain['root'])
    doubled = coarse.logits(image, scale=2.0)
    assert doubled.grid.width == 500
    assert doubled.grid.scale_x == pytest.approx(plain.grid.scale_x / 2)


def test_what_is_no_image_is_refused(untrained_model: Path) -> None:
    with pytest.raises(HierSegError, match='height x width x 3'):
        Segmenter.load(untrained_model, 'cpu').logits(np.zeros((4, 4), np.uint8))

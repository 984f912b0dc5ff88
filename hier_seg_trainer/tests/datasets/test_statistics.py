# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.datasets.formats.camvid import CamVid
from hier_seg_trainer.datasets.formats.gtsdb import Gtsdb
from hier_seg_trainer.datasets.statistics import count_pixels


def test_pixels_are_counted_by_node_over_all_images(
    tmp_path: Path, make_camvid: Callable[..., Path], tree: Hierarchy
) -> None:
    root = make_camvid(tmp_path / 'camvid', {'train': 3})
    stored = [np.asarray(Image.open(path)) for path in (root / 'trainannot').glob('*.png')]
    values, expected = np.unique(np.stack(stored), return_counts=True)
    names = {0: 'Sky', 1: 'Building', 3: 'Driveable', 8: 'Car'}
    counts = count_pixels(CamVid(root, 'train', tree))
    assert counts.shape == (256,)
    assert counts.sum() == 3 * 64 * 96
    for value, count in zip(values.tolist(), expected.tolist(), strict=True):
        node_id = UNLABELLED if value == 11 else tree.node(names[value]).id
        assert counts[node_id] == count


def test_boxes_have_no_labelled_pixels(small_data: Path, tree: Hierarchy) -> None:
    assert count_pixels(Gtsdb(small_data / 'gtsdb', 'train', tree)).tolist() == [0] * 256


def test_progress_is_shown_on_request(
    small_data: Path, tree: Hierarchy, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = CamVid(small_data / 'camvid', 'val', tree)
    count_pixels(dataset)
    assert capsys.readouterr().err == ''
    count_pixels(dataset, progress=True)
    assert 'camvid: pixels: 100%' in capsys.readouterr().err

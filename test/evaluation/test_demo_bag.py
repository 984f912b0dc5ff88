# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib.util
import itertools
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_ros.resources import share_folder

IMAGE = '/camera/image_raw/compressed'
INFO = '/camera/camera_info'
TRUTH = '/ground_truth/traffic_signs/labels'


@pytest.fixture(scope='module')
def demo_bag() -> Path:
    return share_folder() / 'demo' / 'street'


@pytest.fixture(scope='module')
def make_bag() -> ModuleType:
    """Return demo/make_bag.py as a module: it is a script beside the package."""
    path = share_folder() / 'demo' / 'make_bag.py'
    if not path.is_file():
        pytest.skip(f'{path} is part of the source tree only')
    spec = importlib.util.spec_from_file_location('make_bag', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_demo_bag_has_what_the_demo_needs(demo_bag: Path) -> None:
    with ImageBag(demo_bag) as bag:
        assert bag.choose_image_topic() == IMAGE
        assert set(bag.topics) == {IMAGE, INFO, TRUTH}
        images = list(bag.images(IMAGE))
        infos = list(bag.deserialized(INFO))
        labels = list(bag.images(TRUTH))
    assert len(images) >= 20
    assert sum(path.stat().st_size for path in demo_bag.iterdir()) <= 8_000_000
    for image, info, label in zip(images, infos, labels, strict=True):
        assert image.stamp == label.stamp
        assert image.stamp == info.header.stamp.sec * 10**9 + info.header.stamp.nanosec
        assert image.frame_id == label.frame_id == info.header.frame_id == 'camera'
        assert image.pixels.shape[:2] == label.pixels.shape == (info.height, info.width)
        assert info.k[0] > 0 and info.p[0] == info.k[0]
    periods = {second.stamp - first.stamp for first, second in itertools.pairwise(images)}
    assert periods == {500_000_000}
    with_signs = [label for label in labels if (label.pixels != UNLABELLED).any()]
    assert 0 < len(with_signs) < len(labels)
    signs = set(np.unique(np.stack([label.pixels for label in labels]))) - {UNLABELLED}
    assert len(signs) >= 20 and max(signs) <= 42


def test_images_are_chosen_for_new_classes_first(make_bag: ModuleType) -> None:
    signs: dict[int, Counter[int]] = {number: Counter() for number in make_bag.IMAGES}
    signs[510] = Counter([1])
    signs[520] = Counter([1, 2])
    signs[530] = Counter([3])
    for number in range(540, 540 + make_bag.WITH_SIGNS):
        signs[number] = Counter([1])
    chosen = make_bag.choose_images(signs)
    assert chosen == sorted(chosen)
    assert {520, 530} <= set(chosen)
    assert sum(bool(signs[number]) for number in chosen) == make_bag.WITH_SIGNS
    assert sum(not signs[number] for number in chosen) == make_bag.WITHOUT_SIGNS


def test_bag_made_anew_holds_the_same(
    make_bag: ModuleType, shared_data: Path, demo_bag: Path, tmp_path: Path
) -> None:
    paths = [tmp_path / name / 'street' for name in ('first', 'second')]
    for path in paths:
        assert make_bag.main(['--gtsdb', str(shared_data / 'gtsdb'), '--out', str(path)]) == 0
    first, second = ((path / 'street.mcap').read_bytes() for path in paths)
    assert first == second
    # Other versions of the libraries may compress differently, so the bundled bag is compared by
    # its content.
    with ImageBag(paths[0]) as made, ImageBag(demo_bag) as bundled:
        for topic in (IMAGE, TRUTH):
            for ours, theirs in zip(made.images(topic), bundled.images(topic), strict=True):
                assert ours.stamp == theirs.stamp
                np.testing.assert_array_equal(ours.pixels, theirs.pixels)


def test_folder_that_is_not_gtsdb_is_named(
    make_bag: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'street'
    assert make_bag.main(['--gtsdb', str(tmp_path), '--out', str(out)]) == 1
    error = capsys.readouterr().err.strip()
    assert str(tmp_path / 'gt.txt') in error and '\n' not in error
    assert not out.exists()


def test_label_image_of_another_kind_is_named(make_bag: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / '00500_labelIds.png'
    path.write_text('no image')
    with pytest.raises(HierSegError, match='cannot be read'):
        make_bag.read_labels(path)

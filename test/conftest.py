# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.network import NetworkOptions

REPOSITORY = Path(__file__).resolve().parent.parent

# pytest's importlib mode leaves helper modules beside the tests unfindable.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope='session')
def graph_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep converted networks away from the user's, in this process and in those that it starts."""
    folder = tmp_path_factory.mktemp('cache')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('HIER_SEG_CACHE', str(folder))
        yield folder


@pytest.fixture(scope='session')
def tiny_network_options() -> NetworkOptions:
    """Return the shape of a network that builds and runs in milliseconds."""
    from model_folders import TINY

    return TINY


@pytest.fixture(scope='session')
def street_tree() -> Hierarchy:
    """Return the default tree."""
    return Hierarchy.load(REPOSITORY / 'config' / 'hierarchies' / 'street_108.yaml')


@pytest.fixture(scope='session')
def untrained_model(tmp_path_factory: pytest.TempPathFactory, street_tree: Hierarchy) -> Path:
    """Return a loadable model folder of the default tree that predicts noise."""
    from model_folders import write_untrained_model

    return write_untrained_model(tmp_path_factory.mktemp('models') / 'untrained', street_tree)


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """Return the folder of real street images; skip where it is absent."""
    default = REPOSITORY.parent / 'shared' / 'data'
    folder = Path(os.environ.get('HIER_SEG_DATA', default))
    if not folder.is_dir():
        pytest.skip(f'the real images are not here ({folder}; set HIER_SEG_DATA)')
    return folder


@pytest.fixture
def street_bag(tmp_path: Path) -> Path:
    """Return a bag of three images and their traffic signs."""
    from street_bag import CAMERA, STAMPS, TRUTH, photograph, true_labels

    from hier_seg_ros.bags.messages import image_message
    from hier_seg_ros.bags.writer import BagWriter

    path = tmp_path / 'street'
    with BagWriter(path) as bag:
        for index, stamp in enumerate(STAMPS):
            bag.write(CAMERA, image_message(photograph(index), stamp, 'camera'), stamp)
            bag.write(TRUTH, image_message(true_labels(index), stamp, 'camera'), stamp)
    return path

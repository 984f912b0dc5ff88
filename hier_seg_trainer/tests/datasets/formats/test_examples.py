# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The examples in the docstrings of the formats do what they show."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest
from small_data_sets import MAPPING, WRITERS

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets import formats
from hier_seg_trainer.datasets.opening import FORMATS

MODULES = [name for _, name, _ in pkgutil.iter_modules(formats.__path__)]


@pytest.mark.parametrize('name', MODULES)
def test_a_formats_example_runs(tmp_path: Path, tree: Hierarchy, name: str) -> None:
    module = import_module(f'{formats.__name__}.{name}')
    readers = [key for key, reader in FORMATS.items() if reader.__module__ == module.__name__]
    WRITERS[readers[0]](tmp_path / 'data')
    mapping = tmp_path / 'own.yaml'
    mapping.write_text(MAPPING, 'utf-8')
    names = {**vars(module), 'data': tmp_path / 'data', 'tree': tree, 'mapping': mapping}
    failed, tried = doctest.testmod(module, extraglobs=names)
    assert tried >= 2
    assert failed == 0
    assert '::\n\n' in (module.__doc__ or ''), 'the layout on disk'

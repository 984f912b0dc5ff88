# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Temperatures of a model folder: read, checked, and in force in every engine."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_folders import change_yaml

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.engines.proof import photographs
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_ros.segmenter.model_folder import (
    read_model_folder,
    write_model_folder,
    write_temperatures,
)
from hier_seg_ros.segmenter.segmenter import Segmenter

MODEL = Path(__file__).resolve().parents[2] / 'models' / 'street_lite0'
SIGNS = 'object--traffic-sign--front'
TEMPERATURES = {'root': 2.5, 'object--traffic-sign': 0.5, SIGNS: 1.75}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the default model without temperatures."""
    copied = Path(shutil.copytree(MODEL, tmp_path / 'model'))
    change_yaml(copied, lambda content: content.pop('temperatures', None))
    return copied


def load(folder: Path, engine: str = 'torch') -> Segmenter:
    segmenter = Segmenter.load(folder, 'cpu', engine=engine, precision='float32')
    assert segmenter.engine.name == engine
    return segmenter


def test_a_folder_without_temperatures_is_read_and_written_as_before(folder: Path) -> None:
    description, hierarchy, network = read_model_folder(folder)
    assert description.temperatures == {}
    write_model_folder(folder, description, hierarchy, network, 'card')
    assert '\ntemperatures' not in (folder / 'model.yaml').read_text(encoding='utf-8')


def test_temperatures_are_stored_beside_all_else(folder: Path) -> None:
    before = read_model_folder(folder)
    card = (folder / 'README.md').read_bytes()
    write_temperatures(folder, TEMPERATURES)
    after = read_model_folder(folder)
    assert after[0] == replace(before[0], temperatures=TEMPERATURES)
    weights = zip(before[2].state_dict().values(), after[2].state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in weights)
    assert (folder / 'README.md').read_bytes() == card
    write_model_folder(folder, *after, 'card')
    assert read_model_folder(folder)[0].temperatures == TEMPERATURES


@pytest.mark.parametrize(
    ('temperatures', 'words'),
    [
        ({'root': 0}, "the temperature of 'root' is 0; it must be a number in 0.01-100"),
        ({'root': -1.0}, 'is -1.0; it must be'),
        ({'root': float('nan')}, 'is nan; it must be'),
        ({'root': 1000}, 'is 1000; it must be'),
        ({'root': 'warm'}, "is 'warm'; it must be"),
        ({'root': True}, 'is True; it must be'),
        ({'rood': 1.5}, "temperatures: hierarchy.yaml has no classifier 'rood'; correct the name"),
        ({3: 1.5}, 'has no classifier 3'),
        ([1.5], r'temperatures is \[1.5\]; it must be a mapping'),
    ],
)
def test_bad_temperatures_are_refused_in_one_line(
    folder: Path, temperatures: Any, words: str
) -> None:
    change_yaml(folder, lambda content: content.update(temperatures=temperatures))
    with pytest.raises(HierSegError, match=rf'model\.yaml: .*{words}'):
        read_model_folder(folder)


@pytest.mark.parametrize('engine', ['torch', 'openvino', 'onnxruntime'])
def test_logits_are_divided_in_every_engine(
    folder: Path, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine != 'torch':
        pytest.importorskip(engine)
    # A cache that has the network without temperatures must not give it again.
    monkeypatch.setenv('HIER_SEG_CACHE', str(tmp_path / 'cache'))
    (image,) = photographs(1)
    plain = load(folder)
    (before,) = load(folder, engine).segment([image])
    write_temperatures(folder, TEMPERATURES)
    (after,) = load(folder, engine).segment([image])
    assert (after.finest == before.finest).mean() > 0.9999
    with torch.inference_mode():
        raw = plain.logits(image)
        divided = Logits(lambda name: raw[name] / TEMPERATURES.get(name, 1.0), raw.grid)
        rule, depth = plain.decision_rule, plain.hierarchy.depth
        ids, expected = rule.decide(divided, confidence=True, max_level=depth)
    assert expected is not None
    same = ids.numpy() == after.finest
    error = np.abs(after.confidence.astype(float) - 255 * expected.numpy())[same]
    assert same.mean() > 0.9999 and error.max() < 1.5
    # Signs were seen, so that all three classifiers had their part.
    assert (after.traffic_signs != 255).any()
    assert np.abs(after.confidence.astype(float) - before.confidence).max() > 20

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""scores.json, classes.csv and frames.jsonl, as the command writes them."""

from __future__ import annotations

import csv
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from hier_seg_ros.evaluation.evaluate_bag import main
from hier_seg_ros.evaluation.scores.bag_scores import BagScores


@pytest.fixture
def evaluated(street_bag: Path, untrained_model: Path, tmp_path: Path) -> Path:
    """Return the folder of an evaluation whose model predicts noise."""
    out = tmp_path / 'evaluation'
    assert main([str(street_bag), '--model', str(untrained_model), '--out', str(out)]) == 0
    return out


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding='utf-8'))


def test_scores_are_as_their_schema_says(evaluated: Path) -> None:
    jsonschema = pytest.importorskip('jsonschema', reason='needs jsonschema')
    schema = json.loads(
        files('hier_seg_ros.evaluation.scores').joinpath('scores.schema.json').read_text()
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    scores = read(evaluated / 'scores.json')
    assert [error.message for error in validator.iter_errors(scores)] == []
    del scores['scores']['traffic_signs']['PA']
    assert 'PA' in next(validator.iter_errors(scores)).message


def test_scores_tell_what_made_them(evaluated: Path, untrained_model: Path) -> None:
    scores = read(evaluated / 'scores.json')
    assert scores['version'] == 2
    settings = scores['settings']
    assert settings['model'] == 'untrained' and settings['engine'] and settings['precision']
    assert f'weights_sha256: {settings["model_sha256"]}' in (
        untrained_model / 'model.yaml'
    ).read_text(encoding='utf-8')
    assert settings['truth'] == '/ground_truth/traffic_signs/labels'
    (bag,) = scores['bags']
    assert (bag['in_bag'], bag['evaluated'], bag['image_topic']) == (3, 3, '/camera/image_raw')
    assert scores['timing']['milliseconds']['segment']['max'] > 0
    again = BagScores.from_state(scores['state']).summary()
    assert {key: scores[key] for key in again} == json.loads(json.dumps(again))
    # Lists of numbers take a line, not one for each number.
    assert len((evaluated / 'scores.json').read_text().splitlines()) < 3000


def test_classes_and_frames_are_those_of_the_scores(evaluated: Path) -> None:
    scores = read(evaluated / 'scores.json')
    with (evaluated / 'classes.csv').open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    classes = scores['scores']['traffic_signs']['classes']
    assert [(row['output'], int(row['id']), row['name']) for row in rows] == [
        ('traffic_signs', entry['id'], entry['name']) for entry in classes
    ]
    assert [float(row['iou_paper']) for row in rows] == [one['iou']['paper'] for one in classes]
    lines = (evaluated / 'frames.jsonl').read_text(encoding='utf-8').splitlines()
    records = [json.loads(line) for line in lines]
    assert [record['frame'] for record in records] == ['000', '001', '002']
    assert [record['signs']['true'] for record in records] == [2, 1, 0]
    flagged = [record['frame'] for record in records if record['flags']]
    assert scores['without_truth']['flagged'] == flagged

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of scores.json against slow, obvious counting, and that parts add up to the whole."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.evaluation.scores.bag_scores import BagScores
from hier_seg_ros.evaluation.scores.frame_counts import FrameCounter, FrameCounts
from hier_seg_ros.evaluation.scores.frame_record import frame_record
from hier_seg_ros.evaluation.scores.timings import Timings
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.result import SegmentationResult

SIZE = (24, 40)
Frame = tuple[np.ndarray, int, dict[str, np.ndarray], dict[str, np.ndarray]]


def outputs_of(tree: Hierarchy, finest: np.ndarray, confidence: np.ndarray) -> dict[str, Any]:
    result = SegmentationResult(tree, finest, confidence=confidence)
    return {
        **{f'level_{level}': result.level(level) for level in range(1, tree.depth + 1)},
        'traffic_signs': result.traffic_signs,
        'categories': result.categories,
        'confidence': confidence,
    }


@pytest.fixture(scope='module')
def frames(street_tree: Hierarchy) -> list[Frame]:
    """Return frames with truth: areas of some classes, of which the prediction has most right."""
    random = np.random.default_rng(20)
    ids = [node.id for node in street_tree.nodes]
    some = [*random.choice(ids, 9, replace=False), UNLABELLED]
    made = []
    for number in range(6):
        truth = np.kron(random.choice(some, (3, 5)), np.ones((8, 8))).astype(np.uint8)
        finest = truth.copy()
        wrong = random.random(SIZE) < 0.3
        finest[wrong] = random.choice(some, int(wrong.sum()))
        confidence = random.integers(0, 256, SIZE, dtype=np.uint8)
        labels = outputs_of(street_tree, truth, confidence)
        del labels['confidence']
        rgb = random.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        stamp = 1_000_000_000 + number * 100_000_000
        made.append((rgb, stamp, outputs_of(street_tree, finest, confidence), labels))
    return made


def counted(tree: Hierarchy, frames: list[Frame]) -> list[FrameCounts]:
    counter = FrameCounter(tree, 5)
    return [counter.count(*frame) for frame in frames]


def scores_of(tree: Hierarchy, counts: list[FrameCounts]) -> BagScores:
    scores = BagScores(tree, 5, motion_removed=True)
    for number, each in enumerate(counts):
        scores.add(each, f'{number:03}' if number % 2 else None)
    return scores


def pixels_of(frames: list[Frame], output: str) -> list[tuple[int, int, int]]:
    """Return truth, prediction and confidence of every pixel."""
    return [
        (int(truth[output][place]), int(outputs[output][place]), int(outputs['confidence'][place]))
        for _, _, outputs, truth in frames
        for place in np.ndindex(*SIZE)
    ]


@pytest.mark.parametrize('output', ['level_1', 'level_3', 'traffic_signs', 'categories'])
def test_scores_are_those_of_a_loop_over_pixels(street_tree, frames, output):
    void = len(street_tree.categories) - 1 if output == 'categories' else UNLABELLED
    pixels = [(t, p) for t, p, _ in pixels_of(frames, output) if t != void]
    summary = scores_of(street_tree, counted(street_tree, frames)).summary()['scores'][output]
    assert summary['pixels'] == len(pixels) > 0
    classes = sorted({t for t, _ in pixels})
    assert [entry['id'] for entry in summary['classes']] == classes
    for rule in ('paper', 'cityscapes'):
        scored = [(t, p) for t, p in pixels if p != void or rule == 'cityscapes']
        right = sum(t == p for t, p in scored)
        assert summary['PA'][rule] == pytest.approx(right / len(scored), abs=1e-15)
        ious = []
        for entry in summary['classes']:
            mine = entry['id']
            hits = sum(t == p == mine for t, p in scored)
            either = sum(mine in (t, p) for t, p in scored)
            ious.append(hits / either)
            assert entry['iou'][rule] == pytest.approx(ious[-1], abs=1e-15)
            there = sum(t == mine for t, _ in scored)
            assert entry['accuracy'][rule] == pytest.approx(hits / there, abs=1e-15)
        assert summary['mIoU'][rule] == pytest.approx(np.mean(ious), abs=1e-15)


def test_confusion_matrix_counts_each_pair(street_tree, frames):
    summary = scores_of(street_tree, counted(street_tree, frames)).summary()['scores']['level_2']
    ids, matrix = summary['confusion']['ids'], summary['confusion']['matrix']
    pixels = pixels_of(frames, 'level_2')
    for row, truth in enumerate(ids):
        for column, prediction in enumerate(ids):
            wanted = sum((t, p) == (truth, prediction) for t, p, _ in pixels)
            assert matrix[row][column] == wanted
    assert sum(map(sum, matrix)) == len(pixels)


def test_calibration_is_that_of_a_loop_over_pixels(street_tree, frames):
    summary = scores_of(street_tree, counted(street_tree, frames)).summary()['calibration']
    assert list(summary) == ['level_1', 'level_2', 'level_3']
    pixels = [
        (t == p, confidence)
        for t, p, confidence in pixels_of(frames, 'level_3')
        if UNLABELLED not in (t, p)
    ]
    found, error = summary['level_3'], 0.0
    for place in range(20):
        inside = [
            (right, confidence)
            for right, confidence in pixels
            if place / 20 <= confidence / 255 < (place + 1) / 20
            or (place == 19 and confidence == 255)
        ]
        assert found['count'][place] == len(inside)
        assert found['right'][place] == sum(right for right, _ in inside)
        assert found['confidence_sum'][place] == sum(confidence for _, confidence in inside)
        if inside:
            mean = np.mean([confidence / 255 for _, confidence in inside])
            share = np.mean([right for right, _ in inside])
            error += abs(mean - share) * len(inside) / len(pixels)
    assert found['ECE'] == pytest.approx(error, abs=1e-12)


@pytest.mark.parametrize('cut', [0, 1, 4, 6])
def test_parts_that_went_through_json_add_up_to_the_whole(street_tree, frames, cut):
    counts = counted(street_tree, frames)
    whole = scores_of(street_tree, counts)
    first, second = BagScores(street_tree, 5, motion_removed=True), None
    for number, each in enumerate(counts[:cut]):
        first.add(each, f'{number:03}' if number % 2 else None)
    second = BagScores(street_tree, 5, motion_removed=True)
    for number, each in enumerate(counts[cut:], cut):
        second.add(each, f'{number:03}' if number % 2 else None)
    first, second = (
        BagScores.from_state(json.loads(json.dumps(part.state()))) for part in (first, second)
    )
    first.merge(second)
    assert first.summary() == whole.summary()
    assert whole.summary()['detections']['signs'] + whole.summary()['signs']['signs'] > 0


def test_scores_of_other_trees_and_settings_are_not_added(street_tree, frames):
    counts = counted(street_tree, frames)
    other = BagScores(street_tree, 6)
    other.add(counts[0])
    ours = scores_of(street_tree, counts)
    with pytest.raises(HierSegError, match='--min-sign-pixels was 6'):
        ours.merge(other)
    tree = street_tree.as_dict()
    tree['nodes'] = tree['nodes'][:-1]
    with pytest.raises(HierSegError, match='tree'):
        ours.merge(BagScores(Hierarchy(tree), 5))


@pytest.mark.parametrize(
    'damage',
    [
        {'version': 7},
        {'confusion': {'level_1': [[300, 0, 1]]}},
        {'true_boxes': [[1, 2, 3]]},
        {'sign_sums': {}},
        {'pixels': None},
        {'frames': 'many'},
    ],
)
def test_a_state_that_is_none_is_named(street_tree, frames, damage):
    state = {**scores_of(street_tree, counted(street_tree, frames)).state(), **damage}
    with pytest.raises(HierSegError, match=r'^run/scores\.json: .*; ') as error:
        BagScores.from_state(state, 'run/scores.json')
    assert '\n' not in str(error.value)


def test_a_record_holds_what_a_frame_adds(street_tree, frames):
    counts = counted(street_tree, frames)
    scores = BagScores(street_tree, 5)
    matrix = np.zeros((256, 256), int)
    for number, each in enumerate(counts):
        scores.add(each)
        record = json.loads(json.dumps(frame_record(f'{number:03}', 5, 0.5, each)))
        for truth, prediction, pixels in record['confusion']['level_2']:
            matrix[truth, prediction] += pixels
    confusion = scores.summary()['scores']['level_2']['confusion']
    np.testing.assert_array_equal(
        matrix[np.ix_(confusion['ids'], confusion['ids'])], confusion['matrix']
    )
    rgb, _, outputs, _ = frames[-1]
    assert record['confidence'] == pytest.approx(outputs['confidence'].mean() / 255)
    (share,) = (record['shares']['level_1'][key] for key in [str(outputs['level_1'][0, 0])])
    assert share == pytest.approx((outputs['level_1'] == outputs['level_1'][0, 0]).mean())
    assert sum(record['shares']['level_3'].values()) == pytest.approx(1.0)


@pytest.mark.parametrize('removed', [True, False])
def test_flicker_is_what_the_motion_of_the_camera_does_not_explain(
    street_tree, removed, monkeypatch
):
    if removed:
        pytest.importorskip('cv2', reason='needs OpenCV')
    else:
        monkeypatch.setattr(
            'hier_seg_ros.evaluation.scores.flicker.motion_is_removed', lambda: False
        )
    random = np.random.default_rng(7)
    # A wall of coloured tiles that passes by; each tile is a class of its own.
    tiles = random.integers(0, 256, (12, 30, 3), dtype=np.uint8)
    wall = np.kron(tiles, np.ones((20, 20, 1), np.uint8))
    classes = np.kron(np.arange(360).reshape(12, 30) % 50, np.ones((20, 20))).astype(np.uint8)
    counter = FrameCounter(street_tree, 5)
    assert counter.motion_removed is removed
    shares = []
    for number in range(3):
        left = 5 * number
        labels = classes[:, left : left + 320].copy()
        if number == 2:
            labels[:120] = 40  # half of it flickers
        counts = counter.count(
            wall[:, left : left + 320], 10**9 + number * 10**8, {'level_1': labels}, {}
        )
        shares.append(counts.flicker)
    assert shares[0] is None
    still, flickers = (
        changed / compared for changed, compared in (s['level_1'] for s in shares[1:])
    )
    if removed:
        assert still < 0.02 and 0.45 < flickers < 0.55
    else:
        assert still > 0.2  # five of the twenty columns of each tile


def test_frames_that_are_no_neighbours_are_not_compared(street_tree):
    counter = FrameCounter(street_tree, 5)
    rgb = np.zeros((40, 40, 3), np.uint8)
    labels = {'level_1': np.zeros((40, 40), np.uint8)}
    stamps = [10**9, 10**9 + 1, 3 * 10**9, 2 * 10**9]
    found = [counter.count(rgb, stamp, labels, {}).flicker for stamp in stamps]
    assert [each is None for each in found] == [True, False, True, True]
    fresh = FrameCounter(street_tree, 5)
    fresh.begin_after(rgb, stamps[0], labels)
    assert fresh.count(rgb, stamps[1], labels, {}).flicker == found[1]


def test_times_merge_and_their_percentiles_are_near(street_tree):
    random = np.random.default_rng(3)
    values = random.lognormal(3.0, 1.0, 5000)
    whole, parts = Timings(), [Timings(), Timings()]
    for number, value in enumerate(values):
        whole.add('segment', value)
        parts[number % 2].add('segment', value)
    for part in parts:
        part.frames, part.seconds, part.dropped = 2500, 10.0, 3
    merged = Timings.from_state(json.loads(json.dumps(parts[0].state())))
    merged.merge(parts[1])
    assert merged.summary()['milliseconds'] == whole.summary()['milliseconds']
    assert merged.summary()['dropped'] == 6
    assert merged.summary()['frames_per_second'] == 250.0
    found = whole.summary()['milliseconds']['segment']
    assert found['max'] == values.max()
    for name, share in (('median', 50), ('p95', 95), ('p99', 99)):
        assert found[name] == pytest.approx(np.percentile(values, share), rel=0.04)

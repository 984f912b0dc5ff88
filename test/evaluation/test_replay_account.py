# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Latency and dropped frames of a live replay, from its recording to scores.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.live_replay import DIAGNOSTICS_TOPIC, FRAMES_TOPIC, NodeAccount, SentFrame
from hier_seg_ros.bags.messages import TYPES, image_message, string_message
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.evaluation.evaluate_bag import main
from hier_seg_ros.evaluation.replay_account import ReplayAccount, replay_text
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy

STAMPS = (1_000_000_000, 1_500_000_001, 2_000_000_002)  # of the fixture street_bag
CAMERA = '/camera/image_raw'


def sent(number: int, milliseconds: dict[str, float], late: float = 0.0) -> SentFrame:
    return SentFrame(CAMERA, STAMPS[number], 0.5 * number, late, milliseconds)


def diagnostics(**counts: int) -> Any:
    values = {'topic': CAMERA, **{key.replace('_', ' '): count for key, count in counts.items()}}
    key_value = TYPES.types['diagnostic_msgs/msg/KeyValue']
    status = TYPES.types['diagnostic_msgs/msg/DiagnosticStatus'](
        level=0,
        name='segmenter: camera',
        message='',
        hardware_id='cpu',
        values=[key_value(key=key, value=str(value)) for key, value in values.items()],
    )
    header = TYPES.types['std_msgs/msg/Header'](
        stamp=TYPES.types['builtin_interfaces/msg/Time'](sec=0, nanosec=0), frame_id=''
    )
    return TYPES.types['diagnostic_msgs/msg/DiagnosticArray'](header=header, status=[status])


def test_what_became_of_the_frames() -> None:
    frames = [
        sent(0, {'/a': 20.0, '/b': 30.0}),
        sent(1, {}),
        sent(2, {'/a': 40.0}, late=7.5),
    ]
    account = ReplayAccount(frames, NodeAccount('segmenter', 3, {'published': 2, 'replaced': 1}))
    assert account.counts() == {
        'frames': 3,
        'answered': 2,
        'partly_answered': 1,
        'dropped': 1,
        'node': {'received': 3, 'published': 2, 'replaced': 1},
        'lost_before_node': 0,
        'lost_after_node': 0,
        'late_milliseconds': 7.5,
        'frames_per_second': pytest.approx(1 / 1.01),
    }
    assert account.milliseconds(STAMPS[0]) == {'end_to_end': 30.0}
    assert account.milliseconds(STAMPS[1]) == account.milliseconds(7) == {}


@pytest.mark.parametrize(
    ('node', 'answered', 'text'),
    [
        (NodeAccount('s', 3, {'published': 3}), 3, '3 of 3 frames answered'),
        (None, 2, '2 of 3 frames answered; 1 dropped (the node does not say why)'),
        (
            NodeAccount('s', 2, {'published': 1, 'rejected: encoding': 1}),
            0,
            '0 of 3 frames answered; 3 dropped (rejected: encoding 1, lost on the way to the node '
            '1, lost on the way from the node 1)',
        ),
    ],
)
def test_the_line_for_the_terminal(node: NodeAccount | None, answered: int, text: str) -> None:
    frames = [sent(number, {'/a': 1.0} if number < answered else {}) for number in range(3)]
    assert replay_text(ReplayAccount(frames, node).counts()) == f'live replay: {text}'


@pytest.fixture
def recorded(street_bag: Path, street_tree: Hierarchy, tmp_path: Path) -> Path:
    """Return the recording of a live replay in which the node has dropped the second frame."""
    path, tree = tmp_path / 'recorded', street_tree
    labels = np.full((64, 96), UNLABELLED, np.uint8)
    labels[:32] = tree.node('nature--sky').id
    with BagWriter(path) as writer:
        writer.write('/segmenter/hierarchy', string_message(json.dumps(tree.as_dict())), STAMPS[0])
        # Of frames before this replay; the last one has come to its end meanwhile.
        writer.write(DIAGNOSTICS_TOPIC, diagnostics(received=9, published=4, replaced=5), STAMPS[0])
        for number, milliseconds in enumerate(({'/x': 25.0, '/y': 50.0}, {}, {'/x': 100.0})):
            frame = sent(number, milliseconds)
            writer.write(FRAMES_TOPIC, string_message(frame.text()), STAMPS[number])
            if milliseconds:
                message = image_message(labels, STAMPS[number], 'camera')
                writer.write('/segmenter/level_1/labels', message, STAMPS[number] + 1_000_000)
        for counts in ((11, 5, 6), (12, 6, 6)):
            received, published, replaced = counts
            message = diagnostics(received=received, published=published, replaced=replaced)
            writer.write(DIAGNOSTICS_TOPIC, message, STAMPS[2] + received)
    return path


def test_scores_have_latency_and_dropped_frames(
    street_bag: Path, recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'evaluation'
    assert main([str(street_bag), '--predictions', str(recorded), '--out', str(out)]) == 0
    scores = json.loads((out / 'scores.json').read_text())
    assert scores['images']['evaluated'] == 2
    assert scores['images']['without_prediction'] == 1
    timing = scores['timing']
    assert timing['dropped'] == 1
    assert sum(timing['histograms']['end_to_end']['count']) == 2
    assert timing['milliseconds']['end_to_end']['max'] == 100.0
    assert timing['milliseconds']['end_to_end']['median'] == pytest.approx(50.0, rel=0.05)
    (bag,) = scores['bags']
    assert bag['replay']['node'] == {'received': 3, 'published': 2, 'replaced': 1}
    assert bag['replay']['dropped'] == 1
    assert bag['replay']['lost_before_node'] == bag['replay']['lost_after_node'] == 0
    records = [json.loads(line) for line in (out / 'frames.jsonl').read_text().splitlines()]
    assert [record['milliseconds']['end_to_end'] for record in records] == [50.0, 100.0]
    output = capsys.readouterr().out
    assert (
        'live replay: 2 of 3 frames answered, 1 of them in part; 1 dropped (replaced 1)' in output
    )
    assert 'end to end: median ' in output
    page = (out / 'report.html').read_text(encoding='utf-8')
    assert '2 of 3' in page and '1 dropped (replaced 1)' in page and 'end to end: median' in page


def test_a_recording_that_was_not_live_says_nothing_of_it(
    street_bag: Path, recorded: Path, tmp_path: Path
) -> None:
    plain = tmp_path / 'plain'
    with ImageBag(recorded) as reader, BagWriter(plain) as writer:
        for topic in ('/segmenter/hierarchy', '/segmenter/level_1/labels'):
            writer.add_topic(topic, reader.topics[topic].type_name)
            for message in reader.messages([topic]):
                writer.write_serialized(topic, message.data, message.time)
    out = tmp_path / 'evaluation'
    assert main([str(street_bag), '--predictions', str(plain), '--out', str(out)]) == 0
    scores = json.loads((out / 'scores.json').read_text())
    assert 'replay' not in scores['bags'][0]
    assert 'end_to_end' not in scores['timing']['milliseconds']
    assert scores['timing']['dropped'] == 0


def test_an_account_that_makes_no_sense_is_one_line(
    street_bag: Path, recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / 'damaged'
    with ImageBag(recorded) as reader, BagWriter(damaged) as writer:
        writer.write(FRAMES_TOPIC, string_message('{"stamp": 3}'), 1)
        writer.add_topic('/segmenter/level_1/labels', 'sensor_msgs/msg/Image')
        for message in reader.messages(['/segmenter/level_1/labels']):
            writer.write_serialized(message.topic, message.data, message.time)
    out = tmp_path / 'evaluation'
    assert main([str(street_bag), '--predictions', str(damaged), '--out', str(out)]) == 1
    assert 'is no account of a frame; record with replay_bag' in capsys.readouterr().err
    assert not out.exists()

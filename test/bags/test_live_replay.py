# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a recording of a live replay says, as texts and messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hier_seg_ros.bags.live_replay import NodeAccount, SentFrame, node_accounts
from hier_seg_ros.bags.messages import TYPES
from hier_seg_ros.errors import HierSegError

FRAME = SentFrame('/camera/image_raw', 17, 0.5, 2.5, {'/segmenter/overlay': 31.25})


def diagnostics(*statuses: tuple[str, dict[str, str]]) -> Any:
    key_value = TYPES.types['diagnostic_msgs/msg/KeyValue']
    status = TYPES.types['diagnostic_msgs/msg/DiagnosticStatus']
    header = TYPES.types['std_msgs/msg/Header'](
        stamp=TYPES.types['builtin_interfaces/msg/Time'](sec=1, nanosec=0), frame_id=''
    )
    return TYPES.types['diagnostic_msgs/msg/DiagnosticArray'](
        header=header,
        status=[
            status(
                level=0,
                name=name,
                message='',
                hardware_id='cpu',
                values=[key_value(key=key, value=value) for key, value in values.items()],
            )
            for name, values in statuses
        ],
    )


def test_a_frame_is_read_as_it_was_written() -> None:
    assert SentFrame.parse(FRAME.text(), 'here') == FRAME


@pytest.mark.parametrize(
    'change',
    [
        {'stamp': 'now'},
        {'stamp': None},
        {'topic': 3},
        {'seconds': -1.0},
        {'seconds': 'soon'},
        {'late_milliseconds': None},
        {'milliseconds': [1.0]},
        {'milliseconds': {'/a': 'soon'}},
        {'milliseconds': {'/a': -1.0}},
        {'other': 1},
    ],
    ids=str,
)
def test_what_is_no_account_of_a_frame_is_refused_in_one_line(change: dict[str, Any]) -> None:
    with pytest.raises(HierSegError, match=r'^here: is no account of a frame') as raised:
        SentFrame.parse(json.dumps({**json.loads(FRAME.text()), **change}), 'here')
    assert len(str(raised.value).splitlines()) == 1
    for text in ('3', '[]', '{}', 'null'):
        with pytest.raises(HierSegError, match=r'^here: is no account of a frame'):
            SentFrame.parse(text, 'here')


def test_the_account_of_the_camera_on_the_topic_is_found() -> None:
    counts = {'received': '9', 'published': '5', 'replaced': '3', 'not needed': '0'}
    message = diagnostics(
        ('robot/segmenter: model', {'state': 'active'}),
        ('robot/segmenter: camera left', {'topic': '/left/image', **counts}),
        (
            'robot/segmenter: camera front',
            {
                'topic': '/front/image',
                **counts,
                'rejected: encoding': '1',
                'rejected: encoding, since the last message': '7',
                'flagged: all one class': '4',
                'lost, by the middleware': '6',
                'replaced, lately (%)': '50',
            },
        ),
        ('other: camera', {'topic': '/front/image', 'received': 'many'}),
    )
    (account,) = node_accounts(message, '/front/image')
    assert account == NodeAccount(
        'robot/segmenter', 9, {'published': 5, 'replaced': 3, 'rejected: encoding': 1}
    )
    assert account.closed
    assert not NodeAccount('segmenter', 10, account.fates).closed
    assert node_accounts(message, '/image') == []


def test_what_was_there_before_does_not_count() -> None:
    before = NodeAccount('a', 4, {'published': 3, 'stopped': 1})
    later = NodeAccount('a', 9, {'published': 6, 'stopped': 1, 'replaced': 2})
    assert later.since(before) == NodeAccount('a', 5, {'published': 3, 'replaced': 2})
    assert later.since(None) == later

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a recording of a live replay says of itself: when each frame was sent and answered.

`replay_bag` writes it beside the answers: on `FRAMES_TOPIC` one JSON text for each frame, and on
`DIAGNOSTICS_TOPIC` what the node said meanwhile, its account of the frames with it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import parse_json

FRAMES_TOPIC = '/replay_bag/frames'
DIAGNOSTICS_TOPIC = '/diagnostics'
STRING = 'std_msgs/msg/String'
DIAGNOSTIC_ARRAY = 'diagnostic_msgs/msg/DiagnosticArray'
# How /diagnostics names what became of a frame; the reasons of the last two follow their names.
FATES = ('published', 'replaced', 'not needed', 'rate limited', 'backing off', 'stopped')
FATES_WITH_REASON = ('rejected: ', 'failed: ')
SINCE_LAST = ', since the last message'


@dataclass(frozen=True)
class SentFrame:
    """One frame of a live replay.

    Attributes
    ----------
    topic
        The topic on which it was sent.
    stamp
        Its header stamp in nanoseconds.
    seconds
        When it was sent, from the beginning of the replay.
    late_milliseconds
        How much later than the bag's clock and the rate wanted it.
    milliseconds
        The time from its sending until its answer was there, by the answer's topic; a topic that
        did not answer is missing.

    """

    topic: str
    stamp: int
    seconds: float
    late_milliseconds: float
    milliseconds: Mapping[str, float]

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str, source: str) -> SentFrame:
        """Return what `text` wrote.

        Parameters
        ----------
        text
            The JSON.
        source
            Where it comes from, for the error's line.

        Raises
        ------
        HierSegError
            It is none of these texts.

        """
        content = parse_json(text, source)
        try:
            frame = cls(**content)
            numbers = (frame.seconds, frame.late_milliseconds, *frame.milliseconds.values())
            sound = isinstance(frame.topic, str) and isinstance(frame.stamp, int)
            sound = sound and all(0 <= number < math.inf for number in numbers)
        except (AttributeError, TypeError):
            sound = False
        if not sound:
            raise HierSegError(f'{source}: is no account of a frame; record with replay_bag')
        return frame


@dataclass(frozen=True)
class NodeAccount:
    """A node's account of one camera's frames at one moment.

    Attributes
    ----------
    node
        The node's full name, without the slash at its front.
    received
        Frames that have reached it.
    fates
        How many of them have come to each end, by the words of /diagnostics: 'published',
        'replaced', 'rejected: encoding', …

    """

    node: str
    received: int
    fates: Mapping[str, int]

    @property
    def closed(self) -> bool:
        """Whether no frame waits or is in work."""
        return self.received == sum(self.fates.values())

    def since(self, earlier: NodeAccount | None) -> NodeAccount:
        """Return what has come since an earlier account of the same node; all where it is None."""
        if earlier is None:
            return self
        fates = Counter(self.fates)
        fates.subtract(earlier.fates)
        return NodeAccount(
            self.node,
            self.received - earlier.received,
            {fate: count for fate, count in fates.items() if count},
        )


def node_accounts(message: Any, topic: str) -> list[NodeAccount]:
    """Return the accounts in a DiagnosticArray, of rclpy or of `TYPES`, of the images on a topic.

    There is one for each camera of this package's nodes that subscribes to the topic.
    """
    accounts = []
    for status in message.status:
        values = {value.key: value.value for value in status.values}
        if values.get('topic') != topic or not values.get('received', '').isdecimal():
            continue
        fates = {
            key: int(value)
            for key, value in values.items()
            if (key in FATES or key.startswith(FATES_WITH_REASON))
            and not key.endswith(SINCE_LAST)
            and value.isdecimal()
            and int(value)
        }
        node = status.name.partition(': ')[0]
        accounts.append(NodeAccount(node, int(values['received']), fates))
    return accounts

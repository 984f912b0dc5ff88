# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a recording of a live replay says: how long the answers took, and what became of frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from hier_seg_ros.bags.bag import Bag
from hier_seg_ros.bags.live_replay import (
    DIAGNOSTIC_ARRAY,
    DIAGNOSTICS_TOPIC,
    FRAMES_TOPIC,
    STRING,
    NodeAccount,
    SentFrame,
    node_accounts,
)
from hier_seg_ros.bags.messages import deserialize
from hier_seg_ros.bags.storage.damage import DamagedBagError


class ReplayAccount:
    """The frames of one live replay.

    Attributes
    ----------
    frames
        In the order in which they were sent.
    node
        What the node that answered them says of them; None where it says nothing.

    """

    def __init__(self, frames: Sequence[SentFrame], node: NodeAccount | None) -> None:
        """Take what was recorded."""
        self.frames = frames
        self.node = node
        self._by_stamp = {frame.stamp: frame for frame in reversed(frames)}

    @property
    def answered(self) -> int:
        """How many frames at least one output came back for."""
        return sum(bool(frame.milliseconds) for frame in self.frames)

    @property
    def frames_per_second(self) -> float | None:
        """Answered frames in the time from the first to the last answer; None for less than two."""
        times = [
            frame.seconds + latency / 1000
            for frame in self.frames
            if (latency := end_to_end(frame)) is not None
        ]
        if len(times) < 2 or max(times) <= min(times):
            return None
        return (len(times) - 1) / (max(times) - min(times))

    def milliseconds(self, stamp: int) -> dict[str, float]:
        """Return the durations of the frame of a stamp by name; none for one without an answer."""
        frame = self._by_stamp.get(stamp)
        latency = None if frame is None else end_to_end(frame)
        return {} if latency is None else {'end_to_end': latency}

    def counts(self) -> dict[str, Any]:
        """Return what became of the frames, as scores.json has it.

        Returns
        -------
        dict[str, Any]
            `frames`; `answered`; `partly_answered`, those that lack an output which others have;
            `dropped`, those without any answer; `node`, the node's own account: `received`, and
            the frames by what became of them (None where it is not known, as what follows);
            `lost_before_node` and `lost_after_node`; `late_milliseconds`, how late a frame was
            sent at most; `frames_per_second`, that were answered.

        """
        topics = {topic for frame in self.frames for topic in frame.milliseconds}
        answered, node = self.answered, self.node
        return {
            'frames': len(self.frames),
            'answered': answered,
            'partly_answered': sum(0 < len(f.milliseconds) < len(topics) for f in self.frames),
            'dropped': len(self.frames) - answered,
            'node': None if node is None else {'received': node.received, **node.fates},
            'lost_before_node': None if node is None else len(self.frames) - node.received,
            'lost_after_node': None if node is None else node.fates.get('published', 0) - answered,
            'late_milliseconds': max((f.late_milliseconds for f in self.frames), default=0.0),
            'frames_per_second': self.frames_per_second,
        }


def end_to_end(frame: SentFrame) -> float | None:
    """Return the milliseconds from a frame's sending to its last answer; None without any."""
    return max(frame.milliseconds.values(), default=None)


def replay_text(counts: Mapping[str, Any]) -> str:
    """Return `ReplayAccount.counts` as a line for the terminal."""
    text = f'live replay: {counts["answered"]} of {counts["frames"]} frames answered'
    if counts['partly_answered']:
        text += f', {counts["partly_answered"]} of them in part'
    ends = dict(counts['node'] or {})
    ends.pop('received', None)
    ends.pop('published', None)
    parts = [f'{end} {count}' for end, count in ends.items()]
    for key, where in (('lost_before_node', 'to'), ('lost_after_node', 'from')):
        if counts[key]:
            parts.append(f'lost on the way {where} the node {counts[key]}')
    if counts['dropped']:
        text += f'; {counts["dropped"]} dropped ({", ".join(parts) or "the node does not say why"})'
    return text


def latency_text(milliseconds: Mapping[str, float]) -> str:
    """Return the percentiles of the latency as a line for the terminal."""
    return (
        f'end to end: median {milliseconds["median"]:.0f} ms, 95 % within '
        f'{milliseconds["p95"]:.0f} ms, 99 % within {milliseconds["p99"]:.0f} ms, all within '
        f'{milliseconds["max"]:.0f} ms'
    )


def replay_account(bag: Bag, namespace: str) -> ReplayAccount | None:
    """Return what an open recording says of its live replay; None if it is none of a live one.

    Parameters
    ----------
    bag
        The recording of the answers.
    namespace
        The name of the node that answered, or that of one camera below it.

    Raises
    ------
    HierSegError
        What was recorded is no such account.

    """
    if FRAMES_TOPIC not in bag.topics:
        return None
    frames = []
    begin = 0
    source = f'{bag.path}: {FRAMES_TOPIC}'
    # What is lost of a damaged recording is said once all of it has been read.
    with suppress(DamagedBagError):
        for message in bag.messages([FRAMES_TOPIC]):
            frames.append(SentFrame.parse(deserialize(message.data, STRING).data, source))
            begin = begin if len(frames) > 1 else message.time
    node = _node_account(bag, namespace, frames[0].topic, begin) if frames else None
    return ReplayAccount(frames, node)


def _node_account(bag: Bag, namespace: str, topic: str, begin: int) -> NodeAccount | None:
    """Return a node's account of the images on a topic from a time on."""
    first = last = None
    with suppress(DamagedBagError):
        for message in bag.messages([DIAGNOSTICS_TOPIC]):
            for account in node_accounts(deserialize(message.data, DIAGNOSTIC_ARRAY), topic):
                if f'{namespace}/'.startswith(f'/{account.node}/'):
                    first = account if message.time <= begin else first
                    last = account
    return None if last is None else last.since(first)

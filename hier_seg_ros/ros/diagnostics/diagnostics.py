# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishing /diagnostics: how the node and its cameras are, and the memory they take.

What is wrong goes to the log, too.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

import torch
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from hier_seg_ros.ros.diagnostics.findings_log import FindingsLog
from hier_seg_ros.ros.diagnostics.health import REPORTS_KEPT, judge
from hier_seg_ros.ros.diagnostics.judgement import key_values
from hier_seg_ros.ros.diagnostics.reports import NodeReport

PERIOD_SECONDS = 1.0
MEBIBYTE = 1024 * 1024
MEMORY_FILE = Path('/proc/self/statm')


class Diagnostics:
    """Publishes /diagnostics once a second of steady time, from its making until `close`."""

    def __init__(
        self, node: Node, callback_group: CallbackGroup, report: Callable[[], NodeReport]
    ) -> None:
        """Start the timer.

        Parameters
        ----------
        node
            The node that owns publisher and timer; its clock stamps the messages.
        callback_group
            In which the timer runs.
        report
            Returns how the node is; called by the timer.

        """
        self._node = node
        self._report = report
        self._findings_log = FindingsLog(node.get_logger())
        self._earlier: deque[NodeReport] = deque(maxlen=REPORTS_KEPT)
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # Steady, so that it goes on where /clock stands still.
        self._timer = node.create_timer(
            PERIOD_SECONDS,
            self._publish,
            callback_group=callback_group,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def close(self) -> None:
        """Stop, once the timer does not run any more; calling it again does nothing."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._node.destroy_publisher(self._publisher)
            self._timer = None

    def _publish(self) -> None:
        report = self._report()
        judgements = judge(report, self._earlier)
        self._findings_log.enter(judgements)
        # With its namespace, where it has one, since a robot may run several of these nodes.
        name = self._node.get_fully_qualified_name().lstrip('/')
        message = DiagnosticArray(status=[judgement.status(name) for judgement in judgements])
        message.status[0].values += key_values(memory_use(report.pipeline.device))
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)
        self._earlier.append(report)


def memory_use(device: str) -> dict[str, str]:
    """Return the memory that this process uses, in MiB, by what it is.

    Parameters
    ----------
    device
        Torch device, such as 'cuda:0'; that of a GPU is left out for others.

    """
    values = {}
    if MEMORY_FILE.exists():  # on Linux
        resident = int(MEMORY_FILE.read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')
        values['process memory (MiB)'] = f'{resident / MEBIBYTE:.0f}'
    if device.startswith('cuda'):
        for name, use in (
            ('allocated', torch.cuda.memory_allocated),
            ('reserved', torch.cuda.memory_reserved),
            ('peak', torch.cuda.max_memory_allocated),
        ):
            values[f'GPU memory {name} (MiB)'] = f'{use(device) / MEBIBYTE:.0f}'
    return values

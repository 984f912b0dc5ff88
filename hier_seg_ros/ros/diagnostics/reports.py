# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the node, its pipeline and its cameras are at one moment: what the diagnostics judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hier_seg_ros.frames.frame_statistics import FrameSummary


@dataclass(frozen=True)
class CameraReport:
    """One camera at one moment.

    Attributes
    ----------
    name
        '' for the only, unnamed one.
    topic
        The image topic that it subscribes, resolved.
    enabled
        Whether ~/enable leaves it on.
    counts
        See `FrameLedger`.
    summary
        See `FrameStatistics`.
    problems
        Lines of `Connections` about its topics.
    explanation
        A line of `Connections` that says why nothing comes, beyond the problems; '' for none.
    publishers
        How many publish the image topic.
    lost
        Images that were lost by what the middleware says; see `Connections`.

    """

    name: str
    topic: str
    enabled: bool
    counts: Mapping[str, int]
    summary: FrameSummary
    problems: tuple[str, ...] = ()
    explanation: str = ''
    publishers: int = 0
    lost: int = 0


@dataclass(frozen=True)
class PipelineReport:
    """All that exists from configure to cleanup, at one moment; by default nothing.

    Attributes
    ----------
    model
        Name of the loaded model; '' for none.
    device
        Where the network runs, such as 'cpu' or 'cuda:0'; '' while no model is loaded.
    engine
        What runs the network, such as 'openvino in bfloat16'; '' while no model is loaded.
    engine_problem
        One line where another engine was to run it; else ''.
    out_of_memory
        One line where memory has run out and no frame has succeeded since; else ''.
    backing_off
        Seconds for which frames are still dropped after memory ran out; 0.0 for none.
    restarts
        One line where the worker was replaced of late, because it had died or hung; else ''.
    captures_written
        Bags written.
    captures_failed
        Bags that could not be written.
    captures_skipped
        How often flagged frames were not captured, because that was done shortly before or still
        went on.
    cameras
        Its cameras.

    """

    model: str = ''
    device: str = ''
    engine: str = ''
    engine_problem: str = ''
    out_of_memory: str = ''
    backing_off: float = 0.0
    restarts: str = ''
    captures_written: int = 0
    captures_failed: int = 0
    captures_skipped: int = 0
    cameras: tuple[CameraReport, ...] = ()


@dataclass(frozen=True)
class NodeReport:
    """The node at one moment.

    Attributes
    ----------
    state
        Label of its lifecycle state, such as 'active'.
    error
        Why it could not be configured or activated; '' for none.
    warning
        What went wrong without any harm to the work, such as another model that was refused; ''
        for none.
    stall_warn_seconds
        Silence of a camera that is a warning.
    stall_error_seconds
        Silence of a camera that is an error.
    pipeline
        What it has from configure to cleanup.

    """

    state: str
    error: str
    warning: str
    stall_warn_seconds: float
    stall_error_seconds: float
    pipeline: PipelineReport = field(default_factory=PipelineReport)

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the node and its cameras are well, judged by what was counted and measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus

from hier_seg_ros.frames.frame_statistics import Durations, FrameSummary
from hier_seg_ros.ros.diagnostics.judgement import ERROR, WARN, Finding, Judgement
from hier_seg_ros.ros.diagnostics.reports import CameraReport, NodeReport

# Shares of the frames are taken over this many messages.
REPORTS_KEPT = 10
# Where more of the frames are replaced by newer ones, the network is too slow for the camera. With
# max_rate_hz a user says what rate is enough, and frames above it are not counted as replaced.
FALLING_BEHIND_SHARE = 0.1
# Where more of the frames are lost, the transport is to blame rather than a hiccup of the camera.
LOST_SHARE = 0.05
# With fewer frames there is no share.
FEWEST_FRAMES = 10
# Mean age on arrival, in seconds, from which on something on the way holds frames back.
LATE_SECONDS = 1.0
# These counts are shown also while they are zero; those of reasons are not.
ALWAYS_COUNTED = (
    'received',
    'published',
    'replaced',
    'not_needed',
    'rate_limited',
    'backing_off',
)


def diagnose(
    report: NodeReport, earlier: Sequence[NodeReport], node_name: str
) -> list[DiagnosticStatus]:
    """Return the statuses that `judge` comes to; their names begin with `node_name`."""
    return [judgement.status(node_name) for judgement in judge(report, earlier)]


def judge(report: NodeReport, earlier: Sequence[NodeReport]) -> list[Judgement]:
    """Judge a report.

    Parameters
    ----------
    report
        The node now.
    earlier
        The reports of the last `REPORTS_KEPT` messages, oldest first; none at first.

    Returns
    -------
    list[Judgement]
        That of the model and one for each camera.

    """
    return [
        _judge_model(report, earlier),
        *(_judge_camera(camera, report, earlier) for camera in report.pipeline.cameras),
    ]


def _judge_model(report: NodeReport, earlier: Sequence[NodeReport]) -> Judgement:
    findings: list[Finding] = []
    pipeline = report.pipeline
    if report.error:
        findings.append(Finding(ERROR, report.error))
    elif pipeline.out_of_memory or pipeline.backing_off > 0:
        text = pipeline.out_of_memory or 'out of memory'
        findings.append(Finding(ERROR, text, 'lack of memory', logged=True))
    if pipeline.restarts:
        findings.append(Finding(WARN, pipeline.restarts))
    if report.warning:
        findings.append(Finding(WARN, report.warning))
    if pipeline.engine_problem:
        findings.append(Finding(WARN, pipeline.engine_problem, 'another engine', logged=True))
    failed_before = earlier[-1].pipeline.captures_failed if earlier else 0
    captures_failed = pipeline.captures_failed - failed_before
    if captures_failed > 0:
        findings.append(Finding(WARN, f'captures that could not be written: {captures_failed}'))
    summary = report.state
    if pipeline.model:
        summary += f': {pipeline.model} on {pipeline.device}'
    values = {
        'state': report.state,
        'model': pipeline.model or 'none',
        'device': pipeline.device or 'none',
        'engine': pipeline.engine or 'none',
        'out of memory, next attempt in (s)': f'{pipeline.backing_off:.1f}',
        'captures written': str(pipeline.captures_written),
        'captures failed': str(pipeline.captures_failed),
        'captures of flagged frames skipped': str(pipeline.captures_skipped),
    }
    at_work = report.state == 'active'
    return Judgement('model', 'model', at_work, tuple(findings), summary, pipeline.device, values)


def _judge_camera(
    camera: CameraReport, report: NodeReport, earlier: Sequence[NodeReport]
) -> Judgement:
    new = _new_counts(camera, earlier)
    recent = _recent_counts(camera, earlier)
    replaced = _share(recent.counts['replaced'], recent.counts['received'])
    lost = _share(recent.lost, recent.lost + recent.counts['received'])
    missing = _share(camera.summary.missing, camera.summary.expected)

    findings: list[Finding] = []
    undecided: frozenset[str] = frozenset()
    at_work = report.state == 'active' and camera.enabled
    if at_work:
        summary = _rates(camera.summary, recent)
        stall = _stall(camera.summary, report)
        findings += stall
        # One may also be why nothing comes.
        findings += _connection(camera)
        findings += _troubles(new)
        if not stall:
            findings += _pace(recent, replaced)
            findings += _losses(lost, missing, replaced)
            findings += _times(camera.summary)
        findings.sort(key=lambda finding: finding.level, reverse=True)
        undecided = _undecided(bool(stall), replaced, (lost, missing), camera.summary)
    else:
        summary = report.state if report.state != 'active' else 'disabled by ~/enable'
    values = {
        'topic': camera.topic,
        'enabled': str(camera.enabled),
        **_summary_values(camera.summary),
        **_count_values(camera.counts, new),
        'replaced, lately (%)': _percent(replaced),
        'lost, by the middleware': str(camera.lost),
        'lost, by the middleware, lately (%)': _percent(lost),
        'lost, by gaps in the header stamps, lately (%)': _percent(missing),
    }
    return Judgement(
        f'camera {camera.name}'.rstrip(),
        f'camera {camera.name}' if camera.name else camera.topic,
        at_work,
        tuple(findings),
        summary,
        report.pipeline.device,
        values,
        undecided,
    )


@dataclass(frozen=True)
class _Recent:
    """What was counted over the last reports.

    Attributes
    ----------
    counts
        The increase of each count.
    first_received
        Frames that arrived between the first two of these reports.
    lost
        Images lost by what the middleware says.
    complete
        Whether all `REPORTS_KEPT` reports of before are among them.

    """

    counts: Counter[str]
    first_received: int
    lost: int
    complete: bool


def _find(camera: CameraReport, report: NodeReport) -> CameraReport | None:
    """Return the same camera in an earlier report; None where the node was configured since."""
    for other in report.pipeline.cameras:
        if other.name == camera.name and other.counts.get('received', 0) <= camera.counts.get(
            'received', 0
        ):
            return other
    return None


def _new_counts(camera: CameraReport, earlier: Sequence[NodeReport]) -> Counter[str]:
    """Return by how much each count has grown since the last message."""
    previous = _find(camera, earlier[-1]) if earlier else None
    return Counter(camera.counts) - Counter(previous.counts if previous is not None else {})


def _recent_counts(camera: CameraReport, earlier: Sequence[NodeReport]) -> _Recent:
    """Return what was counted while the camera was at work all the time."""
    history = [camera]
    for report in reversed(earlier):
        then = _find(history[-1], report)
        if then is None or report.state != 'active' or not then.enabled:
            break
        history.append(then)
    history.reverse()
    counts = Counter(camera.counts) - Counter(history[0].counts)
    first_received = 0
    if len(history) > 1:
        first_received = history[1].counts.get('received', 0) - history[0].counts.get('received', 0)
    return _Recent(
        counts=counts,
        first_received=first_received,
        lost=max(0, camera.lost - history[0].lost),
        complete=len(history) > REPORTS_KEPT,
    )


def _rates(summary: FrameSummary, recent: _Recent) -> str:
    if not summary.any_frame:
        return 'waiting for the first frame'
    if not recent.counts['published'] and recent.counts['not_needed']:
        return f'{summary.rate_in:.1f} Hz in; nobody subscribes an output'
    text = f'{summary.rate_in:.1f} Hz in, {summary.rate_out:.1f} Hz out'
    if summary.latency is not None:
        text += f', latency {_milliseconds(summary.latency.mean)} ms'
    return text


def _undecided(
    stalled: bool,
    replaced: float | None,
    losses: tuple[float | None, float | None],
    summary: FrameSummary,
) -> frozenset[str]:
    """Return the kinds of findings that so few frames do not tell of; shares are None then."""
    kinds: set[str] = set()
    if stalled or replaced is None:
        kinds |= {'standstill', 'falling behind'}
    if stalled or losses == (None, None):
        kinds.add('loss of frames')
    if stalled or (summary.latency is None and summary.implausible_latency is None):
        kinds |= {'difference of clocks', 'late arrival'}
    return frozenset(kinds)


def _stall(summary: FrameSummary, report: NodeReport) -> list[Finding]:
    if summary.silence >= report.stall_error_seconds:
        level = ERROR
    elif summary.silence >= report.stall_warn_seconds:
        level = WARN
    else:
        return []
    since = _span(summary.silence)
    text = f'no frame for {since}' if summary.any_frame else f'no frame has come yet, after {since}'
    return [Finding(level, text, 'silence')]


def _connection(camera: CameraReport) -> list[Finding]:
    findings = [
        Finding(WARN, problem, 'mismatch', logged=True)
        for problem in dict.fromkeys(camera.problems)
    ]
    if camera.explanation:
        kind = 'silence of a publisher' if camera.publishers else 'lack of a publisher'
        findings.insert(0, Finding(WARN, camera.explanation, kind))
    return findings


def _troubles(new: Mapping[str, int]) -> list[Finding]:
    findings: list[Finding] = []
    for kind in ('failed', 'rejected', 'flagged', 'without_points'):
        reasons = {
            name.partition('/')[2]: number
            for name, number in sorted(new.items())
            if name.startswith(f'{kind}/')
        }
        if reasons:
            by_reason = ', '.join(f'{reason} {number}' for reason, number in reasons.items())
            findings.append(Finding(WARN, f'frames {kind.replace("_", " ")}: {by_reason}'))
    if new.get('backing_off'):
        findings.append(Finding(WARN, f'frames dropped for want of memory: {new["backing_off"]}'))
    return findings


def _pace(recent: _Recent, replaced: float | None) -> list[Finding]:
    counts = recent.counts
    tried = counts['received'] - counts['not_needed'] - counts['rate_limited']
    # One frame may be on its way, hence two. And frames must have come from the beginning: the
    # first one after a pause has a right to take its time.
    if (
        recent.complete
        and recent.first_received
        and tried >= 2
        and not counts['published']
        and not counts['not_needed']
    ):
        text = f'frames come, but none was published for {_span(REPORTS_KEPT)}'
        return [Finding(ERROR, text, 'standstill')]
    if replaced is not None and replaced > FALLING_BEHIND_SHARE:
        text = (
            f'falling behind: {replaced:.0%} of the frames replaced by newer ones (set max_rate_hz '
            f'or a smaller input_long_side)'
        )
        return [Finding(WARN, text, 'falling behind')]
    return []


def _losses(lost: float | None, missing: float | None, replaced: float | None) -> list[Finding]:
    if lost is not None and lost > LOST_SHARE:
        text = f'{lost:.0%} of the frames lost in transport (docs/troubleshooting.md)'
        return [Finding(WARN, text, 'loss of frames')]
    # A node that is too busy for its frames does not see all of them: some are overwritten while
    # they wait to be received, and that is no fault of the transport.
    falling_behind = replaced is not None and replaced > FALLING_BEHIND_SHARE
    if missing is not None and missing > LOST_SHARE and not falling_behind:
        text = (
            f'{missing:.0%} of the frames missing by their header stamps: lost in transport or '
            f'left out by the driver (docs/troubleshooting.md)'
        )
        return [Finding(WARN, text, 'loss of frames')]
    return []


def _times(summary: FrameSummary) -> list[Finding]:
    if summary.implausible_latency is not None:
        text = f'header stamps are {_stamps(summary)}, so the latency is unknown'
        return [Finding(WARN, text, 'difference of clocks')]
    if summary.latency is not None and summary.processing is not None:
        age = summary.latency.mean - summary.processing.mean
        if age > LATE_SECONDS:
            return [Finding(WARN, f'frames are {_span(age)} old when they arrive', 'late arrival')]
    return []


def _stamps(summary: FrameSummary) -> str:
    """Say how the header stamps lie in relation to the node's clock."""
    latency = summary.implausible_latency
    if latency is None:
        return "by the node's clock"
    if summary.zero_stamps:
        return 'zero'
    if latency < 0:
        return f"{_span(-latency)} ahead of the node's clock"
    return f"{_span(latency)} behind the node's clock (a bag? set use_sim_time and play its clock)"


def _summary_values(summary: FrameSummary) -> dict[str, str]:
    return {
        'rate in (Hz)': f'{summary.rate_in:.1f}',
        'rate out (Hz)': f'{summary.rate_out:.1f}',
        **_durations('latency', summary.latency),
        **_durations('processing', summary.processing),
        'silence (s)': f'{summary.silence:.1f}',
        'header stamps': _stamps(summary),
    }


def _durations(what: str, durations: Durations | None) -> dict[str, str]:
    mean = percentile_95 = maximum = 'unknown'
    if durations is not None:
        mean = _milliseconds(durations.mean)
        percentile_95 = _milliseconds(durations.percentile_95)
        maximum = _milliseconds(durations.maximum)
    return {
        f'{what} mean (ms)': mean,
        f'{what} 95th percentile (ms)': percentile_95,
        f'{what} maximum (ms)': maximum,
    }


def _count_values(counts: Mapping[str, int], new: Mapping[str, int]) -> dict[str, str]:
    values = {}
    for name in ALWAYS_COUNTED:
        values[name.replace('_', ' ')] = str(counts.get(name, 0))
    for name in sorted(set(counts) - set(ALWAYS_COUNTED)):
        label = name.replace('/', ': ').replace('_', ' ')
        values[label] = str(counts[name])
        values[f'{label}, since the last message'] = str(new.get(name, 0))
    return values


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole >= FEWEST_FRAMES else None


def _percent(share: float | None) -> str:
    return 'unknown' if share is None else f'{100 * share:.0f}'


def _milliseconds(seconds: float) -> str:
    return f'{1000 * seconds:.0f}'


def _span(seconds: float) -> str:
    """Return a duration as one reads it, such as '12 s' or '3.5 h'."""
    for unit, length in (('days', 86400.0), ('h', 3600.0), ('min', 60.0)):
        if seconds >= 2 * length:
            return f'{seconds / length:.1f} {unit}'
    return f'{seconds:.1f} s' if seconds < 10 else f'{seconds:.0f} s'

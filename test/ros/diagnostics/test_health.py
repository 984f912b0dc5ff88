# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the diagnostics say of a node that is well, and of one that is not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2 (rclpy)')

from diagnostic_msgs.msg import DiagnosticStatus

from hier_seg_ros.frames.frame_statistics import Durations, FrameSummary
from hier_seg_ros.ros.diagnostics.health import REPORTS_KEPT, diagnose, judge
from hier_seg_ros.ros.diagnostics.reports import CameraReport, NodeReport, PipelineReport

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

WELL = FrameSummary(
    rate_in=10.0,
    rate_out=9.96,
    latency=Durations(0.0804, 0.12, 0.2, 100),
    processing=Durations(0.05, 0.06, 0.07, 100),
    silence=0.04,
    any_frame=True,
    expected=200,
    missing=0,
)
# Of a camera at 10 Hz, after 100 s.
COUNTS = {'received': 1000, 'published': 1000}
CAMERA = CameraReport('', '/camera/image_raw', True, COUNTS, WELL)
NODE = NodeReport(
    state='active',
    error='',
    warning='',
    stall_warn_seconds=2.0,
    stall_error_seconds=10.0,
    pipeline=PipelineReport(
        model='street_lite0',
        device='cpu',
        captures_written=2,
        captures_skipped=7,
        cameras=(CAMERA,),
    ),
)


def with_pipeline(node=NODE, **changes):
    return replace(node, pipeline=replace(node.pipeline, **changes))


def with_camera(node=NODE, **changes):
    return with_pipeline(node, cameras=(replace(node.pipeline.cameras[0], **changes),))


def with_summary(**changes):
    return with_camera(summary=replace(WELL, **changes))


def seconds(*counts, **changes):
    """Return one report for each second, given how much each count grows in it."""
    totals: Counter[str] = Counter()
    reports = [with_camera(counts=dict(totals), **changes)]
    for increase in counts:
        totals.update(increase)
        reports.append(with_camera(counts=dict(totals), **changes))
    return reports


def camera_status(reports):
    """Return the camera's status, judged as the node would after these reports."""
    *earlier, now = reports
    model, camera = diagnose(now, earlier[-REPORTS_KEPT:], 'segmenter')
    assert model.level == OK, model
    check_style(camera)
    return camera


def check_style(status):
    assert '\n' not in status.message and status.message
    keys = [value.key for value in status.values]
    assert len(set(keys)) == len(keys)
    assert all(value.value for value in status.values)
    assert not any(value.value in ('nan', 'inf', 'None') for value in status.values)


def values_of(status):
    return {value.key: value.value for value in status.values}


def test_all_is_well():
    model, camera = diagnose(NODE, [NODE], 'segmenter')
    assert (model.name, camera.name) == ('segmenter: model', 'segmenter: camera')
    assert model.level == camera.level == OK
    assert model.hardware_id == camera.hardware_id == 'cpu'
    assert model.message == 'active: street_lite0 on cpu'
    assert camera.message == '10.0 Hz in, 10.0 Hz out, latency 80 ms'
    check_style(model)
    check_style(camera)
    values = values_of(camera)
    expected = {
        'topic': '/camera/image_raw',
        'rate in (Hz)': '10.0',
        'rate out (Hz)': '10.0',
        'latency mean (ms)': '80',
        'latency 95th percentile (ms)': '120',
        'latency maximum (ms)': '200',
        'processing mean (ms)': '50',
        'processing 95th percentile (ms)': '60',
        'processing maximum (ms)': '70',
        'received': '1000',
        'published': '1000',
        'replaced': '0',
        'header stamps': "by the node's clock",
        'lost, by gaps in the header stamps, lately (%)': '0',
    }
    assert expected.items() <= values.items()
    assert values_of(model)['captures written'] == '2'
    assert values_of(model)['captures of flagged frames skipped'] == '7'


def test_each_camera_has_a_status():
    cameras = (replace(CAMERA, name='front'), replace(CAMERA, name='left', topic='/left/image'))
    statuses = diagnose(with_pipeline(cameras=cameras), [], 'robot/segmenter')
    assert [status.name for status in statuses] == [
        'robot/segmenter: model',
        'robot/segmenter: camera front',
        'robot/segmenter: camera left',
    ]
    assert values_of(statuses[2])['topic'] == '/left/image'


@pytest.mark.parametrize(
    ('silence', 'level'), [(1.9, OK), (2.0, WARN), (9.9, WARN), (10.0, ERROR), (3600.0, ERROR)]
)
def test_a_stall_is_a_warning_and_then_an_error(silence, level):
    status = camera_status([with_summary(silence=silence)])
    assert status.level == level
    assert status.message.startswith('no frame for ') == (level != OK)


def test_the_thresholds_of_a_stall_are_those_of_the_report():
    report = replace(with_summary(silence=50.0), stall_warn_seconds=60.0, stall_error_seconds=90.0)
    assert camera_status([report]).level == OK


def test_no_frame_has_ever_come_and_why():
    summary = FrameSummary(0.0, 0.0, None, None, 12.3, False, 0, 0)
    why = 'nobody publishes /camera/image_raw; sensor_msgs/msg/Image is published on /cam/image'
    status = camera_status([with_camera(summary=summary, counts={}, explanation=why)])
    assert status.level == ERROR
    assert status.message == f'no frame has come yet, after 12 s; {why}'
    assert values_of(status)['latency mean (ms)'] == 'unknown'


def test_waiting_for_the_first_frame():
    summary = FrameSummary(0.0, 0.0, None, None, 0.5, False, 0, 0)
    status = camera_status([with_camera(summary=summary, counts={})])
    assert (status.level, status.message) == (OK, 'waiting for the first frame')


@pytest.mark.parametrize('state', ['unconfigured', 'inactive', 'activating'])
def test_a_node_that_does_not_work_is_not_stalled(state):
    (model, camera) = diagnose(replace(with_summary(silence=99.0), state=state), [], 'segmenter')
    assert (camera.level, camera.message) == (OK, state)
    assert model.level == OK and model.message.startswith(state)


def test_a_disabled_camera_is_not_stalled():
    report = with_camera(enabled=False, summary=replace(WELL, silence=99.0))
    status = camera_status([report])
    assert (status.level, status.message) == (OK, 'disabled by ~/enable')


def test_an_unconfigured_node_without_cameras():
    report = replace(NODE, state='unconfigured', pipeline=PipelineReport())
    (model,) = diagnose(report, [], 'segmenter')
    assert (model.level, model.message, model.hardware_id) == (OK, 'unconfigured', 'none')
    check_style(model)


def test_why_the_node_could_not_be_configured():
    error = 'cannot configure: /models/x: no such model folder; give another'
    report = replace(NODE, state='unconfigured', error=error, pipeline=PipelineReport())
    (model,) = diagnose(report, [], 'segmenter')
    assert (model.level, model.message) == (ERROR, error)


def test_another_engine_than_the_wanted_one():
    problem = 'engine openvino in float32: fails (RuntimeError); torch in float32 runs instead'
    pipeline = replace(NODE.pipeline, engine='torch in float32', engine_problem=problem)
    model, _ = diagnose(replace(NODE, pipeline=pipeline), [], 'segmenter')
    assert (model.level, model.message) == (WARN, problem)
    assert {value.key: value.value for value in model.values}['engine'] == 'torch in float32'
    check_style(model)


def test_out_of_memory():
    report = with_pipeline(out_of_memory='cuda:0: out of memory', backing_off=3.21)
    model, _ = diagnose(report, [NODE], 'segmenter')
    assert (model.level, model.message) == (ERROR, 'cuda:0: out of memory')
    assert values_of(model)['out of memory, next attempt in (s)'] == '3.2'


def test_a_refused_model_is_a_warning():
    model, _ = diagnose(replace(NODE, warning='still with the model before'), [], 'segmenter')
    assert (model.level, model.message) == (WARN, 'still with the model before')


def test_a_capture_that_failed_is_a_warning_once():
    report = with_pipeline(captures_failed=1)
    assert diagnose(report, [NODE], 'segmenter')[0].level == WARN
    assert diagnose(report, [NODE, report], 'segmenter')[0].level == OK


def test_rejected_frames_are_a_warning_while_new_ones_come():
    before = with_camera(counts={**COUNTS, 'rejected/step': 5})
    now = with_camera(counts={**COUNTS, 'rejected/step': 7, 'rejected/encoding': 1})
    status = camera_status([before, now])
    assert (status.level, status.message) == (WARN, 'frames rejected: encoding 1, step 2')
    values = values_of(status)
    assert values['rejected: step'] == '7'
    assert values['rejected: step, since the last message'] == '2'

    status = camera_status([before, now, now])
    assert status.level == OK
    assert values_of(status)['rejected: step'] == '7'
    assert values_of(status)['rejected: step, since the last message'] == '0'


def test_failed_and_flagged_frames_and_those_passed_over():
    now = with_camera(
        counts={**COUNTS, 'failed/runtime': 1, 'flagged/class_share': 3, 'backing_off': 4}
    )
    status = camera_status([NODE, now])
    assert (status.level, status.message) == (
        WARN,
        'frames failed: runtime 1; frames flagged: class_share 3; frames dropped for want of '
        'memory: 4',
    )


def test_what_was_counted_while_the_node_was_inactive_is_not_new():
    now = with_camera(counts={**COUNTS, 'rejected/step': 7})
    assert camera_status([replace(now, state='inactive'), now]).level == OK


def test_a_camera_that_was_configured_anew_counts_from_zero():
    now = with_camera(counts={'received': 3, 'rejected/step': 2})
    before = with_camera(counts={**COUNTS, 'rejected/step': 7})
    assert camera_status([before, now]).message == 'frames rejected: step 2'


@pytest.mark.parametrize(('replaced', 'level'), [(0, OK), (2, OK), (4, WARN), (25, WARN)])
def test_falling_behind(replaced, level):
    increase = {'received': 30, 'replaced': replaced, 'published': 30 - replaced}
    status = camera_status(seconds(*[increase] * 15))
    assert status.level == level
    if level == WARN:
        assert status.message.startswith(f'falling behind: {replaced / 30:.0%} of the frames')
    assert values_of(status)['replaced, lately (%)'] == f'{100 * replaced / 30:.0f}'


def test_falling_behind_is_over_when_it_has_been_over_for_a_while():
    slow = {'received': 30, 'replaced': 15, 'published': 15}
    quick = {'received': 30, 'replaced': 0, 'published': 30}
    assert camera_status(seconds(*[slow] * 10, *[quick] * 5)).level == WARN
    assert camera_status(seconds(*[slow] * 10, *[quick] * 10)).level == OK


def test_frames_above_max_rate_are_no_sign_of_falling_behind():
    status = camera_status(seconds(*[{'received': 30, 'rate_limited': 25, 'published': 5}] * 12))
    assert status.level == OK


def test_a_few_frames_say_nothing_about_pace():
    assert camera_status(seconds({'received': 3, 'replaced': 2, 'published': 0})).level == OK


def test_nothing_published_is_an_error():
    stuck = {'received': 30, 'replaced': 30, 'published': 0}
    working = {'received': 30, 'replaced': 0, 'published': 30}
    status = camera_status(seconds(*[working] * 5, *[stuck] * 10))
    assert status.level == ERROR
    assert status.message.startswith('frames come, but none was published for 10 s')
    assert camera_status(seconds(*[working] * 5, *[stuck] * 9)).level == WARN


def test_only_rejected_frames_are_an_error():
    status = camera_status(seconds(*[{'received': 30, 'rejected/step': 30}] * 11))
    assert status.level == ERROR
    assert status.message.startswith('frames come, but none was published for 10 s; frames rej')


@pytest.mark.parametrize(
    'increases',
    [
        [{'received': 30, 'not_needed': 30}] * 15,
        # Somebody has just subscribed, and the first frame is under way.
        [{'received': 30, 'not_needed': 30}] * 9 + [{'received': 30}],
        # The camera has just begun.
        [{'received': 0}] * 10 + [{'received': 5}],
        # max_rate_hz is one frame in 20 s.
        [{'received': 30, 'rate_limited': 30}] * 15,
    ],
)
def test_nothing_published_and_all_is_well(increases):
    assert camera_status(seconds(*increases)).level == OK


def test_nobody_subscribes():
    status = camera_status(seconds(*[{'received': 30, 'not_needed': 30}] * 5))
    assert status.message == '10.0 Hz in; nobody subscribes an output'


@pytest.mark.parametrize(('missing', 'level'), [(0, OK), (10, OK), (11, WARN), (150, WARN)])
def test_losses_by_gaps_in_the_stamps(missing, level):
    status = camera_status([with_summary(expected=200, missing=missing)])
    assert status.level == level
    assert status.message.startswith(f'{missing / 200:.0%} of the frames missing') == (level != OK)
    assert values_of(status)['lost, by gaps in the header stamps, lately (%)'] == (
        f'{100 * missing / 200:.0f}'
    )


def test_losses_by_what_the_middleware_says():
    reports = seconds(*[{'received': 3, 'published': 3}] * 12)
    reports = [with_camera(report, lost=9 * second) for second, report in enumerate(reports)]
    status = camera_status(reports)
    assert status.level == WARN
    assert status.message.startswith('75% of the frames lost in transport')
    assert values_of(status)['lost, by the middleware'] == str(9 * 12)
    # They have stopped.
    assert camera_status([*reports, *reports[-1:] * 10]).level == OK


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'implausible_latency': 1.7e9, 'zero_stamps': 5}, 'header stamps are zero'),
        ({'implausible_latency': -7.0}, "header stamps are 7.0 s ahead of the node's clock"),
        ({'implausible_latency': 90000.0}, "header stamps are 25.0 h behind the node's clock"),
        ({'implausible_latency': 864000.0}, "header stamps are 10.0 days behind the node's clock"),
    ],
)
def test_stamps_of_another_clock_are_no_latency(changes, text):
    status = camera_status([with_summary(latency=None, **changes)])
    assert status.level == WARN
    assert status.message.startswith(text)
    values = values_of(status)
    assert values['latency mean (ms)'] == values['latency maximum (ms)'] == 'unknown'
    assert values['processing mean (ms)'] == '50'
    assert text.removeprefix('header stamps are ') in values['header stamps']


@pytest.mark.parametrize(('latency', 'level'), [(0.9, OK), (1.04, OK), (1.06, WARN)])
def test_frames_that_are_old_when_they_arrive(latency, level):
    status = camera_status([with_summary(latency=Durations(latency, 3.0, 3.0, 100))])
    assert status.level == level


def test_the_worst_comes_first():
    summary = replace(WELL, silence=12.0)
    status = camera_status([with_camera(summary=summary, problems=('a mismatch', 'a mismatch'))])
    assert (status.level, status.message) == (ERROR, 'no frame for 12 s; a mismatch')
    stuck = with_camera(seconds(*[{'received': 30, 'replaced': 30}] * 11)[-1], problems=('x',))
    reports = [*seconds(*[{'received': 30, 'replaced': 30}] * 10), stuck]
    assert camera_status(reports).message == 'frames come, but none was published for 10 s; x'


def test_a_stalled_camera_is_not_blamed_for_what_was_before():
    summary = replace(WELL, silence=3.0, missing=100)
    reports = seconds(*[{'received': 30, 'replaced': 20, 'published': 10}] * 12, summary=summary)
    assert camera_status(reports).message == 'no frame for 3.0 s'


def test_too_few_frames_tell_nothing_of_pace_losses_and_times():
    def undecided(reports):
        return judge(reports[-1], reports[:-1])[1].undecided

    busy = seconds(*[{'received': 30, 'published': 30}] * 11)
    assert undecided(busy) == frozenset()
    stalled = [*busy[:-1], with_summary(silence=3.0)]
    everything = {
        'standstill', 'falling behind', 'loss of frames', 'difference of clocks', 'late arrival',
    }  # fmt: skip
    assert undecided(stalled) == everything
    slow = [with_summary(latency=None, expected=0)]
    assert undecided(slow) == everything


def test_a_pause_of_the_node_ends_what_was_before():
    stuck = {'received': 30, 'replaced': 30}
    reports = seconds(*[stuck] * 11)
    assert camera_status(reports).level == ERROR
    reports[5] = replace(reports[5], state='inactive')
    assert camera_status(reports).level == WARN
    reports[5] = with_camera(reports[6], enabled=False)
    assert camera_status(reports).level == WARN

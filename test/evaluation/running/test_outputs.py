# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The video of the overlays, the worst frames as a data set, and a video stream as input."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from long_recording import frames_of, scores_of, write_predictions, write_scene

from hier_seg_ros.bags.messages import COMPRESSED_IMAGE, TYPES, header
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.evaluation.evaluate_bag import main
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.images.image_files import read_png

FRAMES = 6


@pytest.fixture
def evaluated(tmp_path: Path, street_tree: Hierarchy) -> list[str]:
    """Return the arguments of an evaluation."""
    bag = write_scene(tmp_path / 'scene', FRAMES)
    recorded = write_predictions(tmp_path / 'recorded', FRAMES, street_tree)
    return [str(bag), '--predictions', str(recorded), '--out', str(tmp_path / 'out')]


def test_video_shows_the_overlays_at_their_times(tmp_path: Path, evaluated: list[str]) -> None:
    av = pytest.importorskip('av', reason='PyAV is not installed: pip install av')
    video = tmp_path / 'new' / 'overlay.mp4'
    assert main([*evaluated, '--video', str(video)]) == 0
    with av.open(str(video)) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    assert times == pytest.approx([index / 10 for index in range(FRAMES)], abs=2e-3)


def test_video_needs_the_overlays(
    tmp_path: Path, evaluated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('av', reason='PyAV is not installed: pip install av')
    arguments = [*evaluated, '--pictures', 'none', '--video', str(tmp_path / 'a.mp4')]
    assert main(arguments) == 1
    assert 'is made of the overlays; leave --pictures out' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_worst_frames_are_a_data_set(
    tmp_path: Path, evaluated: list[str], street_tree: Hierarchy
) -> None:
    target = tmp_path / 'worst'
    assert main([*evaluated, '--pictures', 'none', '--export-worst', '2', str(target)]) == 0
    ranked = sorted(frames_of(tmp_path / 'out'), key=lambda one: one['scores']['level_1']['mIoU'])
    names = [one['frame'] for one in ranked[:2]]
    assert (target / 'frames.txt').read_text().splitlines() == names
    for kind in ('images', 'labels', 'truth'):
        files = {path.stem for path in (target / kind / 'train').iterdir()}
        assert files == set(names)
    labels = read_png(target / 'labels' / 'train' / f'{names[0]}.png')
    assert labels.shape == (48, 64) and set(np.unique(labels)) <= {1, 2, 255}
    mapping = yaml.safe_load((target / 'mapping.yaml').read_text())
    assert {entry['value'] for entry in mapping['classes']} == {
        node.id for node in street_tree.nodes
    }
    # The trainer reads it, where it is installed.
    opening = pytest.importorskip('hier_seg_trainer.datasets.formats.label_folder')
    found = opening.LabelFolder(target, 'train', street_tree, target / 'mapping.yaml')
    assert len(found) == 2


@pytest.mark.parametrize('count', ['0', 'many', '-1'])
def test_the_number_of_frames_is_checked(evaluated: list[str], tmp_path: Path, count: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*evaluated, '--export-worst', count, str(tmp_path / 'worst')])
    assert ended.value.code == 2


def test_a_recorded_video_stream_is_evaluated(
    tmp_path: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    av = pytest.importorskip('av', reason='PyAV is not installed: pip install av')
    context: Any = av.CodecContext.create('libx264', 'w')
    context.width, context.height, context.pix_fmt = 96, 64, 'yuv420p'
    context.time_base, context.framerate = Fraction(1, 10), Fraction(10)
    context.gop_size, context.options = 5, {'tune': 'zerolatency'}
    bag = tmp_path / 'bag'
    with BagWriter(bag) as writer:
        for index in range(12):
            pixels = np.full((64, 96, 3), 20 * index, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, 'rgb24')
            frame.pts = index
            (packet,) = context.encode(frame)
            if index < 2:  # The recorder began a little later.
                continue
            stamp = (index + 1) * 10**8
            message = TYPES.types[COMPRESSED_IMAGE](
                header(stamp, 'camera'), 'h264', np.frombuffer(bytes(packet), np.uint8)
            )
            writer.write('/camera/image/compressed', message, stamp)
    out = tmp_path / 'out'
    arguments = [str(bag), '--model', str(untrained_model), '--engine', 'torch', '--out', str(out)]
    assert main(arguments) == 0
    images = scores_of(out)['images']
    assert (images['in_bag'], images['evaluated'], images['rejected']) == (10, 7, 3)
    assert (
        'comes before the first key frame'
        in json.loads((out / 'scores.json').read_text())['rejected'][0]
    )
    assert [one['stamp'] for one in frames_of(out)] == [
        (index + 1) * 10**8 for index in range(5, 12)
    ]

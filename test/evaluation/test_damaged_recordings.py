# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command on recordings that are damaged, or odd."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from recordings import Message, damaged, write_folder, write_mcap
from rosbags.rosbag2 import CompressionMode, StoragePlugin
from street_bag import CAMERA, STAMPS, TRUTH, photograph, true_labels

from hier_seg_ros.bags.messages import COMPRESSED_IMAGE, IMAGE, TYPES, header, image_message
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.evaluation.evaluate_bag import main

# So that each photograph is a chunk of its own.
CHUNK = 10_000


def street(stamps: tuple[int, ...] = STAMPS) -> list[Message]:
    """Return the messages of the fixture `street_bag`, perhaps with other stamps."""
    messages = []
    for index, stamp in enumerate(stamps):
        for topic, pixels in ((CAMERA, photograph(index)), (TRUTH, true_labels(index))):
            data = TYPES.serialize_cdr(image_message(pixels, stamp, 'camera'), IMAGE)
            messages.append((topic, IMAGE, STAMPS[index], bytes(data)))
    return messages


@pytest.fixture
def evaluate(
    untrained_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, Any, list[str]]]:
    """Return a function that runs the command: exit code, scores, and the lines of its errors."""

    def run(bag: Path, *arguments: object) -> tuple[int, Any, list[str]]:
        out = tmp_path / 'out'
        texts = [str(argument) for argument in arguments]
        code = main([str(bag), '--model', str(untrained_model), '--out', str(out), *texts])
        scores = out / 'scores.json'
        result = json.loads(scores.read_text()) if scores.is_file() else None
        return code, result, capsys.readouterr().err.splitlines()

    return run


Evaluate = Callable[..., tuple[int, Any, list[str]]]


def test_what_can_be_read_of_a_cut_off_bag_is_evaluated(evaluate: Evaluate, tmp_path: Path) -> None:
    bag = write_mcap(tmp_path / 'a.mcap', street(), chunk_size=CHUNK)
    data = bag.read_bytes()
    bag.write_bytes(data[: len(data) * 8 // 10])
    code, scores, errors = evaluate(bag)
    assert code == 1
    (line,) = errors
    assert line.startswith(f'evaluate_bag: {bag}: the bag is cut off or damaged (')
    assert 'bytes cannot be read' in line
    assert scores['images']['evaluated'] == 2
    assert scores['partial'] == [line.removeprefix('evaluate_bag: ')]
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert 'Not all of the recording could be read' in page and 'is cut off or damaged' in page


@pytest.mark.parametrize('seed', range(12))
def test_damaged_mcap_bag(evaluate: Evaluate, tmp_path: Path, seed: int) -> None:
    bag = write_mcap(tmp_path / 'a.mcap', street(), chunk_size=CHUNK)
    bag.write_bytes(damaged(bag.read_bytes(), seed))
    code, scores, errors = evaluate(bag)
    if code == 0:
        assert errors == [] and 'partial' not in scores
        assert scores['images']['evaluated'] == 3 and scores['images']['rejected'] == 0
        return
    (line,) = errors
    assert code == 1 and line.startswith(f'evaluate_bag: {bag}: ') and 'Traceback' not in line
    if scores is not None:
        lost = 3 - scores['images']['evaluated']
        assert scores['images']['evaluated'] > 0 and scores['images']['rejected'] == 0
        assert lost == 0 or f'{lost} of 3 messages' in line or 'lost' in line


@pytest.mark.parametrize('seed', range(8))
def test_damaged_sqlite_bag(evaluate: Evaluate, tmp_path: Path, seed: int) -> None:
    bag = write_folder(tmp_path / 'a', StoragePlugin.SQLITE3, street())
    file = bag / 'a.db3'
    file.write_bytes(damaged(file.read_bytes(), seed))
    code, scores, errors = evaluate(bag)
    if code == 0:
        # Bytes of pixels may have changed, of which SQLite knows nothing.
        assert scores['images']['evaluated'] + scores['images']['rejected'] == 3
        assert errors == []
    else:
        (line,) = errors
        assert line.startswith(f'evaluate_bag: {bag}: ') and 'lost' in line


@pytest.mark.parametrize(('share', 'evaluated'), [(0.8, 1), (0.6, 0)])
def test_damaged_predictions_are_named_and_what_is_left_is_evaluated(
    evaluate: Evaluate, tmp_path: Path, share: float, evaluated: int
) -> None:
    bag = write_mcap(tmp_path / 'a.mcap', street())
    labels = [
        (topic.replace('/ground_truth', '/segmenter'), type_name, time, data)
        for topic, type_name, time, data in street()
    ]
    recorded = write_mcap(tmp_path / 'recorded.mcap', labels, chunk_size=CHUNK)
    data = recorded.read_bytes()
    recorded.write_bytes(data[: int(len(data) * share)])
    code, scores, errors = evaluate(bag, '--predictions', recorded)
    (line,) = errors
    assert code == 1 and line.startswith(f'evaluate_bag: {recorded}: the bag is cut off or damaged')
    if evaluated:
        images = scores['images']
        assert (images['evaluated'], images['without_prediction']) == (1, 2)
    else:
        assert scores is None


@pytest.mark.parametrize('stamp', [0, -(10**9)])
def test_bag_without_stamps_is_evaluated_by_the_time_of_recording(
    evaluate: Evaluate, tmp_path: Path, stamp: int
) -> None:
    bag = write_mcap(tmp_path / 'a.mcap', street((stamp,) * 3))
    code, scores, errors = evaluate(bag)
    assert code == 0 and scores['images']['evaluated'] == 3 and scores['images']['rejected'] == 0
    assert scores['signs']['signs'] == 3
    assert len(errors) == 2 and {line.split()[1] for line in errors} == {'warning:'}
    assert 'without a stamp' in errors[0] and CAMERA in ''.join(errors) and TRUTH in ''.join(errors)


def test_wrong_metadata_is_a_warning(evaluate: Evaluate, tmp_path: Path) -> None:
    bag = write_folder(tmp_path / 'a', StoragePlugin.SQLITE3, street(), CompressionMode.MESSAGE)
    path = bag / 'metadata.yaml'
    content = yaml.safe_load(path.read_text())
    for topic in content['rosbag2_bagfile_information']['topics_with_message_count']:
        topic['message_count'] = 7
    path.write_text(yaml.safe_dump(content))
    code, scores, errors = evaluate(bag)
    assert code == 0 and scores['images']['evaluated'] == scores['images']['in_bag'] == 3
    (line,) = errors
    assert line.startswith(f'evaluate_bag: warning: {bag}: metadata.yaml has another number')


def test_missing_topic_is_named_with_the_image_topics(evaluate: Evaluate, tmp_path: Path) -> None:
    bag = write_mcap(tmp_path / 'a.mcap', street())
    code, scores, errors = evaluate(bag, '--image-topic', '/camera')
    assert code == 1 and scores is None
    (line,) = errors
    assert f'has no topic /camera; it has {CAMERA}, {TRUTH}; its image topics: {CAMERA}' in line


def compressed(format_name: str, content: bytes) -> bytes:
    message = TYPES.types[COMPRESSED_IMAGE](
        header=header(5, 'camera'), format=format_name, data=np.frombuffer(content, np.uint8)
    )
    return bytes(TYPES.serialize_cdr(message, COMPRESSED_IMAGE))


@pytest.mark.parametrize(
    ('format_name', 'start', 'codec'),
    [
        ('h264', b'\0\0\0\1\x67', 'H.264'),
        ('', b'\0\0\1\x65', 'H.264'),
        ('jpeg', b'\0\0\0\1\x40\1', 'H.265'),
        ('HEVC; bgr8', b'anything', 'H.265'),
        ('AV1', b'\x12\0', 'AV1'),
    ],
)
def test_video_is_named_as_what_it_is(
    evaluate: Evaluate, tmp_path: Path, format_name: str, start: bytes, codec: str
) -> None:
    data = compressed(format_name, start + bytes(50))
    bag = write_mcap(tmp_path / 'a.mcap', [('/camera', COMPRESSED_IMAGE, 5, data)])
    code, scores, errors = evaluate(bag)
    assert code == 1 and scores is None
    (line,) = errors
    assert f'is {codec} video' in line and 'decode the stream' in line


@pytest.mark.parametrize('format_name', ['tiff', 'rgb8; TIFF compressed bgr8', 'jpeg', ''])
def test_tiff_is_decoded_whatever_its_format_says(
    evaluate: Evaluate, tmp_path: Path, format_name: str
) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photograph(0)).save(buffer, 'TIFF')
    path = tmp_path / 'a'
    with BagWriter(path) as writer:
        writer.add_topic('/camera', COMPRESSED_IMAGE)
        writer.write_serialized('/camera', compressed(format_name, buffer.getvalue()), 5)
        writer.write_serialized('/camera', compressed(format_name, buffer.getvalue()[:500]), 6)
    code, scores, errors = evaluate(path)
    assert code == 0 and errors == []
    assert scores['images']['evaluated'] == 1 and scores['images']['rejected'] == 1

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoded_pixels import encode

from hier_seg_ros.bags.image_bag import ImageBag
from hier_seg_ros.bags.messages import image_message, jpeg_message, string_message
from hier_seg_ros.bags.writer import BagWriter
from hier_seg_ros.evaluation.evaluate_bag import main
from hier_seg_ros.evaluation.report.page import plot_library
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.images.image_files import read_image

STAMPS = (1_000_000_000, 1_500_000_001, 2_000_000_002)  # of the fixture street_bag


class Links(HTMLParser):
    """Collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {value for name, value in attrs if name in ('href', 'src') and value}


def record(
    path: Path,
    bag: Path,
    tree: Hierarchy,
    *,
    namespace: str = '/segmenter',
    with_tree: bool = True,
    stamps: tuple[int, ...] = STAMPS,
) -> Path:
    """Write the predictions that a perfect node would publish for the signs of `bag`."""
    id_of_sign = np.full(256, UNLABELLED, np.uint8)
    for node in tree.nodes:
        if node.traffic_sign_id is not None:
            id_of_sign[node.traffic_sign_id] = node.id
    with ImageBag(bag) as source, BagWriter(path) as writer:
        if with_tree:
            message = string_message(json.dumps(tree.as_dict()))
            writer.write(f'{namespace}/hierarchy', message, 0)
        for truth in source.images('/ground_truth/traffic_signs/labels'):
            if truth.stamp not in stamps:
                continue
            finest = id_of_sign.take(truth.pixels)
            outputs = {'traffic_signs/labels': truth.pixels}
            for level in range(1, tree.depth + 1):
                outputs[f'level_{level}/labels'] = tree.level_of_id[level - 1].take(finest)
            for name, pixels in outputs.items():
                message = image_message(pixels, truth.stamp, 'camera')
                # As in life: recorded later than the stamp says.
                writer.write(f'{namespace}/{name}', message, truth.stamp + 123_456)
    return path


def without_library(page: str) -> str:
    library = plot_library()
    assert library and library in page
    return page.replace(library, '')


def scores_of(out: Path) -> Any:
    return json.loads((out / 'scores.json').read_text())


def test_segmenter_runs_on_a_bag(
    street_bag: Path, untrained_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'out' / 'evaluation'
    code = main([str(street_bag), '--model', str(untrained_model), '--out', str(out)])
    assert code == 0
    assert '3 of 3 images evaluated' in capsys.readouterr().out
    labels = ['level_1', 'level_2', 'level_3', 'traffic_signs', 'categories']
    folders = ['overlays', 'color', 'confidence', *labels, *(f'{name}_color' for name in labels)]
    for folder in folders:
        assert [path.name for path in sorted((out / folder).iterdir())] == [
            '000.png',
            '001.png',
            '002.png',
        ]
        assert read_image(out / folder / '000.png').shape == (64, 96, 3)
    scores = scores_of(out)
    assert scores['images']['evaluated'] == 3 and scores['images']['rejected'] == 0
    assert scores['signs']['signs'] == 3
    assert 'traffic_signs' in scores['scores']
    assert str(untrained_model) in scores['command'] and 'untrained' in scores['predictions']
    assert list(tmp_path.glob('out/.*')) == []


def test_camera_that_sends_yuv_is_evaluated(
    street_bag: Path, untrained_model: Path, tmp_path: Path
) -> None:
    orange = np.full((64, 96, 3), [220, 120, 30], np.uint8)
    path, out = tmp_path / 'yuv', tmp_path / 'evaluation'
    with ImageBag(street_bag) as signs, BagWriter(path) as writer:
        for truth in signs.images('/ground_truth/traffic_signs/labels'):
            message = image_message(encode('nv12', orange), truth.stamp, 'camera')
            message.encoding, message.height = 'nv12', 64
            writer.write('/camera', message, truth.stamp)
            labels = image_message(truth.pixels, truth.stamp, 'camera')
            writer.write(truth.topic, labels, truth.stamp)
    assert main([str(path), '--model', str(untrained_model), '--out', str(out)]) == 0
    scores = scores_of(out)
    assert scores['image_topic'] == '/camera'
    assert scores['images']['evaluated'] == 3 and scores['images']['rejected'] == 0
    assert scores['signs']['signs'] == 3
    seen = read_image(out / 'photographs' / '000.jpg')
    np.testing.assert_allclose(seen.astype(int), orange, atol=6)


def test_report_refers_to_files_that_are_there(
    street_bag: Path, untrained_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'evaluation'
    assert main([str(street_bag), '--model', str(untrained_model), '--out', str(out)]) == 0
    page = (out / 'report.html').read_text(encoding='utf-8')
    links = Links()
    links.feed(page)
    files = {link for link in links.found if not link.startswith(('#', 'data:'))}
    assert {'overlays/002.png', 'level_3_color/000.png', 'signs.csv'} <= files
    assert [link for link in files if not (out / link).is_file()] == []
    # Four letters may stand anywhere in a picture, and the library of the plots names its origin.
    assert 'http' not in re.sub(
        'data:image/[a-z]+;base64,[A-Za-z0-9+/=]+', '', without_library(page)
    )


def test_predictions_are_written_and_can_be_evaluated_again(
    street_bag: Path, untrained_model: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / 'first', tmp_path / 'second'
    arguments = [str(street_bag), '--model', str(untrained_model)]
    assert main([*arguments, '--out', str(first)]) == 0
    predictions = first / 'predictions'
    with ImageBag(predictions) as bag:
        assert set(bag.topics) == {
            '/segmenter/overlay/compressed',
            '/segmenter/color',
            '/segmenter/level_1/labels',
            '/segmenter/level_2/labels',
            '/segmenter/level_3/labels',
            '/segmenter/traffic_signs/labels',
            '/segmenter/categories/labels',
            '/segmenter/confidence',
            '/segmenter/hierarchy',
        }
        (one, *_) = bag.images('/segmenter/level_3/labels')
        assert (one.stamp, one.frame_id) == (STAMPS[0], 'camera')
    arguments = [str(street_bag), '--predictions', str(predictions), '--out', str(second)]
    assert main(arguments) == 0
    assert not (second / 'predictions').exists()
    ours, again = scores_of(first), scores_of(second)
    assert ours['scores'] == again['scores'] and ours['signs'] == again['signs']
    assert (first / 'signs.csv').read_text() == (second / 'signs.csv').read_text()
    for name in ('level_1', 'traffic_signs', 'confidence', 'color'):
        image = f'{name}/001.png'
        assert (first / image).read_bytes() == (second / image).read_bytes()


def test_perfect_predictions_get_perfect_scores(
    street_bag: Path, street_tree: Hierarchy, tmp_path: Path
) -> None:
    recorded = record(tmp_path / 'recorded', street_bag, street_tree)
    out = tmp_path / 'out'
    assert main([str(street_bag), '--predictions', str(recorded), '--out', str(out)]) == 0
    scores = scores_of(out)
    assert scores['hierarchy'] == street_tree.name
    assert scores['scores']['traffic_signs']['mIoU'] == {'paper': 1.0, 'cityscapes': 1.0}
    signs = scores['signs']
    assert (signs['signs'], signs['found'], signs['right_class']) == (3, 3, 3)
    assert signs['far_pixels'] == 0
    objects = scores['detections']
    assert (objects['signs'], objects['detections'], objects['right']) == (3, 3, 3)
    assert (objects['precision'], objects['recall'], objects['mAP']) == (1.0, 1.0, 1.0)
    assert [(one['id'], one['signs'], one['AP']) for one in objects['classes']] == [
        (2, 1, 1.0),
        (14, 2, 1.0),
    ]
    names = {node.traffic_sign_id: node.readable_name for node in street_tree.nodes}
    with (out / 'signs.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [
        (row['frame'], row['verdict'], row['predicted'], row['ground_truth']) for row in rows
    ] == [
        ('000', 'right', names[2], names[2]),
        ('000', 'right', names[14], names[14]),
        ('001', 'right', names[14], names[14]),
    ]
    assert rows[2]['stamp'] == '1.500000001' and rows[2]['pixels'] == '100'
    assert [rows[2][edge] for edge in ('left', 'top', 'right', 'bottom')] == [
        '30',
        '10',
        '40',
        '20',
    ]
    page = (out / 'report.html').read_text(encoding='utf-8')
    assert names[2] in page and names[14] in page


def test_signs_where_there_are_none_are_listed_as_extra(
    street_bag: Path, street_tree: Hierarchy, tmp_path: Path
) -> None:
    recorded = tmp_path / 'recorded'
    labels = np.full((64, 96), UNLABELLED, np.uint8)
    labels[50:60, 0:10] = 9
    labels[0:2, 90:92] = 9  # too small to be listed
    with BagWriter(recorded) as bag:
        message = string_message(json.dumps(street_tree.as_dict()))
        bag.write('/segmenter/hierarchy', message, 0)
        for stamp in STAMPS:
            message = image_message(labels, stamp, 'camera')
            bag.write('/segmenter/traffic_signs/labels', message, stamp)
    out = tmp_path / 'out'
    assert main([str(street_bag), '--predictions', str(recorded), '--out', str(out)]) == 0
    scores = scores_of(out)
    assert scores['areas_too_small_to_list'] == 3
    objects = scores['detections']
    assert (objects['signs'], objects['detections'], objects['right']) == (3, 3, 0)
    assert (objects['precision'], objects['recall'], objects['mAP']) == (0.0, 0.0, 0.0)
    assert scores['signs']['far_pixels'] == scores['signs']['predicted_pixels'] == 3 * 104
    with (out / 'signs.csv').open(newline='') as file:
        verdicts = [row['verdict'] for row in csv.DictReader(file)]
    assert sorted(verdicts) == ['extra'] * 3 + ['missed'] * 3


def test_overlay_is_taken_from_the_recording(
    street_bag: Path, street_tree: Hierarchy, tmp_path: Path
) -> None:
    recorded = tmp_path / 'recorded'
    tint = np.full((64, 96, 3), (10, 200, 30), np.uint8)
    black = np.zeros_like(tint)
    with BagWriter(recorded) as bag:
        for stamp in STAMPS:
            labels = np.zeros((64, 96), np.uint8)
            bag.write('/segmenter/level_3/labels', image_message(labels, stamp, 'c'), stamp)
            bag.write('/segmenter/overlay/compressed', jpeg_message(black, stamp, 'c'), stamp)
            bag.write('/segmenter/overlay', image_message(tint, stamp, 'c'), stamp)
        bag.write('/segmenter/hierarchy', string_message(json.dumps(street_tree.as_dict())), 0)
    out = tmp_path / 'out'
    assert main([str(street_bag), '--predictions', str(recorded), '--out', str(out)]) == 0
    np.testing.assert_array_equal(read_image(out / 'overlays' / '000.png'), tint)
    # The colours were not recorded, so they are drawn from the labels.
    color = read_image(out / 'color' / '000.png')
    np.testing.assert_array_equal(color[0, 0], street_tree.colors[0])


def test_images_without_prediction_are_counted(
    street_bag: Path, street_tree: Hierarchy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = record(tmp_path / 'recorded', street_bag, street_tree, stamps=STAMPS[1:])
    out = tmp_path / 'out'
    assert main([str(street_bag), '--predictions', str(recorded), '--out', str(out)]) == 0
    assert '1 images have no prediction' in capsys.readouterr().out
    images = scores_of(out)['images']
    assert (images['in_bag'], images['evaluated'], images['without_prediction']) == (3, 2, 1)
    assert [path.name for path in sorted((out / 'overlays').iterdir())] == ['001.png', '002.png']


def test_predictions_for_other_images_are_refused(
    street_bag: Path, street_tree: Hierarchy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = tmp_path / 'recorded'
    labels = np.zeros((64, 96), np.uint8)
    with BagWriter(recorded) as bag:
        bag.write('/segmenter/hierarchy', string_message(json.dumps(street_tree.as_dict())), 0)
        # One nanosecond off is off: stamps are copied, not rounded.
        message = image_message(labels, STAMPS[0] + 1, 'camera')
        bag.write('/segmenter/level_1/labels', message, STAMPS[0])
    before = set(tmp_path.iterdir())
    out = tmp_path / 'out'
    assert main([str(street_bag), '--predictions', str(recorded), '--out', str(out)]) == 1
    error = capsys.readouterr().err.strip()
    assert '\n' not in error and 'no stamp is the same' in error and str(recorded) in error
    assert set(tmp_path.iterdir()) == before


def test_predictions_of_another_size_are_rejected(
    street_bag: Path, street_tree: Hierarchy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = tmp_path / 'recorded'
    with BagWriter(recorded) as bag:
        bag.write('/segmenter/hierarchy', string_message(json.dumps(street_tree.as_dict())), 0)
        for stamp, width in zip(STAMPS, (96, 96, 95), strict=True):
            labels = np.zeros((64, width), np.uint8)
            bag.write('/segmenter/level_1/labels', image_message(labels, stamp, 'c'), stamp)
    out = tmp_path / 'out'
    assert main([str(street_bag), '--predictions', str(recorded), '--out', str(out)]) == 0
    assert 'level_1 is 95×64, its image 96×64' in capsys.readouterr().out


def test_predictions_that_are_all_smaller_are_refused_for_their_size(
    street_bag: Path, street_tree: Hierarchy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = tmp_path / 'recorded'
    with BagWriter(recorded) as bag:
        bag.write('/segmenter/hierarchy', string_message(json.dumps(street_tree.as_dict())), 0)
        for stamp in STAMPS:
            labels = np.zeros((32, 48), np.uint8)
            bag.write('/segmenter/level_1/labels', image_message(labels, stamp, 'c'), stamp)
    out = tmp_path / 'out'
    assert main([str(street_bag), '--predictions', str(recorded), '--out', str(out)]) == 1
    error = capsys.readouterr().err.strip()
    assert '\n' not in error and 'stamp is the same' not in error
    assert 'level_1 is 48×32, its image 96×64' in error and 'output_scale 1.0' in error


def test_one_camera_of_several_is_evaluated(
    street_bag: Path, street_tree: Hierarchy, tmp_path: Path
) -> None:
    namespace = '/robot/segmenter/front'
    recorded = record(
        tmp_path / 'recorded', street_bag, street_tree, namespace=namespace, with_tree=False
    )
    out = tmp_path / 'out'
    # The tree is not in the recording, so the model's is used.
    model = tmp_path / 'model'
    model.mkdir()
    street_tree.save(model / 'hierarchy.yaml')
    arguments = [str(street_bag), '--predictions', str(recorded), '--model', str(model)]
    assert main([*arguments, '--namespace', 'robot/segmenter/front/', '--out', str(out)]) == 0
    assert scores_of(out)['signs']['right_class'] == 3


def test_recording_without_labels_is_named(
    street_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], untrained_model: Path
) -> None:
    arguments = [str(street_bag), '--predictions', str(street_bag), '--model', str(untrained_model)]
    assert main([*arguments, '--out', str(tmp_path / 'out')]) == 1
    error = capsys.readouterr().err
    assert '/segmenter/level_1/labels' in error and '--namespace' in error


def test_own_result_is_replaced(street_bag: Path, street_tree: Hierarchy, tmp_path: Path) -> None:
    recorded = record(tmp_path / 'recorded', street_bag, street_tree)
    out = tmp_path / 'out'
    arguments = [str(street_bag), '--predictions', str(recorded), '--out', str(out)]
    assert main(arguments) == 0
    (out / 'from the first run').touch()
    assert main(arguments) == 0
    assert not (out / 'from the first run').exists() and (out / 'report.html').is_file()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith('.')] == []


def test_empty_folder_is_used(street_bag: Path, street_tree: Hierarchy, tmp_path: Path) -> None:
    recorded = record(tmp_path / 'recorded', street_bag, street_tree)
    out = tmp_path / 'out'
    out.mkdir()
    assert main([str(street_bag), '--predictions', str(recorded), '--out', str(out)]) == 0
    assert (out / 'report.html').is_file()


def test_foreign_folder_is_left_alone(
    street_bag: Path, untrained_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'thesis'
    out.mkdir()
    (out / 'chapter_1.txt').write_text('years of work')
    code = main([str(street_bag), '--model', str(untrained_model), '--out', str(out)])
    assert code == 1
    assert 'was not written by evaluate_bag' in capsys.readouterr().err
    assert (out / 'chapter_1.txt').read_text() == 'years of work'
    assert len(list(out.iterdir())) == 1


def test_older_result_survives_a_failure(
    street_bag: Path, street_tree: Hierarchy, tmp_path: Path
) -> None:
    recorded = record(tmp_path / 'recorded', street_bag, street_tree)
    out = tmp_path / 'out'
    arguments = [str(street_bag), '--out', str(out), '--predictions']
    assert main([*arguments, str(recorded)]) == 0
    before = (out / 'scores.json').read_text()
    file = recorded / 'recorded.mcap'
    file.write_bytes(file.read_bytes()[:2000])  # Within the only chunk.
    assert main([*arguments, str(recorded)]) == 1
    assert (out / 'scores.json').read_text() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith('.')] == []


def test_bag_within_the_output_folder_is_refused(
    street_bag: Path, untrained_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = tmp_path / 'out'
    arguments = [str(street_bag), '--model', str(untrained_model), '--out', str(first)]
    assert main(arguments) == 0
    assert main([*arguments, '--predictions', str(first / 'predictions')]) == 1
    assert 'would be replaced' in capsys.readouterr().err
    assert (first / 'predictions').is_dir()


@pytest.mark.parametrize('share', [0.2, 0.9])
def test_cut_off_bag_leaves_nothing(
    street_bag: Path,
    untrained_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    share: float,
) -> None:
    file = street_bag / 'street.mcap'
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    code = main([str(street_bag), '--model', str(untrained_model), '--out', str(tmp_path / 'out')])
    assert code == 1
    error = capsys.readouterr().err.strip()
    assert '\n' not in error and error.startswith(f'evaluate_bag: {street_bag}')
    assert list(tmp_path.iterdir()) == [street_bag]


def test_missing_model_leaves_nothing(
    street_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([str(street_bag), '--model', str(tmp_path / 'no'), '--out', str(tmp_path / 'out')])
    assert code == 1
    assert '\n' not in capsys.readouterr().err.strip()
    assert list(tmp_path.iterdir()) == [street_bag]


def test_bag_without_ground_truth_gets_pictures_but_no_scores(
    untrained_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / 'bag'
    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    with BagWriter(path) as bag:
        bag.write('/image', image_message(rgb, 1, 'camera'), 1)
    out = tmp_path / 'out'
    assert main([str(path), '--model', str(untrained_model), '--out', str(out)]) == 0
    scores = scores_of(out)
    assert scores['scores'] == {} and scores['signs'] is None
    assert (out / 'overlays' / '000.png').is_file()


def test_mono_camera_can_be_named(untrained_model: Path, tmp_path: Path) -> None:
    path = tmp_path / 'bag'
    with BagWriter(path) as bag:
        bag.write('/mono', image_message(np.full((40, 50), 90, np.uint8), 1, 'camera'), 1)
    arguments = [str(path), '--model', str(untrained_model), '--out', str(tmp_path / 'out')]
    assert main(arguments) == 1
    assert main([*arguments, '--image-topic', '/mono']) == 0

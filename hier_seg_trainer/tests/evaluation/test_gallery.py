# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The score of each image, and the page of the worst ones."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.scoring.label_scores import confusion_matrix
from hier_seg_ros.segmenter.segmenter import SegmentationResult
from hier_seg_trainer.datasets.formats.camvid import CamVid
from hier_seg_trainer.datasets.formats.gtsdb import Gtsdb
from hier_seg_trainer.datasets.formats.gtsrb import Gtsrb
from hier_seg_trainer.datasets.samples import StreetDataset
from hier_seg_trainer.evaluation import evaluate_dataset
from hier_seg_trainer.evaluation.results.gallery import GAP, PANEL_WIDTH, write_gallery
from hier_seg_trainer.evaluation.scores.box_labels import draw_signs
from hier_seg_trainer.evaluation.scores.dataset_scores import DatasetScores
from hier_seg_trainer.evaluation.scores.frames import FrameScore, score_pixels, worst_frames

Labels = NDArray[np.uint8]
FACTS = {'model': 'a model', 'split': 'train', 'command': 'hier-seg evaluate <this>'}


class Scripted:
    """A segmenter that gives the images of a data set, in their order, an answer each."""

    def __init__(self, hierarchy: Hierarchy, answers: list[Labels]) -> None:
        self.hierarchy = hierarchy
        self._answers = iter(answers)

    def segment(self, images: list[Labels], *, confidence: bool) -> list[SegmentationResult]:
        return [SegmentationResult(self.hierarchy, next(self._answers), None) for _ in images]


def evaluate(tree: Hierarchy, dataset: StreetDataset, answers: list[Labels]) -> DatasetScores:
    return evaluate_dataset(Scripted(tree, answers), dataset)  # type: ignore[arg-type]


def decider(dataset: StreetDataset, answers: list[Labels]) -> Callable[[Labels], Labels]:
    """Return what gives an image of the data set its answer."""
    images = [np.asarray(dataset[index].image) for index in range(len(dataset))]

    def decide(image: Labels) -> Labels:
        (index,) = (i for i, known in enumerate(images) if np.array_equal(known, image))
        return answers[index]

    return decide


def pictures_of(folder: Path) -> list[NDArray[np.uint8]]:
    """Return the pictures of the page, which is the only file of its folder and all in itself."""
    assert [path.name for path in folder.iterdir()] == ['index.html']
    page = (folder / 'index.html').read_text(encoding='utf-8')
    assert 'http' not in page and 'href' not in page and 'url(' not in page
    addresses = re.findall(r'src="([^"]*)"', page)
    prefix = 'data:image/jpeg;base64,'
    assert all(address.startswith(prefix) for address in addresses)
    files = [base64.b64decode(address.removeprefix(prefix)) for address in addresses]
    return [np.asarray(Image.open(io.BytesIO(data)).convert('RGB')) for data in files]


def test_an_image_is_scored_by_the_mean_iou_of_its_own_classes(tree: Hierarchy) -> None:
    sky, car, pole = (tree.node(name).id for name in ('Sky', 'Car', 'Pole'))
    truth = np.array([[sky] * 6, [car] * 4 + [UNLABELLED] * 2], np.uint8)
    decided = np.array([[sky] * 3 + [pole] * 3, [car] * 3 + [UNLABELLED, pole, pole]], np.uint8)
    matrix = confusion_matrix(truth, decided)
    frame = score_pixels(7, matrix, frozenset({'Sky', 'Car', 'Pole'}), tree)
    # Sky 3 of 6, Car 3 of 4; Pole is not in the image; unlabelled ground truth does not count.
    assert frame.index == 7
    assert frame.score == pytest.approx((3 / 6 + 3 / 4) / 2)
    assert frame.faults == (
        'Sky as Pole: 30.0 % of the image',
        'Car as unlabelled: 10.0 % of the image',
    )


def test_an_image_without_labels_has_nothing_wrong(tree: Hierarchy) -> None:
    frame = score_pixels(0, np.zeros((256, 256), np.int64), frozenset({'Sky'}), tree)
    assert (frame.score, frame.faults) == (1.0, ())


def test_the_worst_come_first_and_more_faults_are_worse() -> None:
    frames = [
        FrameScore(0, 0.5, ('a',)),
        FrameScore(1, 1.0, ()),
        FrameScore(2, 0.5, ('a', 'b')),
        FrameScore(3, 0.1, ('a',)),
    ]
    assert [frame.index for frame in worst_frames(frames, 3)] == [3, 2, 0]
    assert len(worst_frames(frames, 10)) == 4


def sign_answers(dataset: Gtsdb, tree: Hierarchy) -> list[Labels]:
    """Return an answer for each image: the first has all faults, the others none."""
    node_of_sign = {node.traffic_sign_id: node.id for node in tree.nodes}
    answers = []
    for index in range(len(dataset)):
        signs = draw_signs(dataset.boxes(index), (64, 96), tree)
        answer = np.full((64, 96), tree.node('Building').id, np.uint8)
        for sign in np.unique(signs[signs != UNLABELLED]):
            answer[signs == sign] = node_of_sign[int(sign)]
        answers.append(answer)
    first = draw_signs(dataset.boxes(0), (64, 96), tree)
    answers[0][first == 1] = tree.node('stop').id
    answers[0][first == 38] = tree.node('Sky').id
    answers[0][50:55, 40:47] = tree.node('Traffic Sign (Front)').id
    return answers


def test_signs_missed_wrong_and_extra_are_faults(small_data: Path, tree: Hierarchy) -> None:
    dataset = Gtsdb(small_data / 'gtsdb', 'train', tree)
    frames = evaluate(tree, dataset, sign_answers(dataset, tree)).frames
    assert [frame.score for frame in frames] == [0.0, 1.0, 1.0, 1.0]
    assert {fault.kind: fault.text for fault in frames[0].signs} == {
        'wrong': 'speed limit 30 as stop (20 x 20 pixels)',
        'missed': 'keep right missed (20 x 20 pixels)',
        'extra': 'a sign of no class where there is none (7 x 5 pixels)',
    }
    boxes = {fault.kind: fault.box for fault in frames[0].signs}
    assert boxes['extra'] == (40, 50, 47, 55)
    # The frame's other signs: the box file gives 10..29, both inclusive.
    assert boxes['wrong'][:3:2] == (10, 30)


def test_the_gallery_shows_truth_decision_and_mistakes(
    small_data: Path, tree: Hierarchy, tmp_path: Path
) -> None:
    dataset = CamVid(small_data / 'camvid', 'train', tree)
    answers = []
    for index in range(len(dataset)):
        labels = dataset[index].labels
        assert labels is not None
        answers.append(labels.copy())
    answers[2][:, 48:] = tree.node('Car').id
    scores = evaluate(tree, dataset, answers)
    folder = tmp_path / 'gallery'
    worst = write_gallery(folder, dataset, scores, decider(dataset, answers), 2, FACTS)
    assert worst[0].index == 2
    assert worst[0].score < 1.0 == worst[1].score

    pictures = pictures_of(folder)
    assert len(pictures) == 2
    picture = pictures[0].astype(int)
    height = round(64 * PANEL_WIDTH / 96)
    assert picture.shape == (height, 3 * PANEL_WIDTH + 2 * GAP, 3)
    # The panel of mistakes: dim where the answer is right, the colour of a car where it is not.
    mistakes = picture[:, 2 * (PANEL_WIDTH + GAP) :]
    sky = mistakes[10, 40]
    assert np.abs(sky - np.array([120, 180, 255]) * 0.35).max() < 12
    assert np.abs(mistakes[10, -40] - np.array(tree.node('Car').color)).max() < 12

    page = (folder / 'index.html').read_text(encoding='utf-8')
    assert 'hier-seg evaluate &lt;this&gt;' in page
    assert '1. 0002.png' in page
    assert 'Sky as Car' in page


def test_the_gallery_of_signs_has_a_close_up_a_fault(
    small_data: Path, tree: Hierarchy, tmp_path: Path
) -> None:
    dataset = Gtsdb(small_data / 'gtsdb', 'train', tree)
    answers = sign_answers(dataset, tree)
    scores = evaluate(tree, dataset, answers)
    write_gallery(tmp_path, dataset, scores, lambda image: answers[0], 1, FACTS)
    (picture,) = pictures_of(tmp_path)
    rows = round(64 * PANEL_WIDTH / 96)
    strip = picture[rows + GAP :]
    # Three columns of 160 pixels, then white.
    assert strip[:, : 3 * 160].mean() < 200
    # JPEG blurs what is next to the pictures above.
    assert (strip[16:, 3 * (160 + GAP) + 16 :] > 245).all()
    page = (tmp_path / 'index.html').read_text(encoding='utf-8')
    assert 'keep right missed (20 x 20 pixels)' in page


def test_images_with_one_label_have_no_gallery(
    small_data: Path, tree: Hierarchy, tmp_path: Path
) -> None:
    dataset = Gtsrb(small_data / 'gtsrb', 'train', tree)
    answers = [np.full((24, 20), tree.node('stop').id, np.uint8)] * len(dataset)
    scores = evaluate(tree, dataset, answers)
    with pytest.raises(HierSegError, match='leave out --gallery'):
        write_gallery(tmp_path / 'out', dataset, scores, lambda image: answers[0], 1, FACTS)
    assert not (tmp_path / 'out').exists()


def test_a_gallery_that_cannot_be_written_is_said_in_one_line(
    small_data: Path, tree: Hierarchy, tmp_path: Path
) -> None:
    dataset = Gtsdb(small_data / 'gtsdb', 'train', tree)
    answers = sign_answers(dataset, tree)
    scores = evaluate(tree, dataset, answers)
    (tmp_path / 'file').write_text('')
    with pytest.raises(HierSegError, match='choose another place with --gallery'):
        write_gallery(tmp_path / 'file', dataset, scores, lambda image: answers[0], 1, FACTS)

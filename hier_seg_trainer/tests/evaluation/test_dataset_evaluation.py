# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.class_tables import class_table, level_classes
from hier_seg_ros.segmenter.segmenter import SegmentationResult
from hier_seg_trainer.datasets.formats.camvid import CamVid
from hier_seg_trainer.datasets.formats.gtsdb import Gtsdb
from hier_seg_trainer.datasets.samples import Box, StreetDataset, StreetSample
from hier_seg_trainer.evaluation import EvaluationOptions, class_lines, evaluate_dataset, summary
from hier_seg_trainer.evaluation.scores.box_labels import draw_signs
from hier_seg_trainer.evaluation.scores.levels import level_confusion

Labels = NDArray[np.uint8]


class Scripted:
    """A segmenter that decides what `answer` says about the image's place in the data set."""

    def __init__(self, hierarchy: Hierarchy, answer: Callable[[int], Labels]) -> None:
        self.hierarchy = hierarchy
        self._answer = answer
        self._calls = 0

    def segment(self, images: list[Labels], *, confidence: bool) -> list[SegmentationResult]:
        (image,) = images
        finest = self._answer(self._calls)
        assert image.shape == (*finest.shape, 3)
        assert image.dtype == np.uint8
        self._calls += 1
        return [SegmentationResult(self.hierarchy, finest, None)]


def evaluate(tree: Hierarchy, dataset: StreetDataset, answer: Callable[[int], Labels]) -> Any:
    return evaluate_dataset(Scripted(tree, answer), dataset)  # type: ignore[arg-type]


def labels_of(dataset: CamVid, index: int) -> Labels:
    labels = dataset[index].labels
    assert labels is not None
    return labels.copy()


def signs_of(dataset: Gtsdb, index: int, tree: Hierarchy) -> Labels:
    """Return node ids: the signs' outlines on "Building"."""
    signs = draw_signs(dataset.boxes(index), (64, 96), tree)
    finest = np.full((64, 96), tree.node('Building').id, np.uint8)
    for sign in np.unique(signs[signs != UNLABELLED]):
        finest[signs == sign] = 65 + sign
    return finest


# Which class a decision counts as


def ids(tree: Hierarchy, *names: str) -> list[int]:
    return [tree.node(name).id for name in names]


def test_a_finer_decision_counts_as_the_class_above(tree: Hierarchy) -> None:
    table = class_table(frozenset({'Traffic Sign (Front)', 'Driveable', 'Sky'}), tree)
    driveable, front, sky = ids(tree, 'Driveable', 'Traffic Sign (Front)', 'Sky')
    assert table[ids(tree, 'Road', 'Pothole', 'Driveable')].tolist() == [driveable] * 3
    assert table[ids(tree, 'stop', 'speed limit 50')].tolist() == [front] * 2
    assert table[sky] == sky


def test_a_coarser_decision_counts_as_the_only_class_below(tree: Hierarchy) -> None:
    table = class_table(frozenset({'Traffic Sign (Front)', 'Road', 'Parking'}), tree)
    front, driveable, back = ids(tree, 'Traffic Sign (Front)', 'Driveable', 'Traffic Sign (Back)')
    assert table[tree.node('Traffic Sign').id] == front
    assert table[driveable] == driveable, 'road or parking: it is neither'
    assert table[back] == back


def test_classes_above_and_below_each_other_stay_apart(tree: Hierarchy) -> None:
    table = class_table(frozenset({'Driveable', 'Road'}), tree)
    driveable, road = ids(tree, 'Driveable', 'Road')
    assert table[[driveable, road, *ids(tree, 'Parking')]].tolist() == [driveable, road, driveable]


def test_what_is_no_class_of_the_data_stays_what_it_is(tree: Hierarchy) -> None:
    table = class_table(frozenset({'Sky'}), tree)
    other = [i for i in range(256) if i != tree.node('Sky').id]
    assert table[other].tolist() == other
    assert table[UNLABELLED] == UNLABELLED


# Drawing


def test_signs_are_drawn_as_outlines_with_their_traffic_sign_id(tree: Hierarchy) -> None:
    stop, front, sky = ids(tree, 'stop', 'Traffic Sign (Front)', 'Sky')
    boxes = (
        Box(4, 4, 24, 24, stop, 'octagon'),
        Box(30, 4, 40, 14, front, 'rectangle'),
        Box(45, 4, 50, 14, sky, 'rectangle'),
    )
    signs = draw_signs(boxes, (32, 64), tree)
    assert signs.shape == (32, 64)
    assert signs.dtype == np.uint8
    rows, columns = np.nonzero(signs == 14)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (4, 4, 23, 23)
    assert signs[4, 4] == UNLABELLED, 'the corner of an octagon'
    assert set(np.unique(signs)) == {14, UNLABELLED}


# Whole data sets


def at_levels(levels: int, *names: str) -> set[str]:
    return {
        f'{prefix}{name}'
        for name in names
        for prefix in ('', *(f'level_{level}/' for level in range(1, levels + 1)))
    }


RULED = (
    'mean_iou_paper',
    'mean_accuracy_paper',
    'mean_iou_cityscapes',
    'mean_accuracy_cityscapes',
)
EVERYWHERE = ('mean_iou_all_pixels_paper', 'mean_iou_all_pixels_cityscapes')


def test_a_perfect_segmenter_scores_one(small_data: Path, tree: Hierarchy) -> None:
    camvid = CamVid(small_data / 'camvid', 'val', tree)
    scores = evaluate(tree, camvid, lambda i: labels_of(camvid, i))
    assert scores.images == 2
    assert scores.signs is None
    # The deepest class of CamVid is the front of a sign, at level 2.
    assert summary(scores) == dict.fromkeys(at_levels(2, *RULED), 1.0)
    gtsdb = Gtsdb(small_data / 'gtsdb', 'train', tree)
    scores = evaluate(tree, gtsdb, lambda i: signs_of(gtsdb, i, tree))
    assert scores.images == 4
    assert len(scores.sign_results) == 6
    assert summary(scores) == {
        **dict.fromkeys(at_levels(3, *RULED, *EVERYWHERE), 1.0),
        'signs_found': 1.0,
        'signs_right': 1.0,
        'sign_pixels_far': 0.0,
    }


def test_finer_decisions_than_the_labels_cost_nothing(small_data: Path, tree: Hierarchy) -> None:
    camvid = CamVid(small_data / 'camvid', 'val', tree)
    driveable, road = ids(tree, 'Driveable', 'Road')

    def answer(index: int) -> Labels:
        labels = labels_of(camvid, index)
        labels[labels == driveable] = road
        return labels

    assert summary(evaluate(tree, camvid, answer))['mean_iou_cityscapes'] == 1.0


def test_scores_come_from_one_matrix_and_void_costs_by_the_rule(
    small_data: Path, tree: Hierarchy
) -> None:
    camvid = CamVid(small_data / 'camvid', 'val', tree)
    sky, car = ids(tree, 'Sky', 'Car')
    truth = np.concatenate([labels_of(camvid, 0).ravel(), labels_of(camvid, 1).ravel()])
    pixels = {value: int((truth == value).sum()) for value in np.unique(truth).tolist()}
    in_second = int((labels_of(camvid, 1) == sky).sum())

    def answer(index: int) -> Labels:
        labels = labels_of(camvid, index)
        # All cars are undecided; the sky of the second image is taken for a car.
        labels[labels == car] = UNLABELLED
        if index == 1:
            labels[labels == sky] = car
        return labels

    scores = evaluate(tree, camvid, answer)
    share = (pixels[sky] - in_second) / pixels[sky]
    for rule in ('paper', 'cityscapes'):
        by_class = scores.by_class(rule)
        iou = dict(zip(by_class.classes.tolist(), by_class.iou.tolist(), strict=True))
        assert iou[sky] == pytest.approx(share)
        assert iou[car] == 0.0
    numbers = summary(scores)
    assert numbers['mean_iou_paper'] == pytest.approx((2 + share) / 4, abs=1e-4)


def test_undecided_pixels_are_free_under_the_rule_of_the_paper_only(
    small_data: Path, tree: Hierarchy
) -> None:
    camvid = CamVid(small_data / 'camvid', 'val', tree)

    def answer(index: int) -> Labels:
        labels = labels_of(camvid, index)
        labels[:, 48:] = UNLABELLED
        return labels

    numbers = summary(evaluate(tree, camvid, answer))
    assert numbers['mean_iou_paper'] == 1.0
    # Two of the 96 columns are unlabelled.
    assert numbers['mean_accuracy_cityscapes'] == pytest.approx(46 / 94, abs=1e-4)


def test_missed_wrong_and_far_signs(small_data: Path, tree: Hierarchy) -> None:
    gtsdb = Gtsdb(small_data / 'gtsdb', 'train', tree)
    assert [len(gtsdb.boxes(i)) for i in range(4)] == [2, 0, 2, 2]
    keep_right, front, stop = ids(tree, 'keep right', 'Traffic Sign (Front)', 'stop')

    def answer(index: int) -> Labels:
        finest = signs_of(gtsdb, index, tree)
        if index == 0:
            finest[finest == keep_right] = tree.node('Sky').id  # missed
        elif index == 1:
            finest[:10, :10] = stop  # where no sign is
        elif index == 2:
            finest[finest == keep_right] = front  # a sign, but which?
        else:
            finest[finest == keep_right] = stop  # wrong
        return finest

    scores = evaluate(tree, gtsdb, answer)
    assert scores.signs is not None
    assert (scores.signs.signs, scores.signs.found, scores.signs.right) == (6, 5, 3)
    assert scores.signs.far_pixels == 100
    numbers = summary(scores)
    assert numbers['signs_found'] == pytest.approx(5 / 6, abs=1e-4)
    assert numbers['signs_right'] == 0.5
    discs = scores.signs.predicted_pixels - 100
    assert numbers['sign_pixels_far'] == pytest.approx(100 / (100 + discs), abs=1e-4)
    table = '\n'.join(class_lines(scores, tree))
    pixels, signs = (line.split()[2:] for line in table.splitlines() if 'keep right' in line)
    assert pixels[:2] == ['0.0000', '0.0000'], 'missed, undecided between signs, wrong'
    assert signs == ['3', '2', '0']


def test_lines_name_every_class_that_occurs(small_data: Path, tree: Hierarchy) -> None:
    camvid = CamVid(small_data / 'camvid', 'val', tree)
    lines = class_lines(evaluate(tree, camvid, lambda i: labels_of(camvid, i)), tree)
    assert [line.split()[0] for line in lines] == [
        'class',
        *(
            n.readable_name
            for i in range(256)
            for n in tree.nodes
            if n.id == i
            and n.name in {tree.node(name).name for name in ('Building', 'Sky', 'Car', 'Driveable')}
        ),
    ]
    assert all(line.split()[1:3] == ['1.0000', '1.0000'] for line in lines[1:])


def test_nothing_predicted_leaves_the_far_share_out(small_data: Path, tree: Hierarchy) -> None:
    gtsdb = Gtsdb(small_data / 'gtsdb', 'val', tree)
    empty = np.full((64, 96), UNLABELLED, np.uint8)
    assert summary(evaluate(tree, gtsdb, lambda _: empty)) == {
        **dict.fromkeys(at_levels(3, *RULED, *EVERYWHERE), 0.0),
        'signs_found': 0.0,
        'signs_right': 0.0,
    }


def test_pixels_outside_the_outlines_count_only_where_asked(
    small_data: Path, tree: Hierarchy
) -> None:
    gtsdb = Gtsdb(small_data / 'gtsdb', 'train', tree)
    speed_limit = tree.node('speed limit 30').id

    def answer(index: int) -> Labels:
        finest = signs_of(gtsdb, index, tree)
        finest[:10, :10] = speed_limit  # no sign is there
        return finest

    scores = evaluate(tree, gtsdb, answer)
    true = 3 * int((draw_signs(gtsdb.boxes(0), (64, 96), tree) == 1).sum())
    numbers = summary(scores)
    assert numbers['mean_iou_paper'] == 1.0
    expected = (true / (true + 400) + 1.0) / 2
    assert numbers['mean_iou_all_pixels_paper'] == pytest.approx(expected, abs=1e-4)
    both = 2 * true
    assert numbers['level_1/mean_iou_all_pixels_cityscapes'] == pytest.approx(
        both / (both + 400), abs=1e-4
    )


# Levels


def test_classes_at_a_level(tree: Hierarchy) -> None:
    names = frozenset(node.name for node in map(tree.node, ('stop', 'Road', 'Sky', 'Parking')))

    def at(level: int) -> set[str]:
        return {tree.node(name).readable_name for name in level_classes(names, tree, level)}

    assert at(1) == {'Traffic Sign', 'Driveable', 'Sky'}
    assert at(2) == {'Traffic Sign (Front)', 'Road', 'Parking', 'Sky'}
    assert at(3) == at(9) == {'stop', 'Road', 'Parking', 'Sky'}


def test_level_scores_are_those_of_label_images_of_that_level(tree: Hierarchy) -> None:
    """Merging one matrix gives what comparing images of each level gives."""
    rng = np.random.default_rng(0)
    # At no level is one of them the only class below a node.
    classes = ids(tree, 'Sky', 'Road', 'Parking', 'Traffic Sign (Back)', 'stop', 'give way', 'Car')
    names = frozenset(tree.node_by_id(i).name for i in classes)
    truth = rng.choice([*classes, UNLABELLED], (40, 50)).astype(np.uint8)
    others = ids(
        tree, 'Driveable', 'Traffic Sign (Front)', 'Traffic Sign', 'Pothole', 'speed limit 50'
    )
    noise = rng.choice([*classes, *others, UNLABELLED], (40, 50))
    decided = np.where(rng.random((40, 50)) < 0.5, truth, noise).astype(np.uint8)
    decisions = np.zeros((256, 256), np.int64)
    np.add.at(decisions, (truth, decided), 1)
    for level in (1, 2, 3):
        confusion = level_confusion(decisions, names, tree, level)
        true_at, decided_at = tree.level_of_id[level - 1][[truth, decided]]
        for name in level_classes(names, tree, level):
            node = tree.node(name)
            is_true = true_at == node.id
            below = [other.id for other in tree.subtree(node)]
            is_decided = np.isin(decided_at, below) & (true_at != UNLABELLED)
            assert confusion[node.id, node.id] == (is_true & is_decided).sum()
            assert confusion[node.id].sum() == is_true.sum()
            assert confusion[:UNLABELLED, node.id].sum() == is_decided.sum()


# Images with one label each, a limit, another tree


class OneLabelEach:
    """Three grey images, each of which shows one sign."""

    name, title, licence = 'one_label', 'One label each', ''
    supervision = 'image'
    complete_boxes = False

    def __init__(self, tree: Hierarchy, labels: list[str]) -> None:
        self.labels = ids(tree, *labels)
        signs = [node for node in tree.nodes if node.traffic_sign_id is not None]
        self.node_names = frozenset(node.name for node in signs)
        self.mirror_of_id = np.full(256, -1, np.int16)
        self.seen: list[int] = []

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> StreetSample:
        self.seen.append(index)
        return StreetSample(Image.new('RGB', (10, 8)), None, None, self.labels[index])


def test_an_image_is_right_when_most_of_its_sign_pixels_are(tree: Hierarchy) -> None:
    dataset = OneLabelEach(tree, ['stop', 'stop', 'keep right', 'keep left'])
    sky, stop, keep_right = ids(tree, 'Sky', 'stop', 'keep right')
    answers = [np.full((8, 10), sky, np.uint8) for _ in range(4)]
    answers[0][0, :3] = stop  # three pixels against one; sky is no class here
    answers[0][1, 0] = keep_right
    answers[1][0, :5] = keep_right
    answers[1][0, 5:9] = stop
    answers[2][:, :] = keep_right
    scores = evaluate(tree, dataset, lambda i: answers[i])  # type: ignore[arg-type]
    assert scores.decisions is None and scores.signs is None
    # Of the fourth no pixel shows a sign.
    assert summary(scores) == {
        'image_accuracy': 0.5,
        'mean_image_accuracy': pytest.approx((0.5 + 1.0 + 0.0) / 3, abs=1e-4),
    }
    lines = [line.split()[-2:] for line in class_lines(scores, tree)[1:]]
    assert lines == [['2', '0.5000'], ['1', '1.0000'], ['1', '0.0000']]


def test_a_limit_spreads_over_the_data_set(tree: Hierarchy) -> None:
    dataset = OneLabelEach(tree, ['stop'] * 10)
    blank = np.full((8, 10), UNLABELLED, np.uint8)
    scores = evaluate_dataset(
        Scripted(tree, lambda _: blank),  # type: ignore[arg-type]
        dataset,  # type: ignore[arg-type]
        options=EvaluationOptions(limit=4),
    )
    assert scores.images == 4
    assert dataset.seen == [0, 2, 5, 7]


def test_a_flat_model_is_scored_in_terms_of_the_tree(small_data: Path, tree: Hierarchy) -> None:
    camvid = CamVid(small_data / 'camvid', 'val', tree)
    nodes = [dict(node, parent=None) for node in tree.as_dict()['nodes']]
    flat = Hierarchy({**tree.as_dict(), 'name': 'flat', 'nodes': nodes})
    driveable, road = ids(tree, 'Driveable', 'Road')

    def answer(index: int) -> Labels:
        labels = labels_of(camvid, index)
        labels[labels == driveable] = road
        return labels

    scores = evaluate_dataset(Scripted(flat, answer), camvid, tree=tree)  # type: ignore[arg-type]
    assert summary(scores)['level_1/mean_iou_cityscapes'] == 1.0
    nodes[0]['id'], nodes[1]['id'] = nodes[1]['id'], nodes[0]['id']
    other = Hierarchy({**tree.as_dict(), 'nodes': nodes})
    with pytest.raises(HierSegError, match='for the model it is'):
        evaluate_dataset(Scripted(other, answer), camvid, tree=tree)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'scales': ()}, 'scales: .* give some'),
        ({'scales': (1.0, 0.0)}, 'scales'),
        ({'window': (0, 10)}, 'window: 0x10 is no size'),
        ({'overlap': 1.0}, 'overlap: 1.0'),
        ({'limit': 0}, 'limit: 0 leaves no image'),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(HierSegError, match=words):
        EvaluationOptions(**options)

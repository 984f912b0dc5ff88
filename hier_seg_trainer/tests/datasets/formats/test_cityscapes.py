# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.datasets.formats.cityscapes import (
    Cityscapes,
    CityscapesCoarse,
    MiniCity,
    check_label_ids,
)

ROAD, SIDEWALK, SIGN, RIDER, CAR = 7, 8, 20, 25, 26
# Label id to train id (dataset_formats); all others are 255.
TRAIN_ID = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10}
TRAIN_ID |= {24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}

Labels = NDArray[np.uint8]


def street() -> tuple[Labels, NDArray[np.uint16]]:
    """Return label ids and instance ids of a street: sky, buildings, road, two cars, a hood."""
    labels = np.full((64, 128), 11, np.uint8)
    labels[:12] = 23
    labels[40:] = ROAD
    labels[36:40] = SIDEWALK
    labels[20:26, 60:66] = SIGN
    labels[30:36, 90:96] = RIDER
    labels[60:] = 1
    labels[:, :2] = 3
    instances = labels.astype(np.uint16)
    for number, left in enumerate((20, 40)):
        labels[44:52, left : left + 12] = CAR
        instances[44:52, left : left + 12] = CAR * 1000 + number
    instances[30:36, 90:96] = RIDER * 1000
    # A group of cars: no instance of its own.
    labels[44:48, 70:80] = CAR
    instances[44:48, 70:80] = CAR
    return labels, instances


def write_image(images: Path, labels: Path, stem: str, kind: str, ids: str = 'labelIds') -> None:
    """Write an image with its label and instance files as the data set ships them."""
    for folder in (images, labels):
        folder.mkdir(parents=True, exist_ok=True)
    values, instances = street()
    color = np.repeat((values * 7)[..., None], 3, axis=2)
    Image.fromarray(color).save(images / f'{stem}_leftImg8bit.png')
    Image.fromarray(values).save(labels / f'{stem}_{kind}_{ids}.png')
    Image.fromarray(instances).save(labels / f'{stem}_{kind}_instanceIds.png')
    Image.fromarray(color).save(labels / f'{stem}_{kind}_color.png')
    (labels / f'{stem}_{kind}_polygons.json').write_text('{}', encoding='utf-8')


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    for kind, splits in (('gtFine', ('train', 'val')), ('gtCoarse', ('train', 'train_extra'))):
        for split in splits:
            for city, number in (('aachen', 0), ('ulm', 12)):
                write_image(
                    tmp_path / 'leftImg8bit' / split / city,
                    tmp_path / kind / split / city,
                    f'{city}_{number:06d}_000019',
                    kind,
                )
    return tmp_path


@pytest.fixture
def minicity(tmp_path: Path) -> Path:
    for split in ('train', 'val'):
        write_image(
            tmp_path / 'leftImg8bit' / split,
            tmp_path / 'gtFine' / split,
            'a_000000_000019',
            'gtFine',
        )
    return tmp_path


def test_fine_labels_fall_on_the_nodes(cityscapes: Path, tree: Hierarchy) -> None:
    dataset = Cityscapes(cityscapes, 'train', tree)
    assert len(dataset) == 2
    assert dataset.supervision == 'pixels'
    name = 'ulm/ulm_000012_000019'
    assert dataset.image_path(1) == cityscapes / f'leftImg8bit/train/{name}_leftImg8bit.png'
    assert dataset.label_path(1) == cityscapes / f'gtFine/train/{name}_gtFine_labelIds.png'
    sample = dataset[1]
    assert sample.boxes is None
    assert sample.labels is not None
    values, _ = street()
    assert (np.asarray(sample.image)[..., 0] == values * 7).all()
    expected = {
        23: 'Sky',
        11: 'Building',
        ROAD: 'Driveable',
        SIDEWALK: 'Sidewalk',
        SIGN: 'Traffic Sign (Front)',
        RIDER: 'Rider',
        CAR: 'Car',
        1: 'Ego Vehicle',
        3: None,
    }
    assert set(np.unique(values)) == expected.keys()
    for value, node in expected.items():
        node_id = UNLABELLED if node is None else tree.node(node).id
        assert (sample.labels[values == value] == node_id).all()


def test_only_objects_with_a_number_are_instances(cityscapes: Path, tree: Hierarchy) -> None:
    dataset = Cityscapes(cityscapes, 'val', tree)
    instances = dataset.instances(0)
    assert instances is not None
    assert instances.dtype == np.int32
    _, stored = street()
    found = sorted(set(np.unique(instances)) - {0})
    assert len(found) == 3
    for value in (26000, 26001, 25000):
        assert len(np.unique(instances[stored == value])) == 1
    assert ((instances > 0) == (stored >= 1000)).all(), 'the group of cars is none'


def test_missing_instances_are_none(cityscapes: Path, tree: Hierarchy) -> None:
    folder = cityscapes / 'gtFine' / 'val' / 'aachen'
    (folder / 'aachen_000000_000019_gtFine_instanceIds.png').unlink()
    assert Cityscapes(cityscapes, 'val', tree).instances(0) is None


def test_coarse_splits_are_read(cityscapes: Path, tree: Hierarchy) -> None:
    for split in ('train', 'train_extra'):
        dataset = CityscapesCoarse(cityscapes, split, tree)
        assert len(dataset) == 2
        path = dataset.label_path(0)
        assert path.parent == cityscapes / 'gtCoarse' / split / 'aachen'
        assert dataset[0].labels is not None
    with pytest.raises(HierSegError, match=r'gtCoarse/val|leftImg8bit/val'):
        CityscapesCoarse(cityscapes, 'val', tree)


def test_splits_without_labels_are_refused_with_the_reason(
    cityscapes: Path, tree: Hierarchy
) -> None:
    for dataset in (Cityscapes, CityscapesCoarse):
        with pytest.raises(HierSegError, match=r'test split are dummies.*train or val'):
            dataset(cityscapes, 'test', tree)
    with pytest.raises(HierSegError, match=r'coarse labels only; use the format cityscapes_coarse'):
        Cityscapes(cityscapes, 'train_extra', tree)
    with pytest.raises(HierSegError, match=r'minicity: the test split has no labels'):
        MiniCity(cityscapes, 'test', tree)
    with pytest.raises(HierSegError, match=r"no split 'training'; choose among train, val"):
        Cityscapes(cityscapes, 'training', tree)


def test_missing_files_are_refused(cityscapes: Path, tree: Hierarchy) -> None:
    labels = cityscapes / 'gtFine' / 'train' / 'ulm' / 'ulm_000012_000019_gtFine_labelIds.png'
    labels.unlink()
    with pytest.raises(
        HierSegError, match=rf'leftImg8bit\.png: its labels .*{labels.name} are missing'
    ):
        Cityscapes(cityscapes, 'train', tree)
    empty = cityscapes / 'leftImg8bit' / 'val'
    for path in empty.glob('*/*.png'):
        path.unlink()
    with pytest.raises(HierSegError, match=r'leftImg8bit/val: holds no \*_leftImg8bit\.png'):
        Cityscapes(cityscapes, 'val', tree)


def test_a_frame_that_is_there_twice_is_refused(cityscapes: Path, tree: Hierarchy) -> None:
    write_image(
        cityscapes / 'leftImg8bit' / 'train' / 'copy',
        cityscapes / 'gtFine' / 'train' / 'copy',
        'aachen_000000_000019',
        'gtFine',
    )
    with pytest.raises(
        HierSegError, match=r'copy/aachen_000000_000019_\w+\.png: is there as .*too'
    ):
        Cityscapes(cityscapes, 'train', tree)


def test_labels_of_another_size_are_refused(cityscapes: Path, tree: Hierarchy) -> None:
    dataset = Cityscapes(cityscapes, 'train', tree)
    Image.fromarray(street()[0][::2, ::2].copy()).save(dataset.label_path(0))
    with pytest.raises(HierSegError, match=r'labelIds\.png: is 64x32, its image 128x64'):
        dataset[0]


# Train ids


def as_train_ids(labels: Labels) -> Labels:
    table = np.full(256, 255, np.uint8)
    for value, train_id in TRAIN_ID.items():
        table[value] = train_id
    return table[labels]


def test_train_ids_in_place_of_label_ids_are_refused(cityscapes: Path, tree: Hierarchy) -> None:
    dataset = Cityscapes(cityscapes, 'train', tree)
    train_ids = as_train_ids(street()[0])
    void = int((train_ids == 255).sum())
    Image.fromarray(train_ids).save(dataset.label_path(0))
    with pytest.raises(
        HierSegError, match=rf'labelIds\.png: holds train ids.*{void} pixels have 255.*labelIds'
    ):
        dataset[0]
    assert dataset[1].labels is not None


def test_a_label_train_ids_file_alone_is_refused_at_opening(
    cityscapes: Path, tree: Hierarchy
) -> None:
    folder = cityscapes / 'gtFine' / 'train' / 'ulm'
    stem = 'ulm_000012_000019_gtFine'
    (folder / f'{stem}_labelIds.png').rename(folder / f'{stem}_labelTrainIds.png')
    with pytest.raises(HierSegError, match=r'only ulm_\w+_labelTrainIds\.png is there.*fewer'):
        Cityscapes(cityscapes, 'train', tree)
    # Beside the label ids, as the data set's own tool leaves them, they do no harm.
    (folder / f'{stem}_labelIds.png').write_bytes(
        (folder / f'{stem}_labelTrainIds.png').read_bytes()
    )
    assert len(Cityscapes(cityscapes, 'train', tree)) == 2


@pytest.mark.parametrize('coarse', [False, True])
@pytest.mark.parametrize('void', [None, 19])
def test_train_ids_without_255_give_themselves_away(coarse: bool, void: int | None) -> None:
    labels, _ = street()
    train_ids = as_train_ids(labels)
    # Cut off what is void, or write it as the challenge behind MiniCity did.
    train_ids = train_ids[:60, 2:] if void is None else np.where(train_ids == 255, void, train_ids)
    train_ids = train_ids.astype(np.uint8)
    assert (train_ids != 255).all()
    with pytest.raises(HierSegError, match=r'x\.png: holds train ids'):
        check_label_ids(train_ids, Path('x.png'), coarse)
    with pytest.raises(HierSegError, match=r'x\.png: holds train ids'):
        check_label_ids(np.arange(19, dtype=np.uint8)[None], Path('x.png'), coarse)


def test_label_ids_are_not_mistaken_for_train_ids() -> None:
    labels, _ = street()
    check_label_ids(labels, Path('x.png'))
    for values in (
        # A coarse annotation: void for the most part, then ego vehicle, border, road, building.
        [0] * 60 + [1] * 8 + [2] * 3 + [3] * 3 + [7] * 20 + [11] * 6,
        [0] * 90 + [7] * 10,
        # Nothing but what the dummies have, and nothing at all.
        [0] * 60 + [1] * 20 + [2] * 10 + [3] * 10,
        [0] * 100,
        [7] * 50 + [8] * 20 + [11] * 30,
    ):
        check_label_ids(np.array([values], np.uint8), Path('x.png'), coarse=True)


# MiniCity


def test_minicity_is_flat_and_knows_19_classes(minicity: Path, tree: Hierarchy) -> None:
    dataset = MiniCity(minicity, 'train', tree)
    assert len(dataset) == 1
    assert dataset.image_path(0).parent == minicity / 'leftImg8bit' / 'train'
    labels = dataset[0].labels
    assert labels is not None
    values, stored = street()
    assert (labels[values == CAR] == tree.node('Car').id).all()
    assert (labels[values == SIGN] == tree.node('Traffic Sign (Front)').id).all()
    assert (labels[values == 1] == UNLABELLED).all(), 'the ego vehicle is void here'
    instances = dataset.instances(0)
    assert instances is not None
    assert ((instances > 0) == (stored >= 1000)).all()
    assert len(MiniCity(minicity, 'val', tree)) == 1


def test_minicity_in_city_folders_is_refused(cityscapes: Path, tree: Hierarchy) -> None:
    with pytest.raises(HierSegError, match=r'leftImg8bit/train: holds no \*_leftImg8bit\.png'):
        MiniCity(cityscapes, 'train', tree)

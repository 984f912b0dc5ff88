# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inspection of data sets: planted faults are found, counts are right, the page is whole."""

from __future__ import annotations

import argparse
import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.commands import inspect as command
from hier_seg_trainer.datasets.samples import Box, StreetSample
from hier_seg_trainer.datasets.stored_pixels import open_image
from hier_seg_trainer.inspection import survey as survey_module
from hier_seg_trainer.inspection.checks.box_checks import box_problems
from hier_seg_trainer.inspection.checks.file_checks import diagnose
from hier_seg_trainer.inspection.checks.pair_checks import unpaired_files
from hier_seg_trainer.inspection.checks.problems import KINDS
from hier_seg_trainer.inspection.counts import (
    count_classes,
    imbalance,
    median_frequency,
    supervision_gaps,
)
from hier_seg_trainer.inspection.measure import measure
from hier_seg_trainer.inspection.report.inspection_numbers import summarise
from hier_seg_trainer.inspection.report.inspection_page import (
    LISTED,
    NUMBERS,
    PAGE,
    write_inspection,
)
from hier_seg_trainer.inspection.report.inspection_pictures import choose_images, draw_gallery
from hier_seg_trainer.inspection.report.number_texts import compact
from hier_seg_trainer.inspection.survey import Source, Survey, inspect_datasets

SIZE = (96, 64)  # width, height
TRAIN, VAL = 12, 3


def photograph(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """Return a picture with large and small structures of its own."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8))
    fine = rng.integers(-4, 5, (size[1], size[0], 3))
    pixels = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)).astype(int) + fine
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def label_values(seed: int) -> NDArray[np.uint8]:
    """Return CamVid values: sky over buildings over road, a car, a strip of void."""
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    labels[20 + seed % 7 :] = 1
    labels[40:] = 3
    labels[45:55, 10:30] = 8
    labels[:, -3:] = 11
    return labels


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Return a CamVid without a fault."""
    root = tmp_path / 'camvid'
    for first, (split, count) in zip((0, 100), (('train', TRAIN), ('val', VAL)), strict=True):
        (root / split).mkdir(parents=True)
        (root / f'{split}annot').mkdir()
        for seed in range(first, first + count):
            photograph(seed).save(root / split / f'{seed:04d}.png')
            Image.fromarray(label_values(seed)).save(root / f'{split}annot' / f'{seed:04d}.png')
    return root


def camvid(root: Path, splits: tuple[str, ...] = ('train', 'val')) -> list[Source]:
    return [Source('camvid', root, split, split == 'train') for split in splits]


def found_in(surveys: list[Survey]) -> dict[str, list[tuple[str, str]]]:
    """Return (file, detail) by kind of problem."""
    found: dict[str, list[tuple[str, str]]] = {}
    for survey in surveys:
        for problem in survey.problems:
            name = survey.source.name_of(problem.path)
            found.setdefault(problem.kind, []).append((name, problem.detail))
    return found


# Faults


def test_a_clean_data_set_has_no_problem(clean: Path, tree: Hierarchy, tmp_path: Path) -> None:
    gtsdb = tmp_path / 'gtsdb'
    gtsdb.mkdir()
    for number in (0, 1, 500):
        photograph(1000 + number).save(gtsdb / f'{number:05d}.ppm')
    (gtsdb / 'gt.txt').write_text('00000.ppm;10;10;29;29;1\n00500.ppm;0;0;95;63;13\n')
    sources = camvid(clean)
    sources += [Source('gtsdb', gtsdb, split, split == 'train') for split in ('train', 'val')]
    surveys = inspect_datasets(sources, tree)
    assert found_in(surveys) == {}
    assert [len(survey.images) for survey in surveys] == [TRAIN, VAL, 2, 1]
    assert all(image.usable for survey in surveys for image in survey.images)


def truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def as_jpeg(image: Image.Image, path: Path, **options: Any) -> None:
    image.save(path, 'JPEG', **options)


def changed_labels(change: Callable[[NDArray[np.uint8]], None]) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        labels = label_values(3)
        change(labels)
        Image.fromarray(labels).save(root / 'trainannot' / '0003.png')

    return plant


def seven_of_200(labels: NDArray[np.uint8]) -> None:
    labels[0, :7] = 200


def train_ids(labels: NDArray[np.uint8]) -> None:
    labels[:19, 0] = np.arange(19)
    labels[:, -3:] = 255


def interpolated(labels: NDArray[np.uint8]) -> None:
    labels[40, :5] = (12, 14, 20, 21, 30)


def grey_colors(labels: NDArray[np.uint8]) -> None:
    labels[:] = np.where(labels == 3, 90, 200)


def expanded_palette(root: Path) -> None:
    image = Image.fromarray(label_values(3), 'P')
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    image.convert('RGB').save(root / 'trainannot' / '0003.png')


def recompressed(source: Path, target: Path) -> None:
    image = open_image(source)
    small = image.resize((round(image.width * 0.9), round(image.height * 0.9)))
    as_jpeg(small, target, quality=40)
    open_image(target).resize(image.size).save(target.with_suffix('.png'))
    if target.suffix != '.png':
        target.unlink()


def duplicate(root: Path) -> None:
    recompressed(root / 'train' / '0002.png', root / 'train' / '0005.jpg')


def leak(root: Path) -> None:
    recompressed(root / 'train' / '0007.png', root / 'val' / '0101.jpg')


def rotated(root: Path) -> None:
    (root / 'train' / '0003.png').unlink()
    exif = Image.Exif()
    exif[274] = 6
    stored = photograph(3).transpose(Image.Transpose.ROTATE_90)
    as_jpeg(stored, root / 'train' / '0003.jpg', exif=exif, quality=95)


def other_size(root: Path) -> None:
    photograph(3, (48, 32)).save(root / 'train' / '0003.png')
    Image.fromarray(label_values(3)[::2, ::2]).save(root / 'trainannot' / '0003.png')


def shared_sequence(root: Path) -> None:
    for split, number, name in (('train', 3, 'drive7_000030'), ('val', 101, 'drive7_000034')):
        for folder in (split, f'{split}annot'):
            (root / folder / f'{number:04d}.png').rename(root / folder / f'{name}.png')


@pytest.mark.parametrize(
    ('plant', 'expected'),
    [
        (lambda r: truncate(r / 'train/0003.png'), {'unreadable': ('train/0003.png', '')}),
        (
            lambda r: (r / 'train/0003.png').write_bytes(b''),
            {'unreadable': ('train/0003.png', 'is empty')},
        ),
        (
            lambda r: (r / 'train/0003.png').write_text('no image'),
            {'unreadable': ('train/0003.png', 'is no image')},
        ),
        (lambda r: truncate(r / 'valannot/0101.png'), {'unreadable': ('valannot/0101.png', '')}),
        (
            lambda r: as_jpeg(photograph(3), r / 'train/0003.png'),
            {'wrong_extension': ('train/0003.png', 'is a JPEG file')},
        ),
        (
            lambda r: Image.fromarray(label_values(3)[:-8]).save(r / 'trainannot/0003.png'),
            {'wrong_size': ('trainannot/0003.png', 'is 96×56, its image 96×64')},
        ),
        (other_size, {'unusual_size': ('train/0003.png', '48×32; 11 are 96×64')}),
        (
            changed_labels(seven_of_200),
            {'unknown_ids': ('trainannot/0003.png', '200 (7 px)')},
        ),
        (changed_labels(train_ids), {'unknown_ids': ('trainannot/0003.png', 'train ids')}),
        (changed_labels(interpolated), {'unknown_ids': ('trainannot/0003.png', 'interpolation')}),
        (changed_labels(grey_colors), {'unknown_ids': ('trainannot/0003.png', 'grey values')}),
        (
            lambda r: as_jpeg(Image.fromarray(label_values(3) * 20), r / 'trainannot/0003.png'),
            {
                'unknown_ids': ('trainannot/0003.png', 'its compression'),
                'wrong_extension': ('trainannot/0003.png', 'is a JPEG file'),
            },
        ),
        (expanded_palette, {'wrong_pixel_format': ('trainannot/0003.png', '5 colours')}),
        (
            lambda r: (
                (r / 'trainannot/0009.png')
                .with_name('0099.png')
                .write_bytes((r / 'trainannot/0009.png').read_bytes())
            ),
            {'label_without_image': ('trainannot/0099.png', 'no image 0099')},
        ),
        (
            lambda r: Image.new('L', SIZE, 11).save(r / 'trainannot/0003.png'),
            {'no_labels': ('trainannot/0003.png', '')},
        ),
        (rotated, {'rotated': ('train/0003.jpg', 'orientation 6')}),
        (duplicate, {'duplicates': ('train/0002.png', '2 alike: with train/0005.png')}),
        (leak, {'leak': ('val/0101.png', 'CamVid train: train/0007.png')}),
        (shared_sequence, {'shared_sequence': ('val/drive7_000034.png', 'is 4 frames away')}),
        (
            lambda r: (r / 'valannot/0101.png').unlink(),
            {'missing_label': ('val/0101.png', 'valannot/0101.png are missing')},
        ),
        (
            lambda r: as_jpeg(photograph(3), r / 'train/0003.jpg'),
            {'repeated': ('train/0003.png', 'is there as 0003.jpg too')},
        ),
    ],
)
def test_a_planted_fault_is_found_and_nothing_else(
    clean: Path,
    tree: Hierarchy,
    plant: Callable[[Path], None],
    expected: dict[str, tuple[str, str]],
) -> None:
    plant(clean)
    found = found_in(inspect_datasets(camvid(clean), tree))
    assert {kind: [name for name, _ in rows] for kind, rows in found.items()} == {
        kind: [name] for kind, (name, _) in expected.items()
    }
    for kind, (_, detail) in expected.items():
        assert detail in found[kind][0][1]


def test_all_faults_are_found_together(clean: Path, tree: Hierarchy) -> None:
    """One bad file hides no other, and what can still be measured is."""
    truncate(clean / 'train' / '0001.png')
    truncate(clean / 'train' / '0002.png')
    changed_labels(seven_of_200)(clean)
    (train,) = inspect_datasets(camvid(clean, ('train',)), tree)
    assert len(train.images) == TRAIN
    assert [image.index for image in train.images if not image.usable] == [1, 2, 3]
    # The photograph of image 3 is sound: it can be compared with others.
    assert train.images[3].size == SIZE
    assert train.images[3].fingerprint is not None
    assert train.images[1].fingerprint is None
    assert {'unreadable', 'unknown_ids'} == found_in([train]).keys()


def test_a_duplicate_with_bad_labels_is_found(clean: Path, tree: Hierarchy) -> None:
    duplicate(clean)
    labels = label_values(5)
    labels[0, 0] = 99
    Image.fromarray(labels).save(clean / 'trainannot' / '0005.png')
    found = found_in(inspect_datasets(camvid(clean), tree))
    assert found.keys() == {'duplicates', 'unknown_ids'}


def test_images_beside_the_list_are_named(clean: Path, tree: Hierarchy) -> None:
    """Readers that go by the labels leave an image without any out silently."""
    photograph(77).save(clean / 'train' / '0077.png')
    (clean / 'trainannot' / '0077.png').touch()
    (survey,) = inspect_datasets(camvid(clean, ('train',)), tree)
    assert found_in([survey])['unreadable'] == [('trainannot/0077.png', 'is empty')]
    (clean / 'trainannot' / '0077.png').unlink()
    assert survey.dataset is not None
    survey.dataset._files = survey.dataset._files[:-1]  # type: ignore[attr-defined]
    problems = list(survey_module._own_problems(survey))
    assert ('image_without_label', '0077.png') in {(p.kind, p.path.name) for p in problems}


def test_partners_are_found_by_what_the_names_share(tmp_path: Path) -> None:
    images, labels = tmp_path / 'leftImg8bit' / 'ulm', tmp_path / 'gtFine' / 'ulm'
    for folder in (images, labels):
        folder.mkdir(parents=True)
    pairs = []
    for frame in range(4):
        stem = f'ulm_000000_{frame:06d}'
        image = images / f'{stem}_leftImg8bit.png'
        # Only the first of these holds the labels.
        files = [labels / f'{stem}_gtFine_{kind}.png' for kind in ('labelIds', 'color')]
        for path in (image, *files, labels / f'{stem}_gtFine_polygons.json'):
            path.touch()
        pairs.append((image, files[0]))
    assert list(unpaired_files(pairs)) == []
    # Those of another split in the same folder have each other.
    assert list(unpaired_files(pairs[:2])) == []
    pairs[3][0].unlink()
    (orphan,) = unpaired_files(pairs[:3])
    assert (orphan.kind, orphan.path) == ('label_without_image', pairs[3][1])
    assert orphan.detail == 'no image ulm_000000_000003_leftImg8bit'
    pairs[3][0].touch()
    pairs[3][1].unlink()
    (left_out,) = unpaired_files(pairs[:3])
    assert (left_out.kind, left_out.path) == ('image_without_label', pairs[3][0])
    # In one folder, names that end alike may be either.
    assert list(unpaired_files([(images / 'a.png', images / 'a_labels.png')])) == []
    assert list(unpaired_files([])) == []


@dataclass
class ListedImages:
    """A data set of given files, as a reader that checks nothing beforehand would be."""

    files: list[tuple[Path, Path | None]]
    samples: list[StreetSample | str]
    instance_maps: list[NDArray[np.int32] | None] = field(default_factory=list)
    supervision: str = 'pixels'
    complete_boxes: bool = False
    title: str = 'Listed'

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> StreetSample:
        sample = self.samples[index]
        if isinstance(sample, str):
            raise HierSegError(sample)
        return sample

    def image_path(self, index: int) -> Path:
        return self.files[index][0]

    def label_path(self, index: int) -> Path | None:
        return self.files[index][1]

    def instances(self, index: int) -> NDArray[np.int32] | None:
        return self.instance_maps[index]


def listed(*args: Any, **options: Any) -> Any:
    return ListedImages(*args, **options)


def test_what_a_reader_refuses_has_a_reason(tmp_path: Path) -> None:
    image, labels = tmp_path / 'a.png', tmp_path / 'a_labels.png'
    error = 'a_labels.png: is of last week; label it anew'
    dataset = listed([(image, labels)], ['refused'])
    problems = list(diagnose(dataset, 0, error))
    assert [(p.kind, p.path) for p in problems] == [
        ('missing_image', image),
        ('missing_label', image),
    ]
    photograph(0).save(image)
    (missing,) = diagnose(dataset, 0, error)
    assert (missing.kind, missing.path) == ('missing_label', image)
    assert str(labels) in missing.detail
    Image.new('L', SIZE).save(labels)
    (refused,) = diagnose(dataset, 0, error)
    assert (refused.kind, refused.path) == ('refused', labels)
    assert refused.detail == 'a_labels.png: is of last week; label it anew'


# Boxes


def test_faulty_boxes(tree: Hierarchy, tmp_path: Path) -> None:
    stop, front = (tree.node(name).id for name in ('stop', 'Traffic Sign (Front)'))
    yield_sign = tree.node('give way').id

    def kinds(*boxes: tuple[float, float, float, float, int]) -> list[str]:
        made = [Box(*box, 'rectangle') for box in boxes]
        return [p.kind for p in box_problems(tmp_path, made, (100, 80), tree)]

    assert kinds((0, 0, 100, 80, stop), (10, 10, 20, 20, stop)) == []
    assert kinds((30, 30, 30, 50, stop)) == ['empty_box']
    assert kinds((50, 30, 40, 50, stop)) == ['empty_box']
    assert kinds((90, 10, 101, 20, stop)) == ['outside_box']
    assert kinds((-1, 10, 20, 20, stop)) == ['outside_box']
    assert kinds((100, 10, 120, 20, stop)) == ['outside_box']
    assert kinds((10, 10, 13, 40, stop)) == ['tiny_box']
    assert kinds((10, 10, 14, 14, stop)) == []
    # 19 of 20 rows are shared: 0.95. 9 of 11: 0.82.
    assert kinds((10, 10, 30, 30, stop), (10, 11, 30, 30, stop)) == ['duplicate_box']
    assert kinds((10, 10, 30, 20, stop), (10, 11, 30, 21, stop)) == []
    # Two thirds, and a third.
    assert kinds((10, 10, 30, 22, stop), (10, 14, 30, 22, yield_sign)) == ['contradicting_boxes']
    assert kinds((10, 10, 30, 30, stop), (20, 10, 40, 30, yield_sign)) == []
    # A stop sign is a front of a sign.
    assert kinds((10, 10, 30, 30, stop), (10, 10, 30, 30, front)) == []


def test_boxes_of_a_data_set(tree: Hierarchy, tmp_path: Path) -> None:
    root = tmp_path / 'gtsdb'
    root.mkdir()
    for number in range(3):
        photograph(number).save(root / f'{number:05d}.ppm')
    lines = ['00000.ppm;80;10;99;29;1', '00001.ppm;5;5;6;6;1', '00001.ppm;5;5;6;6;1']
    (root / 'gt.txt').write_text('\n'.join(lines))
    (survey,) = inspect_datasets([Source('gtsdb', root, 'train')], tree)
    found = found_in([survey])
    assert {kind: len(rows) for kind, rows in found.items()} == {
        'outside_box': 1,
        'tiny_box': 2,
        'duplicate_box': 1,
    }
    detail = 'speed limit 30 at (80, 10), 20×20 reaches outside the image of 96×64'
    assert found['outside_box'] == [('00000.ppm', detail)]
    # 16 of its 20 columns lie in the image.
    node = tree.node('speed limit 30')
    counts = count_classes(survey.images, tree)
    assert counts.pixels[node.id] == 16 * 20 + 2 * 4
    assert counts.instances is not None
    assert (counts.instances[node.id], counts.images[node.id]) == (3, 2)
    assert counts.images[tree.node('Traffic Sign').id] == 2
    # Every object has its box: an image without one is a negative, not a fault.
    assert 'no_labels' not in found


# Counts


def test_counts_are_those_of_the_files(clean: Path, tree: Hierarchy) -> None:
    (survey,) = inspect_datasets(camvid(clean, ('train',)), tree)
    expected = {0: 0, 1: 0, 3: 0, 8: 0}
    for path in (clean / 'trainannot').iterdir():
        values = np.asarray(Image.open(path))
        for value in expected:
            expected[value] += int((values == value).sum())
    counts = count_classes(survey.images, tree)
    for value, name in ((0, 'Sky'), (1, 'Building'), (3, 'Driveable'), (8, 'Car')):
        assert counts.pixels[tree.node(name).id] == expected[value] > 0
        assert counts.images[tree.node(name).id] == TRAIN
    assert counts.pixels.sum() == sum(expected.values())
    assert counts.instances is None


def test_instances_are_counted_by_their_main_label(tree: Hierarchy, tmp_path: Path) -> None:
    car, person = tree.node('Car').id, tree.node('Person').id
    labels = np.full((8, 10), 255, np.uint8)
    labels[:4] = car
    labels[4:6] = person
    instances = np.zeros((8, 10), np.int32)
    instances[:5, :3] = 26001  # 12 pixels of a car, 3 of a person
    instances[:3, 5:] = 26002
    instances[5, :4] = 24007
    instances[7] = 70000  # of nothing that is labelled
    sample = StreetSample(photograph(0, (10, 8)), labels, None)
    files: list[tuple[Path, Path | None]] = [(tmp_path / 'a.png', None)]
    measured = measure(listed(files, [sample], [instances]), 0, tree)
    counts = count_classes([measured], tree)
    assert counts.instances is not None
    assert (counts.instances[car], counts.instances[person], counts.instances.sum()) == (2, 1, 3)
    assert (counts.pixels[car], counts.pixels[person]) == (40, 20)


def test_an_image_label_counts_its_whole_image(tree: Hierarchy, tmp_path: Path) -> None:
    stop = tree.node('stop').id
    sample = StreetSample(photograph(0, (30, 20)), None, None, stop)
    files: list[tuple[Path, Path | None]] = [(tmp_path / 'a.png', None)]
    measured = measure(listed(files, [sample], [None], 'image'), 0, tree)
    counts = count_classes([measured], tree)
    assert counts.instances is not None
    for node in tree.path(tree.node('stop')):
        values = counts.pixels[node.id], counts.instances[node.id], counts.images[node.id]
        assert values == (600, 1, 1)


def test_imbalance_and_median_frequency(tree: Hierarchy) -> None:
    root = tree.classifiers[0]
    pixels = np.zeros(256, np.int64)
    for name, count in (('Sky', 800), ('Car', 100), ('Person', 8), ('stop', 5)):
        pixels[tree.node(name).id] = count
    found = imbalance(pixels, root)
    assert found is not None
    assert (found.ratio, found.most.readable_name, found.least.readable_name) == (
        100,
        'Sky',
        'Person',
    )
    weights = {
        tree.node(name).readable_name: w for name, w in median_frequency(pixels, root).items()
    }
    assert weights == {'Sky': 0.125, 'Car': 1.0, 'Person': 12.5}
    assert imbalance(np.zeros(256, np.int64), root) is None
    assert median_frequency(np.zeros(256, np.int64), root) == {}


def test_gaps_of_the_supervision(tree: Hierarchy) -> None:
    pixels = np.zeros(256, np.int64)
    for name in ('Sky', 'Traffic Sign', 'Traffic Sign (Front)'):
        pixels[tree.node(name).id] = 1
    unsupervised, without_example = supervision_gaps(tree, {'Sky', 'stop', 'Car'}, pixels)
    assert {node.readable_name for node in without_example} == {'stop', 'Car'}
    assert len(unsupervised) == len(tree.nodes) - 5
    assert 'Bird' in {node.readable_name for node in unsupervised}


def test_chosen_images_show_the_rare_classes(clean: Path, tree: Hierarchy) -> None:
    for number, value in ((4, 9), (9, 10)):
        labels = label_values(number)
        labels[60:62, 50:52] = value
        Image.fromarray(labels).save(clean / 'trainannot' / f'{number:04d}.png')
    (survey,) = inspect_datasets(camvid(clean, ('train',)), tree)
    for seed in range(5):
        chosen = choose_images(survey.images, 2, np.random.default_rng(seed))
        assert [image.index for image in chosen] == [4, 9]
        more = choose_images(survey.images, 5, np.random.default_rng(seed))
        assert len({image.index for image in more}) == 5


# The sample and the processes


def test_a_limit_draws_a_seeded_sample(clean: Path, tree: Hierarchy) -> None:
    drawn = [
        [
            image.index
            for image in inspect_datasets(camvid(clean), tree, limit=5, seed=seed)[0].images
        ]
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 5


def test_processes_change_nothing(clean: Path, tree: Hierarchy) -> None:
    duplicate(clean)
    truncate(clean / 'train' / '0001.png')
    alone, together = (
        summarise(inspect_datasets(camvid(clean), tree, workers=workers), tree)
        for workers in (0, 2)
    )
    assert alone == together


# The page


class TagChecker(HTMLParser):
    """Collects the text and the addresses of a page, and checks that tags are closed in order."""

    VOID = frozenset({'meta', 'img', 'br', 'link', 'hr', 'input'})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.addresses += [value or '' for name, value in attrs if name in ('src', 'href')]
        assert not any(name.startswith('on') for name, _ in attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read_page(folder: Path) -> tuple[TagChecker, str]:
    checker = TagChecker()
    checker.feed((folder / PAGE).read_text(encoding='utf-8'))
    checker.close()
    assert checker.open == []
    return checker, ' '.join(' '.join(checker.text).split())


def write(surveys: list[Survey], tree: Hierarchy, folder: Path) -> dict[str, Any]:
    summary = {'command': 'hier-seg <me>', 'date': 'today', 'limit': 0, 'seed': 0}
    summary |= summarise(surveys, tree)
    write_inspection(folder, surveys, tree, summary, images=3, seed=0)
    return summary


def test_the_page_holds_everything_and_nothing_from_elsewhere(
    clean: Path, tree: Hierarchy, small_data: Path, tmp_path: Path
) -> None:
    leak(clean)
    truncate(clean / 'train' / '0001.png')
    for folder in ('train', 'trainannot'):
        (clean / folder / '0002.png').rename(clean / folder / '<b>&.png')
    (clean / 'trainannot' / '<b>&.png').write_bytes(b'')
    sources = [*camvid(clean), Source('gtsdb', small_data / 'gtsdb', 'train')]
    surveys = inspect_datasets(sources, tree)
    summary = write(surveys, tree, tmp_path / 'out')
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {PAGE, NUMBERS}
    checker, text = read_page(tmp_path / 'out')
    assert not checker.tags & {'b>', 'script', 'iframe', 'link', 'object'}
    for address in checker.addresses:
        assert address.startswith(('data:image/jpeg;base64,', '#')) or address == NUMBERS
    assert sum(address.startswith('data:') for address in checker.addresses) > 10
    for expected in (
        'trainannot/<b>&.png',
        'train/0001.png',
        'Unreadable or truncated files',
        'Images with a near-duplicate in a training split',
        'CamVid train: train/0007.png',
        'hier-seg <me>',
        'speed limit 30',
        'Driveable',
        '96×64',
    ):
        assert expected in text
    written = json.loads((tmp_path / 'out' / NUMBERS).read_text(encoding='utf-8'))
    assert written == json.loads(json.dumps(summary))
    assert written['errors'] == 3
    assert f'Errors {written["errors"]}' in text
    names = [row['file'] for row in written['problems']['unreadable']]
    assert names == ['train/0001.png', 'trainannot/<b>&.png']
    first = written['data_sets'][0]
    assert (first['images'], first['images_usable']) == (TRAIN, TRAIN - 2)
    assert first['sizes'] == [{'width': 96, 'height': 64, 'images': TRAIN - 1}]
    boxes = written['data_sets'][2]
    assert boxes['box_long_edges'] == [{'from': 16, 'to': 32, 'boxes': 6}]
    assert boxes['classes'][tree.node('speed limit 30').name] == {
        'pixels': 3 * 20 * 20,
        'instances': 3,
        'images': 3,
    }


def test_a_clean_page_says_so(clean: Path, tree: Hierarchy, tmp_path: Path) -> None:
    write(inspect_datasets(camvid(clean), tree), tree, tmp_path / 'out')
    assert 'No problem was found' in read_page(tmp_path / 'out')[1]


def test_a_long_list_is_capped_with_its_total(clean: Path, tree: Hierarchy, tmp_path: Path) -> None:
    for number in range(200, 230):
        (clean / 'trainannot' / f'{number:04d}.png').touch()
    write(inspect_datasets(camvid(clean), tree), tree, tmp_path / 'out')
    _, text = read_page(tmp_path / 'out')
    assert f'and {30 - LISTED} more of 30' in text
    written = json.loads((tmp_path / 'out' / NUMBERS).read_text(encoding='utf-8'))
    assert len(written['problems']['label_without_image']) == 30


def test_pictures_show_the_labels(clean: Path, tree: Hierarchy, small_data: Path) -> None:
    def pixels(uri: str) -> NDArray[np.uint8]:
        data = base64.b64decode(uri.removeprefix('data:image/jpeg;base64,'))
        return np.asarray(Image.open(io.BytesIO(data)))

    for number in range(TRAIN):
        Image.new('RGB', SIZE, (0, 0, 0)).save(clean / 'train' / f'{number:04d}.png')
    (survey,) = inspect_datasets(camvid(clean, ('train',)), tree)
    gallery = draw_gallery(survey, tree, 1, 0)
    (picture,) = gallery.sheet
    drawn = pixels(picture.uri).astype(int)
    assert drawn.shape == (64, 96, 3)
    for (row, column), name in (((5, 40), 'Sky'), ((60, 70), 'Driveable')):
        expected = np.array(tree.node(name).color) / 2
        assert np.abs(drawn[row, column] - expected).max() < 12
    assert drawn[20, 95].max() < 30  # void keeps the photograph
    assert {node.readable_name for node in gallery.labelled} == {
        'Sky',
        'Building',
        'Driveable',
        'Car',
    }
    (signs,) = inspect_datasets([Source('gtsdb', small_data / 'gtsdb', 'train')], tree)
    gallery = draw_gallery(signs, tree, 1, 0)
    marks = gallery.sheet[0].marks
    assert [(m.left, m.width, m.name) for m in marks] == [
        (10, 20, 'speed limit 30'),
        (60, 20, 'keep right'),
    ]
    red = pixels(gallery.examples[tree.node('speed limit 30')][0].uri)
    assert red.shape == (84, 84, 3)
    assert red[42, 42].tolist() == pytest.approx([220, 30, 30], abs=15)


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (None, '–'),
        (0, '0'),
        (999, '999'),
        (1000, '1.00 k'),
        (12_340, '12.3 k'),
        (999_900, '1.00 M'),
        (63_400_000, '63.4 M'),
        (2.5e9, '2.50 G'),
    ],
)
def test_counts_are_written_short(value: float | None, text: str) -> None:
    assert compact(value) == text


def test_every_kind_of_problem_is_explained() -> None:
    assert all(kind.title and kind.advice.endswith('.') for kind in KINDS.values())


# The command


def run_command(*words: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    options = parser.parse_args(['inspect', *words])
    options.run_command(options)


def test_the_command_inspects_one_data_set(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truncate(clean / 'train' / '0001.png')
    places = ['--format', 'camvid', '--path', str(clean), '--workers', '0']
    run_command(*places, '--out', str(tmp_path / 'out'))
    assert '15 images inspected; errors: 1, warnings: 0' in capsys.readouterr().out
    assert (tmp_path / 'out' / PAGE).is_file()
    with pytest.raises(HierSegError, match='errors: 1, warnings: 0'):
        run_command(*places, '--out', str(tmp_path / 'out'), '--strict')
    run_command(*places, '--out', str(tmp_path / 'out'), '--split', 'val', '--strict')


def test_a_data_set_that_cannot_be_opened_hides_no_other(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clean / 'valannot').rename(clean / 'elsewhere')
    places = ['--format', 'camvid', '--path', str(clean), '--workers', '0']
    with pytest.raises(HierSegError, match=r'val: .*valannot: does not exist'):
        run_command(*places, '--out', str(tmp_path / 'out'))
    assert '12 images inspected' in capsys.readouterr().out
    assert 'Data sets that cannot be opened' in read_page(tmp_path / 'out')[1]


def test_the_command_inspects_an_experiment(
    small_data: Path, make_experiment: Callable[..., tuple[Path, Any]], tmp_path: Path
) -> None:
    path, _ = make_experiment()
    out = tmp_path / 'out'
    run_command(str(path), '--data', str(small_data), '--out', str(out), '--workers', '0')
    written = json.loads((out / NUMBERS).read_text(encoding='utf-8'))
    assert [(e['name'], e['training'], e['images']) for e in written['data_sets']] == [
        ('CamVid train', True, 4),
        ('CamVid val', False, 2),
        ('GTSDB train', True, 4),
        ('GTSDB val', False, 2),
    ]


@pytest.mark.parametrize(
    ('words', 'reason'),
    [
        ('--out O', 'give an experiment file and --data, or --format and --path'),
        ('--format camvid --out O', 'give an experiment file'),
        ('e.yaml --out O', 'goes with --data'),
        ('e.yaml --data D --format camvid --out O', 'without --format'),
        ('e.yaml --data D --out O', 'e.yaml: cannot be read'),
        ('--format camvid --path D --hierarchy gone --out O', 'gone: cannot be read'),
    ],
)
def test_wrong_usage_is_said_in_one_line(words: str, reason: str) -> None:
    with pytest.raises(HierSegError, match=reason) as raised:
        run_command(*words.split())
    assert '\n' not in str(raised.value)


def test_an_output_that_cannot_be_written_is_said(clean: Path, tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    places = ['--format', 'camvid', '--path', str(clean), '--workers', '0']
    with pytest.raises(HierSegError, match=r'file/out: cannot be written.*--out'):
        run_command(*places, '--out', str(tmp_path / 'file' / 'out'))


# The real data


def test_real_data(real_data: Path, tree: Hierarchy) -> None:
    (signs,) = inspect_datasets([Source('gtsdb', real_data / 'gtsdb', 'val')], tree)
    (streets,) = inspect_datasets([Source('camvid', real_data / 'camvid', 'val')], tree, limit=40)
    assert not signs.problems
    kinds = {problem.kind for problem in streets.problems}
    assert kinds == {'duplicates'}  # its frames are a fifteenth of a second apart
    counts = count_classes(signs.images, tree)
    assert counts.instances is not None
    assert counts.instances[tree.node('Traffic Sign').id] == sum(
        500 <= int(line[:5]) < 600 for line in (real_data / 'gtsdb' / 'gt.txt').read_text().split()
    )

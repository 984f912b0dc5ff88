# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torch.utils.data._utils.pin_memory import pin_memory

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.augmentation.augmentation_options import (
    AugmentationOptions,
    CropOptions,
    PasteOptions,
)
from hier_seg_trainer.augmentation.grid import cells
from hier_seg_trainer.augmentation.pasting import sign_places
from hier_seg_trainer.batches.batch import Batch
from hier_seg_trainer.batches.mixed_batches import MixedBatches, Stream
from hier_seg_trainer.datasets.formats.gtsrb import Gtsrb
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.datasets.samples import Box, StreetDataset, StreetSample, Supervision
from hier_seg_trainer.datasets.unreadable import UnreadableImageError

CROP = CropOptions((32, 64), (0.8, 1.2), False, 0.5)
PLAIN = AugmentationOptions(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, blur=0.0)
# Every kind of change at once.
WILD = AugmentationOptions(
    rotation=15.0,
    pca_color=0.1,
    auto_augment='rand',
    cutout=0.5,
    random_erasing=0.5,
    cutmix=0.3,
    ricap=0.3,
    mixup=0.4,
    copy_blob=2,
)


class Numbered:
    """Images whose colour is their number; remembers which were read."""

    name = title = licence = 'numbered'
    node_names = frozenset({'Sky'})
    supervision: Supervision = 'pixels'
    mirror_of_id = np.arange(256, dtype=np.int16)
    complete_boxes = False

    def __init__(self, size: int) -> None:
        self.read: list[int] = []
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> StreetSample:
        self.read.append(index)
        labels = np.full((64, 80), index, np.uint8)
        return StreetSample(Image.new('RGB', (80, 64), (index, 0, 0)), labels, None)

    def image_path(self, index: int) -> Path:
        return Path(f'{index}.png')

    def label_path(self, index: int) -> Path | None:
        return None


class Boxed(Numbered):
    """The same with boxes in every image; image 0 shows the class that all others lack."""

    supervision: Supervision = 'boxes'
    complete_boxes = True

    def boxes(self, index: int) -> tuple[Box, ...]:
        return (
            Box(8, 8, 24, 24, 65 if index == 0 else 66, 'circle'),
            Box(50, 30, 60, 40, 66, 'circle'),
        )

    def __getitem__(self, index: int) -> StreetSample:
        sample = super().__getitem__(index)
        return StreetSample(sample.image, None, self.boxes(index))


class Single(Numbered):
    """Small images that show one node each: that of their number."""

    supervision: Supervision = 'image'

    def __getitem__(self, index: int) -> StreetSample:
        self.read.append(index)
        return StreetSample(Image.new('RGB', (30, 30), (index, 0, 0)), None, None, index)


def stream(
    dataset: StreetDataset,
    images_per_batch: int,
    signs: Gtsrb | None = None,
    augmentation: AugmentationOptions = PLAIN,
) -> Stream:
    return Stream(dataset, images_per_batch, CROP, augmentation, PasteOptions(2, (8, 16)), signs)


def real_streams(
    data: Path, tree: Hierarchy, augmentation: AugmentationOptions | None = None
) -> list[Stream]:
    augmentation = augmentation or AugmentationOptions()
    signs = Gtsrb(data / 'gtsrb', 'train', tree)
    crop = CropOptions((64, 64), (0.7, 1.5), True, 0.0)
    counts = np.zeros(256, np.int64)
    sky, car = tree.node('Sky').id, tree.node('Car').id
    counts[[sky, car]] = [100, 10]
    return [
        Stream(
            open_dataset('camvid', data / 'camvid', 'train', tree),
            2,
            crop,
            augmentation,
            PasteOptions(replace=0.5),
            signs,
            sign_places(tree, signs.node_names),
            counts,
        ),
        Stream(
            open_dataset('gtsdb', data / 'gtsdb', 'train', tree),
            3,
            replace(crop, focus_on_boxes=0.8),
            augmentation,
            PasteOptions(2, (12, 20), 0.5),
            signs,
        ),
        Stream(signs, 2, crop, augmentation, PasteOptions(), None),
    ]


def same(a: Batch, b: Batch) -> bool:
    return all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(Batch))


def test_a_batch_has_the_stated_shapes_types_and_ratio(small_data: Path, tree: Hierarchy) -> None:
    batch = MixedBatches(real_streams(small_data, tree), 0)[0]
    found = {
        f.name: (getattr(batch, f.name).shape, getattr(batch, f.name).dtype) for f in fields(batch)
    }
    assert found == {
        'images': ((7, 3, 64, 64), torch.uint8),
        'plain_images': ((7, 3, 64, 64), torch.uint8),
        'labels': ((7, 64, 64), torch.uint8),
        'second_labels': ((7, 64, 64), torch.uint8),
        'mix': ((7,), torch.float32),
        'box_labels': ((7, 64, 64), torch.uint8),
        'box_shapes': ((7, 64, 64), torch.bool),
        'far_from_boxes': ((7, 64, 64), torch.bool),
        'has_boxes': ((7,), torch.bool),
        'image_labels': ((7, 64, 64), torch.uint8),
    }
    pixels, boxes, singles = slice(0, 2), slice(2, 5), slice(5, 7)
    assert batch.has_boxes.tolist() == [False, False, True, True, True, False, False]
    assert (batch.labels[pixels] != UNLABELLED).any()
    assert (batch.labels[2:] == UNLABELLED).all()
    assert (batch.box_labels[pixels] == UNLABELLED).all()
    assert (batch.box_labels[singles] == UNLABELLED).all()
    assert (batch.image_labels[:5] == UNLABELLED).all()
    assert (batch.image_labels[singles] != UNLABELLED).any()
    assert (batch.second_labels == UNLABELLED).all()
    assert (batch.mix == 1).all()
    # Nothing is known of pixels without boxes in an image that has pixel labels.
    assert not batch.far_from_boxes[pixels].any()
    assert batch.far_from_boxes[boxes].any()
    assert not batch.far_from_boxes[singles].any()
    assert not torch.equal(batch.images, batch.plain_images)


@pytest.mark.parametrize('augmentation', [AugmentationOptions(), WILD], ids=['default', 'wild'])
def test_a_batch_is_a_function_of_seed_and_number(
    small_data: Path, tree: Hierarchy, augmentation: AugmentationOptions
) -> None:
    one = MixedBatches(real_streams(small_data, tree, augmentation), 3)
    two = MixedBatches(real_streams(small_data, tree, augmentation), 3)
    forward = [one[i] for i in range(3)]
    backward = [two[i] for i in (2, 1, 0)][::-1]
    assert all(same(a, b) for a, b in zip(forward, backward, strict=True))
    assert not same(forward[0], forward[1])
    other = MixedBatches(real_streams(small_data, tree, augmentation), 4)
    assert not same(forward[0], other[0])


@pytest.mark.parametrize('processes', [2, 3, 7])
def test_processes_share_exactly_the_batch_of_one(
    small_data: Path, tree: Hierarchy, processes: int
) -> None:
    streams = real_streams(small_data, tree, WILD)
    whole = MixedBatches(streams, 5)
    shares = [MixedBatches(streams, 5, rank, processes) for rank in range(processes)]
    for number in (0, 4):
        parts = [share[number] for share in shares]
        for f in fields(Batch):
            expected = getattr(whole[number], f.name)
            for image in range(7):
                part = getattr(parts[image % processes], f.name)
                assert torch.equal(part[image // processes], expected[image]), f.name
        assert sum(len(part.images) for part in parts) == 7


def test_more_processes_than_images_are_refused() -> None:
    with pytest.raises(HierSegError, match='2 images cannot be shared by 3 processes'):
        MixedBatches([stream(Numbered(4), 2)], 0, 1, 3)


def test_worker_processes_give_the_same_batches(small_data: Path, tree: Hierarchy) -> None:
    batches = MixedBatches(real_streams(small_data, tree, WILD), 3)
    # As a resumed run asks for them.
    loader = DataLoader(batches, sampler=range(5, 8), batch_size=None, num_workers=2)
    for number, batch in zip((5, 6, 7), loader, strict=True):
        assert same(batch, batches[number])


@pytest.mark.parametrize('seed', [0, 1])
def test_each_epoch_of_a_stream_visits_every_image_once(seed: int) -> None:
    first, second = Numbered(7), Numbered(5)
    batches = MixedBatches([stream(first, 2), stream(second, 3)], seed)
    for number in range(35):
        batches[number]
    for dataset, size in ((first, 7), (second, 5)):
        epochs = [dataset.read[i : i + size] for i in range(0, len(dataset.read), size)]
        assert len(epochs) >= 10
        assert all(sorted(epoch) == list(range(size)) for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > 5, 'the order never changes'


class PartlyUnreadable(Numbered):
    """The same, some of whose files cannot be read; images of one label each where asked for."""

    def __init__(self, size: int, unreadable: set[int], supervision: Supervision) -> None:
        super().__init__(size)
        self.supervision = supervision
        self._unreadable = unreadable

    def __getitem__(self, index: int) -> StreetSample:
        sample = super().__getitem__(index)
        if index in self._unreadable:
            raise UnreadableImageError(f'{index}.png: cannot be read')
        if self.supervision == 'image':
            return StreetSample(sample.image, None, None, index)
        return sample


@pytest.mark.parametrize(
    'options', [{}, {'cutmix': 1.0}, {'ricap': 1.0}, {'mixup': 0.5}, {'copy_blob': 1}], ids=str
)
@pytest.mark.parametrize('supervision', ['pixels', 'image'])
def test_the_next_image_takes_the_place_of_one_that_cannot_be_read(
    options: dict[str, float], supervision: Supervision
) -> None:
    def batches(unreadable: set[int]) -> MixedBatches:
        dataset = PartlyUnreadable(200, unreadable, supervision)
        counts = np.zeros(256, np.int64)
        counts[:200] = 1
        augmentation = replace(PLAIN, **options)
        return MixedBatches(
            [replace(stream(dataset, 40, augmentation=augmentation), pixel_counts=counts)], 0
        )

    whole, damaged = batches(set()), batches({17, 18})
    # Five of them show every image once.
    shown = [damaged[number] for number in range(5)]
    for number, batch in enumerate(shown):
        assert same(batch, batches({17, 18})[number])
        for maps in (batch.labels, batch.second_labels, batch.image_labels):
            assert not {17, 18} & set(maps.unique().tolist())
    if not options and supervision == 'pixels':
        # All but two crops are those of a data set without a fault.
        changed = [
            not torch.equal(crop, other)
            for batch, number in zip(shown, range(5), strict=True)
            for crop, other in zip(batch.images, whole[number].images, strict=True)
        ]
        assert sum(changed) == 2


def test_more_unreadable_images_than_one_in_a_hundred_are_an_error() -> None:
    batches = MixedBatches([stream(PartlyUnreadable(200, {17, 18, 50}, 'pixels'), 200)], 0)
    with pytest.raises(
        HierSegError, match=r'numbered: 3 files cannot be read.*; the last: \d+\.png'
    ):
        batches[0]
    with pytest.raises(HierSegError, match=r'^4\.png: cannot be read$'):
        MixedBatches([stream(PartlyUnreadable(99, {4}, 'pixels'), 99)], 0)[0]


def test_signs_that_cannot_be_read_are_not_pasted(
    tmp_path: Path, tree: Hierarchy, make_gtsrb: Callable[..., Path]
) -> None:
    make_gtsrb(tmp_path / 'gtsrb', {1: (220, 30, 30), 13: (250, 250, 250)}, frames=50)
    signs = Gtsrb(tmp_path / 'gtsrb', 'train', tree)
    batches = MixedBatches([stream(Boxed(100), 50, signs)], 0)
    signs.image_path(3).write_bytes(b'nothing')
    pasted = {int(value) for number in range(4) for value in batches[number].box_labels.unique()}
    assert 78 in pasted, 'give way was never pasted'
    signs.image_path(4).write_bytes(b'nothing')
    with pytest.raises(HierSegError, match='GTSRB: 2 files cannot be read'):
        for number in range(20):
            batches[number]


def test_a_grid_takes_the_next_images_of_its_stream() -> None:
    dataset = Single(11)
    crop = CropOptions((96, 192), (0.8, 1.2), False)
    count = len(cells(crop.size))
    assert count == 2
    batches = MixedBatches([Stream(dataset, 3, crop, PLAIN, PasteOptions(), None)], 0)
    for number in range(11):
        batch = batches[number]
        shown = [set(labels.unique().tolist()) - {UNLABELLED} for labels in batch.image_labels]
        read = dataset.read[-3 * count :]
        assert shown == [set(read[i : i + count]) for i in range(0, 3 * count, count)]
        inside = batch.image_labels != UNLABELLED
        assert torch.equal(batch.images[:, 0][inside], batch.image_labels[inside])
    epochs = [dataset.read[i : i + 11] for i in range(0, 66, 11)]
    assert all(sorted(epoch) == list(range(11)) for epoch in epochs)


def test_streams_of_the_same_data_go_their_own_ways() -> None:
    first, second = Numbered(20), Numbered(20)
    batches = MixedBatches([stream(first, 1), stream(second, 1)], 0)
    for number in range(20):
        batches[number]
    assert first.read != second.read


def test_random_numbers_serve_one_purpose_only() -> None:
    batches = MixedBatches([stream(Numbered(20), 1)], 0)
    states = {
        batches._generator(purpose, number, position).integers(2**63)
        for purpose in range(2)
        for number in range(3)
        for position in range(50)
    }
    assert len(states) == 300


def test_images_and_labels_of_a_batch_belong_together() -> None:
    batch = MixedBatches([stream(Numbered(9), 4)], 0)[1]
    for image, labels in zip(batch.images, batch.labels, strict=True):
        inside = labels != UNLABELLED
        assert inside.any()
        assert torch.equal(image[0][inside], labels[inside])


def test_rare_classes_are_more_often_the_focus() -> None:
    dataset = Boxed(10)
    focused = Stream(
        dataset, 1, CropOptions((32, 32), (1.0, 1.0), False, 1.0), PLAIN, PasteOptions(), None
    )
    batches = MixedBatches([focused], 0)
    rare = common = 0
    for number in range(400):
        batch = batches[number]
        # Both boxes fit into no crop of 32 pixels.
        if dataset.read[-1] == 0:
            rare += bool((batch.box_labels == 65).any())
            common += bool((batch.box_labels == 66).any())
    assert rare + common == 40
    # Frequencies of 1 and 19, and one for each: the square root of 20 / 2 as likely.
    assert rare / common > 2


def test_signs_are_pasted_at_random_only_where_boxes_are_labelled(
    small_data: Path, tree: Hierarchy
) -> None:
    signs = Gtsrb(small_data / 'gtsrb', 'train', tree)
    batches = MixedBatches([stream(Numbered(3), 1, signs), stream(Boxed(3), 1, signs)], 0)
    pasted = {
        int(value) for number in range(20) for value in batches[number].box_labels[1].unique()
    }
    assert 78 in pasted, 'give way was never pasted'
    for number in range(20):
        batch = batches[number]
        assert (batch.box_labels[0] == UNLABELLED).all()
        assert (batch.plain_images[0, 1:] % 127 == 0).all()


# Mixing: images are numbered, so labels and colours say which images a crop shows.


def shown_images(batch: Batch) -> list[set[int]]:
    return [set(labels.unique().tolist()) - {UNLABELLED} for labels in batch.labels]


@pytest.mark.parametrize(
    ('options', 'images'), [({}, 1), ({'cutmix': 1.0}, 2), ({'ricap': 1.0}, 4)]
)
def test_crops_are_mixed_from_other_images(options: dict[str, float], images: int) -> None:
    batches = MixedBatches(
        [stream(Numbered(50), 2, augmentation=replace(PLAIN, **options))],  # type: ignore[arg-type]
        0,
    )
    found = []
    for number in range(20):
        batch = batches[number]
        found += [len(shown) for shown in shown_images(batch)]
        inside = batch.labels != UNLABELLED
        assert torch.equal(batch.images[:, 0][inside], batch.labels[inside])
        assert torch.equal(batch.images, batch.plain_images)
        assert (batch.mix == 1).all()
    assert max(found) == images
    if images > 1:
        assert sum(count > 1 for count in found) > 30


@pytest.mark.parametrize('method', ['cutmix', 'ricap'])
def test_half_a_probability_mixes_half_of_the_crops(method: str) -> None:
    options = replace(PLAIN, **{method: 0.5})  # type: ignore[arg-type]
    batches = MixedBatches([stream(Numbered(50), 4, augmentation=options)], 1)
    mixed = sum(len(shown) > 1 for n in range(50) for shown in shown_images(batches[n]))
    assert 70 < mixed < 120


def test_mixup_gives_both_labels_and_their_weight() -> None:
    # Of three images the other one would often be the same, if that could be.
    batches = MixedBatches([stream(Numbered(3), 4, augmentation=replace(PLAIN, mixup=0.5))], 0)
    weights = []
    for number in range(10):
        batch = batches[number]
        for image, labels, second, mix in zip(
            batch.images, batch.labels, batch.second_labels, batch.mix, strict=True
        ):
            inside = (labels != UNLABELLED) & (second != UNLABELLED)
            assert inside.any()
            assert set(labels[inside].tolist()) != set(second[inside].tolist())
            expected = mix * labels[inside].float() + (1 - mix) * second[inside].float()
            assert float((image[0][inside].float() - expected).abs().max()) <= 1.01
            weights.append(float(mix))
    assert 0.3 < np.mean(weights) < 0.7
    assert np.std(weights) > 0.2


def test_a_single_image_is_mixed_with_itself() -> None:
    for options in ({'mixup': 0.5}, {'cutmix': 1.0}, {'ricap': 1.0}, {'copy_blob': 1}):
        wanted = replace(PLAIN, **options)  # type: ignore[arg-type]
        batch = MixedBatches([stream(Numbered(1), 2, augmentation=wanted)], 0)[3]
        assert set(batch.labels.unique().tolist()) <= {0, UNLABELLED}


def test_boxes_are_not_blended() -> None:
    batch = MixedBatches([stream(Boxed(9), 4, augmentation=replace(PLAIN, mixup=0.5))], 0)[0]
    assert (batch.mix == 1).all()
    assert (batch.second_labels == UNLABELLED).all()
    assert len(batch.images[:, 0].unique()) <= 5


class Spotted(Numbered):
    """Every image shows the ground 1; each third of them a blob of the rare 2."""

    def __getitem__(self, index: int) -> StreetSample:
        labels = np.full((64, 80), 1, np.uint8)
        labels[:10] = 3
        if index % 3 == 0:
            labels[40:52, 30:42] = 2
        image = np.zeros((64, 80, 3), np.uint8)
        image[..., 0] = labels
        return StreetSample(Image.fromarray(image), labels, None)


def test_blobs_of_rare_classes_are_copied() -> None:
    counts = np.zeros(256, np.int64)
    counts[[1, 2, 3]] = [1000, 10, 100]
    rare = {}
    for copies in (0, 2):
        options = replace(PLAIN, copy_blob=copies)
        spotted = replace(stream(Spotted(9), 4, augmentation=options), pixel_counts=counts)
        batches = MixedBatches([spotted], 0)
        rare[copies] = sum(
            int((batches[number].labels == 2).flatten(1).any(1).sum()) for number in range(20)
        )
    assert rare[2] > 1.2 * rare[0] > 0


def test_what_is_rare_is_counted_where_it_is_not_given(small_data: Path, tree: Hierarchy) -> None:
    camvid = open_dataset('camvid', small_data / 'camvid', 'train', tree)
    counts = np.zeros(256, np.int64)
    for index in range(len(camvid)):
        labels = camvid[index].labels
        assert labels is not None
        counts += np.bincount(labels.ravel(), minlength=256)
    options = replace(PLAIN, copy_blob=3)
    counted = stream(camvid, 4, augmentation=options)
    given = replace(counted, pixel_counts=counts)
    without = replace(counted, augmentation=PLAIN)
    first, second, third = (MixedBatches([each], 0) for each in (counted, given, without))
    assert all(same(first[number], second[number]) for number in range(5))
    assert not all(same(first[number], third[number]) for number in range(5))


def test_flipped_nodes_are_swapped_and_directed_ones_not_flipped() -> None:
    class Directed(Numbered):
        mirror_of_id = np.arange(256, dtype=np.int16)

        def __getitem__(self, index: int) -> StreetSample:
            labels = np.full((64, 80), 10 if index else 20, np.uint8)
            labels[:, 40:] = 12
            image = np.zeros((64, 80, 3), np.uint8)
            image[..., 0] = labels
            return StreetSample(Image.fromarray(image), labels, None)

    Directed.mirror_of_id[[10, 11, 20]] = [11, 10, -1]
    full = CropOptions((64, 80), (1.0, 1.0), True)
    batches = MixedBatches([Stream(Directed(2), 2, full, PLAIN, PasteOptions(), None)], 0)
    found = {
        (int(labels[0, 0]), int(labels[0, -1]), int(image[0, 0, 0]))
        for number in range(30)
        for labels, image in zip(batches[number].labels, batches[number].images, strict=True)
    }
    assert found == {(10, 12, 10), (12, 11, 12), (20, 12, 20)}


def test_moving_a_batch_moves_every_part() -> None:
    batch = MixedBatches([stream(Numbered(3), 2)], 0)[0]
    assert same(batch.to(torch.device('cpu')), batch)
    meta = batch.to(torch.device('meta'))
    assert all(getattr(meta, f.name).device.type == 'meta' for f in fields(Batch))


def test_a_data_loader_pins_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = MixedBatches([stream(Numbered(3), 2)], 0)[0]
    pinned: list[torch.Tensor] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        pinned.append(tensor)
        return tensor.clone()

    # Pinning itself needs a GPU's driver.
    monkeypatch.setattr(torch.Tensor, 'pin_memory', pin)
    copy = pin_memory(batch)
    assert same(copy, batch)
    assert [id(tensor) for tensor in pinned] == [id(getattr(batch, f.name)) for f in fields(Batch)]
    assert all(getattr(copy, f.name) is not getattr(batch, f.name) for f in fields(Batch))


@pytest.mark.parametrize(
    'options',
    [
        {'rotation': 20.0},
        {'pca_color': 0.1},
        {'auto_augment': 'auto'},
        {'auto_augment': 'rand'},
        {'cutout': 1.0},
        {'random_erasing': 1.0},
        {'cutmix': 1.0},
        {'ricap': 1.0},
        {'mixup': 0.4},
        {'copy_blob': 3},
    ],
    ids=lambda options: next(iter(options)),
)
def test_each_option_alone_works_on_real_images(
    real_data: Path, tree: Hierarchy, options: dict
) -> None:
    size = CropOptions((64, 96), (0.3, 1.0), True, 0.5)
    signs = Gtsrb(real_data / 'gtsrb', 'train', tree)
    counts = np.zeros(256, np.int64)
    camvid = open_dataset('camvid', real_data / 'camvid', 'train', tree)
    labels = camvid[0].labels
    assert labels is not None
    counts += np.bincount(labels.ravel(), minlength=256)
    counts[UNLABELLED] = 0

    def batch(augmentation: AugmentationOptions) -> Batch:
        paste = PasteOptions(1, (12, 40), 0.5)
        gtsdb = open_dataset('gtsdb', real_data / 'gtsdb', 'train', tree)
        return MixedBatches(
            [
                Stream(camvid, 2, size, augmentation, PasteOptions(), None, pixel_counts=counts),
                Stream(gtsdb, 2, size, augmentation, paste, signs),
                Stream(signs, 1, size, augmentation, PasteOptions(), None),
            ],
            0,
        )[1]

    changed, usual = batch(AugmentationOptions(**options)), batch(AugmentationOptions())
    assert not torch.equal(changed.images, usual.images)
    assert (changed.labels[:2] != UNLABELLED).float().mean() > 0.3
    nodes = set(changed.labels[:2].unique().tolist()) - {UNLABELLED}
    assert nodes <= {tree.node(name).id for name in camvid.node_names}
    assert changed.has_boxes.tolist() == [False, False, True, True, False]

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.augmentation import ColorOptions, CropOptions, PasteOptions
from hier_seg_trainer.batches import Batch, MixedBatches, Stream
from hier_seg_trainer.datasets.gtsrb import Gtsrb
from hier_seg_trainer.datasets.samples import Box, StreetDataset, StreetSample
from hier_seg_trainer.training import open_dataset

CROP = CropOptions((32, 64), (0.8, 1.2), False, 0.5)
PLAIN = ColorOptions(0.0, 0.0, 0.0, 0.0, 0.0)


class Numbered:
    """Images whose colour is their number; counts how often each was read."""

    name = title = licence = 'numbered'
    may_flip = False
    node_names = frozenset({'Sky'})

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


class Boxed(Numbered):
    """The same with a box in every image; image 0 shows the class that all others lack."""

    def boxes(self, index: int) -> tuple[Box, ...]:
        return (
            Box(8, 8, 24, 24, 65 if index == 0 else 66, 'circle'),
            Box(50, 30, 60, 40, 66, 'circle'),
        )

    def __getitem__(self, index: int) -> StreetSample:
        sample = super().__getitem__(index)
        return StreetSample(sample.image, None, self.boxes(index))


def stream(dataset: StreetDataset, images_per_batch: int, signs: Gtsrb | None = None) -> Stream:
    return Stream(dataset, images_per_batch, CROP, PLAIN, PasteOptions(2, (8, 16)), signs)


def real_streams(data: Path, tree: Hierarchy) -> list[Stream]:
    signs = Gtsrb(data / 'gtsrb', tree)
    colors = ColorOptions()
    return [
        Stream(
            open_dataset('camvid', data / 'camvid', 'train', tree),
            2,
            CropOptions((64, 64), (0.7, 1.5), True, 0.0),
            colors,
            PasteOptions(),
            None,
        ),
        Stream(
            open_dataset('gtsdb', data / 'gtsdb', 'train', tree),
            3,
            CropOptions((64, 64), (0.7, 1.5), False, 0.8),
            colors,
            PasteOptions(2, (12, 20)),
            signs,
        ),
    ]


def same(a: Batch, b: Batch) -> bool:
    return all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(Batch))


def test_a_batch_has_the_stated_shapes_types_and_ratio(small_data: Path, tree: Hierarchy) -> None:
    batch = MixedBatches(real_streams(small_data, tree), 0)[0]
    found = {
        f.name: (getattr(batch, f.name).shape, getattr(batch, f.name).dtype) for f in fields(batch)
    }
    assert found == {
        'images': ((5, 3, 64, 64), torch.uint8),
        'plain_images': ((5, 3, 64, 64), torch.uint8),
        'labels': ((5, 64, 64), torch.uint8),
        'box_labels': ((5, 64, 64), torch.uint8),
        'box_shapes': ((5, 64, 64), torch.bool),
        'far_from_boxes': ((5, 64, 64), torch.bool),
        'has_boxes': ((5,), torch.bool),
    }
    assert batch.has_boxes.tolist() == [False, False, True, True, True]
    assert (batch.labels[2:] == UNLABELLED).all()
    assert (batch.box_labels[:2] == UNLABELLED).all()
    assert (batch.labels[:2] != UNLABELLED).any()
    # Nothing is known of pixels without boxes in an image that has pixel labels.
    assert not batch.far_from_boxes[:2].any()
    assert batch.far_from_boxes[2:].any()
    assert not torch.equal(batch.images, batch.plain_images)


def test_a_batch_is_a_function_of_seed_and_number(small_data: Path, tree: Hierarchy) -> None:
    one = MixedBatches(real_streams(small_data, tree), 3)
    two = MixedBatches(real_streams(small_data, tree), 3)
    forward = [one[i] for i in range(3)]
    backward = [two[i] for i in (2, 1, 0)][::-1]
    assert all(same(a, b) for a, b in zip(forward, backward, strict=True))
    assert not same(forward[0], forward[1])
    assert not same(forward[0], MixedBatches(real_streams(small_data, tree), 4)[0])


def test_worker_processes_give_the_same_batches(small_data: Path, tree: Hierarchy) -> None:
    batches = MixedBatches(real_streams(small_data, tree), 3)
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


def test_streams_of_the_same_data_go_their_own_ways() -> None:
    first, second = Numbered(20), Numbered(20)
    batches = MixedBatches([stream(first, 1), stream(second, 1)], 0)
    for number in range(20):
        batches[number]
    assert first.read != second.read


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


def test_signs_are_pasted_only_where_boxes_are_labelled(small_data: Path, tree: Hierarchy) -> None:
    signs = Gtsrb(small_data / 'gtsrb', tree)
    batches = MixedBatches([stream(Numbered(3), 1, signs), stream(Boxed(3), 1, signs)], 0)
    pasted = {
        int(value) for number in range(20) for value in batches[number].box_labels[1].unique()
    }
    assert 78 in pasted, 'give way was never pasted'
    for number in range(20):
        batch = batches[number]
        assert (batch.box_labels[0] == UNLABELLED).all()
        assert (batch.plain_images[0, 1:] % 127 == 0).all()


def test_moving_a_batch_moves_every_part() -> None:
    batch = MixedBatches([stream(Numbered(3), 2)], 0)[0]
    assert same(batch.to(torch.device('cpu')), batch)
    meta = batch.to(torch.device('meta'))
    assert all(getattr(meta, f.name).device.type == 'meta' for f in fields(Batch))

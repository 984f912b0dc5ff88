# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Endless mixed batches: a set number of images from each data set in every batch.

Batch number i is a function of the seed and of i alone, and each of its crops one of the seed, its
stream and its position there. So a run resumes at any iteration with the batches that it would
have seen, worker processes need no state, and several training processes share one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.augmentation.augmentation_options import (
    AugmentationOptions,
    CropOptions,
    PasteOptions,
)
from hier_seg_trainer.augmentation.color import random_colors
from hier_seg_trainer.augmentation.conditions import random_bonnet, random_conditions
from hier_seg_trainer.augmentation.crops import Crop, Example, draw
from hier_seg_trainer.augmentation.erasing import cutout, random_erasing
from hier_seg_trainer.augmentation.geometry import random_crop, random_flip, scale_range
from hier_seg_trainer.augmentation.grid import cells, image_grid
from hier_seg_trainer.augmentation.mixing import cut_mix, mix_up, ricap
from hier_seg_trainer.augmentation.pasting import (
    copy_blobs,
    paste_signs,
    rare_nodes,
    replace_signs,
)
from hier_seg_trainer.batches.batch import Batch
from hier_seg_trainer.datasets.formats.gtsrb import Gtsrb
from hier_seg_trainer.datasets.samples import StreetDataset, StreetSample
from hier_seg_trainer.datasets.statistics import count_pixels
from hier_seg_trainer.datasets.unreadable import UnreadableImageError, UnreadableImages

# What random numbers are for: different purposes never share them.
_FOR_ORDER, _FOR_CROP = 0, 1


@dataclass(frozen=True)
class Stream:
    """One data set's share of every batch.

    Attributes
    ----------
    dataset
        Where the images come from.
    images_per_batch
        How many of each batch, over all processes.
    crop
        How they are cut.
    augmentation
        What else happens to them.
    paste
        How signs are pasted.
    signs
        Where those come from; None: nothing is pasted.
    sign_places
        Ids of the nodes that a sign may replace (see the function of this name).
    pixel_counts
        (256,) labelled pixels by node id, which say what is rare for CopyBlob; None: they are
        counted when they are needed.

    """

    dataset: StreetDataset
    images_per_batch: int
    crop: CropOptions
    augmentation: AugmentationOptions
    paste: PasteOptions
    signs: Gtsrb | None
    sign_places: frozenset[int] = frozenset()
    pixel_counts: NDArray[np.int64] | None = None


class MixedBatches(Dataset[Batch]):
    """Batches by iteration number; a data loader with ``batch_size=None`` reads them in order.

    Image k of a batch (stream after stream) belongs to the process whose rank is k modulo their
    number: together they hold exactly the batch that a single process would.
    """

    def __init__(
        self, streams: Sequence[Stream], seed: int, rank: int = 0, processes: int = 1
    ) -> None:
        """Mix streams.

        Parameters
        ----------
        streams
            The data sets.
        seed
            Of all that is random; at least 0.
        rank, processes
            The number of this process, from 0, and how many share each batch.

        Raises
        ------
        HierSegError
            A batch has fewer images than there are processes.

        """
        places = [
            (number, place)
            for number, stream in enumerate(streams)
            for place in range(stream.images_per_batch)
        ]
        if len(places) < processes:
            raise HierSegError(
                f'data: a batch of {len(places)} images cannot be shared by {processes} processes; '
                f'raise images_per_batch or start fewer'
            )
        self._places = places[rank::processes]
        self._streams = tuple(streams)
        self._seed = seed
        self._unreadable = [
            UnreadableImages(stream.dataset.title, len(stream.dataset)) for stream in streams
        ]
        self._unreadable_signs = [
            None
            if stream.signs is None
            else UnreadableImages(stream.signs.title, len(stream.signs))
            for stream in streams
        ]
        self._box_weights = [_box_weights(stream.dataset) for stream in streams]
        self._rare = [_rare_nodes(stream) for stream in streams]

    def __getitem__(self, iteration: int) -> Batch:
        """Return this process's share of batch number `iteration`."""
        crops = [
            self._example(number, iteration * self._streams[number].images_per_batch + place)
            for number, place in self._places
        ]
        maps = {
            f.name: torch.from_numpy(np.stack([getattr(example, f.name) for _, example in crops]))
            for f in fields(Example)
        }
        plain_images = maps.pop('image').permute(0, 3, 1, 2)
        images = torch.from_numpy(np.stack([colored for colored, _ in crops]))
        return Batch(images=images.permute(0, 3, 1, 2), plain_images=plain_images, **maps)

    def _example(self, number: int, position: int) -> tuple[NDArray[np.uint8], Example]:
        """Return the crop at `position` of stream `number`: in changed colours, and its maps."""
        stream = self._streams[number]
        rng = self._generator(_FOR_CROP, number, position)
        if stream.dataset.supervision == 'image':
            example = draw(self._grid(number, position, rng), False)
        else:
            example = self._mixed(number, self._index(number, position), rng)
        colored = random_colors(Image.fromarray(example.image), stream.augmentation, rng)
        colored = random_conditions(colored, stream.augmentation, rng)
        return np.array(colored), example

    def _mixed(self, number: int, index: int, rng: np.random.Generator) -> Example:
        """Return a crop of image `index`, mixed with others by one method or by none."""
        stream = self._streams[number]
        options, complete = stream.augmentation, stream.dataset.complete_boxes
        crop = self._crop(number, index, rng)

        def another() -> Crop:
            return self._crop(number, _another(index, len(stream.dataset), rng), rng)

        if rng.random() < options.ricap:
            return ricap((crop, another(), another(), another()), complete, rng)
        if rng.random() < options.cutmix:
            return cut_mix(crop, another(), complete, rng)
        example = draw(crop, complete)
        # Boxes have no second labels that a blended image would need.
        if options.mixup > 0 and crop.labels is not None:
            return mix_up(example, draw(another(), complete), options.mixup, rng)
        return example

    def _crop(self, number: int, index: int, rng: np.random.Generator) -> Crop:
        """Return a crop of image `index` with all that happens to it alone."""
        stream = self._streams[number]
        dataset, options, paste = stream.dataset, stream.augmentation, stream.paste
        weights = self._box_weights[number]
        index, sample = self._sample(number, index)
        crop = random_crop(
            sample,
            stream.crop,
            options.rotation,
            None if weights is None else weights[index],
            rng,
        )
        if stream.crop.flip:
            crop = random_flip(crop, dataset.mirror_of_id, rng)
        unreadable_signs = self._unreadable_signs[number]
        if stream.signs is not None and unreadable_signs is not None:
            try:
                if paste.replace > 0:
                    crop = replace_signs(crop, stream.signs, paste.replace, stream.sign_places, rng)
                if paste.count > 0 and crop.boxes is not None:
                    crop = paste_signs(crop, stream.signs, paste, rng)
            except UnreadableImageError as error:
                unreadable_signs.leave_out(error)
        if self._rare[number]:
            _, source = self._sample(number, _another(index, len(dataset), rng))
            scale = scale_range(source.image, stream.crop)
            crop = copy_blobs(crop, source, self._rare[number], options.copy_blob, scale, rng)
        return self._erased(crop, options, rng)

    def _grid(self, number: int, position: int, rng: np.random.Generator) -> Crop:
        """Return a crop full of images that have one label each."""
        stream = self._streams[number]
        count = len(cells(stream.crop.size))
        samples = [
            self._sample(number, self._index(number, position * count + place))[1]
            for place in range(count)
        ]
        options = stream.augmentation
        crop = image_grid(samples, stream.crop, options.rotation, stream.dataset.mirror_of_id, rng)
        return self._erased(crop, options, rng)

    @staticmethod
    def _erased(crop: Crop, options: AugmentationOptions, rng: np.random.Generator) -> Crop:
        crop = random_bonnet(crop, options.bonnet, rng)
        crop = cutout(crop, options.cutout, options.cutout_size, rng)
        return random_erasing(crop, options.random_erasing, rng)

    def _sample(self, number: int, index: int) -> tuple[int, StreetSample]:
        """Return an image of stream `number`, or the next one that can be read, and its index."""
        dataset = self._streams[number].dataset
        while True:
            try:
                return index, dataset[index]
            except UnreadableImageError as error:
                # Raises where too many cannot be read, so that this ends.
                self._unreadable[number].leave_out(error)
                index = (index + 1) % len(dataset)

    def _index(self, number: int, position: int) -> int:
        """Return which image stream `number` shows at `position`: each once in every epoch."""
        size = len(self._streams[number].dataset)
        epoch, place = divmod(position, size)
        return int(self._generator(_FOR_ORDER, number, epoch).permutation(size)[place])

    def _generator(self, purpose: int, number: int, position: int) -> np.random.Generator:
        # A spawn key keeps even a 0 at its end apart from its absence; a list as the seed does not.
        return np.random.default_rng(
            np.random.SeedSequence(self._seed, spawn_key=(purpose, number, position))
        )


def _another(index: int, size: int, rng: np.random.Generator) -> int:
    """Return the index of another image; the same one if there is no other."""
    return (index + 1 + int(rng.integers(max(1, size - 1)))) % size


def _rare_nodes(stream: Stream) -> tuple[int, ...]:
    """Return the node ids for CopyBlob; none if it is off or the pixels have no labels."""
    if stream.augmentation.copy_blob == 0 or stream.dataset.supervision != 'pixels':
        return ()
    counts = stream.pixel_counts
    return rare_nodes(count_pixels(stream.dataset) if counts is None else counts)


def _box_weights(dataset: StreetDataset) -> list[NDArray[np.float64]] | None:
    """Return for each image and box the inverse square root of its class's frequency."""
    boxes_of = getattr(dataset, 'boxes', None)
    if boxes_of is None:
        return None
    counts = np.ones(256)
    every = [boxes_of(index) for index in range(len(dataset))]
    for boxes in every:
        for box in boxes:
            counts[box.node_id] += 1
    return [np.array([counts[box.node_id] ** -0.5 for box in boxes]) for boxes in every]

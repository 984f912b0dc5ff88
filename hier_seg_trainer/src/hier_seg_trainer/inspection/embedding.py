# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pixel embeddings: what a network's shared features make of single pixels, for TensorBoard.

The projector shows each pixel as a point with a thumbnail: classes that a model confuses lie in one
another, and a class that two data sets label differently falls apart.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.segmenter.model_folder import read_model_folder
from hier_seg_ros.segmenter.network import HierarchicalNetwork
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer.datasets.samples import StreetDataset, StreetSample
from hier_seg_trainer.datasets.shapes import draw_outline

THUMBNAIL_EDGE = 48  # pixels
CONTEXT = 96  # pixels of the image that a thumbnail shows, in either direction
SPRITE_EDGE = 8192  # pixels; TensorBoard shows no larger sheet of thumbnails
MAX_POINTS = (SPRITE_EDGE // THUMBNAIL_EDGE) ** 2
PROJECTOR_CONFIG = 'projector_config.pbtxt'
COLUMNS = ['class', 'decided', 'right', 'data set', 'image', 'x', 'y']


@dataclass(frozen=True)
class PixelSample:
    """Pixels of image ``index`` of data set ``dataset``: each of (P,), x and y in pixels."""

    dataset: int
    index: int
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    node_ids: NDArray[np.uint8]


@dataclass(frozen=True)
class Embeddings:
    """Points for the projector.

    ``features`` (P, C) float32, ``thumbnails`` (P, 3, E, E) uint8, ``metadata`` one row of texts a
    point, in the order of ``COLUMNS``.
    """

    features: Tensor
    thumbnails: Tensor
    metadata: list[list[str]]


class EmbeddingModel:
    """A model folder whose shared features can be looked at."""

    def __init__(
        self, model_folder: Path, device: str = 'auto', input_long_side: int | None = None
    ) -> None:
        """Load a model; the arguments are those of ``Segmenter.load``, and so are the errors."""
        description, hierarchy, self._network = read_model_folder(model_folder)
        self.segmenter = Segmenter(
            description,
            hierarchy,
            self._network,
            model_folder=model_folder,
            device=device,
            input_long_side=input_long_side,
        )
        self._features: list[Tensor] = []
        self._network.pyramid.register_forward_hook(self._keep)

    def embed(
        self, image: NDArray[np.uint8], x: NDArray[np.int64], y: NDArray[np.int64]
    ) -> tuple[Tensor, NDArray[np.uint8]]:
        """Return the features (P, C) float32 and the decided node ids (P,) of pixels of an image.

        `image` is (H, W, 3) uint8 RGB; `x` and `y` (P,) are columns and rows of its pixels. Both
        results come of one pass of the network.
        """
        self._features.clear()
        (result,) = self.segmenter.segment([image], confidence=False)
        height, width = image.shape[:2]
        scaled = self.segmenter.network_size(height, width)
        places = np.stack(((x + 0.5) * scaled[1] / width, (y + 0.5) * scaled[0] / height), 1)
        features = features_at(self._features[0], places, self._network)
        return features, result.finest[y, x]

    def _keep(self, module: torch.nn.Module, inputs: object, features: Tensor) -> None:
        self._features.append(features)


def features_at(
    features: Tensor, places: NDArray[np.float64], network: HierarchicalNetwork
) -> Tensor:
    """Return the shared features (1, C, h, w) at `places` (P, 2), bilinear: (P, C) float32, CPU.

    `places` are x and y in pixels of the network's input; a pixel's centre lies at a half.
    """
    stride = network.options.fused_strides[0]
    size = np.array([features.shape[3], features.shape[2]])
    grid = torch.from_numpy(2 * places / (stride * size) - 1).to(features)
    sampled = functional.grid_sample(
        features, grid[None, None], padding_mode='border', align_corners=False
    )
    return sampled[0, :, 0].T.float().cpu().contiguous()


def choose_pixels(
    datasets: Sequence[StreetDataset], points: int, seed: int, progress: bool = False
) -> list[PixelSample]:
    """Return about equally many pixels of every class, `points` in all if there are so many.

    A class's pixels are spread over as many images as can be. Inside boxes, the outlines count.
    Raises HierSegError if no pixel has a label.
    """
    images = [(number, i) for number, dataset in enumerate(datasets) for i in range(len(dataset))]
    counts = np.zeros((len(images), 256), np.int64)
    for row, (number, index) in enumerate(_bar(images, 'counting pixels', progress)):
        counts[row] = np.bincount(labelled_pixels(datasets[number][index]).ravel(), minlength=256)
    counts[:, UNLABELLED] = 0
    if not counts.any():
        raise HierSegError('embed: no pixel of the data has a label; choose another split')
    rng = np.random.default_rng(seed)
    wanted = np.zeros_like(counts)
    for node_id, share in enumerate(spread(points, counts.sum(0), rng)):
        wanted[:, node_id] = spread(int(share), counts[:, node_id], rng)
    samples = []
    for row in np.flatnonzero(wanted.any(1)).tolist():
        number, index = images[row]
        labels = labelled_pixels(datasets[number][index])
        chosen = np.concatenate(
            [
                rng.choice(np.flatnonzero(labels == node_id), wanted[row, node_id], replace=False)
                for node_id in np.flatnonzero(wanted[row])
            ]
        )
        y, x = np.divmod(chosen, labels.shape[1])
        samples.append(PixelSample(number, index, x, y, labels[y, x]))
    return samples


def spread(total: int, available: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return how many to take of each so that they add up to `total`, as evenly as possible.

    No more than `available` (N,) are taken of each, and no more than there are in all; what cannot
    be divided evenly goes to random ones.
    """
    total = min(total, int(available.sum()))
    low, high = 0, total
    while low < high:
        level = (low + high + 1) // 2
        if np.minimum(available, level).sum() <= total:
            low = level
        else:
            high = level - 1
    taken = np.minimum(available, low)
    more = rng.permutation(np.flatnonzero(available > low))
    taken[more[: total - int(taken.sum())]] += 1
    return taken


def labelled_pixels(sample: StreetSample) -> NDArray[np.uint8]:
    """Return node ids (H, W) of what is known of an image; of boxes, inside their outlines."""
    if sample.labels is not None:
        return sample.labels
    size = sample.image.size
    if sample.image_label is not None:
        return np.full((size[1], size[0]), sample.image_label, np.uint8)
    mask = Image.new('L', size, UNLABELLED)
    for box in sample.boxes or ():
        draw_outline(mask, box, box.node_id)
    return np.array(mask)


def embed_pixels(
    model: EmbeddingModel,
    datasets: Sequence[StreetDataset],
    samples: Sequence[PixelSample],
    progress: bool = False,
) -> Embeddings:
    """Return features, thumbnails and metadata of the pixels."""
    hierarchy = model.segmenter.hierarchy
    features, thumbnails, metadata = [], [], []
    for sample in _bar(samples, 'embedding', progress):
        dataset = datasets[sample.dataset]
        image = dataset[sample.index].image
        vectors, decided = model.embed(np.asarray(image), sample.x, sample.y)
        features.append(vectors)
        path = ' '.join(str(dataset.image_path(sample.index)).split())
        for x, y, truth, decision in zip(
            sample.x.tolist(),
            sample.y.tolist(),
            sample.node_ids.tolist(),
            decided.tolist(),
            strict=True,
        ):
            thumbnails.append(np.asarray(thumbnail(image, x, y)).transpose(2, 0, 1))
            right = is_right(truth, decision, hierarchy)
            names = [_name(truth, hierarchy), _name(decision, hierarchy)]
            row = [*names, 'yes' if right else 'no', dataset.title, path, str(x), str(y)]
            metadata.append(row)
    return Embeddings(torch.cat(features), torch.from_numpy(np.stack(thumbnails)), metadata)


def is_right(truth: int, decision: int, hierarchy: Hierarchy) -> bool:
    """Whether a decision is the class of the label or a finer one below it."""
    if decision == UNLABELLED:
        return False
    path = hierarchy.path(hierarchy.node_by_id(decision))
    return hierarchy.node_by_id(truth) in path


def thumbnail(image: Image.Image, x: int, y: int) -> Image.Image:
    """Return the surroundings of a pixel, which is marked, as a square RGB image."""
    edge = min(CONTEXT, *image.size)
    left = min(max(0, x - edge // 2), image.width - edge)
    top = min(max(0, y - edge // 2), image.height - edge)
    region = (left, top, left + edge, top + edge)
    small = image.resize((THUMBNAIL_EDGE, THUMBNAIL_EDGE), Image.Resampling.LANCZOS, region)
    scale = THUMBNAIL_EDGE / edge
    column, row = int((x - left + 0.5) * scale), int((y - top + 0.5) * scale)
    mark = (column - 2, row - 2, column + 2, row + 2)
    ImageDraw.Draw(small).rectangle(mark, fill='white', outline='black')
    return small


def write_embeddings(folder: Path, embeddings: Embeddings, name: str) -> None:
    """Write a TensorBoard log with the projector's files, in place of one that may be there.

    The folder appears whole or not at all. Raises HierSegError if it cannot be written, or if
    something else is in its place.
    """
    if folder.exists() and not (folder / PROJECTOR_CONFIG).is_file():
        raise HierSegError(f'{folder}: exists and holds no embeddings; choose another --out')
    partial = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f'.{folder.name}.', dir=folder.parent))
        # mkdtemp makes a private folder; a log is to be read by everyone.
        partial.chmod(0o755)
        with SummaryWriter(str(partial)) as writer:
            writer.add_embedding(
                embeddings.features,
                metadata=embeddings.metadata,
                metadata_header=COLUMNS,
                label_img=embeddings.thumbnails.float() / 255.0,
                tag=name,
            )
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(partial, folder)
    except OSError as error:
        raise HierSegError(
            f'{folder}: cannot be written ({error.strerror or error}); choose another --out'
        ) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def check_points(points: int) -> None:
    """Raise HierSegError unless the thumbnails of so many points fit TensorBoard's sheet."""
    if not 2 <= points <= MAX_POINTS:
        raise HierSegError(
            f'embed: {points} points; choose 2 to {MAX_POINTS}, as many as have room for a '
            f'thumbnail on the {SPRITE_EDGE}x{SPRITE_EDGE} pixels that TensorBoard shows'
        )


def _name(node_id: int, hierarchy: Hierarchy) -> str:
    return 'unlabelled' if node_id == UNLABELLED else hierarchy.node_by_id(node_id).readable_name


def _bar(items: Sequence, text: str, progress: bool) -> tqdm:
    return tqdm(items, text, unit='image', disable=not progress)

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Features, thumbnails and texts of the chosen pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from tqdm import tqdm

from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_trainer.datasets.samples import StreetDataset
from hier_seg_trainer.inspection.embedding.embedding_model import EmbeddingModel
from hier_seg_trainer.inspection.embedding.pixel_choice import PixelSample

THUMBNAIL_EDGE = 48  # pixels
CONTEXT = 96  # pixels of the image that a thumbnail shows, in either direction
COLUMNS = ['class', 'decided', 'right', 'data set', 'image', 'x', 'y']


@dataclass(frozen=True)
class Embeddings:
    """Points for the projector.

    Attributes
    ----------
    features
        (P, C) float32.
    thumbnails
        (P, 3, E, E) uint8 RGB, E being ``THUMBNAIL_EDGE``.
    metadata
        For each point a row of texts, in the order of ``COLUMNS``.

    """

    features: Tensor
    thumbnails: Tensor
    metadata: list[list[str]]


def embed_pixels(
    model: EmbeddingModel,
    datasets: Sequence[StreetDataset],
    samples: Sequence[PixelSample],
    progress: bool = False,
) -> Embeddings:
    """Return features, thumbnails and metadata of the pixels."""
    hierarchy = model.segmenter.hierarchy
    features, thumbnails, metadata = [], [], []
    for sample in tqdm(samples, 'embedding', unit='image', disable=not progress):
        dataset = datasets[sample.dataset]
        image = dataset[sample.index].image
        vectors, decided = model.embed(np.asarray(image), sample.x, sample.y)
        features.append(vectors)
        path = ' '.join(str(dataset.image_path(sample.index)).split())
        columns = (sample.x, sample.y, sample.node_ids, decided)
        for x, y, truth, decision in np.column_stack(columns).tolist():
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


def _name(node_id: int, hierarchy: Hierarchy) -> str:
    return 'unlabelled' if node_id == UNLABELLED else hierarchy.node_by_id(node_id).readable_name

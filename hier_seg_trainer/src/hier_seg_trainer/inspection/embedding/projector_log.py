# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that TensorBoard's projector shows.

It shows each pixel as a point with a thumbnail: classes that a model confuses lie in one another,
and a class that two data sets label differently falls apart.
"""

from __future__ import annotations

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import written_folder
from hier_seg_trainer.inspection.embedding.embeddings import COLUMNS, THUMBNAIL_EDGE, Embeddings

SPRITE_EDGE = 8192  # pixels; TensorBoard shows no larger sheet of thumbnails
MAX_POINTS = (SPRITE_EDGE // THUMBNAIL_EDGE) ** 2
PROJECTOR_CONFIG = 'projector_config.pbtxt'


def write_embeddings(folder: Path, embeddings: Embeddings, name: str) -> None:
    """Write a TensorBoard log with the projector's files, in place of one that may be there.

    Parameters
    ----------
    folder
        Where; it appears whole or not at all.
    embeddings
        The points.
    name
        What the projector calls them.

    Raises
    ------
    HierSegError
        It cannot be written, or something else is in its place.

    """
    if folder.exists() and not (folder / PROJECTOR_CONFIG).is_file():
        raise HierSegError(f'{folder}: exists and holds no embeddings; choose another --out')
    with (
        written_folder(folder, 'choose another --out') as partial,
        SummaryWriter(str(partial)) as writer,
    ):
        writer.add_embedding(
            embeddings.features,
            metadata=embeddings.metadata,
            metadata_header=COLUMNS,
            label_img=embeddings.thumbnails.float() / 255.0,
            tag=name,
        )


def check_points(points: int) -> None:
    """Raise HierSegError unless the thumbnails of so many points fit TensorBoard's sheet."""
    if not 2 <= points <= MAX_POINTS:
        raise HierSegError(
            f'embed: {points} points; choose 2 to {MAX_POINTS}, as many as have room for a '
            f'thumbnail on the {SPRITE_EDGE}x{SPRITE_EDGE} pixels that TensorBoard shows'
        )

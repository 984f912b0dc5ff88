# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``hier-seg embed``: pixel embeddings of a model for TensorBoard's projector."""

from __future__ import annotations

import argparse
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.resources import find_model
from hier_seg_trainer.commands.arguments import (
    add_count,
    add_dataset,
    add_device,
    add_input_long_side,
    add_model,
)
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.inspection.embedding.embedding_model import EmbeddingModel
from hier_seg_trainer.inspection.embedding.embeddings import embed_pixels
from hier_seg_trainer.inspection.embedding.pixel_choice import choose_pixels
from hier_seg_trainer.inspection.embedding.projector_log import check_points, write_embeddings


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of ``hier-seg``."""
    parser = commands.add_parser(
        'embed',
        help="write a model's pixel embeddings for TensorBoard's projector",
        description=(
            'Write the shared features of pixels, about equally many of each class, and thumbnails '
            "for TensorBoard's projector. Several data sets together: repeat --format and --path."
        ),
    )
    add_model(parser)
    add_dataset(parser, required=True, action='append')
    parser.add_argument('--split', default='val', help='the split of each (default val)')
    parser.add_argument('--out', required=True, type=Path, help='the TensorBoard folder to write')
    parser.add_argument(
        '--points', type=int, default=2000, metavar='N', help='pixels (default 2000)'
    )
    add_count(parser, '--seed', 0, 'of their choice (default 0)')
    add_input_long_side(parser)
    add_device(parser)
    parser.set_defaults(run_command=run)


def run(options: argparse.Namespace) -> None:
    """Choose, embed, write.

    Raises
    ------
    HierSegError
        Something cannot be used.

    """
    check_points(options.points)
    if len(options.format) != len(options.path):
        raise HierSegError('give --path as often as --format: one for each data set')
    if options.mapping is not None and len(options.format) > 1:
        raise HierSegError('--mapping goes with a single data set; embed them one at a time')
    model = EmbeddingModel(find_model(options.model), options.device, options.input_long_side)
    hierarchy = model.segmenter.hierarchy
    datasets = [
        open_dataset(name, path, options.split, hierarchy, options.mapping)
        for name, path in zip(options.format, options.path, strict=True)
    ]
    samples = choose_pixels(datasets, options.points, options.seed, progress=True)
    embeddings = embed_pixels(model, datasets, samples, progress=True)
    write_embeddings(options.out, embeddings, model.segmenter.name)
    print(
        f'{len(embeddings.metadata)} points of {len(samples)} images are in {options.out}; '
        f'see them with: tensorboard --logdir {options.out}'
    )

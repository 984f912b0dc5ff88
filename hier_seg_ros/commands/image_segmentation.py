# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `segment_images` does with its inputs; imported once the command runs, since torch is."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hier_seg_ros.commands.input_files import InputFile, find_files
from hier_seg_ros.commands.videos import video_frames
from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import make_folder, write_text
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.images.image_files import read_image, write_png
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter import DecisionOptions, SegmentationResult, Segmenter
from hier_seg_ros.segmenter.engines.engine_options import engine_arguments
from hier_seg_ros.segmenter.engines.unused_gpu import unused_gpu
from hier_seg_ros.segmenter.outputs import ImageOutput, level_name, outputs_by_name

OTHER_FOLDER = 'choose another folder with --out'


def run(options: argparse.Namespace) -> tuple[int, int]:
    """Segment all inputs; return how many images were and how many inputs could not be.

    Raises
    ------
    HierSegError
        What concerns the whole run is not as it must be: model, device, options, output folder.

    """
    if not 0.0 <= options.alpha <= 1.0:
        raise HierSegError(f'--alpha: {options.alpha} is outside 0-1; choose a value between')
    inputs = find_files(options.inputs, options.out)
    done, failures = 0, 0

    def report(error: HierSegError) -> None:
        nonlocal failures
        failures += 1
        _say(error)

    for line in inputs.left_out:
        _say(line)
    for error in inputs.errors:
        report(error)
    if not inputs.files:
        return done, failures
    segmenter = _segmenter(options)
    if fault := unused_gpu(options.device):
        _say(f'device {segmenter.device}: {fault}')
    folder = _OutputFolder(options.out, _outputs(options, segmenter), options.alpha)
    folder.prepare(segmenter.hierarchy)
    for file in tqdm(inputs.files, unit='file', desc='segment_images', disable=None):
        for name, rgb in _frames(file, report):
            (result,) = segmenter.segment([rgb], confidence=options.confidence)
            folder.write(name, rgb, result)
            done += 1
    return done, failures


def _say(text: object) -> None:
    tqdm.write(f'segment_images: {text}', file=sys.stderr)


def _segmenter(options: argparse.Namespace) -> Segmenter:
    decision_options = DecisionOptions(
        options.void_decisions,
        options.min_confidence,
        tuple(options.allowed_classes),
        tuple(options.forbidden_classes),
    )
    return Segmenter.load(
        find_model(options.model), options.device, decision_options, **engine_arguments(options)
    )


def _outputs(options: argparse.Namespace, segmenter: Segmenter) -> list[ImageOutput]:
    depth = segmenter.hierarchy.depth
    levels = options.levels or list(range(1, depth + 1))
    if max(levels) > depth:
        raise HierSegError(
            f'--levels: the tree of {segmenter.name} has {depth} levels, there is no level '
            f'{max(levels)}'
        )
    names = ['overlay', *map(level_name, levels), *(['confidence'] if options.confidence else [])]
    offered = outputs_by_name(segmenter.hierarchy)
    return [offered[name] for name in names]


def _frames(
    file: InputFile, report: Callable[[HierSegError], None]
) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
    """Yield the images of a file, (H, W, 3) uint8 RGB, with the names of their outputs."""
    try:
        if file.is_video:
            for number, rgb in enumerate(video_frames(file.path)):
                yield file.name / f'{number:06}', rgb
        else:
            yield file.name, read_image(file.path)
    except HierSegError as error:
        report(error)


class _OutputFolder:
    """The folder that results go to: classes.json, and a folder for each output, by its name."""

    def __init__(self, folder: Path, outputs: Sequence[ImageOutput], alpha: float) -> None:
        self.folder = folder
        self.outputs = outputs
        self.alpha = alpha

    def prepare(self, hierarchy: Hierarchy) -> None:
        """Make the folder and write what each value of the label images means."""
        classes = {
            node.id: {'name': node.name, 'readable_name': node.readable_name, 'color': node.color}
            for node in sorted(hierarchy.nodes, key=lambda node: node.id)
        }
        content = {'hierarchy': hierarchy.name, 'unlabelled': UNLABELLED, 'classes': classes}
        text = json.dumps(content, indent=1)
        write_text(self.folder / 'classes.json', f'{text}\n', OTHER_FOLDER)

    def write(self, name: Path, rgb: NDArray[np.uint8], result: SegmentationResult) -> None:
        """Write the results for one image."""
        for output in self.outputs:
            path = self.folder / output.name / f'{name}.png'
            make_folder(path.parent, OTHER_FOLDER)
            write_png(path, output.render(rgb, result, self.alpha), OTHER_FOLDER)

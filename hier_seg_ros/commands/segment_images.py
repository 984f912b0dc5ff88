# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command ``segment_images``: images, folders or videos in; overlays and label PNGs out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import make_folder, write_text
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.images.image_files import read_image, write_png
from hier_seg_ros.resources import find_model
from hier_seg_ros.segmenter import DecisionOptions, SegmentationResult, Segmenter
from hier_seg_ros.segmenter.decision_options import VOID_DECISIONS
from hier_seg_ros.segmenter.outputs import ImageOutput, level_name, outputs_by_name

# What is taken from a folder. A file that is named on the command line is tried whatever it is
# called.
IMAGE_SUFFIXES = {'.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp'}
VIDEO_SUFFIXES = {'.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv'}
OTHER_FOLDER = 'choose another folder with --out'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 1 if anything could not be segmented."""
    options = _parser().parse_args(arguments)
    try:
        done, failures = run(options)
    except HierSegError as error:
        print(f'segment_images: {error}', file=sys.stderr)
        return 1
    print(f'{done} images segmented into {options.out}')
    if failures:
        print(f'segment_images: {failures} inputs could not be segmented', file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='segment_images',
        description='Segment images, all images below folders, or videos. Needs no ROS.',
    )
    parser.add_argument('inputs', nargs='+', type=Path, metavar='INPUT')
    parser.add_argument('--out', type=Path, required=True, help='folder to write to')
    parser.add_argument(
        '--model', default='street_lite0', help='name or folder of the model (%(default)s)'
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (%(default)s)')
    parser.add_argument(
        '--alpha',
        type=float,
        default=0.5,
        help="weight of the overlay's colours, 0-1 (%(default)s)",
    )
    parser.add_argument(
        '--levels',
        type=_levels,
        help='label images to write, such as 1,3; default: all levels of the tree',
    )
    parser.add_argument(
        '--confidence', action='store_true', help='write the confidence, too (0-255)'
    )
    parser.add_argument(
        '--void-decisions',
        choices=VOID_DECISIONS,
        default='keep',
        help='where "unlabelled" wins: keep that, or replace it by the runner-up (%(default)s)',
    )
    parser.add_argument(
        '--min-confidence',
        type=float,
        default=0.0,
        help='a decision below it stops at the parent, 0-1 (%(default)s)',
    )
    parser.add_argument(
        '--allowed-classes', nargs='+', default=[], metavar='NAME', help='the only ones reported'
    )
    parser.add_argument(
        '--forbidden-classes', nargs='+', default=[], metavar='NAME', help='never reported'
    )
    return parser


def _levels(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(',')]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f'{text!r} is no list of levels; write, for example, 1,3')
    return sorted({int(part) for part in parts})


def run(options: argparse.Namespace) -> tuple[int, int]:
    """Segment all inputs; return how many images were and how many inputs could not be.

    Raises
    ------
    HierSegError
        What concerns the whole run is not as it must be: model, device, options, output folder.

    """
    if not 0.0 <= options.alpha <= 1.0:
        raise HierSegError(f'--alpha: {options.alpha} is outside 0-1; choose a value between')
    files, missing = find_files(options.inputs, leave_out=options.out)
    if not files and not missing:
        raise HierSegError(
            f'{", ".join(map(str, options.inputs))}: no image or video there; '
            f'looked for {", ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))}'
        )
    segmenter = Segmenter.load(
        find_model(options.model),
        options.device,
        DecisionOptions(
            options.void_decisions,
            options.min_confidence,
            tuple(options.allowed_classes),
            tuple(options.forbidden_classes),
        ),
    )
    depth = segmenter.hierarchy.depth
    levels = options.levels or list(range(1, depth + 1))
    if max(levels) > depth:
        raise HierSegError(
            f'--levels: the tree of {segmenter.name} has {depth} levels, there is no level '
            f'{max(levels)}'
        )
    names = ['overlay', *map(level_name, levels), *(['confidence'] if options.confidence else [])]
    offered = outputs_by_name(segmenter.hierarchy)
    outputs = [offered[name] for name in names]
    folder = _OutputFolder(options.out, outputs, options.alpha)
    folder.prepare(segmenter.hierarchy)
    done, failures = 0, 0

    def report(error: HierSegError) -> None:
        nonlocal failures
        failures += 1
        tqdm.write(f'segment_images: {error}', file=sys.stderr)

    for error in missing:
        report(error)
    for file in tqdm(files, unit='file', desc='segment_images', disable=None):
        for name, rgb in _frames(file, report):
            (result,) = segmenter.segment([rgb], confidence=options.confidence)
            folder.write(name, rgb, result)
            done += 1
    return done, failures


@dataclass(frozen=True)
class InputFile:
    """An image or video to segment, and the name of its outputs: a path without suffix."""

    path: Path
    name: Path

    @property
    def is_video(self) -> bool:
        """Whether its suffix is that of a video."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def find_files(
    inputs: Sequence[Path], *, leave_out: Path | None = None
) -> tuple[list[InputFile], list[HierSegError]]:
    """Return the files to segment, those of a folder sorted, and the inputs that do not exist.

    What a folder holds below `leave_out`, where results of an earlier run lie, is left out.
    An output is called as its input without suffix, below a folder that was given with the path
    within that folder. Where two would be called the same, the suffix stays in the name, as in
    ``a.png`` and ``a.jpg``; if that is not enough, the later ones get a number.
    """
    found: list[tuple[Path, Path]] = []
    missing: list[HierSegError] = []
    for given in inputs:
        if given.is_dir():
            suffixes = IMAGE_SUFFIXES | VIDEO_SUFFIXES
            found += [
                (path, path.relative_to(given))
                for path in sorted(given.rglob('*'))
                if path.is_file()
                and path.suffix.lower() in suffixes
                and not (leave_out is not None and leave_out.resolve() in path.resolve().parents)
            ]
        elif given.exists():
            found.append((given, Path(given.name)))
        else:
            missing.append(HierSegError(f'{given}: does not exist; check the path'))
    stems = [name.with_suffix('') for _, name in found]
    names: list[Path] = []
    taken: set[Path] = set()
    for (_, name), stem in zip(found, stems, strict=True):
        base = stem if stems.count(stem) == 1 else name.with_name(name.name.replace('.', '_'))
        unique, number = base, 2
        while unique in taken:
            unique, number = base.with_name(f'{base.name}_{number}'), number + 1
        taken.add(unique)
        names.append(unique)
    files = [InputFile(path, name) for (path, _), name in zip(found, names, strict=True)]
    return files, missing


def _frames(
    file: InputFile, report: Callable[[HierSegError], None]
) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
    """Yield the images of a file, H×W×3 uint8 rgb, with their names; report what fails."""
    try:
        if file.is_video:
            yield from _video_frames(file)
        else:
            yield file.name, read_image(file.path)
    except HierSegError as error:
        report(error)


def _video_frames(file: InputFile) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
    """Yield the frames of a video; each is named after the video with its number."""
    cv2 = _opencv(file.path)
    capture = cv2.VideoCapture(str(file.path))
    try:
        if not capture.isOpened():
            raise HierSegError(f'{file.path}: is no video that OpenCV can read; convert it to MP4')
        total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        with tqdm(total=max(total, 0) or None, unit='frame', leave=False, disable=None) as progress:
            number = 0
            while True:
                read, frame = capture.read()
                if not read:
                    break
                yield file.name / f'{number:06}', np.ascontiguousarray(frame[..., ::-1])
                number += 1
                progress.update()
        if number == 0:
            raise HierSegError(f'{file.path}: has no frame that OpenCV can read; convert it to MP4')
    finally:
        capture.release()


def _opencv(video: Path) -> ModuleType:
    try:
        import cv2
    except ImportError as error:
        raise HierSegError(
            f'{video}: videos need OpenCV; install it with: pip install opencv-python-headless'
        ) from error
    module: ModuleType = cv2
    return module


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


if __name__ == '__main__':
    sys.exit(main())

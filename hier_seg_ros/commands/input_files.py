# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which files `segment_images` reads, what their outputs are called, and what it leaves out."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.image_files import UNREAD_SUFFIXES

# What is taken from a folder. A file that is named on the command line is tried whatever it is
# called.
IMAGE_SUFFIXES = {
    '.bmp', '.jfif', '.jpe', '.jpeg', '.jpg', '.mpo', '.pbm', '.pgm', '.png', '.pnm', '.ppm',
    '.tif', '.tiff', '.webp',
}  # fmt: skip
VIDEO_SUFFIXES = {'.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv'}
# Videos that a user would miss, in formats that are not read.
_UNREAD_VIDEO_SUFFIXES = {
    '.3g2', '.3gp', '.flv', '.hevc', '.insv', '.m2ts', '.mjpeg', '.mjpg', '.mts', '.mxf', '.ogv',
    '.ts', '.vob',
}  # fmt: skip

_LINKS = 'linked folder'


@dataclass(frozen=True)
class InputFile:
    """An image or video to segment, and the name of its outputs: a path without suffix."""

    path: Path
    name: Path

    @property
    def is_video(self) -> bool:
        """Whether its suffix is that of a video."""
        return _suffix(self.path) in VIDEO_SUFFIXES


@dataclass(frozen=True)
class Inputs:
    """What the inputs of a command are.

    Attributes
    ----------
    files
        What is to be segmented, those of a folder sorted.
    errors
        For each input that is not there, cannot be looked into or holds nothing to segment: why.
    left_out
        A line for each kind of files that lie in the folders and are not read.

    """

    files: list[InputFile]
    errors: list[HierSegError]
    left_out: list[str]


def find_files(inputs: Sequence[Path], out: Path | None = None) -> Inputs:
    """Look for the files to segment.

    An output is called as its input without suffix, below a folder that was given with the path
    within that folder. Where two would be called the same, the suffix stays in the name, as in
    ``a.png`` and ``a.jpg``; if that is not enough, the later ones get a number. Names that differ
    in case only are the same, as on the disks of macOS and Windows. Hidden files and folders are
    left out.

    Parameters
    ----------
    inputs
        Files and folders.
    out
        The folder for the results; where it lies within a folder of `inputs`, the results of an
        earlier run are left out.

    Raises
    ------
    HierSegError
        `out` is one of `inputs`.

    """
    found: list[tuple[Path, Path]] = []
    errors: list[HierSegError] = []
    left_out: dict[str, list[Path]] = {}
    results = None if out is None else os.path.realpath(out)
    for given in inputs:
        if results == os.path.realpath(given):
            raise HierSegError(
                f'--out: {out} is an input, too; choose another folder, such as {out}/segmented'
            )
        # Path.is_dir raises an error for a name that is too long.
        if not os.path.isdir(given):  # noqa: PTH112
            if os.path.lexists(given):
                found.append((given, Path(given.name)))
            else:
                errors.append(HierSegError(f'{given}: does not exist; check the path'))
            continue
        known = len(found) + len(errors)
        for path in _files_below(given, results, errors):
            suffix = _suffix(path)
            if suffix in IMAGE_SUFFIXES | VIDEO_SUFFIXES and not path.is_dir():
                found.append((path, path.relative_to(given)))
            elif path.is_dir():
                left_out.setdefault(_LINKS, []).append(path)
            elif suffix in UNREAD_SUFFIXES | _UNREAD_VIDEO_SUFFIXES:
                left_out.setdefault(f'{suffix} file', []).append(path)
        if known == len(found) + len(errors):
            errors.append(
                HierSegError(
                    f'{given}: no image or video there; looked for '
                    f'{", ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))}'
                )
            )
    names = _output_names([name for _, name in found])
    files = [InputFile(path, name) for (path, _), name in zip(found, names, strict=True)]
    return Inputs(files, errors, [_left_out(*item) for item in sorted(left_out.items())])


def _suffix(path: Path) -> str:
    return path.suffix.lower()


def _files_below(folder: Path, results: str | None, errors: list[HierSegError]) -> Iterator[Path]:
    """Yield what is no folder below a folder, in order, and links to folders, unfollowed."""

    def report(error: OSError) -> None:
        errors.append(
            HierSegError(f'{error.filename}: cannot be read ({error.strerror}); check the rights')
        )

    paths = []
    for parent, folders, names in os.walk(folder, onerror=report):
        folders[:] = [
            name
            for name in folders
            if not name.startswith('.') and os.path.realpath(Path(parent, name)) != results
        ]
        links = [name for name in folders if Path(parent, name).is_symlink()]
        paths += [Path(parent, name) for name in (*links, *names) if not name.startswith('.')]
    yield from sorted(paths)


def _left_out(kind: str, paths: list[Path]) -> str:
    why = 'links are not followed, which may lead in circles; name it as an input'
    if kind != _LINKS:
        why = 'this format is not read; convert it to JPEG or PNG, or a video to MP4'
    count = f'{len(paths)} {kind}{"s" if len(paths) > 1 else ""}'
    return f'{count} left out, the first: {paths[0]}: {why}'


def _output_names(names: Sequence[Path]) -> list[Path]:
    """Return a name without suffix for each file; no two outputs have the same path.

    An image's output is a file of that name with ``.png``, a video's a folder of that name.
    """
    stems = [name.with_suffix('') for name in names]
    counts = Counter(map(_key, stems))
    # Other files' outputs lie in these folders.
    taken = {_key(folder) for name in names for folder in name.parents}
    chosen = []
    for name, stem in zip(names, stems, strict=True):
        for candidate in _candidates(name, stem if counts[_key(stem)] == 1 else None):
            is_video = _suffix(name) in VIDEO_SUFFIXES
            place = _key(candidate if is_video else candidate.with_name(f'{candidate.name}.png'))
            if place not in taken:
                break
        taken.add(place)
        chosen.append(candidate)
    return chosen


def _candidates(name: Path, stem: Path | None) -> Iterator[Path]:
    if stem is not None:
        yield stem
    base = name.name.replace('.', '_')
    yield name.with_name(base)
    number = 2
    while True:
        yield name.with_name(f'{base}_{number}')
        number += 1


def _key(path: Path) -> str:
    """Return what is equal for paths that some file system takes for the same one."""
    return unicodedata.normalize('NFC', path.as_posix()).casefold()

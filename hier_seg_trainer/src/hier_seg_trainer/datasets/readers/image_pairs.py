# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images, and the labels that belong to them, by the names of their files.

Data of one's own lies in one of three layouts; ``labels`` may be ``polygons``::

    images/<split>/    or   <split>/images/    or   images/
    labels/<split>/         <split>/labels/         labels/
                                                    <split>.txt

``<split>.txt`` lists the images of the split: a path below ``images/`` on each line, with or
without suffix; empty lines and those that begin with # do not count. Sub-folders are allowed and
must be the same for labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.images.image_files import UNREAD_SUFFIXES
from hier_seg_trainer.datasets.faults import EntryError, Fault, noted
from hier_seg_trainer.datasets.readers.tables import read_text

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.ppm', '.bmp', '.tif', '.tiff', '.webp')


def require_folders(folders: Iterable[Path], advice: str) -> None:
    """Check that folders are there.

    Raises
    ------
    HierSegError
        One is not; the line ends with `advice`.

    """
    for folder in folders:
        if not folder.is_dir():
            raise HierSegError(f'{folder}: does not exist; {advice}')


def is_file(path: Path) -> bool:
    """Return whether there is a file; there is none of a name that no file can have."""
    try:
        return path.is_file()
    except OSError:
        return False


def find_images(folder: Path, faults: list[Fault]) -> dict[str, Path]:
    """Return the images of a folder and its sub-folders, sorted.

    Parameters
    ----------
    folder
        The folder.
    faults
        An image that differs from another only in its suffix is added here, and a picture in a
        format that is not read.

    Returns
    -------
    dict[str, Path]
        The images by their path below `folder` without suffix, with ``/`` between its parts.

    Raises
    ------
    HierSegError
        There is no image.

    """
    images: dict[str, Path] = {}
    unread: list[Path] = []
    for path in sorted(folder.rglob('*')):
        suffix = path.suffix.lower()
        if path.name.startswith('.'):
            continue
        if suffix in IMAGE_SUFFIXES:
            key = path.relative_to(folder).with_suffix('').as_posix()
            add_once(images, key, path, faults)
        elif suffix in UNREAD_SUFFIXES:
            unread.append(path)
    if not images:
        advice = 'check it'
        if unread:
            advice = (
                f'what it has, such as {unread[0].name}, is not read: convert it to JPEG or PNG'
            )
        raise HierSegError(f'{folder}: holds no image ({", ".join(IMAGE_SUFFIXES)}); {advice}')
    reason = 'this format is not read; convert it to JPEG or PNG'
    faults += [Fault('unread_format', path, reason) for path in unread]
    return images


def add_once(images: dict[str, Path], key: str, path: Path, faults: list[Fault]) -> None:
    """Add an image to others; if its key is there already, to `faults`."""
    first = images.setdefault(key, path)
    if first != path:
        there = first.name if first.parent == path.parent else first
        reason = f'is there as {there} too; each image must be there once'
        faults.append(Fault('repeated', path, reason))


def images_of_split(root: Path, split: str, faults: list[Fault]) -> dict[str, Path]:
    """Return the images of a split of one's own data.

    Parameters
    ----------
    root
        The folder of the data set, in one of the layouts above.
    split
        The name of the split.
    faults
        Images that are listed and missing, or there twice, are added here.

    Returns
    -------
    dict[str, Path]
        As `find_images` does.

    Raises
    ------
    HierSegError
        The root or the split is not there, or has no image.

    """
    require_folders([root], 'give the folder of the data set')
    folder = folder_of_split(root, 'images', split)
    if folder not in (None, root / 'images'):
        return find_images(folder, faults)
    split_list = root / f'{split}.txt'
    if not split_list.is_file():
        raise HierSegError(
            f'{root}: has no split {split!r}: neither images/{split}/ nor {split}/images/ nor a '
            f'list {split}.txt of images in images/; make one of them'
        )
    lines = read_text(split_list, 'write it again').splitlines()
    images = find_images(root / 'images', faults)
    chosen: dict[str, Path] = {}
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if not name or name.startswith('#'):
            continue
        with noted(faults, split_list, f'line {number}'):
            key = image_key(name)
            if key not in images:
                reason = f'{name!r} is not in {root / "images"}; restore it'
                raise EntryError('missing_image', reason)
            if key in chosen:
                raise EntryError('repeated', f'{name!r} is listed twice; remove it')
            chosen[key] = images[key]
    if not chosen and not faults:
        raise HierSegError(f'{split_list}: lists no image; name one on each line')
    return chosen


def folder_of_split(root: Path, kind: str, split: str) -> Path | None:
    """Return the folder of a split's images or labels in the layouts above; None if it has none.

    Parameters
    ----------
    root, split
        As for `images_of_split`.
    kind
        ``images``, ``labels`` or ``polygons``.

    """
    folders = (root / kind / split, root / split / kind, root / kind)
    return next((folder for folder in folders if folder.is_dir()), None)


def image_key(name: str) -> str:
    """Return the key of `find_images` for a relative path with or without an image's suffix."""
    path = Path(name.replace('\\', '/'))
    return (path.with_suffix('') if path.suffix.lower() in IMAGE_SUFFIXES else path).as_posix()

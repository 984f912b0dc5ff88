# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finding images by the names of their files."""

from __future__ import annotations

from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.datasets.faults import Fault

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.ppm', '.bmp', '.tif', '.tiff', '.webp')


def find_images(folder: Path, faults: list[Fault]) -> dict[str, Path]:
    """Return the images of a folder and its sub-folders, sorted, by path without suffix.

    Keys are relative to `folder`, with ``/`` between the parts. An image that differs from another
    only in its suffix goes to `faults`. HierSegError if there is no image.
    """
    images: dict[str, Path] = {}
    for path in sorted(folder.rglob('*')):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith('.'):
            continue
        key = path.relative_to(folder).with_suffix('').as_posix()
        if key in images:
            reason = f'is there as {images[key].name} too; each image must be there once'
            faults.append(Fault('repeated', path, reason))
        else:
            images[key] = path
    if not images:
        raise HierSegError(f'{folder}: holds no image ({", ".join(IMAGE_SUFFIXES)}); check it')
    return images


def images_of_split(root: Path, split: str, faults: list[Fault]) -> dict[str, Path]:
    """Return the images of a split of one's own data, by path without suffix, as ``LabelFolder``.

    They are those in ``<root>/images/<split>`` or ``<root>/<split>/images``, or those of
    ``<root>/images`` that ``<root>/<split>.txt`` lists. Images that are missing or there twice go
    to `faults`. HierSegError if there is none of these places, or no image in it.
    """
    if not root.is_dir():
        raise HierSegError(f'{root}: does not exist; give the folder of the data set')
    for folder in (root / 'images' / split, root / split / 'images'):
        if folder.is_dir():
            return find_images(folder, faults)
    split_list = root / f'{split}.txt'
    if not split_list.is_file():
        raise HierSegError(
            f'{root}: has no split {split!r}: neither images/{split}/ nor {split}/images/ nor a '
            f'list {split}.txt of images in images/; make one of them'
        )
    try:
        lines = split_list.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HierSegError(f'{split_list}: cannot be read ({error}); write it again') from error
    images = find_images(root / 'images', faults)
    chosen: dict[str, Path] = {}
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if not name or name.startswith('#'):
            continue
        key = image_key(name)
        if key not in images:
            reason = f'line {number}: {name!r} is not in {root / "images"}; restore it'
            faults.append(Fault('missing_image', split_list, reason))
        elif key in chosen:
            reason = f'line {number}: {name!r} is listed twice; remove it'
            faults.append(Fault('repeated', split_list, reason))
        else:
            chosen[key] = images[key]
    if not chosen and not faults:
        raise HierSegError(f'{split_list}: lists no image; name one a line')
    return chosen


def image_key(name: str) -> str:
    """Return the key of ``find_images`` for a relative path with or without an image's suffix."""
    path = Path(name.replace('\\', '/'))
    return (path.with_suffix('') if path.suffix.lower() in IMAGE_SUFFIXES else path).as_posix()


def require_mapping(format_name: str, mapping: Path | None) -> Path:
    """Return the mapping file; HierSegError if a format that needs one was given none."""
    if mapping is None:
        raise HierSegError(
            f'{format_name}: needs a mapping file, which says on which node of the tree each class '
            f'falls; give one as mapping (--mapping on a command line)'
        )
    return mapping

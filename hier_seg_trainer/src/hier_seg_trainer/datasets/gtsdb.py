# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""German Traffic Sign Detection Benchmark: street images with a box around each sign."""

from __future__ import annotations

from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.datasets.boxed_images import BoxedFile, BoxedImages
from hier_seg_trainer.datasets.faults import Fault
from hier_seg_trainer.datasets.labelled_images import require_split
from hier_seg_trainer.datasets.mapping import LabelMapping, bundled_mapping
from hier_seg_trainer.datasets.samples import Box

# The benchmark keeps 600-899 for its evaluation; what it gives for training (trainval, on which
# the paper trains) is split here.
SPLITS = {
    'train': range(0, 500),
    'val': range(500, 600),
    'test': range(600, 900),
    'trainval': range(0, 600),
}


class Gtsdb(BoxedImages):
    """``<root>/00000.{ppm,jpg} ...`` and ``<root>/gt.txt``, or those in ``<root>/FullIJCNN2013``.

    A line of gt.txt is ``image;left;top;right;bottom;class``, corners inclusive. An image without
    a line has no sign of the 43 classes. Houben et al., "Detection of Traffic Signs in Real-World
    Images", IJCNN 2013.
    """

    name = 'gtsdb'
    title = 'GTSDB'
    licence = 'free for any purpose; cite Houben et al., IJCNN 2013'

    def __init__(
        self,
        root: Path,
        split: str,
        hierarchy: Hierarchy,
        mapping: Path | None = None,
        strict: bool = True,
    ) -> None:
        """List the images and read the boxes; HierSegError if something is missing or wrong."""
        require_split(self.name, split, tuple(SPLITS))
        if not root.is_dir():
            raise HierSegError(f'{root}: does not exist; give the folder of the GTSDB images')
        if (root / 'FullIJCNN2013' / 'gt.txt').is_file():
            root = root / 'FullIJCNN2013'
        numbers = SPLITS[split]
        images: dict[str, Path] = {}
        for number in numbers:
            found = [root / f'{number:05d}{suffix}' for suffix in ('.ppm', '.jpg')]
            images |= {path.stem: path for path in found if path.is_file()}
        if not images:
            raise HierSegError(
                f'{root}: holds no image of the {split} split '
                f'({numbers[0]:05d}-{numbers[-1]:05d}, .ppm or .jpg)'
            )
        label_mapping = LabelMapping.load(mapping or bundled_mapping(self.name), hierarchy)
        boxes, faults = _read_boxes(root / 'gt.txt', label_mapping.require_values())
        for stem in (f'{number:05d}' for number in numbers):
            if stem in boxes and stem not in images:
                reason = 'is missing (nor is there a .jpg), and gt.txt lists it; restore it'
                faults.append(Fault('missing_image', root / f'{stem}.ppm', reason))
        files = [BoxedFile(path, tuple(boxes.get(stem, ()))) for stem, path in images.items()]
        super().__init__(label_mapping, files, faults, strict)


def _read_boxes(path: Path, mapping: LabelMapping) -> tuple[dict[str, list[Box]], list[Fault]]:
    """Return the boxes by the stem of their image, and the lines that cannot be used."""
    classes = mapping.by_value()
    boxes: dict[str, list[Box]] = {}
    faults: list[Fault] = []
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HierSegError(f'{path}: cannot be read ({error}); GTSDB has it') from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            name, *fields = line.split(';')
            left, top, right, bottom, value = (int(field) for field in fields)
        except ValueError:
            reason = f'line {number} is {line!r}; it must be image;left;top;right;bottom;class'
            faults.append(Fault('bad_row', path, reason))
            continue
        if value not in classes:
            reason = f'line {number} is {line!r}; {mapping.path.name} has no class {value}'
            faults.append(Fault('unknown_class', path, reason))
        elif right < left or bottom < top:
            reason = f'line {number}: the box {line!r} is empty; correct it'
            faults.append(Fault('empty_box', path, reason))
        else:
            entry = classes[value]
            box = Box(left, top, right + 1, bottom + 1, entry.node.id, entry.outline)
            boxes.setdefault(Path(name).stem, []).append(box)
    return boxes, faults

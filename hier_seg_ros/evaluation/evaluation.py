# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gathers the scores of an evaluation and writes its pictures and files."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.bags.bags import StampedImage
from hier_seg_ros.evaluation.predictions import (
    Outputs,
    label_colors,
    label_names,
    label_texts,
    level_names,
    output_names,
    sign_names,
)
from hier_seg_ros.evaluation.report import (
    FrameRow,
    Picture,
    SignRow,
    legend,
    mark_boxes,
    write_cutout,
    write_picture,
    write_report,
)
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.images.image_files import write_png
from hier_seg_ros.scoring.label_scores import RULES, class_scores, confusion_matrix
from hier_seg_ros.scoring.signs import (
    Box,
    SignLine,
    SignResult,
    SignScores,
    check_signs,
    far_pixels,
    list_areas,
    list_results,
    overlap,
    predicted_signs,
    sign_mask,
    sign_scores,
    true_signs,
)

SIGNS_ON_PAGE = 12  # cut-outs for one image; all signs are in signs.csv
SIGN_COLUMNS = (
    'frame',
    'stamp',
    'verdict',
    'predicted',
    'ground_truth',
    'pixels',
    'mean_confidence',
    'left',
    'top',
    'right',
    'bottom',
)


@dataclass
class Evaluation:
    """Gathers scores and writes pictures, image by image.

    ``matrices`` holds the confusion matrix by output that has ground truth, ``pixels`` how often
    each id occurs by level, ``sign_rows`` the rows of signs.csv.
    """

    folder: Path
    hierarchy: Hierarchy
    min_sign_pixels: int
    frames: list[FrameRow] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    without_prediction: int = 0
    received: dict[str, int] = field(default_factory=dict)
    matrices: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    pixels: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    sign_results: list[SignResult] = field(default_factory=list)
    far_pixels: int = 0
    sign_pixels: int = 0
    signs_scored: bool = False
    small_areas: int = 0
    sign_rows: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        name: str,
        image: StampedImage,
        rgb: NDArray[np.uint8],
        outputs: Outputs,
        truth: Outputs,
    ) -> None:
        """Score the outputs for one image and write its pictures, which are called `name`."""
        first = self.frames[0].stamp if self.frames else image.stamp
        frame = FrameRow(name, image.stamp, (image.stamp - first) / 1e9)
        for output, pixels in outputs.items():
            self.received[output] = self.received.get(output, 0) + 1
            if output in truth:
                matrix = confusion_matrix(truth[output], pixels)
                self.matrices[output] = self.matrices.get(output, 0) + matrix
            if output in level_names(self.hierarchy):
                counts = np.bincount(pixels.ravel(), minlength=256)
                self.pixels[output] = self.pixels.get(output, 0) + counts
        lines = self._add_signs(frame, rgb, outputs, truth)
        boxes = [(line.box, line.verdict) for line in lines]
        self._write_pictures(frame, rgb, outputs, boxes)
        self.frames.append(frame)

    def _add_signs(
        self, frame: FrameRow, rgb: NDArray[np.uint8], outputs: Outputs, truth: Outputs
    ) -> list[SignLine]:
        """Score and list the signs of one image."""
        prediction = outputs.get('traffic_signs')
        if prediction is None:
            return []
        confidence = outputs.get('confidence')
        finest = outputs.get(level_names(self.hierarchy)[-1])
        mask = prediction != UNLABELLED
        if finest is not None:
            mask |= sign_mask(finest, self.hierarchy)
        areas = predicted_signs(prediction, confidence)
        lines = []
        if 'traffic_signs' in truth:
            truths = true_signs(truth['traffic_signs'])
            results = check_signs(truths, prediction, mask)
            far, total = far_pixels(mask, truths)
            self.sign_results += results
            self.far_pixels += far
            self.sign_pixels += total
            self.signs_scored = True
            areas = [area for area in areas if not any(overlap(area, sign) for sign in truths)]
            lines += list_results(results, mask, confidence)
        large = [area for area in areas if area.pixels >= self.min_sign_pixels]
        self.small_areas += len(areas) - len(large)
        lines += list_areas(large, 'extra' if 'traffic_signs' in truth else 'unrated')
        for line in lines:
            row = _sign_row(line, self.hierarchy)
            self.sign_rows.append(_csv_row(frame, line, row))
            if len(frame.signs) < SIGNS_ON_PAGE:
                path = self._path('small', f'{frame.name}_sign_{len(frame.signs):02}.jpg')
                write_cutout(path, rgb, line.box)
                frame.signs.append(replace(row, cutout=self._link(path)))
            else:
                frame.more_signs += 1
        return lines

    def _write_pictures(
        self,
        frame: FrameRow,
        rgb: NDArray[np.uint8],
        outputs: Outputs,
        boxes: list[tuple[Box, str]],
    ) -> None:
        photograph = self._path('photographs', f'{frame.name}.jpg')
        Image.fromarray(np.ascontiguousarray(rgb)).save(photograph, 'JPEG', quality=90)
        small = self._path('small', f'{frame.name}_photograph.jpg')
        write_picture(small, mark_boxes(rgb, boxes), smooth=True)
        frame.pictures.append(Picture('Photograph', self._link(small), self._link(photograph)))
        shown = [*level_names(self.hierarchy), 'traffic_signs']
        for output in output_names(self.hierarchy):
            if output not in outputs:
                continue
            pixels = outputs[output]
            full = self._path(_folder_of(output), f'{frame.name}.png')
            write_png(full, pixels)
            if output == 'overlay':
                small = self._path('small', f'{frame.name}_overlay.jpg')
                write_picture(small, pixels, smooth=True)
                frame.pictures.append(Picture('Overlay', self._link(small), self._link(full)))
            if output in label_names(self.hierarchy):
                colored = label_colors(output, self.hierarchy).take(pixels, axis=0)
                full = self._path(f'{output}_color', f'{frame.name}.png')
                write_png(full, colored)
                if output in shown:
                    small = self._path('small', f'{frame.name}_{output}.png')
                    write_picture(small, colored, smooth=False)
                    title = output.replace('_', ' ').capitalize()
                    frame.pictures.append(Picture(title, self._link(small), self._link(full)))

    def _path(self, folder: str, name: str) -> Path:
        path = self.folder / folder / name
        path.parent.mkdir(exist_ok=True)
        return path

    def _link(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def summary(self) -> dict[str, Any]:
        """Return what was counted and scored, as it goes into scores.json."""
        return {
            'images': {
                'evaluated': len(self.frames),
                'without_prediction': self.without_prediction,
                'rejected': len(self.rejected),
                'by_output': self.received,
            },
            'scores': {
                output: self._output_scores(output, matrix)
                for output, matrix in self.matrices.items()
            },
            'signs': _signs_summary(
                sign_scores(self.sign_results, self.far_pixels, self.sign_pixels)
            )
            if self.signs_scored
            else None,
            'areas_too_small_to_list': self.small_areas,
            'rejected': self.rejected,
        }

    def _output_scores(self, output: str, matrix: NDArray[np.int64]) -> dict[str, Any]:
        texts = label_texts(output, self.hierarchy)
        by_rule = {rule: class_scores(matrix, rule) for rule in RULES}
        classes = by_rule['paper'].classes
        return {
            'mPA': {rule: _number(scores.mean_accuracy) for rule, scores in by_rule.items()},
            'mIoU': {rule: _number(scores.mean_iou) for rule, scores in by_rule.items()},
            'classes': [
                {
                    'id': int(class_id),
                    'name': texts.get(int(class_id), f'id {class_id}'),
                    'pixels': int(matrix[class_id].sum()),
                    'accuracy': {rule: float(s.accuracy[index]) for rule, s in by_rule.items()},
                    'iou': {rule: float(s.iou[index]) for rule, s in by_rule.items()},
                }
                for index, class_id in enumerate(classes)
            ],
        }

    def write(self, summary: dict[str, Any], truth_topics: dict[str, str]) -> None:
        """Write scores.json, signs.csv and report.html."""
        text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
        (self.folder / 'scores.json').write_text(f'{text}\n', encoding='utf-8')
        with (self.folder / 'signs.csv').open('w', encoding='utf-8', newline='') as file:
            writer = csv.DictWriter(file, SIGN_COLUMNS)
            writer.writeheader()
            writer.writerows(self.sign_rows)
        write_report(
            self.folder / 'report.html',
            self.frames,
            summary=summary,
            truth_topics=truth_topics,
            legends={
                name.replace('_', ' ').capitalize(): legend(pixels, self.hierarchy)
                for name, pixels in self.pixels.items()
            },
        )


def _sign_row(line: SignLine, hierarchy: Hierarchy) -> SignRow:
    names = sign_names(hierarchy)
    if line.predicted is not None:
        predicted = names.get(line.predicted, f'sign {line.predicted}')
    else:
        predicted = '' if line.verdict == 'missed' else 'a sign of undecided class'
    return SignRow(
        verdict=line.verdict,
        predicted=predicted,
        truth='' if line.truth is None else names.get(line.truth, f'sign {line.truth}'),
        pixels=line.pixels,
        confidence=line.confidence,
        cutout='',
    )


def _csv_row(frame: FrameRow, line: SignLine, row: SignRow) -> dict[str, Any]:
    left, top, right, bottom = line.box
    return {
        'frame': frame.name,
        'stamp': f'{frame.stamp // 10**9}.{frame.stamp % 10**9:09}',
        'verdict': row.verdict,
        'predicted': row.predicted,
        'ground_truth': row.truth,
        'pixels': row.pixels,
        'mean_confidence': '' if row.confidence is None else f'{row.confidence:.3f}',
        'left': left,
        'top': top,
        'right': right,
        'bottom': bottom,
    }


def _signs_summary(scores: SignScores) -> dict[str, Any]:
    return {
        'signs': scores.signs,
        'found': scores.found,
        'right_class': scores.right,
        'found_share': scores.found_share,
        'right_class_share': scores.right_share,
        'predicted_pixels': scores.predicted_pixels,
        'far_pixels': scores.far_pixels,
        'far_share': scores.far_share,
    }


def _folder_of(output: str) -> str:
    return 'overlays' if output == 'overlay' else output


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else value

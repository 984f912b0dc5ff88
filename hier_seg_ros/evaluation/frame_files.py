# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files that an evaluation leaves for each image, and what the report shows of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hier_seg_ros.evaluation.pictures import mark_boxes, write_cutout, write_picture
from hier_seg_ros.evaluation.recorded_outputs import Outputs
from hier_seg_ros.evaluation.report import FrameRow, Picture, SignCard, title
from hier_seg_ros.evaluation.scores.sign_list import CsvRow, SignLine, csv_row
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.images.image_files import write_png
from hier_seg_ros.segmenter.outputs import ImageOutput, evaluated_outputs, label_values, level_name

SIGNS_ON_PAGE = 12  # cut-outs for one image; all signs are in signs.csv


class FrameFiles:
    """Writes the pictures and labels of one image after the other.

    Attributes
    ----------
    frames
        What the report shows of each image.
    sign_rows
        The rows of signs.csv, as `csv_row` returns them.

    """

    def __init__(self, folder: Path, hierarchy: Hierarchy) -> None:
        """Take the folder that the files go to; there may be other files in it."""
        self.frames: list[FrameRow] = []
        self.sign_rows: list[CsvRow] = []
        self._folder = folder
        self._outputs = evaluated_outputs(hierarchy)
        levels = [level_name(level) for level in range(1, hierarchy.depth + 1)]
        self._on_page = {'overlay', *levels, 'traffic_signs'}
        self._sign_names = label_values(hierarchy)['traffic_signs'].texts

    def write(
        self,
        name: str,
        stamp: int,
        rgb: NDArray[np.uint8],
        outputs: Outputs,
        signs: Sequence[SignLine],
    ) -> None:
        """Write the files of one image.

        Parameters
        ----------
        name
            What they are called, without their suffix.
        stamp
            The image's, in nanoseconds.
        rgb
            The image, H×W×3 uint8.
        outputs
            What was predicted for it.
        signs
            Its signs, as they are listed.

        """
        first = self.frames[0].stamp if self.frames else stamp
        frame = FrameRow(name, stamp, (stamp - first) / 1e9)
        self.frames.append(frame)
        self._write_photograph(frame, rgb, signs)
        for output_name, output in self._outputs.items():
            if output_name in outputs:
                self._write_output(frame, output, outputs[output_name])
        for line in signs:
            self._write_sign(frame, rgb, line)

    def _write_photograph(
        self, frame: FrameRow, rgb: NDArray[np.uint8], signs: Sequence[SignLine]
    ) -> None:
        full = self._path('photographs', f'{frame.name}.jpg')
        Image.fromarray(np.ascontiguousarray(rgb)).save(full, 'JPEG', quality=90)
        small = self._path('small', f'{frame.name}_photograph.jpg')
        write_picture(small, mark_boxes(rgb, [(s.box, s.verdict) for s in signs]), smooth=True)
        frame.pictures.append(Picture('Photograph', self._link(small), self._link(full)))

    def _write_output(
        self, frame: FrameRow, output: ImageOutput, pixels: NDArray[np.uint8]
    ) -> None:
        folder = 'overlays' if output.name == 'overlay' else output.name
        full = self._path(folder, f'{frame.name}.png')
        write_png(full, pixels)
        if output.values is not None:
            pixels = output.values.colors.take(pixels, axis=0)
            full = self._path(f'{output.name}_color', f'{frame.name}.png')
            write_png(full, pixels)
        if output.name in self._on_page:
            suffix = 'jpg' if output.may_be_jpeg else 'png'
            small = self._path('small', f'{frame.name}_{output.name}.{suffix}')
            write_picture(small, pixels, smooth=output.may_be_jpeg)
            frame.pictures.append(Picture(title(output.name), self._link(small), self._link(full)))

    def _write_sign(self, frame: FrameRow, rgb: NDArray[np.uint8], line: SignLine) -> None:
        self.sign_rows.append(csv_row(frame.name, frame.stamp, line, self._sign_names))
        if len(frame.signs) == SIGNS_ON_PAGE:
            frame.more_signs += 1
            return
        cutout = self._path('small', f'{frame.name}_sign_{len(frame.signs):02}.jpg')
        write_cutout(cutout, rgb, line.box)
        frame.signs.append(
            SignCard(
                line=line,
                predicted=line.predicted_text(self._sign_names),
                truth=line.true_text(self._sign_names),
                cutout=self._link(cutout),
            )
        )

    def _path(self, folder: str, name: str) -> Path:
        path = self._folder / folder / name
        path.parent.mkdir(exist_ok=True)
        return path

    def _link(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

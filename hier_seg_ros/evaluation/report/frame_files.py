# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files that an evaluation leaves for each frame, and what the report shows of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.evaluation.recorded_outputs import Outputs
from hier_seg_ros.evaluation.report.frame_pictures import (
    FramePictures,
    PictureSelection,
    SignCard,
    badness_rank,
)
from hier_seg_ros.evaluation.report.pictures import (
    cutout_uri,
    labels_uri,
    mark_boxes,
    photograph_uri,
)
from hier_seg_ros.evaluation.report.titles import title
from hier_seg_ros.evaluation.scores.sign_list import CsvRow, SignLine, csv_row
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.images.compression import (
    encode_both_pngs,
    encode_jpeg,
    encode_png,
    encode_rgb_png,
)
from hier_seg_ros.segmenter.outputs import ImageOutput, evaluated_outputs, label_values, level_name

SIGNS_ON_PAGE = 12  # cut-outs for one frame; all signs are in signs.csv


class FrameFiles:
    """Writes the pictures and labels of one frame after the other.

    With the pictures of the frames that the report shows alone, those of a frame are written while
    it may be among them, and removed by `remove_dropped` once it is not.

    Attributes
    ----------
    count
        How many frames were written.
    pictures
        The frames that the report shows.
    sign_rows
        The rows of signs.csv, as `csv_row` returns them.

    """

    def __init__(
        self,
        folder: Path,
        hierarchy: Hierarchy,
        named: Collection[str] = (),
        *,
        kinds: str = 'shown',
    ) -> None:
        """Take what to write.

        Parameters
        ----------
        folder
            Where the files go.
        hierarchy
            The tree of the labels.
        named
            Names of frames that the report shows in any case.
        kinds
            Of which frames full pictures are written: 'all', 'none', or those that the report
            has pictures of, 'shown'.

        """
        self._kinds = kinds
        self.count = 0
        self.pictures = PictureSelection(named)
        self.sign_rows: list[CsvRow] = []
        self._folder = folder
        self._outputs = evaluated_outputs(hierarchy)
        levels = [level_name(level) for level in range(1, hierarchy.depth + 1)]
        self._levels = levels
        self._on_page = (*levels, 'traffic_signs', 'categories')
        self._values = label_values(hierarchy)

    def write(
        self,
        name: str,
        place: int,
        stamp: int,
        rgb: NDArray[np.uint8],
        outputs: Outputs,
        truth: Outputs,
        signs: Sequence[SignLine],
        record: Mapping[str, Any],
        drawn: Callable[[], Outputs],
    ) -> None:
        """Write the files of one frame, and keep its pictures if the report may show them.

        Parameters
        ----------
        name
            What they are called, without their suffix.
        place
            That of the frame among all images of all bags, from 0.
        stamp
            The frame's, in nanoseconds.
        rgb
            The image, H×W×3 uint8.
        outputs
            What was predicted for it.
        truth
            Its ground truth, by the names of the outputs and in their values; may be empty.
        signs
            Its signs, as they are listed.
        record
            Its line of frames.jsonl.
        drawn
            Returns `outputs` with the pictures that are missing, which take their time.

        """
        files: dict[str, str] = {}
        if self._kinds == 'all':
            files = self._write_files(name, rgb, drawn())
        names = self._values['traffic_signs'].texts
        self.sign_rows += [csv_row(name, stamp, line, names) for line in signs]
        rank = badness_rank(record)

        def pictures() -> FramePictures:
            return FramePictures(
                index=self.count,
                place=place,
                name=name,
                stamp=stamp,
                seconds=record['seconds'],
                rank=rank,
                photograph=photograph_uri(mark_boxes(rgb, [(s.box, s.verdict) for s in signs])),
                labels=self._label_pictures(outputs, truth),
                files=self._write_files(name, rgb, drawn()) if self._kinds == 'shown' else files,
                signs=[self._sign_card(rgb, line) for line in signs[:SIGNS_ON_PAGE]],
                more_signs=max(0, len(signs) - SIGNS_ON_PAGE),
            )

        self.pictures.offer(place, name, rank, pictures)
        self.count += 1

    def remove_dropped(self) -> None:
        """Remove the files of frames that the report does not show, if there are to be none."""
        dropped, self.pictures.dropped = self.pictures.dropped, set()
        if self._kinds != 'shown' or not dropped:
            return
        for folder in [path for path in self._folder.iterdir() if path.is_dir()]:
            for name in dropped:
                for suffix in ('.png', '.jpg'):
                    (folder / f'{name}{suffix}').unlink(missing_ok=True)

    def _write_files(self, name: str, rgb: NDArray[np.uint8], outputs: Outputs) -> dict[str, str]:
        """Write the full pictures; return the links to those that the report leads to."""
        photograph = self._path('photographs', f'{name}.jpg')
        photograph.write_bytes(encode_jpeg(rgb))
        links = {'Photograph': self._link(photograph)}
        for output_name, output in self._outputs.items():
            if output_name in outputs:
                path = self._write_output(name, output, outputs[output_name])
                if output_name in ('overlay', *self._on_page):
                    links[title(output_name)] = self._link(path)
        return links

    def _write_output(self, name: str, output: ImageOutput, pixels: NDArray[np.uint8]) -> Path:
        """Write an output as it is and, if it is a label image, in colours: the path of these."""
        folder = 'overlays' if output.name == 'overlay' else output.name
        path = self._path(folder, f'{name}.png')
        if output.values is None:
            path.write_bytes(encode_png(pixels) if pixels.ndim == 2 else encode_rgb_png(pixels))
            return path
        colored = self._path(f'{output.name}_color', f'{name}.png')
        for place, content in zip(
            (path, colored), encode_both_pngs(pixels, output.values.colors), strict=True
        ):
            place.write_bytes(content)
        return colored

    def color_sets(self, colors: Mapping[int, tuple[int, int, int]]) -> None:
        """Give the labels that are sets of nodes, by their ids, colours in the levels' pictures."""
        for name, values in self._values.items():
            if colors and name in self._levels:
                table = values.colors.copy()
                table[list(colors)] = list(colors.values())
                self._values[name] = replace(values, colors=table)

    def _label_pictures(self, outputs: Outputs, truth: Outputs) -> dict[str, dict[str, str]]:
        pictures: dict[str, dict[str, str]] = {}
        for name in self._on_page:
            for kind, labels in (('truth', truth), ('prediction', outputs)):
                if name in labels:
                    uri = labels_uri(labels[name], self._values[name].colors)
                    pictures.setdefault(name, {})[kind] = uri
        return pictures

    def _sign_card(self, rgb: NDArray[np.uint8], line: SignLine) -> SignCard:
        names = self._values['traffic_signs'].texts
        return SignCard(
            verdict=line.verdict,
            predicted=line.predicted_text(names),
            truth=line.true_text(names),
            pixels=line.pixels,
            confidence=line.confidence,
            cutout=cutout_uri(rgb, line.box),
        )

    def _path(self, folder: str, name: str) -> Path:
        path = self._folder / folder / name
        path.parent.mkdir(exist_ok=True)
        return path

    def _link(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

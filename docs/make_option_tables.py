# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Puts the tables of options into docs/training.md, from what stands beside the options' fields.

    python docs/make_option_tables.py

A table begins after a line ``<!-- options: NAME -->`` and ends before ``<!-- end -->``.
"""

from __future__ import annotations

from pathlib import Path

from hier_seg_trainer.augmentation.augmentation_options import AugmentationOptions
from hier_seg_trainer.configuration import Experiment
from hier_seg_trainer.options.option_tables import option_table

PAGE = Path(__file__).resolve().parent / 'training.md'


def main() -> None:
    """Write the page."""
    PAGE.write_text(training_page(), encoding='utf-8')


def training_page() -> str:
    """Return the page with the tables as they should be."""
    tables = {
        'experiment': option_table(Experiment, without=('augmentation',)),
        'augmentation': option_table(AugmentationOptions, title='key of `augmentation`'),
    }
    text = PAGE.read_text(encoding='utf-8')
    for name, lines in tables.items():
        before, begin, rest = text.partition(f'<!-- options: {name} -->')
        _, end, after = rest.partition('<!-- end -->')
        if not end:
            raise SystemExit(f'{PAGE}: has no place for the table {name}')
        text = '\n'.join([before + begin, '', *lines, '', end + after])
    return text


if __name__ == '__main__':
    main()

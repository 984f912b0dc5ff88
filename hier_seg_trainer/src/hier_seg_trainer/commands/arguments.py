# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that several commands share."""

from __future__ import annotations

import argparse


def add_device(parser: argparse._ActionsContainer) -> None:
    """Add the device."""
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')


def count(text: str) -> int:
    """Return a whole number of at least 0."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value

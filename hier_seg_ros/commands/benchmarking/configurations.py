# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which configurations are measured beside each other. Imports no torch."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from typing import Any

from hier_seg_ros.errors import HierSegError

SEGMENTER, NODE, FLAT, TREE, PEER, MACHINE = (
    'segmenter',
    'node',
    'flat',
    'tree',
    'peer',
    'machine',
)
# Networks of torchvision, the cheapest first.
PEERS = ('lraspp_mobilenet_v3_large', 'deeplabv3_mobilenet_v3_large', 'deeplabv3_resnet50')
USUAL_PEERS = PEERS[:2]
# Each is a process with a network: about 1 GB of memory.
MOST = 32
# Node ids are bytes, and 255 is "unlabelled".
MOST_CLASSES = 255


@dataclass(frozen=True)
class Configuration:
    """What one process measures.

    Attributes
    ----------
    kind
        ``'segmenter'``: images in memory to label maps. ``'node'``: image messages to five images.
        ``'tree'`` and ``'flat'``: the segmenter with the model's features and untrained
        classifiers, as a random tree of `classes` or over the same classes without a tree; with no
        `classes`, flat is over those that the model decides. ``'peer'``: the bare network of
        torchvision. ``'machine'``: what the processors multiply and copy.
    model
        Name or folder of the model.
    device, engine, precision, threads
        As for ``Segmenter.load``.
    width, height
        Of the images, in pixels.
    image
        The path of the photograph; '' for the one that comes with the package.
    input_long_side
        As for ``Segmenter.load``; 0 for the model's own limit.
    confidence
        Whether the confidence is computed.
    batch
        Images for each call.
    cameras
        Of the node.
    classes
        Of an untrained model.
    peer
        The network's name.

    """

    kind: str
    model: str
    device: str
    engine: str = 'auto'
    precision: str = 'auto'
    threads: int = 0
    width: int = 1280
    height: int = 720
    image: str = ''
    input_long_side: int = 0
    confidence: bool = True
    batch: int = 1
    cameras: int = 0
    classes: int = 0
    peer: str = ''

    @property
    def name(self) -> str:
        """What it is in a few words, for tables and errors."""
        size = f'{self.width}x{self.height}'
        if self.input_long_side:
            size += f' (network {self.input_long_side})'
        engine = f'{self.engine} {self.precision}'
        what = f'{self.classes} classes' if self.classes else 'model'
        batch = f', batch {self.batch}' if self.batch > 1 else ''
        return {
            SEGMENTER: f'segmenter, {engine}, {size}{batch}',
            NODE: f'node, {engine}, {size}, {self.cameras} camera{"s" * (self.cameras > 1)}',
            FLAT: f'flat, {what}, {engine}, {size}',
            TREE: f'tree, {what}, {engine}, {size}',
            PEER: f'{self.peer}, {size}',
            MACHINE: 'machine',
        }[self.kind]


def configurations(options: argparse.Namespace) -> list[Configuration]:
    """Return what the command line asks for, each once, the peers first and the machine last.

    Parameters
    ----------
    options
        The command's, with lists for those that may have several values.

    Raises
    ------
    HierSegError
        What is asked for is not installed, cannot be, or is too much.

    """
    # Its room imports NumPy, and the command line is read before anything that takes time.
    from hier_seg_ros.segmenter.engines.engine_options import EngineOptions

    EngineOptions(threads=options.threads).check()
    found = list(dict.fromkeys([*_peers(options), *_models(options), _of(options, MACHINE)]))
    if len(found) > MOST:
        raise HierSegError(
            f'{len(found)} configurations: are more than the {MOST} that may run beside each '
            f'other; measure them in several runs, with --append'
        )
    for kind, library, option in ((PEER, 'torchvision', '--peers'), (NODE, 'rclpy', '--cameras')):
        if any(one.kind == kind for one in found) and find_spec(library) is None:
            raise HierSegError(f'{option}: needs {library}, which is not installed; leave it out')
    return found


def _peers(options: argparse.Namespace) -> Iterator[Configuration]:
    if options.peers is None:
        return
    for peer, (width, height) in product(options.peers or USUAL_PEERS, options.size):
        yield _of(options, PEER, peer=peer, width=width, height=height)


def _models(options: argparse.Namespace) -> Iterator[Configuration]:
    for (width, height), long_side, engine, precision in product(
        options.size, options.input_long_side or [0], options.engine, options.precision
    ):
        setting = {
            'width': width,
            'height': height,
            'input_long_side': long_side,
            'engine': engine,
            'precision': precision,
        }
        for classes in options.classes:
            yield _of(options, TREE, **setting, classes=classes)
            yield _of(options, FLAT, **setting, classes=classes)
        # Whoever asks for trees or for the node wants no other segmenter, unless they say so.
        if options.batch or not (options.classes or options.cameras):
            for batch in options.batch or [1]:
                yield _of(options, SEGMENTER, **setting, batch=batch)
        if options.flat:
            yield _of(options, FLAT, **setting)
        for cameras in options.cameras:
            yield _of(options, NODE, **setting, cameras=cameras)


def _of(options: argparse.Namespace, kind: str, **settings: Any) -> Configuration:
    return Configuration(
        kind=kind,
        model=options.model,
        device=options.device,
        threads=options.threads,
        image='' if options.image is None else str(options.image.absolute()),
        confidence=not options.no_confidence,
        **settings,
    )

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shape of a network, and the shapes that have a name. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from hier_seg_ros.errors import HierSegError, shown

ARCHITECTURES = ('pyramid', 'deeplabv3')

# More than any network of timm has.
_MOST_CHANNELS = 65536
# Of an option of the backbone. timm's largest are image sizes and widths.
_MOST_NUMBER = 4096
_MOST_CHARACTERS = 100
# What makes timm read files, reach out to the network or run what it is given, and what is not for
# the backbone alone to say.
_NOT_OPTIONS = (
    'cache', 'checkpoint', 'device', 'dtype', 'exportable', 'feature', 'in_chans', 'kwargs',
    'model', 'no_jit', 'num_classes', 'out_indices', 'pretrained', 'scriptable',
)  # fmt: skip


@dataclass(frozen=True)
class NetworkOptions:
    """The shape of a network; ``model.yaml`` stores it under ``network``.

    Attributes
    ----------
    backbone
        Name of a timm model that can return features.
    backbone_options
        Further keyword arguments of ``timm.create_model``, such as ``output_stride``: texts,
        numbers, true and false.
    fused_strides
        Strides of the backbone features that are fused, finest first; the shared features have the
        first one's. A single stride means no fusion, only a projection.
    shared_channels
        Channels of the shared features.
    branch_channels
        Inner channels of a branch's bottleneck block; 0 for no block.
    image_pooling
        Add the average over the whole image to the coarsest features ('deeplabv3' always does).
    learned_upsampling
        A learned x2 transposed convolution after each classifier.
    detail_channels
        Channels of the details, 0 for none. Details are the backbone's features at half the finest
        fused stride, which is that of the logits after learned upsampling; with them each branch
        computes what it adds to those logits.
    architecture
        How the backbone's features become the shared ones: 'pyramid' fuses them, 'deeplabv3'
        applies atrous spatial pyramid pooling to those of one stride.
    normalization
        'batch', 'instance', 'group' or 'evo', in all parts; see ``normalization.py``.
    dropout
        Share of the channels that training drops before each classifier, in [0, 1). Whole channels,
        because neighbouring positions tell each other what one of them lacks (Tompson et al., CVPR
        2015).

    """

    backbone: str
    backbone_options: Mapping[str, Any]
    fused_strides: tuple[int, ...]
    shared_channels: int
    branch_channels: int
    image_pooling: bool
    learned_upsampling: bool
    architecture: str = 'pyramid'
    normalization: str = 'batch'
    dropout: float = 0.0
    detail_channels: int = 0

    @property
    def detail_stride(self) -> int:
        """Pixels of the input for each position of the details, in either direction."""
        return self.fused_strides[0] // 2


PAPER = NetworkOptions(
    backbone='resnet50',
    backbone_options={'output_stride': 8},
    fused_strides=(8,),
    shared_channels=256,
    branch_channels=64,
    image_pooling=False,
    learned_upsampling=True,
)

LIGHT = NetworkOptions(
    backbone='tf_efficientnet_lite0',
    backbone_options={},
    fused_strides=(4, 8, 16, 32),
    shared_channels=128,
    branch_channels=32,
    image_pooling=True,
    learned_upsampling=True,
)

LIGHT_DETAILED = replace(LIGHT, detail_channels=32)

DEEPLABV3_RESNET50 = NetworkOptions(
    backbone='resnet50',
    # Residual blocks of torchvision's ResNet do not start as identities, timm's would.
    backbone_options={'output_stride': 8, 'zero_init_last': False},
    fused_strides=(8,),
    shared_channels=256,
    branch_channels=0,
    image_pooling=True,
    learned_upsampling=False,
    architecture='deeplabv3',
)

NETWORKS = {
    'light': LIGHT,
    'light_detailed': LIGHT_DETAILED,
    'paper': PAPER,
    'deeplabv3_resnet50': DEEPLABV3_RESNET50,
    'deeplabv3_resnet101': replace(DEEPLABV3_RESNET50, backbone='resnet101'),
}


def check_options(options: NetworkOptions) -> None:
    """Check what does not depend on the backbone, the type of each option included.

    Raises
    ------
    HierSegError
        An option is wrong; the line names it.

    """
    if not isinstance(options.backbone, str):
        raise HierSegError(f'backbone {shown(options.backbone)}: must be the name of a timm model')
    if options.architecture not in ARCHITECTURES:
        raise HierSegError(
            f'architecture {shown(options.architecture)}: is not known; choose among '
            f'{", ".join(ARCHITECTURES)}'
        )
    for name in ('image_pooling', 'learned_upsampling'):
        if not isinstance(getattr(options, name), bool):
            raise HierSegError(f'{name} {shown(getattr(options, name))}: must be true or false')
    for name, least in (('shared_channels', 1), ('branch_channels', 0), ('detail_channels', 0)):
        channels = getattr(options, name)
        if not _is_integer(channels) or channels < least:
            raise HierSegError(
                f'{name} {shown(channels)}: must be a whole number of at least {least}'
            )
        if channels > _MOST_CHANNELS:
            raise HierSegError(f'{name} {shown(channels)}: must be at most {_MOST_CHANNELS}')
    _check_strides(options)
    _check_backbone_options(options.backbone_options)
    if options.detail_channels and not (
        options.learned_upsampling and options.architecture == 'pyramid'
    ):
        raise HierSegError(
            f'detail_channels {options.detail_channels}: details need architecture pyramid and '
            f'learned_upsampling'
        )
    if not _is_number(options.dropout) or not 0 <= options.dropout < 1:
        raise HierSegError(f'dropout {shown(options.dropout)}: must be at least 0 and less than 1')


def _check_strides(options: NetworkOptions) -> None:
    strides = options.fused_strides
    name = f'fused_strides {shown(list(strides))}'
    if not strides or not all(_is_integer(stride) and stride > 0 for stride in strides):
        raise HierSegError(f'{name}: must be whole numbers above 0, at least one')
    if list(strides) != sorted(set(strides)):
        raise HierSegError(f'{name}: must go from fine to coarse, each only once')
    if options.architecture == 'deeplabv3' and len(strides) != 1:
        raise HierSegError(f'{name}: deeplabv3 uses features of one stride; give one')
    if options.learned_upsampling and strides[0] % 2:
        raise HierSegError(f'{name}: learned_upsampling halves the first one; give an even one')


def _check_backbone_options(options: object) -> None:
    """Let nothing through to timm but plain values, and none that makes it load anything."""
    if not isinstance(options, Mapping):
        raise HierSegError(f'backbone_options {shown(options)}: must be a mapping')
    for name, value in options.items():
        where = f'backbone_options {shown(name)}'
        if not isinstance(name, str) or not name.isidentifier():
            raise HierSegError(f'{where}: is no name of an option; remove it')
        if name.startswith(_NOT_OPTIONS):
            raise HierSegError(f'{where}: is not for a model to choose; remove it')
        plain = value is None or isinstance(value, bool)
        number = _is_number(value) and abs(value) <= _MOST_NUMBER
        text = isinstance(value, str) and len(value) <= _MOST_CHARACTERS
        if not (plain or number or text):
            raise HierSegError(
                f'{where}: is {shown(value)}; it must be a short text, true, false, or a number '
                f'of at most {_MOST_NUMBER}'
            )


def _is_integer(value: object) -> TypeGuard[int]:
    # bool is an int in Python.
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[float]:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))

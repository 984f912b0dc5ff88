# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shape of a network, and the shapes that have a name. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hier_seg_ros.errors import HierSegError

ARCHITECTURES = ('pyramid', 'deeplabv3')


@dataclass(frozen=True)
class NetworkOptions:
    """The shape of a network; ``model.yaml`` stores it under ``network``.

    Attributes
    ----------
    backbone
        Name of a timm model that can return features.
    backbone_options
        Further keyword arguments of ``timm.create_model``, such as ``output_stride``.
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
    """Check what does not depend on the backbone; HierSegError names the option that is wrong."""
    if options.architecture not in ARCHITECTURES:
        raise HierSegError(
            f'architecture {options.architecture!r}: is not known; choose among '
            f'{", ".join(ARCHITECTURES)}'
        )
    if options.architecture == 'deeplabv3' and len(options.fused_strides) != 1:
        raise HierSegError(
            f'fused_strides {list(options.fused_strides)}: deeplabv3 uses features of one stride; '
            f'give one'
        )
    for name, least in (('shared_channels', 1), ('branch_channels', 0), ('detail_channels', 0)):
        channels = getattr(options, name)
        if type(channels) is not int or channels < least:
            raise HierSegError(f'{name} {channels!r}: must be a whole number of at least {least}')
    if options.detail_channels and not (
        options.learned_upsampling and options.architecture == 'pyramid'
    ):
        raise HierSegError(
            f'detail_channels {options.detail_channels}: details need architecture pyramid and '
            f'learned_upsampling'
        )
    if not 0 <= options.dropout < 1:
        raise HierSegError(f'dropout {options.dropout}: must be at least 0 and less than 1')

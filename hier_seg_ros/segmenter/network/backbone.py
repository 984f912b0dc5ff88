# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The backbone: a timm model that returns features of several strides."""

from __future__ import annotations

import timm
from torch import nn

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.network.network_options import NetworkOptions


def build_backbone(options: NetworkOptions) -> tuple[nn.Module, list[int]]:
    """Return timm's backbone, batch normalised, and its channels at each of ``fused_strides``.

    With details, theirs come first.

    Raises
    ------
    HierSegError
        timm has no such model, the model not those options, or none of those strides.

    """
    arguments = dict(options.backbone_options)
    details = (options.detail_stride,) if options.detail_channels else ()
    if not timm.is_model(options.backbone):
        raise HierSegError(
            f'backbone {options.backbone!r}: timm {timm.__version__} has no such model; '
            f'see timm.list_models()'
        )
    try:
        probe = timm.create_model(
            options.backbone, features_only=True, pretrained=False, **arguments
        )
    except (RuntimeError, TypeError) as error:
        raise HierSegError(
            f'backbone {options.backbone!r}: cannot be built with the options {arguments} '
            f'({error}); choose another backbone or correct backbone_options'
        ) from error
    reductions = probe.feature_info.reduction()
    indices = []
    for stride in (*details, *options.fused_strides):
        if stride not in reductions:
            raise HierSegError(
                f'backbone {options.backbone!r}: has features of strides {reductions}, '
                f'none of stride {stride}; correct fused_strides'
            )
        # Dilation gives several stages the same stride: the deepest one is meant.
        indices.append(len(reductions) - 1 - reductions[::-1].index(stride))
    backbone = timm.create_model(
        options.backbone, features_only=True, pretrained=False, out_indices=indices, **arguments
    )
    return backbone, backbone.feature_info.channels()

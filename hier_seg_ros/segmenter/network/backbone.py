# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The backbone: a timm model that returns features of several strides."""

from __future__ import annotations

import re
from typing import Any

import timm
from torch import nn

from hier_seg_ros.errors import HierSegError, shown
from hier_seg_ros.segmenter.network.network_options import NetworkOptions

# What the constructors of timm's models raise for options that make no sense.
_CANNOT_BE_BUILT = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def build_backbone(options: NetworkOptions) -> tuple[nn.Module, list[int]]:
    """Return timm's backbone, batch normalised, and its channels at each of ``fused_strides``.

    With details, theirs come first.

    Raises
    ------
    HierSegError
        timm has no such model, the model not those options, or none of those strides.

    """
    name, details = options.backbone, (options.detail_stride,) if options.detail_channels else ()
    # A name of another form could be a place to load from.
    if not re.fullmatch(r'[A-Za-z0-9_.]+', name) or not timm.is_model(name):
        raise HierSegError(
            f'backbone {shown(name)}: timm {timm.__version__} has no such model; '
            f'see timm.list_models()'
        )
    reductions = _features(options).feature_info.reduction()
    indices = []
    for stride in (*details, *options.fused_strides):
        if stride not in reductions:
            raise HierSegError(
                f'backbone {name!r}: has features of strides {reductions}, '
                f'none of stride {stride}; correct fused_strides'
            )
        # Dilation gives several stages the same stride: the deepest one is meant.
        indices.append(len(reductions) - 1 - reductions[::-1].index(stride))
    backbone = _features(options, out_indices=indices)
    return backbone, backbone.feature_info.channels()


def _features(options: NetworkOptions, **further: object) -> Any:
    arguments = dict(options.backbone_options)
    try:
        return timm.create_model(
            options.backbone, features_only=True, pretrained=False, **further, **arguments
        )
    except _CANNOT_BE_BUILT as error:
        reason = ' '.join(str(error).split())[:300]
        raise HierSegError(
            f'backbone {options.backbone!r}: cannot be built with the options {shown(arguments)} '
            f'({reason}); choose another backbone or correct backbone_options'
        ) from error

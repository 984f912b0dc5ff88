# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network as an ONNX graph, which the engines beside torch read.

Only what every image needs is in it: backbone, pyramid, details and the root classifier. What the
children need is little on most images, and depends on where their parent was decided: torch
computes it from the engine's features.
"""

from __future__ import annotations

import copy
import io
import warnings
from contextlib import redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn

from hier_seg_ros.segmenter.network import (
    HierarchicalNetwork,
    SubPixelUpsampling,
    fix_same_padding,
)

INPUT = 'images'
# The last ones are missing where the network has no details.
OUTPUTS = ('root', 'shared', 'details')
# To be raised with every change of this module: graphs that were kept of before are not used then.
CONVERSION = 2
# The newest that torch 2.4 writes.
_OPSET = 17


def network_graph(network: HierarchicalNetwork, root: str) -> bytes:
    """Return backbone, pyramid, details and the root classifier as an ONNX file.

    Its input ``images`` is float32 (N, H, W, 3), normalised, N, H and W free; its outputs are
    ``root`` (N, C, h, w), ``shared`` and, if there are any, ``details``, both (N, h, w, channels).
    Colours and channels come last as in the memory of channels-last tensors, so that nothing has to
    be put into another order.

    Parameters
    ----------
    network
        With its batch normalisations folded; it is left as it is.
    root
        The root classifier's name.

    """
    network = copy.deepcopy(network).cpu().float()
    fix_same_padding(network)
    for branch in network.branches.values():
        if isinstance(branch.upsampling, nn.ConvTranspose2d):
            branch.upsampling = SubPixelUpsampling(branch.upsampling)
    names = OUTPUTS if network.details is not None else OUTPUTS[:2]
    # Height and width differ, so that a layer that confuses them is found out.
    example = torch.zeros(1, 2 * network.size_multiple, 3 * network.size_multiple, 3)
    free = {0: 'images', 1: 'rows', 2: 'columns'}
    written = io.BytesIO()
    # The newer exporter takes ten times as long; before torch 2.5 there was no choice.
    exporter: dict[str, Any] = {'dynamo': False} if torch.__version__ >= '2.5' else {}
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), torch.no_grad():
        # The exporter warns of its own age.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            _Graph(network, root).eval(),
            (example,),
            written,  # type: ignore[arg-type]  # only the newer exporter takes no buffer
            input_names=[INPUT],
            output_names=list(names),
            dynamic_axes={INPUT: free},
            opset_version=_OPSET,
            **exporter,
        )
    return written.getvalue()


class _Graph(nn.Module):
    def __init__(self, network: HierarchicalNetwork, root: str) -> None:
        super().__init__()
        self.network = network
        self.root = root

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        features = self.network.features(images.permute(0, 3, 1, 2))
        root = self.network.logits(features, self.root)
        return root, *(part.permute(0, 2, 3, 1) for part in features if part is not None)

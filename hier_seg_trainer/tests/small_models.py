# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model folders of small untrained networks whose decisions vary over an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.model_folder import InputOptions, ModelDescription, write_model_folder
from hier_seg_ros.segmenter.network import NetworkOptions, build_network
from hier_seg_trainer.loss.targets import supervised_nodes

# A network that builds and runs in milliseconds.
TINY = NetworkOptions(
    backbone='test_efficientnet',
    backbone_options={},
    fused_strides=(8, 16),
    shared_channels=8,
    branch_channels=4,
    image_pooling=True,
    learned_upsampling=True,
)
PHOTOGRAPH = Path(__file__).resolve().parents[2] / 'docs' / 'images' / 'demo.jpg'


def small_model(folder: Path, options: NetworkOptions, hierarchy: Hierarchy) -> Path:
    """Write an untrained model whose decisions vary over an image, and return its folder."""
    torch.manual_seed(3)
    network = build_network(options, hierarchy)
    # As built, the last layers hardly react to what the image shows.
    for name, parameter in network.named_parameters():
        if name.endswith('classifier.weight'):
            torch.nn.init.normal_(parameter, std=1.0)
    # Nor do features tell much apart before batch normalisation has seen an image.
    picture = Image.open(PHOTOGRAPH).convert('RGB').resize((160, 96))
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255.0
    network.train()
    with torch.no_grad():
        for _ in range(30):
            network(torch.cat([pixels, pixels.flip(3)]) * 4 - 2)
    network.eval()
    named = [node.name for node in hierarchy.nodes if node.depth != 2 or node.id % 2]
    description = ModelDescription(
        name='small',
        network=options,
        input=InputOptions(160, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), minimum_long_side=120),
        supervised=supervised_nodes(hierarchy, named),
    )
    write_model_folder(folder, description, hierarchy, network, 'a test model')
    return folder

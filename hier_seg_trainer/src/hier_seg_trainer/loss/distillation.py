# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Distillation: every classifier learns the softmax values of another model of the same tree."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from hier_seg_ros.segmenter.logits import Logits
from hier_seg_trainer.loss import pixel_losses
from hier_seg_trainer.loss.targets import Target, path_to


class Distillation:
    """How far each classifier is from a teacher's, over the classes that both were trained on.

    At the positions of the student's logits: of the root all, of another classifier those where
    the teacher decides for its parent.
    """

    def __init__(
        self, targets: tuple[Target, ...], teacher_targets: tuple[Target, ...], temperature: float
    ) -> None:
        """Find the classes that student and teacher share.

        Parameters
        ----------
        targets
            The student's classifiers.
        teacher_targets
            The teacher's, with the classes that it was trained on.
        temperature
            What logits are divided by before the softmax, above 0.

        """
        self._teacher_targets = teacher_targets
        self._supervised = {target.name: target.logit_indices for target in teacher_targets}
        self._temperature = temperature
        taught = {name: set(indices.tolist()) for name, indices in self._supervised.items()}
        self._shared = []
        for target in targets:
            both = [i for i in target.logit_indices.tolist() if i in taught.get(target.name, ())]
            # "Unlabelled" alone is no choice.
            if len(both) > 1:
                indices = torch.tensor(both, device=target.logit_indices.device)
                self._shared.append((target, indices))

    def __call__(self, student: Logits, teacher: Logits) -> Iterator[tuple[Target, Tensor, Tensor]]:
        """Yield for each classifier the sum of the divergences and their number, both ().

        Parameters
        ----------
        student
            Its logits (N, C, h, w).
        teacher
            Those of the teacher for the same images, perhaps in another resolution.

        """

        @cache
        def taught_logits(name: str, size: torch.Size) -> Tensor:
            logits = teacher[name].detach().float()
            if logits.shape[-2:] == size:
                return logits
            return functional.interpolate(logits, size, mode='bilinear', align_corners=False)

        @cache
        def decided(name: str, size: torch.Size) -> Tensor:
            return taught_logits(name, size).index_select(1, self._supervised[name]).argmax(1)

        for target, indices in self._shared:
            logits = student[target.name].float()
            size = logits.shape[-2:]
            divergences = pixel_losses.distillation(
                logits.index_select(1, indices),
                taught_logits(target.name, size).index_select(1, indices),
                self._temperature,
            )
            where = torch.ones_like(divergences)
            for above, position in path_to(self._teacher_targets, target):
                where = where * (decided(above.name, size) == position)
            yield target, (where * divergences).sum(), where.sum()

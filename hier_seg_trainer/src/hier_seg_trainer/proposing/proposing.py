# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From pictures to a labelling folder: find the regions, guess, put them in order, write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy, Node
from hier_seg_ros.segmenter.logits import Logits
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_ros.signs.sign_areas import SignArea
from hier_seg_trainer.labelling.new_folder import new_labelling_folder, require_free
from hier_seg_trainer.labelling.proposals import Proposal, runs_of_mask
from hier_seg_trainer.proposing.given_labels import GivenLabels, answer, laid_over
from hier_seg_trainer.proposing.guesses import (
    Probabilities,
    choice_of,
    of_labels,
    of_model,
    pixels_of,
)
from hier_seg_trainer.proposing.object_regions import MIN_PIXELS, find_regions
from hier_seg_trainer.proposing.order import best_guesses, values
from hier_seg_trainer.proposing.sources import Picture, Source


@dataclass(frozen=True)
class Region:
    """A region of a picture and what it may be.

    Attributes
    ----------
    parent
        The class whose children are asked for.
    area
        Its place, mask and pixels.
    probabilities
        Those of the children.

    """

    parent: Node
    area: SignArea
    probabilities: Probabilities


@dataclass(frozen=True)
class Finder:
    """Finds the regions of pictures.

    Attributes
    ----------
    tree
        The label tree.
    parents
        The classes whose objects are looked for.
    min_pixels
        Objects of fewer pixels are left out.
    segmenter
        The model; None: what is known of the picture counts.

    """

    tree: Hierarchy
    parents: tuple[Node, ...]
    min_pixels: int = MIN_PIXELS
    segmenter: Segmenter | None = None

    def look(
        self, picture: Picture, given: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.uint8] | None, list[Region]]:
        """Return the labels of a picture, and its regions.

        Parameters
        ----------
        picture
            The picture, with its recorded labels if it has any; a model takes their place.
        given
            Labels from elsewhere, H×W node ids, which count where there are any.

        Returns
        -------
        labels
            H×W uint8 node ids, 255 where nothing is known; None where nothing is known at all.
        regions
            The objects.

        """
        with torch.inference_mode():
            labels, logits = picture.labels, None
            if self.segmenter is not None:
                logits = self.segmenter.logits(picture.rgb)
                ids, _ = self.segmenter.decision_rule.decide(
                    logits, confidence=False, max_level=self.tree.depth
                )
                labels = ids.cpu().numpy()
            if given is not None:
                labels = laid_over(labels, given)
            if labels is None:
                return None, []
            return labels, list(self._regions(labels, logits))

    def _regions(self, labels: NDArray[np.uint8], logits: Logits | None) -> Iterable[Region]:
        for parent in self.parents:
            choice = choice_of(self.segmenter, parent) if self.segmenter else None
            for area in find_regions(labels, self.tree, parent, self.min_pixels):
                if logits is not None and choice is not None:
                    pixels = pixels_of(area, labels.shape[1])
                    found = of_model(logits, choice, pixels, self.tree)
                else:
                    found = of_labels(area.within(labels), self.tree, parent)
                yield Region(parent, area, found)


def propose(
    out: Path,
    source: Source,
    chosen: Sequence[int],
    finder: Finder,
    given: GivenLabels | None,
    author: str,
    description: Mapping[str, Any],
    *,
    progress: bool = False,
) -> tuple[int, int, int]:
    """Write a labelling folder.

    Parameters
    ----------
    out
        Where it will be; nothing is there yet.
    source, chosen
        The pictures: which of the source's.
    finder
        Finds the regions.
    given
        Labels from elsewhere; the proposals that they answer come with an entry in the log.
    author
        The author of these entries.
    description
        What else ``folder.json`` says.
    progress
        Whether to show a bar.

    Returns
    -------
    tuple[int, int, int]
        How many images, proposals and answers it has.

    Raises
    ------
    HierSegError
        A picture cannot be read, no picture has labels from elsewhere, or the folder cannot be
        written.

    """
    require_free(out)
    tree = finder.tree
    found: list[tuple[str, Region]] = []
    answers: list[tuple[int, str]] = []
    parents = [parent.name for parent in finder.parents]
    with new_labelling_folder(out, tree, {**description, 'parent_classes': parents}) as folder:
        images = 0
        pictures = source.pictures(chosen)
        for picture in tqdm(pictures, 'proposing', len(chosen), unit='image', disable=not progress):
            own = given.of(picture.name, picture.rgb.shape) if given else None
            labels, regions = finder.look(picture, own)
            name = folder.add_image(picture.name, picture.data, labels, picture.rgb)
            images += 1
            for region in regions:
                found.append((name, region))
                node = None if own is None else answer(own, region.area, tree, region.parent)
                if node is not None:
                    answers.append((len(found), node.name))
        if not images:
            raise HierSegError('there is no picture that could be read; nothing is written')
        if given is not None and not given.used:
            raise HierSegError(
                '--labels: no image has a name of one that is labelled; labels are found by the '
                'name of the image without its suffix'
            )
        folder.add_proposals(in_order(found, tree))
        if answers:
            folder.add_labels(author, answers)
    return images, len(found), len(answers)


def in_order(found: Sequence[tuple[str, Region]], tree: Hierarchy) -> list[Proposal]:
    """Return the proposals of regions, each with its image's name, in the order to label them.

    Their ids are the places in `found`, from 1; equal values keep its order.
    """
    children = {
        parent: sum(node.parent == parent for node in tree.nodes)
        for parent in {region.parent.name for _, region in found}
    }
    worth = values(
        [region.probabilities for _, region in found],
        [children[region.parent.name] for _, region in found],
    )
    proposals = [
        Proposal(
            id=place,
            image=name,
            box=region.area.box,
            counts=runs_of_mask(region.area.mask),
            pixels=region.area.pixels,
            parent=region.parent.name,
            guesses=best_guesses(region.probabilities),
            value=value,
        )
        for place, ((name, region), value) in enumerate(zip(found, worth, strict=True), start=1)
    ]
    return sorted(proposals, key=lambda proposal: -proposal.value)

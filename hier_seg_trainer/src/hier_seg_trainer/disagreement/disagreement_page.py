# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report: a page with pictures, the list, and a folder in which to put right what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from hier_seg_ros.files.writing import make_folder, write_text, written_file
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.disagreement.suspicion import Disagreement
from hier_seg_trainer.labelling.address import address, address_of_folder, keep_address
from hier_seg_trainer.labelling.new_folder import new_labelling_folder
from hier_seg_trainer.labelling.proposals import Proposal, runs_of_mask
from hier_seg_trainer.pages.html_page import render_page
from hier_seg_trainer.pages.page_pictures import close_up, data_uri
from hier_seg_trainer.proposing.order import best_guesses
from hier_seg_trainer.proposing.sources import Picture

PAGE = 'index.html'
NUMBERS = 'disagreements.json'
FOLDER = 'label'
_EDGE = 200  # pixels of a picture
_CONTEXT = 2.0  # edge of a picture in long edges of its object
_QUALITY = 85
_OUTLINE = (255, 0, 255)
_ADVICE = 'choose another place with --out'


def write_disagreements(
    out: Path,
    ranked: Sequence[Disagreement],
    count: int,
    picture_at: Callable[[int], Picture],
    tree: Hierarchy,
    port: int,
    facts: Mapping[str, Any],
) -> None:
    """Write the report.

    Parameters
    ----------
    out
        The folder for it.
    ranked
        All labels that were looked at, the most suspicious first.
    count
        How many of them the page and the folder for ``hier-seg label`` show.
    picture_at
        Returns a picture by its place in the source.
    tree
        The label tree.
    port
        The port at which the page's links expect ``hier-seg label``.
    facts
        The page's head: what was compared and the command.

    Raises
    ------
    HierSegError
        A picture cannot be read, or the folder cannot be written.

    """
    make_folder(out, _ADVICE)
    shown = [item for item in ranked[:count] if item.own_probability < 1]
    folder = out / FOLDER
    cards = []
    names: dict[int, str] = {}
    description = {
        'model': None,
        'command': facts['command'],
        'parent_classes': sorted({item.sign.parent.name for item in shown}),
    }
    with new_labelling_folder(folder, tree, description) as new:
        for rank, item in enumerate(shown, start=1):
            picture = picture_at(item.sign.place)
            if item.sign.place not in names:
                name = new.add_image(item.sign.image, picture.data, picture.labels, picture.rgb)
                names[item.sign.place] = name
            cards.append(_card(rank, item, picture, tree))
        new.add_proposals(
            _proposal(rank, item, names[item.sign.place])
            for rank, item in enumerate(shown, start=1)
        )
    token, _ = address_of_folder(folder)
    keep_address(folder, token, port)
    for rank, card in enumerate(cards, start=1):
        card['address'] = address(token, port, rank)
    write_text(out / NUMBERS, _numbers(ranked, facts), _ADVICE)
    content = {
        'cards': cards,
        'facts': facts,
        'labels': len(ranked),
        'label_command': f'hier-seg label {folder}',
        'port': port,
    }
    page = render_page('disagree.html', content, {})
    # Its links hold the token of the labelling page, which is for this user alone.
    with written_file(out / PAGE, _ADVICE) as partial:
        partial.touch(mode=0o600)
        partial.write_text(page, encoding='utf-8')


def _numbers(ranked: Sequence[Disagreement], facts: Mapping[str, Any]) -> str:
    rows = [
        {
            'rank': rank,
            'image': item.sign.image,
            'box': list(item.sign.area.box),
            'label': item.sign.given.name,
            'other': item.other,
            'suspicion': round(item.suspicion, 4),
            'label_probability': round(item.own_probability, 4),
            'other_probability': round(item.other_probability, 4),
        }
        for rank, item in enumerate(ranked, start=1)
    ]
    return json.dumps({**facts, 'labels': rows}, indent=1, ensure_ascii=False) + '\n'


def _card(rank: int, item: Disagreement, picture: Picture, tree: Hierarchy) -> dict[str, Any]:
    image = Image.fromarray(picture.rgb)
    area = item.sign.area
    plain = close_up(image, area.box, _CONTEXT, _EDGE)
    outlined = image.copy()
    left, top, right, bottom = area.box
    ImageDraw.Draw(outlined).rectangle((left - 1, top - 1, right, bottom), outline=_OUTLINE)
    place = close_up(outlined, area.box, 3 * _CONTEXT, _EDGE)
    both = Image.new('RGB', (2 * _EDGE + 4, _EDGE), 'white')
    both.paste(plain, (0, 0))
    both.paste(place, (_EDGE + 4, 0))
    return {
        'rank': rank,
        'image': item.sign.image,
        'picture': data_uri(both, _QUALITY),
        'given': item.sign.given,
        'other': tree.node(item.other) if item.other else None,
        'item': item,
    }


def _proposal(rank: int, item: Disagreement, name: str) -> Proposal:
    area = item.sign.area
    known = {key: value for key, value in item.sign.probabilities.items() if key}
    return Proposal(
        id=rank,
        image=name,
        box=area.box,
        counts=runs_of_mask(np.ascontiguousarray(area.mask)),
        pixels=area.pixels,
        parent=item.sign.parent.name,
        guesses=best_guesses(known),
        value=item.suspicion,
    )

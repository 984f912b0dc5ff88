# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the classes, to choose among: the faces of signs, drawn by the trainer itself."""

from __future__ import annotations

import io

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.synthesis.things.sign_faces import Sign, load_signs, render_sign

# Twice as many as they have on the page, for screens with small pixels.
_PIXELS = 128


def sign_faces(tree: Hierarchy) -> dict[int, Sign]:
    """Return the sign that shows a class, by the node's id; none in a tree without GTSDB's."""
    try:
        classes, _ = load_signs(tree)
    except HierSegError:
        return {}
    return {sign.node.id: sign for sign in classes.values()}


def picture(sign: Sign) -> bytes:
    """Return a sign's face as PNG, clear outside its outline."""
    file = io.BytesIO()
    render_sign(sign, round(_PIXELS * sign.width), _PIXELS).save(file, 'PNG')
    return file.getvalue()

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a template of ``templates/`` to the text of a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jinja2


def render_page(
    template: str, content: Mapping[str, Any], filters: Mapping[str, Callable[..., str]]
) -> str:
    """Return the text of a page.

    Parameters
    ----------
    template
        The name of a file in ``templates/``. All text that it inserts is escaped; a name that is
        neither in `content` nor in the template is an error.
    content
        What the template's names stand for.
    filters
        The functions that it applies with ``|``.

    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('hier_seg_trainer'),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(template).render(content)

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the page of a labelling folder is: its port and its token, which the folder keeps.

So a page that is open goes on after its server has been started again, and a report can name the
address before.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.reading import read_json
from hier_seg_ros.files.writing import written_file

HOST = '127.0.0.1'
ADDRESS = 'address.json'
_TOKEN = re.compile(r'[\w-]{32,64}', re.ASCII)


def address_of_folder(folder: Path) -> tuple[str, int]:
    """Return the token and the port that a folder had last: a new token and 0 where it had none."""
    path = folder / ADDRESS
    try:
        content = read_json(path)
        token, port = content['token'], content['port']
        if _TOKEN.fullmatch(token) and 0 < port < 2**16:
            return token, port
    except (HierSegError, KeyError, TypeError):
        # A new one is as good.
        pass
    return secrets.token_urlsafe(24), 0


def keep_address(folder: Path, token: str, port: int) -> None:
    """Write a folder's token and port, for its owner alone to read.

    Raises
    ------
    HierSegError
        It cannot be written.

    """
    with written_file(folder / ADDRESS) as partial:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, 'w', encoding='utf-8') as file:
            file.write(f'{{"token": "{token}", "port": {port}}}\n')


def address(token: str, port: int, proposal: int | None = None) -> str:
    """Return the address of a folder's page, which begins with a proposal where one is given."""
    place = '' if proposal is None else f'#sign-{proposal}'
    return f'http://{HOST}:{port}/?token={token}{place}'

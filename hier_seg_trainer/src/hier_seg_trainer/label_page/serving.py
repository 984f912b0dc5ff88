# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The server of the page: its socket, and its life from start to Ctrl-C."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from contextlib import closing

import uvicorn
from starlette.types import ASGIApp

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.labelling.address import HOST


def open_socket(port: int | None, last: int) -> socket.socket:
    """Return a socket that this machine alone can reach.

    Parameters
    ----------
    port
        Its port; ``None`` for the last one, or another one where that is taken.
    last
        The port that the folder's page had last; 0 for none.

    Raises
    ------
    HierSegError
        The port is taken, or not for this user.

    """
    if port is not None:
        try:
            return _bound(port)
        except (OSError, OverflowError) as error:
            reason = getattr(error, 'strerror', None) or str(error)
            raise HierSegError(
                f'port {port}: cannot be used ({reason}); name another one, or leave out --port'
            ) from error
    try:
        return _bound(last)
    except OSError:
        return _bound(0)


def _bound(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # The port of a server that was killed a moment ago can be had at once.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HOST, port))
        found.listen(128)
    except (OSError, OverflowError):
        found.close()
        raise
    return found


def serve(application: ASGIApp, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Answer requests until SIGINT or SIGTERM.

    Parameters
    ----------
    application
        What answers them.
    listening
        From `open_socket`; it is closed in the end.
    ready
        Is called before the first request.

    """
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            access_log=False,
            http='h11',
            lifespan='off',
            log_level='warning',
            loop='asyncio',
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            ws='none',
        )
    )
    # The server raises the signal that has ended it once more; both then end it in the same way.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with closing(listening):
            ready()
            server.run(sockets=[listening])
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The addresses of the page: its own files, the folder's pictures, and what the page asks for."""

from __future__ import annotations

import errno
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from hier_seg_ros.errors import HierSegError, shown
from hier_seg_trainer.datasets.stored_pixels import open_image
from hier_seg_trainer.label_page.class_pictures import picture, sign_faces
from hier_seg_trainer.label_page.guarding import Guard
from hier_seg_trainer.label_page.photographs import photograph
from hier_seg_trainer.label_page.work import OvertakenError, Work, unlabelled
from hier_seg_trainer.labelling.state import ConflictError

_TYPES = {
    'css': 'text/css; charset=utf-8',
    'html': 'text/html; charset=utf-8',
    'js': 'text/javascript; charset=utf-8',
    'svg': 'image/svg+xml',
}
_MOST_JSON_BYTES = 64 * 1024
# A disk that is full, a quota that is used up, a file that may not grow.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Pictures of a folder do not change while it is open.
_KEEP = {'Cache-Control': 'private, max-age=3600'}

Answer = Callable[[Request], Awaitable[Response]]


def make_application(
    work: Work, token: str, author: str, write_results: Callable[[], str]
) -> ASGIApp:
    """Return the application of a folder.

    Parameters
    ----------
    work
        The work on the folder.
    token
        What a request must know.
    author
        The name under which a page begins.
    write_results
        Writes the results and returns a line that says where they are.

    """
    pages = _Pages(work, author, write_results)
    static = _static_files()

    async def static_file(request: Request) -> Response:
        name = request.path_params.get('name', 'index.html')
        if name not in static:
            raise HTTPException(404, 'there is no such file')
        return Response(static[name], media_type=_TYPES[name.rpartition('.')[2]])

    routes: list[tuple[str, str, Answer]] = [
        ('GET', '/', static_file),
        ('GET', '/static/{name}', static_file),
        ('GET', '/images/{name}', pages.image),
        ('GET', '/classes/{node:int}.png', pages.class_picture),
        ('GET', '/api/folder', pages.folder),
        ('GET', '/api/images', pages.images),
        ('GET', '/api/proposals/{proposal:int}', pages.proposal),
        ('POST', '/api/queue', pages.queue),
        ('POST', '/api/answer', pages.answer),
        ('POST', '/api/undo', pages.undo),
        ('GET', '/api/frames/{name}', pages.frame),
        ('POST', '/api/frames/{name}', pages.save_frame),
        ('POST', '/api/results', pages.results),
    ]
    application = Starlette(
        routes=[Route(path, answer, methods=[method]) for method, path, answer in routes],
        exception_handlers={HierSegError: _refused, HTTPException: _not_found},
    )
    return Guard(application, token)


class _Pages:
    """What is answered at each address; the methods that read or write run in other threads."""

    def __init__(self, work: Work, author: str, write_results: Callable[[], str]) -> None:
        self._work = work
        self._author = author
        self._write_results = write_results
        self._faces = sign_faces(work.folder.tree)
        self._picture = lru_cache(maxsize=256)(lambda node: picture(self._faces[node]))

    async def folder(self, request: Request) -> Response:
        folder = self._work.folder
        nodes = [
            {
                'id': node.id,
                'name': node.name,
                'title': node.readable_name,
                'color': list(node.color),
                'parent': node.parent,
                'depth': node.depth,
                'picture': node.id in self._faces,
            }
            for node in folder.tree.nodes
        ]
        return JSONResponse(
            {
                'name': folder.path.resolve().name,
                'author': self._author,
                'tree': folder.tree.name,
                'nodes': nodes,
                'levels': folder.tree.level_of_id.tolist(),
                'counts': self._work.counts(),
            }
        )

    async def images(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._work.images))

    async def image(self, request: Request) -> Response:
        try:
            path = self._work.folder.image_path(request.path_params['name'])
            data, media_type = await run_in_threadpool(photograph, path)
        except HierSegError as error:
            raise HTTPException(404, str(error)) from error
        return Response(data, media_type=media_type, headers=_KEEP)

    async def class_picture(self, request: Request) -> Response:
        node = request.path_params['node']
        if node not in self._faces:
            raise HTTPException(404, 'there is no picture of this class')
        data = await run_in_threadpool(self._picture, node)
        return Response(data, media_type='image/png', headers=_KEEP)

    async def proposal(self, request: Request) -> Response:
        return JSONResponse(self._work.proposal(request.path_params['proposal']))

    async def queue(self, request: Request) -> Response:
        given = await _json(request)
        return await self._with_queue(given, {})

    async def answer(self, request: Request) -> Response:
        given = await _json(request)
        names = ('action', 'proposal', 'class', 'comment')
        action = {name: given[name] for name in names if name in given}
        entry = await run_in_threadpool(
            self._work.answer,
            _value(given, 'session', str),
            _value(given, 'author', str),
            action,
            _value(given, 'seen', int),
        )
        return await self._with_queue(given, {'entry': entry})

    async def undo(self, request: Request) -> Response:
        given = await _json(request)
        number = None if given.get('number') is None else _value(given, 'number', int)
        proposal = await run_in_threadpool(
            self._work.undo, _value(given, 'session', str), _value(given, 'author', str), number
        )
        return await self._with_queue(given, {'proposal': proposal})

    async def frame(self, request: Request) -> Response:
        name = request.path_params['name']
        if request.query_params.get('of') == 'prediction':
            labels, number = await run_in_threadpool(self._work.folder.prediction, name), 0
        else:
            labels, number = await run_in_threadpool(self._work.frame, name)
        if labels is None:
            width, height = await run_in_threadpool(self._size, name)
            labels = unlabelled(height, width)
        height, width = labels.shape
        # Not as PNG: some browsers change the pixels that a page reads from a picture.
        data = await run_in_threadpool(gzip.compress, labels.tobytes(), 1)
        headers = {
            'Content-Encoding': 'gzip',
            'X-Width': str(width),
            'X-Height': str(height),
            'X-Entry': str(number),
        }
        return Response(data, media_type='application/octet-stream', headers=headers)

    async def save_frame(self, request: Request) -> Response:
        name, query = request.path_params['name'], request.query_params
        width, height = await run_in_threadpool(self._size, name)
        try:
            base = int(query.get('base', '0'))
        except ValueError as error:
            raise HierSegError(f'base: is {shown(query["base"])}; it must be a number') from error
        data = await _body(request, width * height + 64 * 1024)
        labels = await run_in_threadpool(_unpacked_labels, data, height, width)
        entry = await run_in_threadpool(
            self._work.save_frame,
            query.get('session', ''),
            query.get('author', ''),
            name,
            labels,
            base,
        )
        return JSONResponse({'entry': entry})

    async def results(self, request: Request) -> Response:
        return JSONResponse({'written': await run_in_threadpool(self._write_results)})

    async def _with_queue(self, given: Mapping[str, Any], content: dict[str, Any]) -> Response:
        """Answer with what follows, so that no key waits for a second request."""
        queue = await run_in_threadpool(
            self._work.queue,
            _value(given, 'session', str),
            _value(given, 'kind', str),
            _value(given, 'after', int),
            _value(given, 'count', int),
        )
        return JSONResponse({**content, 'queue': queue, 'counts': self._work.counts()})

    def _size(self, name: str) -> tuple[int, int]:
        prediction = self._work.folder.prediction(name)
        if prediction is not None:
            height, width = prediction.shape
            return width, height
        return open_image(self._work.folder.image_path(name)).size


def _unpacked_labels(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """Return gzip's content as H×W; no more is unpacked than belongs to them."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        content = unpacking.decompress(data, height * width + 1)
    except zlib.error as error:
        raise HierSegError(f'labels: are not packed by gzip ({error}); reload the page') from error
    if len(content) != height * width or not unpacking.eof:
        raise HierSegError(
            f'labels: are not {width}×{height} bytes, the size of the picture; reload the page'
        )
    return np.frombuffer(content, np.uint8).reshape(height, width)


def _static_files() -> dict[str, bytes]:
    """Return the page's own files by their names; nothing else is served from the package."""
    folder = files('hier_seg_trainer.label_page').joinpath('static')
    return {
        entry.name: entry.read_bytes()
        for entry in folder.iterdir()
        if entry.name.rpartition('.')[2] in _TYPES
    }


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise HTTPException(413, f'more than {most} bytes are not read')
    return bytes(body)


async def _json(request: Request) -> Mapping[str, Any]:
    body = await _body(request, _MOST_JSON_BYTES)
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HierSegError('the request is no JSON; reload the page') from error
    if not isinstance(given, Mapping):
        raise HierSegError('the request is no mapping; reload the page')
    return given


def _value(given: Mapping[str, Any], name: str, kind: type) -> Any:
    value = given.get(name)
    if type(value) is not kind:
        raise HierSegError(f'{name}: is {shown(value)}; the page must say it: reload it')
    return value


async def _refused(request: Request, error: Exception) -> Response:
    content: dict[str, Any] = {'error': str(error)}
    if isinstance(error, OvertakenError):
        content['theirs'] = error.theirs
    return JSONResponse(content, _status(error))


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({'error': error.detail}, error.status_code)


def _status(error: Exception) -> int:
    """Return the status for what a user can put right."""
    cause = error.__cause__
    if isinstance(error, ConflictError):
        return 409
    if isinstance(cause, OSError):
        return 507 if cause.errno in _FULL else 500
    return 400

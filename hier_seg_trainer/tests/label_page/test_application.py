# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Requests to the page's server, as ASGI has them: who may ask, and what is never served."""

from __future__ import annotations

import asyncio
import errno
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_labelling_folder import FIRST, SECOND, SIGN, SIZE, write_small_folder

from hier_seg_ros.files.writing import not_written
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_trainer.label_page.application import make_application
from hier_seg_trainer.label_page.photographs import photograph
from hier_seg_trainer.label_page.work import Work

TOKEN = 'right-token'
HOST = '127.0.0.1:8000'
ENOUGH = {'session': 's', 'author': 'anna', 'kind': 'open', 'after': 0, 'count': 3, 'seen': 0}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks an application, with the headers that a browser sends from the page itself."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.application = make_application(work, TOKEN, 'anna', lambda: 'written')

    def ask(
        self, method: str, path: str, body: bytes | dict[str, Any] = b'', **headers: str | None
    ) -> Answer:
        """Send a request; a header that is None is left out."""
        usual = {'host': HOST, 'cookie': f'hier_seg_8000={TOKEN}', 'sec_fetch_site': 'same-origin'}
        if method == 'POST':
            usual['origin'] = f'http://{HOST}'
        given = {**usual, **headers}
        place, _, query = path.partition('?')
        scope = {
            'type': 'http', 'asgi': {'version': '3.0'}, 'http_version': '1.1', 'method': method,
            'scheme': 'http', 'path': place, 'raw_path': place.encode(),
            'query_string': query.encode(), 'root_path': '',
            'headers': [
                (name.replace('_', '-').encode(), value.encode())
                for name, value in given.items() if value is not None
            ],
            'client': ('127.0.0.1', 1), 'server': ('127.0.0.1', 8000),
        }  # fmt: skip
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {'type': 'http.request', 'body': data, 'more_body': False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.application(scope, receive, send))
        start, *rest = sent
        found = {key.decode(): value.decode() for key, value in start['headers']}
        return Answer(start['status'], found, b''.join(part.get('body', b'') for part in rest))

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.ask('GET', path, **headers)

    def post(self, path: str, body: bytes | dict[str, Any], **headers: str | None) -> Answer:
        return self.ask('POST', path, body, **headers)


@pytest.fixture
def client(tmp_path: Path, tree: Hierarchy) -> Client:
    folder = write_small_folder(tmp_path / 'folder', tree)
    return Client(Work(folder, folder.open_log()))


def test_the_token_of_the_address_becomes_a_cookie(client: Client) -> None:
    answer = client.get(f'/?token={TOKEN}', cookie=None)
    assert answer.status == 303 and answer.headers['location'] == '/'
    cookie = answer.headers['set-cookie']
    assert cookie.startswith(f'hier_seg_8000={TOKEN};')
    assert 'HttpOnly' in cookie and 'SameSite=lax' in cookie
    assert client.get('/').status == 200


@pytest.mark.parametrize(
    'headers',
    [
        {'cookie': None},
        {'cookie': 'hier_seg_8000=wrong'},
        {'cookie': f'hier_seg_8001={TOKEN}'},
        {'cookie': None, 'authorization': 'Bearer wrong'},
        # Addresses of elsewhere whose name leads to this machine.
        {'host': 'evil.example:8000'},
        {'host': '127.0.0.1.evil.example:8000'},
        {'host': '127.0.0.1:8000@evil.example'},
        {'host': None},
        {'host': ''},
        # Other pages that the browser shows.
        {'origin': 'https://evil.example'},
        {'origin': 'http://127.0.0.1:9000'},
        {'origin': 'null'},
        {'sec_fetch_site': 'cross-site', 'sec_fetch_mode': 'no-cors'},
        {'sec_fetch_site': 'same-site', 'sec_fetch_mode': 'cors'},
    ],
)
def test_whoever_is_not_the_page_gets_nothing(
    client: Client, headers: dict[str, str | None]
) -> None:
    paths = ('/', '/static/main.js', '/api/folder', f'/images/{FIRST}', f'/api/frames/{FIRST}')
    for path in paths:
        answer = client.get(path, **headers)
        assert answer.status == 403 and set(answer.content) == {'error'}, path
    action = {**ENOUGH, 'action': 'skip', 'proposal': 7}
    assert client.post('/api/answer', action, **headers).status == 403
    assert client.work.state.entries == []


def test_a_wrong_token_in_the_address_is_refused_also_with_a_cookie(client: Client) -> None:
    assert client.get('/?token=wrong').status == 403


def test_programs_may_send_the_token_as_a_header(client: Client) -> None:
    headers = {'cookie': None, 'sec_fetch_site': None, 'authorization': f'Bearer {TOKEN}'}
    assert client.get('/api/folder', **headers).status == 200
    assert client.get('/api/folder', host='localhost:8022', cookie=f'hier_seg_8022={TOKEN}',
                      origin='http://localhost:8022').status == 200  # fmt: skip


def test_a_link_from_a_report_leads_to_the_page_but_to_no_change(client: Client) -> None:
    link = {'sec_fetch_site': 'cross-site', 'sec_fetch_mode': 'navigate'}
    assert client.get('/', **link).status == 200
    assert client.post('/api/queue', ENOUGH, **link).status == 403


@pytest.mark.parametrize(
    'path',
    [
        '/images/../folder.json', '/images/..%2Ffolder.json', '/images/%2e%2e/folder.json',
        '/images/..', '/images/folder.json', '/images//etc/passwd', '/images/',
        '/static/../application.py', '/static/..%2Fapplication.py', '/static/__init__.py',
        '/static/', '/log.jsonl', '/address.json', '/classes/0.png', '/classes/300.png',
        '/api/proposals/99999999999999999999', '/nothing',
    ],
)  # fmt: skip
def test_nothing_else_is_served(client: Client, path: str) -> None:
    (client.work.folder.path / 'address.json').write_text('{}')
    answer = client.get(path)
    assert answer.status in (400, 404) and set(answer.content) == {'error'}


def test_a_picture_that_became_a_link_out_of_the_folder_is_not_served(client: Client) -> None:
    path = client.work.folder.image_path(FIRST)
    path.unlink()
    path.symlink_to('/etc/hostname')
    answer = client.get(f'/images/{FIRST}')
    assert answer.status == 404 and 'restore it' in answer.content['error']


def test_every_answer_forbids_what_comes_from_elsewhere(client: Client) -> None:
    for path in ('/', '/static/main.js', f'/images/{FIRST}', '/api/folder', '/nothing'):
        headers = client.get(path).headers
        policy = dict(part.split(' ', 1) for part in headers['content-security-policy'].split('; '))
        assert policy['default-src'] == "'none'" and policy['script-src'] == "'self'"
        assert not any('http' in value or '*' in value for value in policy.values())
        assert headers['x-content-type-options'] == 'nosniff'
        assert headers['cross-origin-resource-policy'] == 'same-origin'
    assert client.get('/api/folder').headers['cache-control'] == 'no-store'


def test_the_page_names_files_of_its_own_only(client: Client) -> None:
    page = client.get('/').body.decode()
    assert 'style=' not in page and '<script>' not in page
    for part in page.split('="/static/')[1:]:
        name = part.partition('"')[0]
        assert client.get(f'/static/{name}').status == 200
    for line in client.get('/static/main.js').body.decode().splitlines():
        if line.startswith('import'):
            assert client.get(f'/static/{line.split(chr(39))[1][2:]}').status == 200


def test_an_answer_brings_what_follows(client: Client, tree: Hierarchy) -> None:
    sent = {**ENOUGH, 'action': 'label', 'proposal': 7, 'class': tree.node('stop').name}
    answer = client.post('/api/answer', sent).content
    assert answer['entry']['author'] == 'anna' and answer['counts']['open'] == 2
    assert [proposal['id'] for proposal in answer['queue']] == [3, 5]
    assert answer['queue'][1]['mask'] == {'size': [4, 4], 'counts': [0, 16]}
    taken = client.post('/api/undo', {**ENOUGH, 'number': answer['entry']['number']}).content
    assert taken['proposal']['id'] == 7 and taken['proposal']['answer'] is None


def test_a_conflict_shows_the_other_answer(client: Client) -> None:
    client.post('/api/answer', {**ENOUGH, 'action': 'nothing', 'proposal': 7})
    other = {**ENOUGH, 'session': 't', 'author': 'bob', 'action': 'unknown', 'proposal': 7}
    answer = client.post('/api/answer', other)
    assert answer.status == 409 and answer.content['theirs']['action'] == 'nothing'
    assert client.post('/api/answer', {**other, 'seen': 1}).status == 200


@pytest.mark.parametrize(
    ('body', 'status'),
    [
        (b'', 400),
        (b'{', 400),
        (b'[' * 60_000, 400),
        (b'[]', 400),
        (b'\xff', 400),
        (b'x' * 70_000, 413),
        ({}, 400),
        ({**ENOUGH, 'session': 5}, 400),
        ({**ENOUGH, 'seen': '0', 'action': 'skip', 'proposal': 7}, 400),
        ({**ENOUGH, 'seen': True, 'action': 'skip', 'proposal': 7}, 400),
        ({**ENOUGH, 'action': 'skip', 'proposal': 10**30}, 400),
        ({**ENOUGH, 'action': 'skip', 'proposal': {}}, 400),
        ({**ENOUGH, 'action': 'label', 'proposal': 7, 'class': 'no such class'}, 400),
        ({**ENOUGH, 'author': '\u2028', 'action': 'skip', 'proposal': 7}, 400),
    ],
)
def test_requests_that_make_no_sense_are_refused_in_a_line(
    client: Client, body: bytes | dict[str, Any], status: int
) -> None:
    answer = client.post('/api/answer', body)
    assert answer.status == status and '\n' not in answer.content['error']
    assert client.work.state.entries == []


def test_labels_of_a_frame_go_there_and_back(client: Client, tree: Hierarchy) -> None:
    answer = client.get(f'/api/frames/{FIRST}')
    height, width = SIZE
    assert [answer.headers[f'x-{name}'] for name in ('width', 'height', 'entry')] == [
        str(width), str(height), '0',
    ]  # fmt: skip
    labels = np.frombuffer(gzip.decompress(answer.body), np.uint8).reshape(SIZE).copy()
    labels[3:9, 4:20] = tree.node('stop').id
    path = f'/api/frames/{FIRST}?session=s&author=anna&base=0'
    saved = client.post(path, gzip.compress(labels.tobytes()))
    assert saved.status == 200 and saved.content['entry']['number'] == 1
    again = client.get(f'/api/frames/{FIRST}?of=newest')
    assert again.headers['x-entry'] == '1' and gzip.decompress(again.body) == labels.tobytes()
    prediction = client.get(f'/api/frames/{FIRST}?of=prediction')
    assert gzip.decompress(prediction.body) == gzip.decompress(answer.body)
    other = client.post(path.replace('=s&', '=t&'), gzip.compress(bytes(height * width)))
    assert other.status == 409 and other.content['theirs']['number'] == 1


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'', 'the size of the picture'),
        (b'no gzip', 'not packed by gzip'),
        (gzip.compress(bytes(10)), 'the size of the picture'),
        (gzip.compress(bytes(48 * 64 + 1)), 'the size of the picture'),
        # A few kB that would become 100 MB.
        (gzip.compress(bytes(10**8)), 'more than|the size of the picture'),
        (gzip.compress(bytes(48 * 64))[:-6], 'the size of the picture'),
        (gzip.compress(bytes([250]) * (48 * 64)), 'no id of the tree'),
    ],
)
def test_labels_that_are_none_are_refused(client: Client, content: bytes, reason: str) -> None:
    answer = client.post(f'/api/frames/{FIRST}?session=s&author=anna&base=0', content)
    assert answer.status in (400, 413)
    assert any(part in answer.content['error'] for part in reason.split('|'))
    assert client.work.state.entries == []


@pytest.mark.parametrize(
    ('number', 'status'), [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EIO, 500)]
)
def test_a_log_that_cannot_be_written_is_said(
    client: Client, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    def write(log: Any, line: bytes) -> None:
        error = OSError(number, 'so it is')
        raise not_written(log.path, error, 'make room') from error

    with monkeypatch.context() as patch:
        patch.setattr('hier_seg_trainer.labelling.log.Log._write', write)
        answer = client.post('/api/answer', {**ENOUGH, 'action': 'skip', 'proposal': 7})
        assert answer.status == status and 'so it is' in answer.content['error']
    assert client.work.state.entries == []
    again = client.post('/api/answer', {**ENOUGH, 'action': 'skip', 'proposal': 7})
    assert again.content['entry']['number'] == 1


def test_pictures_of_the_classes_are_drawn(client: Client, tree: Hierarchy) -> None:
    nodes = client.get('/api/folder').content['nodes']
    drawn = [node for node in nodes if node['picture']]
    assert len(drawn) == 43 and all(node['parent'] == SIGN for node in drawn)
    with Image.open(io.BytesIO(client.get(f'/classes/{drawn[0]["id"]}.png').body)) as picture:
        assert picture.mode == 'RGBA' and picture.height == 128
        assert picture.getpixel((0, 0))[3] == 0 and picture.getpixel((64, 64))[3] == 255


def test_images_come_as_the_trainer_reads_them(client: Client, tmp_path: Path) -> None:
    stored = client.work.folder.image_path(SECOND).read_bytes()
    answer = client.get(f'/images/{SECOND}')
    assert answer.body == stored and answer.headers['content-type'] == 'image/png'


def write_turned(path: Path, pixels: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(path, 'JPEG', exif=exif, quality=95)


@pytest.mark.parametrize(
    ('name', 'write', 'turned'),
    [
        ('a.ppm', lambda path, pixels: Image.fromarray(pixels).save(path), False),
        ('a.tiff', lambda path, pixels: Image.fromarray(pixels).save(path), False),
        ('a.bmp', lambda path, pixels: Image.fromarray(pixels).save(path), False),
        ('a.jpg', write_turned, True),
    ],
)
def test_what_browsers_read_in_another_way_becomes_png(
    tmp_path: Path, name: str, write: Callable[[Path, np.ndarray], None], turned: bool
) -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:10, :15] = 200
    write(tmp_path / name, pixels)
    data, media_type = photograph(tmp_path / name)
    assert media_type == 'image/png'
    shown = np.asarray(Image.open(io.BytesIO(data)))
    expected = np.rot90(pixels, -1) if turned else pixels
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).mean() < 6

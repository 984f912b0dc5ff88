#!/usr/bin/env python3
# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the model gains from labels of what it got wrong: the whole loop, by commands and requests.

    python benchmarks/labelling_loop.py DATA --json benchmarks/results/labelling_loop.json

DATA has ``camvid``, ``gtsdb``, ``gtsrb``, ``labelmefacade``. The worst frames of two galleries, of
training images, become proposals. The requests that the page of ``hier-seg label`` sends answer
them and paint whole frames, in place of a person, from labels that are known. Training goes on with
the results, and validation images say what that gained. The model was trained on the images of
GTSDB, and has seen none of LabelMeFacade.
"""

from __future__ import annotations

import argparse
import gzip
import html
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h11
import numpy as np
from measurement import circumstances, print_table, write_result
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import UNLABELLED, Hierarchy
from hier_seg_ros.label_spaces.node_sets import NodeSet
from hier_seg_ros.signs.sign_areas import SignArea
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.datasets.samples import node_sets_of
from hier_seg_trainer.evaluation.scores.box_labels import draw_boxes
from hier_seg_trainer.labelling.address import HOST
from hier_seg_trainer.labelling.folder import LabellingFolder
from hier_seg_trainer.labelling.proposals import Proposal
from hier_seg_trainer.proposing.given_labels import answer as given_answer

ROOT = Path(__file__).resolve().parents[1]
FACADE_MAPPING = ROOT / 'config' / 'label_spaces' / 'labelmefacade.yaml'
RECIPE = ROOT / 'benchmarks' / 'labelling_loop.yaml'
MODEL = 'street_lite0'
AUTHOR = 'script'
# Format, folder of DATA and further options of each data set that is scored.
SETS: dict[str, tuple[str, ...]] = {
    'labelmefacade': ('folder', '--mapping', str(FACADE_MAPPING)),
    'camvid': ('camvid',),
    'gtsdb': ('gtsdb',),
}
# What is scored runs as fast as it can: both models alike.
FAST = ('--device', 'cpu', '--engine', 'auto', '--precision', 'auto')

# Of each image that is answered or painted, by its name: H×W node ids, 255 = unlabelled.
Truth = Mapping[str, NDArray[np.uint8]]


def main() -> int:
    """Go round once, print and write."""
    options = _parser().parse_args()
    result: dict[str, Any] = {'circumstances': circumstances()}
    command = result['circumstances']['command'].replace(str(options.data), 'DATA')
    result['circumstances']['command'] = command
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        steps = Steps(options.data, Path(scratch))
        result |= go_round(steps, options)
        result['commands'] = steps.commands
    result['seconds'] = round(time.monotonic() - began)
    result['load_average_after'] = [round(value, 2) for value in os.getloadavg()]
    rows = [
        (name, key, before, result['after'][name][key])
        for name, scores in result['before'].items()
        for key, before in scores.items()
    ]
    print_table(('validation images of', 'score', 'before', 'after'), rows)
    write_result(result, options.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('data', type=Path, help='the folder of data sets')
    parser.add_argument('--limit', type=int, default=40, help='training images of each gallery')
    parser.add_argument('--worst', type=int, default=15, help='frames taken from each gallery')
    parser.add_argument('--iterations', type=int, default=20, help='steps of the optimiser')
    parser.add_argument('--score', type=int, default=40, help='validation images of each data set')
    parser.add_argument('--json', type=Path, help='file for the numbers')
    return parser


class Steps:
    """Runs commands of ``hier-seg``, and remembers them and their time.

    Attributes
    ----------
    data, scratch
        The data sets; where everything is written.
    commands
        Each command, and the seconds that it took.

    """

    def __init__(self, data: Path, scratch: Path) -> None:
        """Begin with no command."""
        self.data, self.scratch = data.resolve(), scratch
        self.commands: list[dict[str, Any]] = []

    def run(self, *words: object) -> None:
        """Run a command; CalledProcessError where it fails."""
        began = time.monotonic()
        subprocess.run(_command(words), check=True, cwd=ROOT, stdout=sys.stderr)
        self.note(words, time.monotonic() - began)

    def note(self, words: Collection[object], seconds: float) -> None:
        """Remember a command, without the places of this machine."""
        text = ' '.join(['hier-seg', *map(str, words)])
        for place, name in ((self.data, 'DATA'), (self.scratch, 'OUT'), (f'{ROOT}/', '')):
            text = text.replace(str(place), name)
        self.commands.append({'command': text, 'seconds': round(seconds, 1)})


def _command(words: Collection[object]) -> list[str]:
    return [sys.executable, '-m', 'hier_seg_trainer.cli', *map(str, words)]


def go_round(steps: Steps, options: argparse.Namespace) -> dict[str, Any]:
    """Return what was labelled, and the scores before and after."""
    scratch, source = steps.scratch, steps.scratch / 'frames'
    source.mkdir()
    names = {
        name: collect_worst(steps, name, source, options.limit, options.worst)
        for name in ('labelmefacade', 'gtsdb')
    }
    folder = scratch / 'loop'
    steps.run('propose', source, '--model', MODEL, '--out', folder, '--device', 'cpu')
    counts = label(steps, folder, names)
    before = {name: score(steps, MODEL, name, options.score) for name in SETS}
    changes = [
        f'iterations={options.iterations}',
        f'data.4.path={folder / "labels" / "generic"}',
        f'data.4.mapping={folder / "labels" / "generic" / "mapping.yaml"}',
    ]
    words = ['train', RECIPE, '--data', steps.data, '--run', scratch / 'run', '--device', 'cpu']
    steps.run(*words, *(word for change in changes for word in ('--set', change)))
    after = {
        name: score(steps, str(scratch / 'run' / 'model'), name, options.score) for name in SETS
    }
    return {
        'frames': {name: len(found) for name, found in names.items()},
        'iterations': options.iterations,
        'labels': counts,
        'before': before,
        'after': after,
    }


def _dataset_words(steps: Steps, name: str) -> list[object]:
    return ['--format', SETS[name][0], '--path', steps.data / name, *SETS[name][1:]]


def collect_worst(steps: Steps, name: str, target: Path, limit: int, worst: int) -> dict[str, str]:
    """Copy the worst training frames of a data set's gallery, under names of plain letters.

    Returns
    -------
    dict[str, str]
        The name of each copy by that of the image's file.

    """
    gallery = steps.scratch / f'gallery_{name}'
    words = ['evaluate', MODEL, *_dataset_words(steps, name), '--split', 'train', *FAST]
    steps.run(*words, '--limit', limit, '--gallery', gallery, '--worst', worst)
    page = (gallery / 'index.html').read_text('utf-8')
    names = [html.unescape(found) for found in re.findall(r'<h2>\d+\. (.*?)</h2>', page)]
    images = steps.data / name / ('images/train' if name == 'labelmefacade' else '')
    copies = {found: f'{name}_{number}{Path(found).suffix}' for number, found in enumerate(names)}
    for found, copy in copies.items():
        shutil.copyfile(images / found, target / copy)
    return copies


def score(steps: Steps, model: str, name: str, limit: int) -> dict[str, float]:
    """Return a model's scores on validation images of a data set."""
    out = steps.scratch / 'score.json'
    words = ['evaluate', model, *_dataset_words(steps, name), '--split', 'val', *FAST]
    steps.run(*words, '--limit', limit, '--json', out)
    numbers = json.loads(out.read_text('utf-8'))
    keys = [key for key in numbers if key == 'mean_iou_paper' or key.startswith('sign')]
    return {'images': numbers['images'], **{key: numbers[key] for key in keys}}


def label(steps: Steps, path: Path, names: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    """Answer the proposals of a folder and paint its frames, from the labels of the data sets."""
    folder = LabellingFolder.open(path)
    began = time.monotonic()
    with served(path) as address:
        page = PageClient(address)
        counts = answer_all(page, folder, sign_truth(steps.data, folder.tree, names['gtsdb']))
        truth, sets = frame_truth(steps.data, folder.tree, names['labelmefacade'])
        counts |= paint_all(page, folder.tree, truth, sets)
    steps.note(['label', path], time.monotonic() - began)
    return counts


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Yield the address of a folder's page; in the end the server writes the results."""
    with subprocess.Popen(
        _command(['label', folder, '--port', 0]), stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield next(line.strip() for line in server.stdout if line.startswith('http'))
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate()
    if server.returncode:
        raise RuntimeError(f'hier-seg label ended with exit code {server.returncode}')


class PageClient:
    """Sends the requests that the page sends, as one session; it can reach this machine alone."""

    def __init__(self, address: str) -> None:
        """Take the address that ``hier-seg label`` has printed."""
        place, _, self._token = address.partition('/?token=')
        self._port = int(place.rpartition(':')[2])
        self._session = secrets.token_hex(8)

    def queue(self) -> list[dict[str, Any]]:
        """Return the proposals that come next, the first of which is to be answered."""
        return self._post('/api/queue')['queue']

    def answer(self, proposal: int, action: Mapping[str, str]) -> list[dict[str, Any]]:
        """Answer a proposal; return what comes next."""
        return self._post('/api/answer', proposal=proposal, seen=0, **action)['queue']

    def undo(self) -> int:
        """Take back the last answer; return its proposal."""
        return self._post('/api/undo')['proposal']['id']

    def frame(self, image: str) -> tuple[NDArray[np.uint8], int]:
        """Return a frame's newest labels, H×W node ids, and the number of their entry."""
        data, headers = self._send(f'/api/frames/{image}')
        size = int(headers['x-height']), int(headers['x-width'])
        labels = np.frombuffer(gzip.decompress(data), np.uint8).reshape(size)
        return labels, int(headers['x-entry'])

    def save_frame(self, image: str, labels: NDArray[np.uint8], base: int) -> int:
        """Save labels of a frame, painted on those of entry `base`; return the new number."""
        query = f'session={self._session}&author={AUTHOR}&base={base}'
        data, _ = self._send(f'/api/frames/{image}?{query}', gzip.compress(labels.tobytes(), 1))
        return json.loads(data)['entry']['number']

    def _post(self, path: str, **values: Any) -> Any:
        who = {'session': self._session, 'author': AUTHOR}
        content = {**who, 'kind': 'open', 'after': 0, 'count': 2, **values}
        return json.loads(self._send(path, json.dumps(content).encode())[0])

    def _send(self, path: str, body: bytes = b'') -> tuple[bytes, Mapping[str, str]]:
        """Return what the server answers, and its headers by names in lower case."""
        headers = {
            'Host': f'{HOST}:{self._port}',
            'Authorization': f'Bearer {self._token}',
            'Content-Length': str(len(body)),
            'Connection': 'close',
        }
        connection = h11.Connection(h11.CLIENT)
        request = h11.Request(
            method='POST' if body else 'GET', target=path, headers=list(headers.items())
        )
        parts = [connection.send(event) for event in (request, h11.Data(body), h11.EndOfMessage())]
        content = bytearray()
        with socket.create_connection((HOST, self._port)) as server:
            server.sendall(b''.join(part or b'' for part in parts))
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    connection.receive_data(server.recv(65536))
                elif isinstance(event, h11.Response):
                    response = event
                elif isinstance(event, h11.Data):
                    content += event.data
        if response.status_code != 200:
            raise HierSegError(f'{path}: {response.status_code}: {content.decode()}')
        found = {name.decode(): value.decode() for name, value in response.headers}
        return bytes(content), found


def answer_all(page: PageClient, folder: LabellingFolder, truth: Truth) -> dict[str, int]:
    """Answer all proposals, take the first label back and give it again; return the counts."""
    counts: Counter[str] = Counter(proposals=len(folder.proposals))
    queue = page.queue()
    while queue:
        proposal = folder.proposal_of_id[queue[0]['id']]
        action = answer_to(proposal, truth.get(proposal.image), folder.tree)
        queue = page.answer(proposal.id, action)
        if action['action'] == 'label' and not counts['undo']:
            assert page.undo() == proposal.id
            counts['undo'] += 1
            queue = page.answer(proposal.id, action)
        counts[action['action']] += 1
        first = proposal.guesses[0].name if proposal.guesses else ''
        counts['label: not the first guess'] += action.get('class', first) != first
    return dict(counts)


def answer_to(
    proposal: Proposal, truth: NDArray[np.uint8] | None, tree: Hierarchy
) -> dict[str, str]:
    """Return what a person would say, whose knowledge is `truth`.

    The class of the sign below the region; where there is none of those that are labelled, that it
    is nothing. What covers less than a quarter of the region, and signs of images whose signs are
    not labelled, are skipped.
    """
    if truth is None:
        return {'action': 'skip'}
    area = SignArea(0, proposal.pixels, proposal.box, proposal.mask)
    inside = area.within(truth)
    node = given_answer(truth, area, tree, tree.node(proposal.parent))
    if node is not None:
        return {'action': 'label', 'class': node.name}
    if (inside == UNLABELLED).all():
        return {'action': 'nothing'}
    of_parent = (inside == tree.node(proposal.parent).id).mean()
    return {'action': 'unknown' if of_parent > 0.5 else 'skip'}


def paint_all(
    page: PageClient, tree: Hierarchy, truth: Truth, sets: Collection[NodeSet]
) -> dict[str, int]:
    """Correct whole frames; return how many, and how many of their pixels changed."""
    changed = pixels = 0
    for image, labels in truth.items():
        prediction, entry = page.frame(image)
        painted = corrected(prediction, labels, sets, tree)
        page.save_frame(image, painted, entry)
        changed += int((painted != prediction).sum())
        pixels += painted.size
    return {'frames painted': len(truth), 'pixels': pixels, 'pixels changed': changed}


def corrected(
    prediction: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    sets: Collection[NodeSet],
    tree: Hierarchy,
) -> NDArray[np.uint8]:
    """Return a prediction, H×W node ids, as somebody who knows `truth` would correct it.

    Where the truth is a set of nodes ("building or what stands before it"), a prediction of its
    first node stays, one of another node of the set is erased, because it may be right or not, and
    what is wrong becomes the first node.
    """
    painted = truth.copy()
    for one in sets:
        inside = truth == one.id
        painted[inside] = one.first.id
        first = np.isin(prediction, [node.id for node in tree.subtree(one.first)])
        painted[inside & first] = prediction[inside & first]
        painted[inside & ~first & one.is_member[prediction]] = UNLABELLED
    return painted


def sign_truth(data: Path, tree: Hierarchy, names: Mapping[str, str]) -> Truth:
    """Return the signs of images of GTSDB, as their boxes have them; `names` as collected."""
    dataset = open_dataset('gtsdb', data / 'gtsdb', 'train', tree)
    found = {}
    for place in range(len(dataset)):
        if (name := dataset.image_path(place).name) in names:
            sample = dataset[place]
            found[names[name]] = draw_boxes(sample.boxes or (), np.asarray(sample.image).shape)
    return found


def frame_truth(
    data: Path, tree: Hierarchy, names: Mapping[str, str]
) -> tuple[Truth, tuple[NodeSet, ...]]:
    """Return the labels of images of LabelMeFacade, and the sets of nodes that they name."""
    dataset = open_dataset('folder', data / 'labelmefacade', 'train', tree, FACADE_MAPPING)
    found = {}
    for place in range(len(dataset)):
        if (name := dataset.image_path(place).name) in names:
            labels = dataset[place].labels
            assert labels is not None
            found[names[name]] = labels
    return found, node_sets_of(dataset)


if __name__ == '__main__':
    sys.exit(main())

# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands, from an experiment file to a model folder and its scores."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.model_folder import read_model_folder
from hier_seg_ros.segmenter.network import NetworkOptions, build_network
from hier_seg_ros.segmenter.segmenter import Segmenter
from hier_seg_trainer import configuration
from hier_seg_trainer.batches.mixed_batches import MixedBatches
from hier_seg_trainer.cli import main
from hier_seg_trainer.commands import train as train_command
from hier_seg_trainer.configuration import load_experiment
from hier_seg_trainer.datasets.opening import open_dataset
from hier_seg_trainer.evaluation import EvaluationOptions, evaluate_dataset, summary
from hier_seg_trainer.export import model_export
from hier_seg_trainer.export.model_export import evaluate_and_export
from hier_seg_trainer.training import validation
from hier_seg_trainer.training.runs.checkpoint import BEST, CHECKPOINT, read_checkpoint
from hier_seg_trainer.training.training_data import open_training_data
from hier_seg_trainer.training.weights.batch_statistics import renew_statistics

SUPERVISED = {'Sky', 'Building', 'Driveable', 'Rider', 'Traffic Sign', 'Traffic Sign (Front)'}


@dataclass(frozen=True)
class Trained:
    experiment: Path
    data: Path
    run: Path

    @property
    def model(self) -> Path:
        return self.run / 'model'

    @property
    def arguments(self) -> list[str]:
        places = ['--data', str(self.data), '--run', str(self.run), '--device', 'cpu']
        return [str(self.experiment), *places]


@pytest.fixture(scope='module')
def trained(
    tmp_path_factory: pytest.TempPathFactory,
    small_data: Path,
    experiment_content: Callable[..., dict[str, Any]],
) -> Iterator[Trained]:
    """Return a finished run of the tiny network, by ``hier-seg train``."""
    folder = tmp_path_factory.mktemp('cli')
    tiny = NetworkOptions('test_efficientnet', {}, (8, 16), 8, 4, True, True)
    experiment = folder / 'experiment.yaml'
    experiment.write_text(yaml.safe_dump(experiment_content(iterations=3)), encoding='utf-8')
    trained = Trained(experiment, small_data, folder / 'run')
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(configuration.NETWORKS, 'light', tiny)
        assert main(['train', *trained.arguments, '--workers', '0']) == 0
        yield trained


def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (size, 90, 3)).astype(np.uint8) for size in (64, 200)]


# Train and export


def test_training_leaves_all_that_tells_how_it_was_done(trained: Trained) -> None:
    files = {path.name for path in trained.run.iterdir()}
    assert files == {CHECKPOINT, 'experiment.yaml', 'model', 'tensorboard', 'versions.yaml'}
    versions = yaml.safe_load((trained.run / 'versions.yaml').read_text(encoding='utf-8'))
    assert versions['torch'] == str(torch.__version__)
    assert versions['command'][0] == 'hier-seg'
    kept = yaml.safe_load((trained.run / 'experiment.yaml').read_text(encoding='utf-8'))
    assert configuration.parse(configuration.Experiment, kept) == load_experiment(
        trained.experiment
    )


def test_the_model_folder_holds_the_averaged_weights(trained: Trained, tree: Hierarchy) -> None:
    description, hierarchy, network = read_model_folder(trained.model)
    assert hierarchy == tree
    assert description.name == 'small'
    average = read_checkpoint(trained.run / CHECKPOINT)['average']
    state = network.state_dict()
    assert state.keys() == average.keys()
    weights = {k for k in state if not k.endswith('num_batches_tracked')}
    assert all(torch.equal(state[k], average[k]) for k in weights)
    readable = {hierarchy.node(name).readable_name for name in description.supervised}
    assert readable >= SUPERVISED
    assert len(readable) == 11 + 1 + 43
    assert 'Bird' not in readable


def test_the_model_decides_as_the_network_that_it_came_from(
    trained: Trained, tree: Hierarchy
) -> None:
    loaded = Segmenter.load(trained.model, 'cpu', engine='torch', precision='float32')
    network = build_network(load_experiment(trained.experiment).network_options, tree)
    network.load_state_dict(read_checkpoint(trained.run / CHECKPOINT)['average'])
    direct = Segmenter(loaded.description, tree, network, device='cpu')
    for one, other in zip(loaded.segment(images()), direct.segment(images()), strict=True):
        assert np.array_equal(one.finest, other.finest)
        assert np.array_equal(one.confidence, other.confidence)
        assert len(np.unique(one.confidence)) > 1


def test_the_model_card_names_data_licences_and_scores(trained: Trained, tree: Hierarchy) -> None:
    card = (trained.model / 'README.md').read_text(encoding='utf-8')
    assert card.startswith('# small\n')
    assert 'CamVid (train, 4 images), GTSDB (train, 4 images)' in card
    assert 'Initial weights: random. 3 iterations.' in card
    assert 'CamVid: research use; cite Brostow et al.' in card
    assert 'GTSDB: free for any purpose; cite Houben et al.' in card
    assert 'GTSRB (signs pasted into the images): research use; cite Stallkamp et al.' in card
    assert '**Decides** 55 of the tree' in card
    undecided = card.split('Never decided')[1].splitlines()[1]
    assert 'Bird' in undecided
    assert 'Sky' not in undecided
    assert 'hier-seg evaluate models/small --format gtsdb --path DATA/gtsdb --split val' in card
    # The scores on the card, in model.yaml and of the folder itself are the same.
    segmenter = Segmenter.load(trained.model, 'cpu', engine='torch', precision='float32')
    for name in ('camvid', 'gtsdb'):
        dataset = open_dataset(name, trained.data / name, 'val', tree)
        numbers = summary(evaluate_dataset(segmenter, dataset))
        assert numbers
        assert segmenter.description.scores[f'{name}_val'] == {'images': 2, **numbers}
        for key, value in numbers.items():
            assert f'| {key} | {value:.4f} |' in card


def test_the_model_says_how_it_was_trained(trained: Trained) -> None:
    training = Segmenter.load(
        trained.model, 'cpu', engine='torch', precision='float32'
    ).description.training
    assert training['iterations'] == 3
    assert training['initial_weights'] == 'random'
    assert training['data'][0] == {'name': 'camvid', 'split': 'train', 'images': 4}
    assert training['experiment']['optimizer']['learning_rate'] == 0.01
    assert training['parameters'] > 1000


def test_export_writes_the_model_again_with_notes(trained: Trained, tmp_path: Path) -> None:
    notes = tmp_path / 'notes.md'
    notes.write_text('It has never seen **snow**.\n', encoding='utf-8')
    out = tmp_path / 'models' / 'mine'
    arguments = ['export', *trained.arguments, '--out', str(out)]
    for _ in range(2):
        assert main([*arguments, '--notes', str(notes)]) == 0
    card = (out / 'README.md').read_text(encoding='utf-8')
    assert '\nIt has never seen **snow**.\n' in card
    first = (trained.model / 'weights.safetensors').read_bytes()
    assert (out / 'weights.safetensors').read_bytes() == first
    assert [path.name for path in out.parent.iterdir()] == ['mine']


def test_links_of_the_notes_lead_from_the_card_to_the_same_place(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'notes').mkdir()
    links = (
        '[a](rules.md#two) [b](../data/mine.yaml) [c](https://example.org/x) [d](#scores) '
        '[e](/etc/hosts)'
    )
    (tmp_path / 'notes' / 'mine.md').write_text(f'{links}\n', encoding='utf-8')
    monkeypatch.chdir(tmp_path)
    arguments = ['export', *trained.arguments, '--out', 'models/mine']
    assert main([*arguments, '--notes', 'notes/mine.md']) == 0
    card = (tmp_path / 'models' / 'mine' / 'README.md').read_text(encoding='utf-8')
    assert (
        '\n[a](../../notes/rules.md#two) [b](../../data/mine.yaml) [c](https://example.org/x) '
        '[d](#scores) [e](/etc/hosts)\n'
    ) in card


def test_export_refuses_weights_of_other_classes(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / 'run'
    shutil.copytree(trained.run, run)
    content = dict(read_checkpoint(run / CHECKPOINT))
    content['classes'] = {**content['classes'], 'root': content['classes']['root'][::-1]}
    torch.save(content, run / CHECKPOINT)
    arguments = ['export', str(trained.experiment), '--data', str(trained.data), '--run', str(run)]
    assert main([*arguments, '--out', str(tmp_path / 'model'), '--device', 'cpu']) == 1
    message = capsys.readouterr().err
    assert re.search(r"checkpoint\.pt: does not fit the experiment 'small' .*root", message)
    assert message.count('\n') == 1
    assert not (tmp_path / 'model').exists()


def test_a_finished_run_only_exports_again(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained.run / CHECKPOINT).read_bytes()
    assert main(['train', *trained.arguments, '--workers', '0']) == 0
    assert (trained.run / CHECKPOINT).read_bytes() == before
    assert f'the model is in {trained.model}' in capsys.readouterr().out


def test_what_the_run_has_scored_is_not_scored_again_for_the_card(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*arguments: Any, **keywords: Any) -> None:
        pytest.fail('scored a second time')

    monkeypatch.setattr(model_export, 'evaluate_dataset', again)
    places = ['--data', str(trained.data), '--run', str(tmp_path / 'run'), '--device', 'cpu']
    assert main(['train', str(trained.experiment), *places, '--workers', '0']) == 0
    card = (tmp_path / 'run' / 'model' / 'README.md').read_text(encoding='utf-8')
    assert card == (trained.model / 'README.md').read_text(encoding='utf-8')


def test_export_moves_the_logits(trained: Trained, tmp_path: Path, tree: Hierarchy) -> None:
    before = Segmenter.load(trained.model, 'cpu', engine='torch', precision='float32')
    decided = [result.level(1) for result in before.segment(images())]
    often = tree.node_by_id(int(np.bincount(np.concatenate([d.ravel() for d in decided])).argmax()))
    content = yaml.safe_load(trained.experiment.read_text(encoding='utf-8'))
    content['logit_offsets'] = [{'node': often.name, 'offset': -20}]
    path = tmp_path / 'moved.yaml'
    path.write_text(yaml.safe_dump(content), encoding='utf-8')
    places = ['--data', str(trained.data), '--run', str(trained.run), '--device', 'cpu']
    out = tmp_path / 'moved'
    assert main(['export', str(path), *places, '--out', str(out)]) == 0
    after = Segmenter.load(out, 'cpu', engine='torch', precision='float32')
    assert all((result.level(1) != often.id).all() for result in after.segment(images()))
    # The card's scores are those of the weights beside it.
    dataset = open_dataset('camvid', trained.data / 'camvid', 'val', tree)
    numbers = summary(evaluate_dataset(after, dataset))
    assert after.description.scores['camvid_val'] == {'images': 2, **numbers}
    assert after.description.scores != before.description.scores


def test_export_writes_the_mean_with_other_models(trained: Trained, tmp_path: Path) -> None:
    run = tmp_path / 'other'
    places = ['--data', str(trained.data), '--device', 'cpu']
    train = ['train', str(trained.experiment), *places, '--workers', '0', '--run', str(run)]
    assert main([*train, '--set', 'iterations=1', '--set', 'seed=5', '--set', 'name=other']) == 0
    out, plain = tmp_path / 'mean', tmp_path / 'plain'
    mean_with = ['export', *trained.arguments, '--mean-with', str(run / 'model')]
    assert main([*mean_with, '--out', str(out)]) == 0
    assert main([*mean_with, '--out', str(plain), '--statistics-batches', '0']) == 0
    one, other, mean, all_mean = (
        load_file(folder / 'weights.safetensors')
        for folder in (trained.model, run / 'model', out, plain)
    )
    assert any(not torch.equal(one[name], other[name]) for name in one)
    statistics = [name for name in mean if name.endswith(('running_mean', 'running_var'))]
    for name, value in mean.items():
        torch.testing.assert_close(all_mean[name], (one[name] + other[name]) / 2, msg=name)
        assert torch.equal(value, all_mean[name]) == (name not in statistics), name
    # Those of the mean are what the training data give it.
    network = read_model_folder(plain)[2]
    experiment = load_experiment(trained.experiment)
    batches = MixedBatches(open_training_data(experiment, trained.data).streams, experiment.seed)
    renew_statistics(network, batches, 100, experiment, torch.device('cpu'))
    renewed = network.state_dict()
    assert statistics
    assert all(torch.equal(mean[name], renewed[name]) for name in statistics)
    after = Segmenter.load(out, 'cpu', engine='torch', precision='float32')
    assert after.description.training['mean_with'] == ['other']
    cards = [
        (folder / 'README.md').read_text(encoding='utf-8') for folder in (out, plain, trained.model)
    ]
    text = 'The weights are the mean of what these gave and of other'
    further = 'the statistics of batch normalisation are those over 100 batches of these data.'
    assert f'{text};\n  {further}\n' in cards[0]
    assert f'{text}.\n' in cards[1]
    assert 'are the mean' not in cards[2]
    # The card's scores are those of the weights beside it.
    tree = Hierarchy.load(out / 'hierarchy.yaml')
    dataset = open_dataset('camvid', trained.data / 'camvid', 'val', tree)
    numbers = summary(evaluate_dataset(after, dataset))
    assert after.description.scores['camvid_val'] == {'images': 2, **numbers}


def test_export_refuses_the_mean_with_another_network(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(__file__).resolve().parents[3] / 'models' / 'street_lite0'
    out = tmp_path / 'mean'
    arguments = ['export', *trained.arguments, '--out', str(out), '--mean-with', str(other)]
    assert main(arguments) == 1
    assert 'street_lite0: holds another network than the run (' in capsys.readouterr().err
    assert not out.exists()


def test_a_value_of_the_file_can_be_changed_for_a_run(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / 'run'
    places = ['--data', str(trained.data), '--run', str(run), '--device', 'cpu', '--workers', '0']
    changes = ['--set', 'iterations=1', '--set', 'optimizer.learning_rate=0.5']
    assert main(['train', str(trained.experiment), *places, *changes]) == 0
    kept = load_experiment(run / 'experiment.yaml')
    assert (kept.iterations, kept.optimizer.learning_rate) == (1, 0.5)
    # The run's own copy is an experiment file as well.
    out = tmp_path / 'again'
    arguments = [str(run / 'experiment.yaml'), '--data', str(trained.data), '--run', str(run)]
    assert main(['export', *arguments, '--out', str(out), '--device', 'cpu']) == 0
    weights = [(folder / 'weights.safetensors').read_bytes() for folder in (out, run / 'model')]
    assert weights[0] == weights[1]
    # The file that the run began with says something else.
    capsys.readouterr()
    arguments[0] = str(trained.experiment)
    assert main(['export', *arguments, '--out', str(tmp_path / 'wrong'), '--device', 'cpu']) == 1
    message = capsys.readouterr().err
    assert re.search(
        r'other settings \(iterations, optimizer\); give .*run/experiment\.yaml', message
    )
    assert not (tmp_path / 'wrong').exists()


def test_too_little_memory_is_one_line(
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def train(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 20 MiB.')

    monkeypatch.setattr(train_command, 'train', train)
    places = ['--data', str(trained.data), '--run', str(tmp_path / 'run'), '--device', 'cpu']
    assert main(['train', str(trained.experiment), *places]) == 1
    message = capsys.readouterr().err
    assert message.startswith('hier-seg train: device cpu: has not enough memory')
    assert message.count('\n') == 1


def test_early_stopping_exports_the_best_weights_and_their_scores(
    trained: Trained,
    tmp_path: Path,
    experiment_content: Callable[..., dict[str, Any]],
    tree: Hierarchy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopping = {'measure': 'camvid/mean_iou_paper', 'patience': 1}
    content = experiment_content(iterations=9, evaluate_every=2, early_stopping=stopping)
    path = tmp_path / 'experiment.yaml'
    path.write_text(yaml.safe_dump(content), encoding='utf-8')
    # Two data sets: the first evaluation is the best one, whatever the weights.
    values = [0.9, 0.9, 0.1, 0.1]
    monkeypatch.setattr(validation, 'summary', lambda _: {'mean_iou_paper': values.pop(0)})
    run = tmp_path / 'run'
    places = ['--data', str(trained.data), '--run', str(run), '--device', 'cpu', '--workers', '0']
    assert main(['train', str(path), *places]) == 0
    assert read_checkpoint(run / CHECKPOINT)['iteration'] == 4
    best = read_checkpoint(run / BEST)
    assert best['iteration'] == 2
    description, _, network = read_model_folder(run / 'model')
    assert description.training['iterations'] == 2
    state = network.state_dict()
    weights = {k for k in state if not k.endswith('num_batches_tracked')}
    assert all(torch.equal(state[k], best['average'][k]) for k in weights)
    dataset = open_dataset('camvid', trained.data / 'camvid', 'val', tree)
    numbers = summary(evaluate_dataset(Segmenter.load(run / 'model', 'cpu'), dataset))
    assert description.scores['camvid_val'] == {'images': 2, **numbers}


def test_a_flat_model_is_exported_with_the_command_that_scores_it(
    trained: Trained,
    tmp_path: Path,
    experiment_content: Callable[..., dict[str, Any]],
    tree: Hierarchy,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / 'experiment.yaml'
    loss = {'box_pixels': 'shape'}
    content = experiment_content(iterations=2, flat=True, loss=loss, self_training={'start': 0})
    path.write_text(yaml.safe_dump(content), encoding='utf-8')
    run = tmp_path / 'run'
    places = ['--data', str(trained.data), '--run', str(run), '--device', 'cpu', '--workers', '0']
    assert main(['train', str(path), *places]) == 0
    segmenter = Segmenter.load(run / 'model', 'cpu')
    assert segmenter.hierarchy.name == 'street_108_flat'
    dataset = open_dataset('gtsdb', trained.data / 'gtsdb', 'val', tree)
    options = EvaluationOptions(runner_up=True)
    numbers = summary(evaluate_dataset(segmenter, dataset, tree=tree, options=options))
    assert segmenter.description.scores['gtsdb_val'] == {'images': 2, **numbers}
    card = (run / 'model' / 'README.md').read_text(encoding='utf-8')
    further = '--split val --tree street_108 --runner-up'
    line = next(line for line in card.splitlines() if line.endswith(further) and 'gtsdb' in line)
    capsys.readouterr()
    words = line.replace('models/small', str(run / 'model')).replace('DATA', str(trained.data))
    assert main(words.split()[1:]) == 0
    printed = capsys.readouterr().out
    for name, value in numbers.items():
        assert re.search(rf'^{re.escape(name)} +{value:.4f}$', printed, re.MULTILINE)


def test_export_of_another_experiment_is_refused(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = NetworkOptions('test_efficientnet', {}, (8, 16), 16, 4, True, True)
    monkeypatch.setitem(configuration.NETWORKS, 'light', other)
    experiment = load_experiment(trained.experiment)
    with pytest.raises(HierSegError, match=r"does not fit the experiment 'small'"):
        evaluate_and_export(experiment, trained.data, trained.run, tmp_path / 'm', 'cpu', '')
    assert not (tmp_path / 'm').exists()


# Evaluate


def test_evaluate_prints_and_writes_the_scores(
    trained: Trained, tree: Hierarchy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'scores.json'
    arguments = ['evaluate', str(trained.model), '--format', 'camvid', '--split', 'train']
    arguments += ['--path', str(trained.data / 'camvid'), '--device', 'cpu', '--json', str(path)]
    assert main(arguments) == 0
    written = json.loads(path.read_text(encoding='utf-8'))
    dataset = open_dataset('camvid', trained.data / 'camvid', 'train', tree)
    numbers = summary(
        evaluate_dataset(
            Segmenter.load(trained.model, 'cpu', engine='torch', precision='float32'), dataset
        )
    )
    expected = {'model': 'small', 'data': 'camvid', 'split': 'train', 'images': 4}
    assert written == expected | numbers
    printed = capsys.readouterr().out
    assert 'Sky' in printed
    for name, value in numbers.items():
        assert re.search(rf'^{re.escape(name)} +{value:.4f}$', printed, re.MULTILINE)


# Errors


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        ('train gone.yaml --data D --run R', 'gone.yaml: cannot be read'),
        ('train E --data gone --run new --device cpu', 'gone/camvid/train: does not exist'),
        ('train E --data D --run new --device cuda:99', "device 'cuda:99'"),
        ('train O --data D --run R --device cpu', 'holds a run with other settings (seed)'),
        ('train E --data D --run R --device cpu --set sed=1', 'did you mean'),
        ('train E --data D --run E/run --device cpu', 'cannot be written'),
        ('evaluate gone --format camvid --path D/camvid', "model 'gone': neither a folder"),
        ('evaluate M --format camvid --path gone --device cpu', 'gone/val: does not exist'),
        ('evaluate M --format gtsdb --path D/gtsdb --split all', "no split 'all'"),
        ('evaluate M --format gtsdb --path D/gtsdb --input-long-side 8', 'at least 32 pixels'),
        (
            'evaluate M --format gtsdb --path D/gtsdb --device cpu --json E/s.json',
            'choose another place with --json',
        ),
        ('export E --data D --run new --out m', 'checkpoint.pt: is missing; train first'),
        ('export E --data D --run R --out m --notes gone.md', 'gone.md: cannot be read'),
        (
            'export E --data D --run R --out m --statistics-batches 5',
            '--statistics-batches: has no use without --mean-with, leave it out',
        ),
        ('export E --data D --run R --out D --device cpu', 'exists and is no model folder'),
    ],
)
def test_an_error_is_one_line_and_exit_code_one(
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    experiment_content: Callable[..., dict[str, Any]],
    arguments: str,
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / 'other.yaml'
    other.write_text(yaml.safe_dump(experiment_content(iterations=3, seed=4)), encoding='utf-8')
    places = {
        'E': trained.experiment,
        'D': trained.data,
        'R': trained.run,
        'M': trained.model,
        'O': other,
    }
    words = []
    for word in arguments.split():
        head, slash, rest = word.partition('/')
        words.append(f'{places.get(head, head)}{slash}{rest}')
    assert main(words) == 1
    # Progress bars end in a carriage return.
    error = capsys.readouterr().err.split('\r')[-1].split('image/s]')[-1].strip()
    assert error.startswith(f'hier-seg {words[0]}: ')
    assert reason in error
    assert '\n' not in error


def test_a_missing_package_is_one_line() -> None:
    # As where only the node's part is installed.
    program = (
        "import sys; sys.modules['torch'] = None; from hier_seg_trainer.cli import main; "
        "sys.exit(main(['train']))"
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert done.returncode == 1
    expected = "hier-seg: the Python package 'torch' is not installed; pip install hier_seg_trainer"
    assert done.stderr.strip() == expected


def test_what_needs_no_network_does_not_wait_for_pytorch() -> None:
    program = (
        'import sys\n'
        'from hier_seg_trainer.cli import main\n'
        "code = main(['label', 'nowhere'])\n"
        "sys.exit(f'{code}, torch' if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count('\n')) == (1, 1)
    assert done.stderr.startswith('hier-seg label: nowhere')


@pytest.mark.parametrize(
    'arguments',
    [
        '',
        'learn',
        'train E',
        'evaluate M --format coco --path D',
        'train E --data D --run R --workers -1',
    ],
)
def test_wrong_usage_is_exit_code_two(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments.split())
    assert raised.value.code == 2
    assert 'usage: hier-seg' in capsys.readouterr().err

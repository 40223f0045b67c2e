"""The recipes that `benchmarks.fast_training` compares are what they say."""

import json
from dataclasses import replace

import pytest
import torch

from benchmarks import fast_training
from benchmarks.fast_training import SIZES, WAYS, Size
from convnets.training import Dataset, load


@pytest.fixture(scope="module")
def few() -> Dataset:
    full = load()
    train, test = (part.subset(torch.arange(1024)) for part in (full.train, full.test))
    return replace(full, train=train, test=test)


def test_the_stem_makes_the_pixels_of_a_patch_independent(few):
    images = fast_training.normalised(few, few.train.images)
    stem = fast_training.whitened_net(images, (8, 8))[0]
    maps = stem(images).transpose(0, 1).flatten(1)  # (18, n)
    correlation = (maps @ maps.T / maps.shape[1])[:9, :9]
    torch.testing.assert_close(correlation, torch.eye(9), atol=0.05, rtol=0)
    torch.testing.assert_close(maps[9:], -maps[:9])
    assert not stem.weight.requires_grad


def test_flips_alternate():
    images = torch.arange(512.0)[:, None, None, None] * 10 + torch.tensor([1.0, 2.0])
    seen = {}
    for x, y in fast_training.alternating(images, torch.arange(512), epochs=2):
        for image, label in zip(x, y.tolist(), strict=True):
            seen.setdefault(label, []).append((image % 10).flatten().tolist())
    assert len(seen) == 512
    assert all(sorted(views) == [[1.0, 2.0], [2.0, 1.0]] for views in seen.values())
    assert 150 < sum(views[0] == [1.0, 2.0] for views in seen.values()) < 362


@pytest.mark.parametrize("way", WAYS)
def test_every_way_learns(way, few):
    assert WAYS[way](Size(4, (16, 16)), few, 0) > 0.3


def test_recorded_runs_are_shown_and_not_repeated(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fast_training, "RESULTS", tmp_path / "runs.json")
    monkeypatch.setitem(WAYS, "fit", lambda size, data, seed: 0.5 + seed / 10)
    monkeypatch.setattr(fast_training, "load", lambda name: load())
    monkeypatch.setattr(fast_training, "WAYS", {"fit": WAYS["fit"]})
    fast_training.main([60], seeds=1)
    fast_training.main([60], seeds=2)
    assert capsys.readouterr().out.count("60 s, fit") == 2
    table = "\n".join(fast_training.lines())
    assert "| 2 of 3 | 0 | 55.00% (50.00% to 60.00%) |" in table
    assert table.count("not run yet") == 2
    rows = json.loads(fast_training.RESULTS.read_text())
    assert [row["seed"] for row in rows] == [0, 1]
    monkeypatch.setitem(SIZES, 60, Size(1, (8, 8)))
    assert "0 of 3" in fast_training.lines()[2]

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuromask.schemes import MTM_SCHEMES, SchemeSampler, resolve_schemes
from neuromask.training.batches import (
    SESSIONS_PER_BATCH,
    Masker,
    SessionTensors,
    mixed_batches,
)

sizes_of_sessions = st.lists(st.integers(1, 90), min_size=1, max_size=12)


@given(sizes=sizes_of_sessions, batch_size=st.integers(1, 33), seed=st.integers(0, 9))
def test_every_trial_comes_once_an_epoch(sizes, batch_size, seed):
    trials = [np.arange(n) for n in sizes]
    batches = list(mixed_batches(trials, batch_size, np.random.default_rng(seed)))
    seen = sorted((i, int(t)) for batch in batches for i, rows in batch for t in rows)
    assert seen == [(i, t) for i, n in enumerate(sizes) for t in range(n)]


@given(
    sizes=sizes_of_sessions,
    batch_size=st.integers(1, 33),
    balanced=st.booleans(),
    share=st.sampled_from([1.0, 0.5, 0.2]),
    seed=st.integers(0, 9),
)
def test_a_batch_holds_no_more_than_batch_size_trials_of_a_session(
    sizes, batch_size, balanced, share, seed
):
    trials = [np.arange(n) for n in sizes]
    generator = np.random.default_rng(seed)
    batches = list(mixed_batches(trials, batch_size, generator, share=share, balanced=balanced))
    n_each = [round(np.mean(sizes))] * len(sizes) if balanced else sizes
    most = [min(batch_size, max(1, math.floor(share * n))) for n in sizes]
    taken = np.zeros(len(sizes), int)
    steps = np.zeros(len(sizes), int)
    for batch in batches:
        indices = [i for i, _ in batch]
        assert len(set(indices)) == len(indices)
        assert len(indices) <= SESSIONS_PER_BATCH
        for i, rows in batch:
            assert 1 <= len(rows) <= most[i]
            taken[i] += len(rows)
            steps[i] += 1
    assert taken.tolist() == n_each
    assert steps.tolist() == [math.ceil(n / m) for n, m in zip(n_each, most, strict=True)]
    # Work is spread: there are no more batches than parts ask for, and all are about as full.
    assert len(batches) == max(steps.max(), math.ceil(steps.sum() / SESSIONS_PER_BATCH))
    mixed = [len(batch) for batch in batches]
    assert max(mixed) - min(mixed) <= 1


def test_batches_mix_sessions():
    trials = [np.arange(64) for _ in range(6)]
    batches = list(mixed_batches(trials, 32, np.random.default_rng(0)))
    assert np.mean([len(batch) for batch in batches]) > 2
    other = list(mixed_batches(trials, 32, np.random.default_rng(1)))
    assert [[i for i, _ in b] for b in batches] != [[i for i, _ in b] for b in other]


def test_balanced_sampling_gives_sessions_equal_shares():
    trials = [np.arange(10), np.arange(100), np.arange(40)]
    counts = np.zeros(3, int)
    seen = set()
    for batch in mixed_batches(trials, 16, np.random.default_rng(0), balanced=True):
        for i, rows in batch:
            counts[i] += len(rows)
            seen |= {(i, int(t)) for t in rows}
    assert counts.tolist() == [50, 50, 50]
    assert {t for i, t in seen if i == 0} == set(range(10))


def session():
    counts = np.random.default_rng(0).poisson(1.0, (30, 8, 9)).astype(np.uint8)
    regions = np.repeat([0, 1, -1], 3)
    return SessionTensors("a", torch.tensor(counts), torch.tensor(regions))


def masked(**options):
    sampler = SchemeSampler(resolve_schemes(("neuron",), mask_ratio=0.3))
    generator = torch.Generator().manual_seed(0)
    return Masker([session()], sampler, **options)([(0, torch.arange(30))], generator)


def hidden(masked):
    return masked.batch.visible == 0


def test_dropped_neurons_are_hidden_but_not_answered_for():
    plain, dropped = masked(), masked(neuron_dropout=0.5)
    assert torch.equal(plain.target, dropped.target)
    extra = hidden(dropped) & ~hidden(plain)
    assert extra.any()
    assert (extra == extra[:, :1]).all()  # in all bins
    assert not (extra & (dropped.target > 0)).any()
    assert (dropped.batch.counts[hidden(dropped)] == 0).all()
    share = extra.sum() / (~hidden(plain)).sum()
    assert 0.4 < share < 0.6


def test_dropped_regions_are_hidden_whole():
    plain, dropped = masked(), masked(region_dropout=0.4)
    visible = (~hidden(plain))[:, 0].view(30, 3, 3)
    still = (~hidden(dropped))[:, 0].view(30, 3, 3)
    gone = (visible & ~still).any(2)
    assert gone.any()
    assert not (still & gone[:, :, None]).any()


def several():
    """Make sessions of different neurons, bins and regions, whose counts tell session and trial."""
    sizes = ((30, 8, 9, [0, 1, -1]), (12, 6, 4, [2, 2]), (20, 8, 14, [0, 3, 4, 5, 6, 7, 8]))
    found = []
    for i, (n_trials, n_time, n_neurons, codes) in enumerate(sizes):
        counts = torch.arange(1, n_trials + 1, dtype=torch.uint8)[:, None, None] + 100 * i
        regions = torch.tensor(codes).repeat_interleave(n_neurons // len(codes))
        found.append(SessionTensors(str(i), counts.expand(-1, n_time, n_neurons), regions))
    return found


def test_a_batch_of_several_sessions_holds_each_ones_own_counts_and_nothing_else():
    sessions = several()
    sampler = SchemeSampler(resolve_schemes(MTM_SCHEMES))
    chosen = [(0, torch.tensor([3, 7])), (1, torch.tensor([0, 5, 11])), (2, torch.tensor([19]))]
    drawn = Masker(sessions, sampler)(chosen, torch.Generator().manual_seed(0))
    assert drawn.counts.shape == (6, 8, 14)
    assert (drawn.batch.visible * drawn.target == 0).all()
    assert torch.equal(drawn.batch.counts, drawn.counts * drawn.batch.visible)
    for part, (i, trials) in zip(drawn.batch.parts, chosen, strict=True):
        own = sessions[i].counts[trials].float()
        inside = torch.zeros(part.n_trials, 8, 14, dtype=torch.bool)
        inside[:, : part.n_time, : part.n_neurons] = True
        assert torch.equal(drawn.counts[part.rows][inside].view_as(own), own)
        for x in (drawn.counts, drawn.batch.visible, drawn.target):
            assert (x[part.rows][~inside] == 0).all()


def test_sessions_draw_only_schemes_and_regions_of_their_own():
    """Shares over many draws: schemes alike, and regions alike within each session."""
    sessions = several()
    sampler = SchemeSampler(resolve_schemes(("neuron", "intra-region", "inter-region")))
    mask, generator = Masker(sessions, sampler), torch.Generator().manual_seed(0)
    schemes, asked = {0: [], 1: [], 2: []}, {0: [], 2: []}
    for _ in range(200):
        chosen = [(i, torch.arange(10)) for i in range(3)]
        drawn = mask(chosen, generator)
        for i, part in enumerate(drawn.batch.parts):
            scheme = drawn.batch.scheme[part.rows]
            schemes[i] += scheme.tolist()
            if i in asked:
                codes = sessions[i].regions
                targets = drawn.target[part.rows, 0, : part.n_neurons][scheme == 2]
                asked[i] += [tuple(codes[row > 0].unique().tolist()) for row in targets]
    share = {i: [found.count(k) / len(found) for k in range(3)] for i, found in schemes.items()}
    assert share[0] == pytest.approx([1 / 3] * 3, abs=0.04)
    assert share[1] == pytest.approx([0.5, 0.5, 0.0], abs=0.04)  # one region: nothing between
    assert share[2] == pytest.approx([1 / 3] * 3, abs=0.04)
    for i, codes in ((0, (0, 1)), (2, (0, 3, 4, 5, 6, 7, 8))):
        counts = {found: asked[i].count(found) / len(asked[i]) for found in set(asked[i])}
        assert set(counts) == {(code,) for code in codes}
        assert list(counts.values()) == pytest.approx([1 / len(codes)] * len(codes), abs=0.06)

"""Every backbone with every scheme, on one session and on several, through all that a model does."""

import numpy as np
import pytest

import neuromask as nm
from neuromask.evaluation import TASKS
from neuromask.nn.backbones import available_backbones
from neuromask.schemes import available_schemes

TINY = {"dim": 16, "n_layers": 1, "n_heads": 2, "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def sessions():
    shapes = [(16, 12, 9), (14, 10, 12), (12, 12, 9)]
    return [
        nm.Session(
            nm.simulate(n, n_neurons=m, n_time=t, regions=("VISp", "CA1", "TH")).counts,
            np.repeat(["VISp", "CA1", "TH"], m // 3),
            session_id=f"animal-{i}",
            bin_width=0.02,
        )
        for i, (n, t, m) in enumerate(shapes)
    ]


@pytest.mark.parametrize("several", [False, True], ids=["single", "multi"])
@pytest.mark.parametrize("scheme", sorted(available_schemes()))
@pytest.mark.parametrize("backbone", sorted(available_backbones()))
def test_fit_evaluate_save_load_and_finetune(backbone, scheme, several, sessions, tmp_path):
    *known, new = sessions
    given = known if several else known[0]
    pre = nm.MtMPretrainer(backbone=backbone, schemes=(scheme,), **TINY).fit(given)
    table = pre.evaluate(given)
    assert set(table["task"]) == set(TASKS)
    assert np.isfinite(table.loc[table["n_spikes"] > 0, "bps"]).all()
    tuned = pre.finetune(new, max_epochs=1, random_state=1)
    assert set(tuned.evaluate(new)["session"]) == {"animal-2"}
    for model, trials in ((pre, known[0]), (tuned, new), (tuned, known[0])):
        again = nm.load(model.save(tmp_path / f"{id(model)}-{trials.session_id}"))
        np.testing.assert_array_equal(again.predict(trials), model.predict(trials))
        np.testing.assert_array_equal(again.transform(trials), model.transform(trials))
    if several:
        served = pre.calibrate(new)
        again = nm.load(served.save(tmp_path / "served"))
        np.testing.assert_array_equal(again.predict(new), served.predict(new))


@pytest.mark.parametrize("backbone", sorted(available_backbones()))
@pytest.mark.parametrize(
    "options",
    [
        {"positions": "rope"},
        {"prompted": False},
        {"neuron_dropout": 0.2, "region_dropout": 0.2},
        {"session_sampling": "balanced"},
        {"mask_per_batch": True},
        {"encode_neurons": False},
    ],
    ids=lambda o: "-".join(o),
)
def test_every_option_with_every_backbone(backbone, options, sessions, tmp_path):
    *known, new = sessions
    pre = nm.MtMPretrainer(backbone=backbone, **TINY, **options).fit(known)
    tuned = pre.finetune(new, max_epochs=1, random_state=1)
    again = nm.load(tuned.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.predict(new), tuned.predict(new))
    default = nm.MtMPretrainer(backbone=backbone, **TINY).fit(known)
    assert not np.array_equal(pre.predict(known[0]), default.predict(known[0]))

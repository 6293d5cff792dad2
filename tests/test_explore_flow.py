"""O explorador dos fluxos planares contra a quadratura e contra a jacobiana."""

import math

import numpy as np
import pytest
import torch
from toys_explore import assert_recording_is_the_kernel, painted, point, press

from vae_lessons.explore import explore_flow
from vae_lessons.explore import flow as module
from vae_lessons.explore.trained_flows import FLOWS


@pytest.fixture
def explorer():
    return explore_flow()


def put(explorer, **values):
    for name, value in values.items():
        explorer.controls[name].value = value


# Os números


def test_there_is_a_flow_with_k_layers_for_each_k_and_start():
    for start in module.STARTS:
        for layers in module.LAYERS:
            first, *rows = FLOWS[start, layers]
            assert len(first) == 4
            assert [len(row) for row in rows] == [5] * layers


@pytest.mark.parametrize(("start", "layers"), [("inteira", 0), ("inteira", 8), ("crescente", 4), ("crescente", 16)])
def test_the_kl_is_that_of_samples(start, layers):
    noise = np.random.default_rng(0).standard_normal((40_000, 2))
    z, log_det = module._push(noise, layers, start)
    log_ratio = -0.5 * (noise**2).sum(1) - math.log(math.tau) - log_det + module.ring_energy(z) + module.log_z()
    error = log_ratio.std() / 200
    assert module.trained_kl(layers, start) == pytest.approx(log_ratio.mean(), abs=4 * error + 1e-3)


def test_the_ring_integrates_to_what_its_normalizer_says():
    assert module.log_z() == pytest.approx(1.877502, abs=1e-5)


def test_one_of_two_equal_modes_costs_ln_2_and_more_layers_do_not_bring_it_back(explorer):
    lost = [module.trained_kl(layers, "inteira") for layers in (4, 8, 16)]
    assert lost == pytest.approx([math.log(2)] * 3, abs=0.03)
    assert min(lost) > math.log(2)
    put(explorer, start="crescente", layers=16)
    assert explorer.kl < 0.03


def test_the_density_integrates_to_almost_one_and_follows_the_modes():
    for layers, start, left in ((16, "inteira", 1.0), (16, "crescente", 0.5)):
        density = module._density(layers, start)
        mass = density * (2 * module._HALF / len(density)) ** 2
        assert mass.sum() == pytest.approx(1, abs=0.01)
        one_side = mass[:, : len(density) // 2].sum()
        assert max(one_side, 1 - one_side) == pytest.approx(left, abs=0.06)


@pytest.mark.parametrize("brake", module.BRAKES)
def test_the_layer_has_the_determinant_of_its_jacobian(explorer, brake):
    put(explorer, u1=-2.3, u2=0.4, w1=0.7, w2=-1.1, b=0.6, brake=brake)
    u, w = (torch.tensor(each, dtype=torch.float64) for each in (explorer.u_hat, explorer.w))
    z = torch.randn(30, 2, generator=torch.Generator().manual_seed(0)).double()
    jacobian = torch.func.vmap(torch.func.jacrev(lambda point: point + u * torch.tanh(w @ point + 0.6)))(z)
    _, det = module.planar(z.numpy(), explorer.u, explorer.w, 0.6, brake=brake == module.BRAKES[0])
    np.testing.assert_allclose(det, torch.linalg.det(jacobian), atol=1e-12)
    assert explorer.least_det <= det.min() + 1e-9


def test_the_brake_never_lets_the_plane_fold():
    generator = np.random.default_rng(0)
    for _ in range(300):
        u, w = generator.normal(size=(2, 2)) * 2
        assert w @ module.with_brake(u, w) > -1
    np.testing.assert_allclose(module.with_brake([1.0, 5.0], [0.0, 0.0]), [1.0, 5.0])


# A figura


def test_the_plane_turns_red_only_where_the_determinant_is_negative(explorer):
    left, top, side = module._LEFTS[0], module._LOW, module._SIDE
    area = {"left": left, "right": left + side, "top": top, "bottom": top + side}
    put(explorer, brake="sem freio", u1=-2.0, u2=0.0, w1=1.0, w2=0.0)
    assert explorer.least_det < 0
    folded = painted(explorer, module._FOLDED, **area)
    assert 0.05 < folded.mean() < 0.7
    assert "dobra o plano" in explorer.describe(explorer.numbers)
    put(explorer, brake="com freio")
    assert not painted(explorer, module._FOLDED, **area).any()
    assert "não dobra o plano" in explorer.describe(explorer.numbers)


def test_the_tips_are_dragged_and_the_arrows_move_u(explorer):
    panel = module._canvas().panel(3)

    def at(*place):
        x, y = panel.on_screen(np.array([place[0]]), np.array([place[1]]))[0]
        return x + panel.corner[0] / 2, y + panel.corner[1] / 2

    put(explorer, u1=-2.0, u2=0.6, w1=1.2, w2=0.4)
    point(explorer, *at(-1.0, 1.5))
    assert explorer.u == pytest.approx((-1.0, 1.5), abs=0.06)
    explorer._last = -math.inf
    point(explorer, *at(1.5, -1.0))
    assert explorer.w == pytest.approx((1.5, -1.0), abs=0.06)
    before = explorer.u
    press(explorer, 2, 1)
    assert explorer.u == pytest.approx((before[0] + 0.2, before[1] - 0.1))
    point(explorer, 300, 100)
    assert explorer.w == pytest.approx((1.5, -1.0), abs=0.06)


def test_a_recording_is_the_kernel(explorer):
    assert_recording_is_the_kernel(explorer, start=None, layers=(0, 4, 16), u1=(-2.0, 1.0))

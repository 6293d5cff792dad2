"""Os exercícios da lição 10 e as camadas dela: respostas certas escritas de outro jeito, e erradas com nome."""

import math

import pytest
import torch
from answers import assert_right, assert_told, each_right, each_wrong
from lesson_code import written_in

planar, radial, MaskedNet, IAF, CouplingFlow = written_in("10", "planar", "radial", "MaskedNet", "IAF", "CouplingFlow")


def normal(value):
    return torch.distributions.Normal(0.0, 1.0).log_prob(torch.as_tensor(value))


def by_autograd(z, mu, s):
    """ln q(z) pela derivada da inversa, ponto a ponto."""
    point = torch.as_tensor(z).clone().requires_grad_()
    noise = torch.asinh((point - mu) * torch.exp(-torch.as_tensor(s).double()))
    (slope,) = torch.autograd.grad(noise.sum(), point)
    return (normal(noise) + slope.log()).detach()


def johnson(z, mu, s):
    y = (z - mu) / torch.as_tensor(s).double().exp()
    return normal(torch.log(y + (1 + y**2).sqrt())) - 0.5 * torch.log1p(y**2) - s


def train(energy, *, entropy=True, steps=700, lean_too=True, read=None):
    mean, raw = torch.zeros(2, requires_grad=True), torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([mean, raw], lr=0.03)
    slower = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.02, steps)
    for _ in range(steps):
        factor = torch.diag(raw[:2].exp()) + torch.tensor([[0.0, 0.0], [1.0, 0.0]]) * raw[2] * lean_too
        z = mean + torch.randn(200, 2) @ factor.T
        loss = energy(z).mean() - raw[:2].sum() * entropy
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        slower.step()
    return mean, (read or (lambda factor: factor @ factor.T))(factor)


RIGHT = [
    ("10.1", by_autograd),
    ("10.1", johnson),
    ("10.2", ([-6.0, 1.0], [0.4, 0.1], [0.02, -0.05])),
    ("10.2", (torch.tensor([0.0, 9.0]), torch.tensor([0.1, -0.3]), torch.zeros(2))),
    ("10.3", lambda shares, kept: -math.log(sum(s for s, k in zip(shares.tolist(), kept.tolist(), strict=True) if k))),
    ("10.3", lambda shares, kept: torch.log(1 / (shares * kept).sum())),
    ("10.5", lambda a, b, rho: (a, a * b * rho / a, (b**2 - (b * rho) ** 2).sqrt())),
    ("10.5", lambda a, b, rho: [torch.stack([a, rho * b, b * (1 - rho**2).sqrt()])[i] for i in range(3)]),
    ("10.4", train),
]

WRONG = [
    (
        "10.1",
        lambda z, mu, s: 2 * normal(torch.asinh((z - mu) / math.e ** torch.as_tensor(s))) - johnson(z, mu, s),
        "sinal",
    ),
    ("10.1", lambda z, mu, s: normal(torch.asinh((z - mu) / torch.as_tensor(s).exp())), "quanto o fluxo estica"),
    ("10.1", lambda z, mu, s: johnson(z, mu, s) + s, "vem da escala"),
    ("10.1", lambda z, mu, s: normal(torch.asinh((z - mu) / torch.as_tensor(s).exp())) - s, "seno hiperbólico"),
    ("10.1", lambda z, mu, s: normal(z) - s - torch.cosh(z).log(), "avaliou tudo em z"),
    ("10.2", ([-4.0, 0.0], [1.0, 0.0], [0.0, 0.0]), "com ‖w‖ ≥ 1"),
    ("10.2", ([1.0, 0.0], [0.5, 0.0], [0.0, 0.0]), "não passa do ponto"),
    ("10.2", ([-9.0, 0.0], [0.5, 0.0], [40.0, 0.0]), "já saturou"),
    ("10.2", ([-4.0, 0.0], [0.5, 0.0], [2.5, 0.0]), "mas não neste z"),
    ("10.2", ([-4.0, 0.0], [0.0, 0.0], [2.5, 0.0]), "não pode ser o vetor zero"),
    ("10.2", ([-4.0], [0.5], [0.0]), "dois números"),
    ("10.2", "u", "três vetores"),
    ("10.3", lambda shares, kept: torch.log(shares[kept].sum()), "nunca é negativa"),
    ("10.3", lambda shares, kept: -math.log(kept.float().mean()), "contou modas"),
    ("10.3", lambda shares, kept: -torch.log(shares[kept]).sum(), "primeiro se somam"),
    ("10.3", lambda shares, kept: -torch.log2(shares[kept].sum()), "em bits"),
    ("10.3", lambda shares, kept: shares[~kept].sum(), "massa que se perdeu"),
    ("10.5", lambda a, b, rho: (a, rho * b / a, b * (1 - rho**2).sqrt()), "inclinação de z₂ em z₁"),
    ("10.5", lambda a, b, rho: (a, rho * b, b * (1 - rho**2)), "é um desvio padrão"),
    ("10.5", lambda a, b, rho: (a, rho * b, b), "variância demais"),
    ("10.5", lambda a, b, rho: (a, rho, (1 - rho**2).sqrt()), "Falta a escala"),
    ("10.5", lambda a, b, rho: (a, a * b * rho, b * (1 - rho**2).sqrt()), "dividir pela escala"),
    ("10.5", lambda a, b, rho: (a**2, rho * b, b * (1 - rho**2).sqrt()), "é um desvio padrão, e não"),
    ("10.4", lambda energy: train(energy, entropy=False), "encolheu"),
    ("10.4", lambda energy: train(energy, lean_too=False), "é diagonal"),
    ("10.4", lambda energy: train(energy, read=lambda factor: factor), "isso é L"),
    ("10.4", lambda energy: (torch.zeros(2), torch.eye(2)), "nada foi treinado"),
    ("10.4", lambda energy: (torch.zeros(3), torch.eye(2)), "a média [2]"),
]


@each_right(RIGHT)
def test_another_way_to_write_a_right_answer_passes(exercise_id, answer):
    assert_right(exercise_id, answer)


@each_wrong(WRONG)
def test_a_wrong_answer_that_students_give_has_a_name(exercise_id, answer, reason):
    assert_told(exercise_id, answer, reason)


# As camadas que a lição define


def jacobian_log_det(layer, z, *parameters):
    """O sinal e o log do módulo do determinante, pela jacobiana inteira."""
    jacobian = torch.autograd.functional.jacobian(lambda points: layer(points, *parameters)[0].sum(0), z)
    return torch.linalg.slogdet(jacobian.permute(1, 0, 2))


@pytest.fixture
def draw():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("dimension", [2, 5])
def test_planar_has_the_log_determinant_of_its_jacobian_and_never_folds(draw, dimension):
    for _ in range(60):
        z, u, w = draw(40, dimension), 4 * draw(dimension), 2 * draw(dimension)
        sign, log_det = jacobian_log_det(planar, z, u, w, 0.4)
        assert (sign == 1).all()
        torch.testing.assert_close(planar(z, u, w, 0.4)[1], log_det, rtol=1e-9, atol=1e-9)


def test_a_short_w_does_not_fold_the_plane(draw):
    u, w, z = torch.tensor([-40.0, 1.0]).double(), torch.tensor([0.05, 0.0]).double(), draw(200, 2)
    sign, log_det = jacobian_log_det(planar, z, u, w, 0.0)
    assert (sign == 1).all()
    torch.testing.assert_close(planar(z, u, w, 0.0)[1], log_det, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dimension", [2, 5])
def test_radial_has_the_log_determinant_of_its_jacobian_and_never_folds(draw, dimension):
    for beta in (-30.0, -2.0, 0.0, 5.0):
        z, centre = 2 * draw(40, dimension), draw(dimension)
        sign, log_det = jacobian_log_det(radial, z, centre, 0.6, beta)
        assert (sign == 1).all()
        torch.testing.assert_close(radial(z, centre, 0.6, beta)[1], log_det, rtol=1e-7, atol=1e-7)


def test_layers_keep_the_type_take_gradients_and_accept_one_set_of_parameters_per_example(draw):
    z, u, w, b = draw(6, 2), draw(6, 2).requires_grad_(), draw(6, 2).requires_grad_(), draw(6).requires_grad_()
    moved, log_det = planar(z, u, w, b)
    for i in range(6):
        one, its_log_det = planar(z[i : i + 1], u[i], w[i], b[i])
        torch.testing.assert_close((one[0], its_log_det[0]), (moved[i], log_det[i]))
    assert torch.autograd.gradcheck(lambda *parameters: planar(z, *parameters), (u, w, b))
    centre, alpha, beta = draw(2).requires_grad_(), torch.tensor(0.8).double(), torch.tensor(-1.0).double()
    parameters = centre, alpha.requires_grad_(), beta.requires_grad_()
    assert torch.autograd.gradcheck(lambda *parameters: radial(z, *parameters), parameters)
    for dtype in (torch.float32, torch.float64):
        outputs = (
            *planar(z.to(dtype), u.to(dtype), w.to(dtype), b.to(dtype)),
            *radial(z.to(dtype), z[0].to(dtype), 1.0, 0.3),
        )
        assert {output.dtype for output in outputs} == {dtype}
        assert all(output.isfinite().all() for output in outputs)


@pytest.mark.parametrize("length", [0.0, 1e-9, 1e-4])
def test_a_w_that_vanishes_keeps_the_account_of_the_density(draw, length):
    z, u, w = draw(20, 2), draw(2), torch.tensor([length, 0.0]).double()
    _, log_det = jacobian_log_det(planar, z, u, w, 0.3)
    torch.testing.assert_close(planar(z, u, w, 0.3)[1], log_det, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parameters_far_out_give_finite_densities_and_gradients(dtype):
    z, w = torch.zeros(1, 2, dtype=dtype), torch.tensor([1.0, 0.0], dtype=dtype)
    u, beta = (-900.0 * w).requires_grad_(), torch.tensor(-900.0, dtype=dtype, requires_grad=True)
    for layer, parameters, leaf in ((planar, (u, w, 0.0), u), (radial, (z[0], 1.0, beta), beta)):
        _, log_det = layer(z, *parameters)
        (gradient,) = torch.autograd.grad(log_det.sum(), leaf)
        assert log_det.isfinite().all()
        assert gradient.isfinite().all()


def test_a_long_w_too_folds_the_plane_when_the_brake_is_divided_by_its_length():
    assert_right("10.2", ([0.1, 0.0], [6.0, 0.0], [0.0, 0.0]))


def test_a_determinant_that_is_almost_zero_keeps_its_digits_in_single_precision():
    w = torch.tensor([1.0, 0.0])
    _, log_det = planar(torch.tensor([[0.0, 0.0], [3.0, 0.0]]), -30 * w, w, 0.0)
    _, in_double = planar(torch.tensor([[0.0, 0.0], [3.0, 0.0]]).double(), -30 * w.double(), w.double(), 0.0)
    torch.testing.assert_close(log_det.double(), in_double, rtol=1e-5, atol=1e-5)


def test_output_i_of_the_masked_net_sees_only_the_inputs_before_it(draw):
    torch.manual_seed(0)
    net = MaskedNet(6, 40, 3).double()
    for output in (0, 1):
        jacobian = torch.autograd.functional.jacobian(
            lambda z, output=output: net(z, torch.ones(3).double())[output], draw(6)
        )
        assert torch.equal(jacobian, jacobian.tril(-1))
        assert (jacobian.tril(-1) != 0).sum() == 15


@pytest.mark.parametrize(
    "build", [lambda: IAF(6, 2, 30, 3), lambda: CouplingFlow(6, 3, 20, 3)], ids=["iaf", "coupling"]
)
def test_the_flows_of_many_dimensions_have_the_log_determinant_of_their_jacobian(draw, build):
    torch.manual_seed(0)
    flow, z, context = build().double(), draw(7, 6), draw(3).expand(7, 3)
    _, log_det = jacobian_log_det(flow, z, context)
    torch.testing.assert_close(flow(z, context)[1], log_det, rtol=1e-8, atol=1e-8)


def test_coupling_is_undone_by_its_inverse(draw):
    torch.manual_seed(0)
    flow, z, context = CouplingFlow(6, 3, 20, 3).double(), draw(7, 6), draw(7, 3)
    torch.testing.assert_close(flow.inverse(flow(z, context)[0], context), z)

"""O VAE: o que encode e decode devolvem, as duas arquiteturas dos textos e os erros que um aluno comete."""

import pytest
import torch
from torch import nn

from vae_lessons.distributions import Bernoulli, ContinuousBernoulli, Normal
from vae_lessons.models import VAE, mlp_vae, soft_bound

D, Z, B = 12, 3, 5


def pixels(n=B, d=D):
    return torch.rand(n, d, generator=torch.Generator().manual_seed(0))


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


# As duas arquiteturas dos textos de partida


class TwoHeads(nn.Module):
    """784-256-128 e duas cabeças: uma dá μ, a outra log σ²."""

    def __init__(self, data_dim, latent_dim):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(data_dim, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU())
        self.mean = nn.Linear(128, latent_dim)
        self.log_var = nn.Linear(128, latent_dim)

    def forward(self, x):
        h = self.body(x)
        return self.mean(h), self.log_var(h)


def two_heads_vae(data_dim=784, latent_dim=20):
    decoder = nn.Sequential(
        nn.Linear(latent_dim, 128), nn.ReLU(), nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, data_dim)
    )
    return VAE(TwoHeads(data_dim, latent_dim), decoder, latent_dim=latent_dim)


def split_head_vae(data_dim=784, latent_dim=20):
    """784-256 e uma cabeça só, de 2Z saídas, dividida ao meio."""
    encoder = nn.Sequential(nn.Linear(data_dim, 256), nn.ReLU(), nn.Linear(256, 2 * latent_dim))
    decoder = nn.Sequential(nn.Linear(latent_dim, 256), nn.ReLU(), nn.Linear(256, data_dim))
    return VAE(encoder, decoder, latent_dim=latent_dim)


@pytest.mark.parametrize("build", [two_heads_vae, split_head_vae])
def test_both_architectures_of_the_texts_encode_and_decode(build):
    torch.manual_seed(0)
    model = build()
    x = pixels(4, 784)
    q = model.encode(x)
    assert q.mean.shape == q.log_var.shape == (4, 20)
    assert not torch.equal(q.mean, q.log_var)
    likelihood = model.decode(q.mean)
    assert isinstance(likelihood, Bernoulli)
    assert likelihood.log_prob(x).shape == (4, 784)


@pytest.mark.parametrize(("by_hand", "hidden"), [(two_heads_vae, (256, 128)), (split_head_vae, (256,))])
def test_mlp_vae_has_as_many_parameters_as_the_architecture_written_by_hand(by_hand, hidden):
    assert n_parameters(mlp_vae(784, 20, hidden)) == n_parameters(by_hand())


def test_two_heads_and_one_split_head_compute_the_same_function():
    torch.manual_seed(0)
    separate, fused = two_heads_vae(), mlp_vae(784, 20, (256, 128))
    heads = separate.encoder
    with torch.no_grad():
        fused.encoder[:4].load_state_dict(heads.body.state_dict())
        fused.encoder[4].weight.copy_(torch.cat([heads.mean.weight, heads.log_var.weight]))
        fused.encoder[4].bias.copy_(torch.cat([heads.mean.bias, heads.log_var.bias]))
    fused.decoder.load_state_dict(separate.decoder.state_dict())
    x = pixels(4, 784)
    torch.testing.assert_close(fused.encode(x), separate.encode(x))
    z = fused.encode(x).mean
    torch.testing.assert_close(fused.decode(z), separate.decode(z))


def test_split_head_of_mlp_vae_loads_the_weights_written_by_hand():
    torch.manual_seed(0)
    by_hand, ours = split_head_vae(), mlp_vae(784, 20, (256,))
    ours.load_state_dict(by_hand.state_dict())
    x = pixels(4, 784)
    assert torch.equal(ours.encode(x).mean, by_hand.encode(x).mean)


def test_mlp_vae_mirrors_the_encoder_and_ends_in_logits_without_sigmoid():
    model = mlp_vae(D, Z, (8, 6), activation="tanh")
    assert [m.out_features for m in model.encoder if isinstance(m, nn.Linear)] == [8, 6, 2 * Z]
    assert [m.out_features for m in model.decoder if isinstance(m, nn.Linear)] == [6, 8, D]
    assert [type(m) for m in model.decoder] == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]


# encode, decode, prior, sample


def test_encode_and_decode_return_distributions_and_never_draw():
    model = mlp_vae(D, Z, (8,))
    state = torch.get_rng_state()
    q = model.encode(pixels())
    p = model.decode(q.mean)
    assert isinstance(q, Normal)
    assert isinstance(p, Bernoulli)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("output", [lambda x: x, lambda x: x.chunk(2, dim=-1)], ids=["one_head", "two_heads"])
def test_the_mean_comes_first_and_then_log_var(output):
    class Encoder(nn.Module):
        def forward(self, x):
            return output(x)

    q = VAE(Encoder(), nn.Linear(2, 4), latent_dim=2).encode(torch.tensor([[0.1, 0.2, 0.3, 0.4]]))
    torch.testing.assert_close(q, Normal(torch.tensor([[0.1, 0.2]]), torch.tensor([[0.3, 0.4]])))


def test_decode_accepts_samples_in_front_of_the_batch():
    assert mlp_vae(D, Z, (8,)).decode(torch.zeros(7, B, Z)).logits.shape == (7, B, D)


def test_prior_is_standard_normal_and_follows_the_type_of_the_model():
    prior = mlp_vae(D, Z, (8,)).double().prior
    assert prior.mean.dtype == torch.float64
    assert prior.mean.tolist() == prior.log_var.tolist() == [0.0] * Z


def test_prior_is_not_a_weight():
    model = mlp_vae(D, Z, (8,))
    names = set(dict(model.named_parameters()))
    assert set(model.state_dict()) == names
    assert all(name.startswith(("encoder.", "decoder.")) for name in names)


@pytest.mark.parametrize(
    ("likelihood", "family"),
    [("bernoulli", Bernoulli), ("continuous_bernoulli", ContinuousBernoulli), ("gaussian", Normal)],
)
def test_likelihood_names_choose_how_the_decoder_is_read(likelihood, family):
    model = mlp_vae(D, Z, (8,), likelihood=likelihood)
    z = torch.randn(B, Z)
    p = model.decode(z)
    assert isinstance(p, family)
    assert torch.equal(p[0], model.decoder(z))


def test_gaussian_likelihood_starts_at_unit_variance_and_learns_it():
    """∂/∂(log s²) de Σ log N(x; m, s²) em s² = 1 é Σ ½ ((x − m)² − 1)."""
    model = mlp_vae(D, Z, (8,), likelihood="gaussian")
    z, x = torch.randn(B, Z), pixels()
    p = model.decode(z)
    assert torch.equal(p.log_var, torch.zeros(B, D))
    p.log_prob(x).sum().backward()
    expected = 0.5 * ((x - p.mean).square() - 1).sum()
    torch.testing.assert_close(model.likelihood_log_var.grad, expected.detach())


def test_gaussian_decoder_may_return_its_own_variance():
    class MeanAndLogVar(nn.Module):
        def forward(self, z):
            return z.repeat(1, 4), z.repeat(1, 4) - 1

    z = torch.randn(B, Z)
    p = VAE(nn.Linear(D, 2 * Z), MeanAndLogVar(), latent_dim=Z, likelihood="gaussian").decode(z)
    assert torch.equal(p.mean, z.repeat(1, 4))
    assert torch.equal(p.log_var, z.repeat(1, 4) - 1)


def test_likelihood_may_be_a_function_of_the_decoder_output():
    model = mlp_vae(D, Z, (8,), likelihood=lambda out: Normal(out.sigmoid(), torch.full_like(out, -4.0)))
    p = model.decode(torch.zeros(B, Z))
    assert isinstance(p, Normal)
    assert p.mean.min() >= 0
    assert (p.log_var == -4).all()
    assert model.sample(2).shape == (2, D)


def test_sample_and_mean_are_different_things():
    model = mlp_vae(D, Z, (8,))
    mean = model.sample(50, mean=True)
    sample = model.sample(50)
    assert mean.shape == sample.shape == (50, D)
    assert set(sample.unique().tolist()) == {0.0, 1.0}
    assert ((mean > 0) & (mean < 1)).all()


def test_sample_is_ancestral_z_from_the_prior_and_then_x():
    """Com decodificador linear e variância s², Cov(x) = WWᵀ + s²I: falta um termo se z ou x não for sorteado."""
    torch.manual_seed(0)
    model = VAE(nn.Linear(2, 4), nn.Linear(2, 2), latent_dim=2, likelihood="gaussian")
    with torch.no_grad():
        model.likelihood_log_var.fill_(-1.0)
    weight = model.decoder.weight.detach()
    n = 100_000
    generator = torch.Generator().manual_seed(0)
    for x, s2 in (
        (model.sample(n, generator=generator), torch.tensor(-1.0).exp()),
        (model.sample(n, mean=True, generator=generator), 0.0),
    ):
        variance = (weight @ weight.T).diagonal() + s2
        standard_error = variance * (2 / n) ** 0.5
        assert ((x.var(0) - variance).abs() <= 4 * standard_error).all()
        assert ((x.mean(0) - model.decoder.bias).abs() <= 4 * (variance / n).sqrt()).all()


def test_sample_is_repeatable_with_a_generator_and_leaves_the_global_one_alone():
    model = mlp_vae(D, Z, (8,))
    state = torch.get_rng_state()
    first, second = (model.sample(20, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert not first.requires_grad


# A barreira suave em log σ²


def test_soft_bound_changes_nothing_where_models_live():
    inside = torch.linspace(-10, 10, 2001, dtype=torch.float64)
    assert torch.equal(soft_bound(inside), inside)


def test_soft_bound_saturates_outside_without_a_jump():
    outside = torch.tensor([10.001, 11.0, 20.0, 1e6, 1e30], dtype=torch.float64)
    bounded = soft_bound(outside)
    assert (bounded > 10).all()
    assert (bounded <= 12).all()
    assert (bounded.diff() >= 0).all()
    assert bounded[0].item() == pytest.approx(10.001, abs=1e-6)
    assert torch.equal(soft_bound(-outside), -bounded)


def test_soft_bound_gradient_is_one_inside_and_never_dies_abruptly():
    """Um clamp zeraria o gradiente logo depois de 10 e a dimensão não voltaria; aqui ele é 1 − tanh²((v − 10) / 2)."""
    values = torch.tensor([-10.0, -3.0, 0.0, 10.0, 11.0, -12.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(soft_bound(values).sum(), values)
    beyond = torch.tensor([0, 0, 0, 0, 1.0, 2.0], dtype=torch.float64)
    torch.testing.assert_close(gradient, 1 - torch.tanh(beyond / 2).square())


def test_encode_bounds_log_var_so_that_nothing_overflows():
    encoder = nn.Linear(D, 2 * Z)
    nn.init.constant_(encoder.weight, 1e4)
    q = VAE(encoder, nn.Linear(Z, D), latent_dim=Z).encode(torch.ones(B, D))
    assert q.log_var.max() <= 12
    assert torch.exp(q.log_var).isfinite().all()
    assert q.mean.min() > 1e4  # só log σ² tem barreira


# Erros, em português


def test_uint8_is_refused_with_the_name_of_the_missing_step():
    with pytest.raises(TypeError, match=r"torch.uint8.*binarize"):
        mlp_vae(D, Z, (8,)).encode(torch.zeros(B, D, dtype=torch.uint8))


def test_wrong_number_of_pixels_is_refused():
    with pytest.raises(ValueError, match=r"codificador espera .* tamanho 12 \(D, colunas\).*\(5, 64\)"):
        mlp_vae(D, Z, (8,)).encode(torch.rand(B, 64))


def test_wrong_number_of_latents_is_refused():
    with pytest.raises(ValueError, match=r"decodificador espera .* tamanho 3 \(Z, latentes\).*\(5, 2\)"):
        mlp_vae(D, Z, (8,)).decode(torch.zeros(B, 2))


@pytest.mark.parametrize("outputs", [Z, 3 * Z, 2 * Z + 2])
def test_encoder_of_the_wrong_width_is_refused(outputs):
    with pytest.raises(ValueError, match=r"\[..., 6\] ou um par de \[..., 3\]"):
        VAE(nn.Linear(D, outputs), nn.Linear(Z, D), latent_dim=Z).encode(pixels())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent_dim": 0}, "latent_dim deve ser ao menos 1.* mas veio 0"),
        ({"latent_dim": Z, "likelihood": "poisson"}, "'poisson'.*'bernoulli', 'gaussian', 'continuous_bernoulli'"),
    ],
)
def test_vae_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        VAE(nn.Linear(D, 2 * Z), nn.Linear(Z, D), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "sigmoide"}, "'sigmoide'.*'relu', 'tanh'"),
        ({"hidden": (8, 0)}, "ao menos uma unidade"),
        ({"latent_dim": 0}, "ao menos uma unidade"),
        ({"likelihood": "mse"}, "'mse'.*'bernoulli'"),
    ],
)
def test_mlp_vae_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        mlp_vae(**({"data_dim": D, "latent_dim": Z} | arguments))


@pytest.mark.parametrize("width", [1, 3, 6])
def test_encoder_of_the_wrong_width_says_what_it_returned(width):
    model = VAE(nn.Linear(4, width), nn.Linear(1, 4), latent_dim=1)
    with pytest.raises(ValueError, match=rf"deve devolver \[\.\.\., 2\].*\(2, {width}\)"):
        model.encode(torch.rand(2, 4))


def test_pixels_of_another_precision_say_how_to_convert():
    model = VAE(nn.Linear(4, 2), nn.Linear(1, 4), latent_dim=1)
    with pytest.raises(TypeError, match=r"float64.*float32.*x\.float\(\)"):
        model.encode(torch.rand(2, 4, dtype=torch.float64))


def test_a_negative_number_of_samples_is_refused():
    with pytest.raises(ValueError, match="ao menos 1, mas veio -1"):
        mlp_vae(4, 1, (3,)).sample(-1)

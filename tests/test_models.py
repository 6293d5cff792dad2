"""O VAE: o que encode e decode devolvem, as duas arquiteturas dos textos e os erros que um aluno comete."""

import math

import numpy as np
import pytest
import torch
from torch import distributions as td
from torch import nn

from vae_lessons.data import load
from vae_lessons.distributions import Bernoulli, ContinuousBernoulli, Normal
from vae_lessons.evaluation import active_units, log_likelihood, rate_distortion
from vae_lessons.models import VAE, CategoricalVAE, categorical_vae, conv_vae, mlp_vae, soft_bound
from vae_lessons.objectives import elbo, iwae_bound, log_importance_weights
from vae_lessons.training import TrainConfig, fit_many

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


# Redes que só sabem ler um lote de linhas


def with_batch_norm(width=4):
    """Um decodificador cuja BatchNorm lê [B, width]: um lote de `width` imagens poderia passar por ela de lado."""
    torch.manual_seed(0)
    decoder = nn.Sequential(nn.Linear(Z, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, D))
    return VAE(nn.Linear(D, 2 * Z), decoder, latent_dim=Z)


@pytest.mark.parametrize("n_samples", [1, 3])
@pytest.mark.parametrize("n_rows", [4, 5])
def test_batch_norm_normalizes_the_columns_even_if_the_batch_is_as_wide_as_the_layer(n_rows, n_samples):
    model, x = with_batch_norm(width=4), pixels(n_rows).round()
    torch.manual_seed(1)
    terms = elbo(model, x, n_samples=n_samples)
    reference = with_batch_norm(width=4)
    torch.manual_seed(1)
    q = reference.encode(x)
    z = q.rsample(torch.randn(n_samples, *q.mean.shape))
    logits = reference.decoder(z.flatten(0, 1)).unflatten(0, (n_samples, n_rows))
    torch.testing.assert_close(terms.log_likelihood, Bernoulli(logits).log_prob(x).sum(-1).mean(0))
    for name, tensor in reference.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, msg=name)


@pytest.mark.parametrize("lead", [(), (5,), (2, 5), (2, 3, 5), (0,)], ids=str)
@pytest.mark.parametrize(
    "likelihood",
    ["bernoulli", "gaussian", lambda out: td.Normal(out, 1.0)],
    ids=["bernoulli", "gaussian", "torch_normal"],
)
def test_any_network_of_rows_takes_any_dimensions_in_front(lead, likelihood):
    encoder = nn.Sequential(nn.Unflatten(1, (1, 4, 3)), nn.Conv2d(1, 2, 3), nn.Flatten(), nn.LazyLinear(2 * Z))
    decoder = nn.Sequential(nn.Linear(Z, 8), nn.Unflatten(1, (2, 2, 2)), nn.ConvTranspose2d(2, 1, (3, 2)), nn.Flatten())
    torch.manual_seed(0)
    model = VAE(encoder, decoder, latent_dim=Z, likelihood=likelihood)
    q = model.encode(torch.rand(*lead, 12))
    assert q.mean.shape == q.log_var.shape == (*lead, Z)
    mean = model.decode(q.mean).mean
    assert mean.shape == (*lead, 12)
    for one, z in zip(mean.reshape(-1, 12), q.mean.reshape(-1, Z), strict=True):
        torch.testing.assert_close(model.decode(z).mean, one)


def test_two_heads_and_pairs_get_their_dimensions_back():
    class Pair(nn.Module):
        def forward(self, rows):
            assert rows.ndim == 2
            return rows @ torch.ones(rows.shape[1], 3), [rows @ torch.ones(rows.shape[1], 3)][0]

    model = VAE(Pair(), Pair(), latent_dim=3, likelihood="gaussian")
    q = model.encode(torch.rand(2, 5, 3))
    assert q.mean.shape == q.log_var.shape == (2, 5, 3)
    assert model.decode(q.mean).log_var.shape == (2, 5, 3)


def test_importance_sampling_goes_through_batch_norm():
    model = with_batch_norm()
    assert iwae_bound(model, pixels(4).round(), 6).shape == (4,)
    assert log_importance_weights(model.eval(), pixels(4).round(), 6).shape == (6, 4)


def test_categorical_latents_reach_the_decoder_as_rows_too():
    decoder = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, D))
    model = CategoricalVAE(nn.Linear(D, 6), decoder, n_latents=2, n_classes=3)
    assert model.decode(torch.rand(7, 5, 2, 3)).logits.shape == (7, 5, D)


# Verossimilhanças de torch.distributions


def torch_normal(out):
    return td.Normal(out, 0.3)


def torch_joint(out):
    return td.Independent(td.Normal(out, 0.3), 1)


def torch_mixture(out):
    return td.MixtureSameFamily(
        td.Categorical(torch.ones(*out.shape, 2, device=out.device)), td.Normal(torch.stack([out, -out], -1), 0.5)
    )


MODELS = {
    "mlp": lambda likelihood: mlp_vae(64, 2, (16,), likelihood=likelihood),
    "conv": lambda likelihood: conv_vae((8, 8), 2, (3, 4), likelihood=likelihood),
    "categorical": lambda likelihood: categorical_vae(64, 2, 3, (16,), likelihood=likelihood),
}


@pytest.mark.filterwarnings("ignore:O erro-padrão de log p")
@pytest.mark.parametrize("likelihood", [torch_normal, torch_joint, torch_mixture])
@pytest.mark.parametrize("kind", MODELS)
def test_a_likelihood_of_torch_trains_is_measured_and_sampled(kind, likelihood):
    from vae_lessons.estimators import score_function

    torch.manual_seed(0)
    model, x = MODELS[kind](likelihood), pixels(20, 64)
    terms = elbo(model, x, n_samples=3, estimator=score_function)
    assert terms.elbo.shape == (20,)
    terms.loss.mean().backward()
    assert all(weight.grad.abs().max() > 0 for weight in model.parameters())
    assert log_likelihood(model, x, k=20).per_example.shape == (20,)
    assert math.isfinite(sum(rate_distortion(model, x)))
    state = torch.get_rng_state()
    first, again = (model.sample(6, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert first.shape == model.sample(6, mean=True).shape == (6, 64)
    if kind != "categorical":
        assert active_units(model, x) in range(3)


def test_a_joint_likelihood_equals_the_one_per_pixel():
    torch.manual_seed(0)
    model, x = mlp_vae(64, 2, (16,)), pixels(20, 64)
    values = []
    for likelihood in (torch_normal, torch_joint, lambda out: Normal(out, torch.full_like(out, 2 * math.log(0.3)))):
        model.likelihood = likelihood
        torch.manual_seed(1)
        values.append(elbo(model, x, n_samples=2).log_likelihood)
    torch.testing.assert_close(values[1], values[0])
    torch.testing.assert_close(values[2], values[0])


def test_a_likelihood_of_torch_is_trained_by_many_at_once_because_nothing_is_validated():
    runs = fit_many(
        mlp_vae(64, 2, (8,), likelihood=torch_normal),
        pixels(50, 64),
        TrainConfig(epochs=2, device="cpu", binarize="none"),
        sweep={"beta": [0.5, 1.0]},
        progress=False,
    )
    assert all(math.isfinite(run.history.elbo[-1]) for run in runs)
    with pytest.raises(ValueError, match="constraint"):  # fora do modelo, tudo é como antes
        td.Normal(0.0, -1.0)


# A variância de que uma gaussiana parte


def test_the_variance_starts_at_that_of_the_data():
    x = 3 * torch.randn(2000, D, generator=torch.Generator().manual_seed(0)) + torch.arange(D)
    model = mlp_vae(D, Z, (8,), likelihood="gaussian")
    model.start_from(x)
    assert model.likelihood_log_var.item() == pytest.approx(math.log(9), abs=0.05)
    assert isinstance(model.likelihood_log_var, nn.Parameter)


def test_images_of_eight_bits_start_as_grey_levels():
    data = load("digits")
    model = mlp_vae(64, Z, (8,), likelihood="gaussian")
    model.start_from(data.x)
    assert model.likelihood_log_var.item() == pytest.approx(math.log((data.x / 255).var(0).mean()), abs=1e-3)


def test_a_variance_that_someone_chose_or_learned_stays():
    model = mlp_vae(D, Z, (8,), likelihood="gaussian")
    with torch.no_grad():
        model.likelihood_log_var.fill_(-3.0)
    model.start_from(torch.randn(50, D))
    assert model.likelihood_log_var.item() == -3.0


def test_data_without_variance_and_other_likelihoods_start_as_they_were():
    model = mlp_vae(D, Z, (8,), likelihood="gaussian")
    model.start_from(torch.ones(50, D))
    assert model.likelihood_log_var.item() == 0
    mlp_vae(D, Z, (8,)).start_from(torch.ones(50, D))


def test_the_elbo_of_a_started_gaussian_is_still_a_bound():
    """Com o decodificador na média, log p(x) é o da normal, e a ELBO fica KL(q ‖ p) abaixo."""
    x = torch.randn(500, D, generator=torch.Generator().manual_seed(0)).double()
    model = mlp_vae(D, Z, (8,), likelihood="gaussian").double()
    with torch.no_grad():
        model.decoder[-1].weight.zero_()
        model.decoder[-1].bias.zero_()
    model.start_from(x)
    evidence = td.Normal(0.0, model.likelihood_log_var.exp().sqrt()).log_prob(x).sum(-1)
    terms = elbo(model, x)
    torch.testing.assert_close(terms.elbo + terms.kl, evidence)


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


@pytest.mark.parametrize(
    ("model", "x", "advice"),
    [
        (mlp_vae(4, 1, (3,)).double(), torch.rand(2, 4), r"x.double\(\), ou o modelo, com model.float\(\)"),
        (mlp_vae(4, 1, (3,)), torch.rand(2, 4).double(), r"x.float\(\), ou o modelo, com model.double\(\)"),
        (mlp_vae(4, 1, (3,)), torch.rand(2, 4).half(), r"x.float\(\), ou o modelo, com model.half\(\)"),
        (mlp_vae(4, 1, (3,)).bfloat16(), torch.rand(2, 4), r"x.bfloat16\(\), ou o modelo, com model.float\(\)"),
    ],
)
def test_the_advice_about_precision_works(model, x, advice):
    with pytest.raises(TypeError, match=advice):
        model.encode(x)
    weight = next(model.parameters())
    model.encode(x.to(weight.dtype))
    with pytest.raises(TypeError, match=r"z é torch.float"):
        model.decode(torch.zeros(2, 1, dtype=x.dtype))


@pytest.mark.parametrize(
    ("output", "came"),
    [
        (lambda x: {"mean": x, "log_var": x}, "um dicionário, com as chaves 'mean', 'log_var'"),
        (lambda x: x.sum(), r"uma linha para cada exemplo, mas de 5 linhas devolveu um tensor de forma \(\)"),
        (lambda x: x.mean(0), r"uma linha para cada exemplo, mas de 5 linhas"),
        (lambda x: (x, None), "sequência de um tensor de forma .* e NoneType"),
        (lambda x: (x, x, x), "uma sequência de um tensor"),
        (lambda x: None, "mas devolveu NoneType"),
        (lambda x: 3.0, "mas devolveu float"),
    ],
)
def test_an_encoder_that_returns_something_else_is_told_what_is_expected(output, came):
    class Encoder(nn.Module):
        def forward(self, x):
            return output(x)

    with pytest.raises(ValueError, match=rf"O codificador deve devolver.*{came}"):
        VAE(Encoder(), nn.Linear(Z, D), latent_dim=Z).encode(pixels())
    with pytest.raises(ValueError, match=rf"O codificador deve devolver.*{came.replace('mas devolveu', '')}"):
        CategoricalVAE(Encoder(), nn.Linear(6, D), n_latents=2, n_classes=3).encode(pixels())


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda z: {"logits": z}, "deve devolver um tensor .*um dicionário, com as chaves 'logits'"),
        (lambda z: (z, z), "deve devolver um tensor .*uma sequência"),
        (lambda z: None, "deve devolver um tensor .*NoneType"),
    ],
)
def test_a_decoder_that_returns_something_else_is_told_what_is_expected(output, message):
    class Decoder(nn.Module):
        def forward(self, z):
            return output(z)

    with pytest.raises(TypeError, match=message):
        VAE(nn.Linear(D, 2 * Z), Decoder(), latent_dim=Z).decode(torch.zeros(B, Z))


def test_what_is_not_a_tensor_is_refused():
    model = mlp_vae(D, Z, (8,))
    with pytest.raises(TypeError, match=r"espera um tensor x, mas veio ndarray. Use torch.from_numpy\(x\)"):
        model.encode(np.zeros((2, D)))
    with pytest.raises(TypeError, match=r"espera um tensor z, mas veio list"):
        model.decode([0.0] * Z)
    with pytest.raises(ValueError, match="veio um escalar"):
        model.encode(torch.tensor(1.0))


def test_integers_are_for_embeddings_and_the_message_says_so():
    with pytest.raises(TypeError, match=r"torch.int64.*x.float\(\).*torch.nn.Embedding"):
        mlp_vae(D, Z, (8,)).encode(torch.zeros(B, D, dtype=torch.int64))
    table = nn.Sequential(nn.Embedding(9, 2), nn.Flatten(), nn.Linear(2 * D, 2 * Z))
    model = VAE(table, nn.Linear(Z, D), latent_dim=Z)
    assert model.encode(torch.zeros(7, B, D, dtype=torch.int64)).mean.shape == (7, B, Z)


@pytest.mark.parametrize("n", [2.0, "3", None])
def test_a_number_of_samples_that_is_no_integer_is_refused(n):
    with pytest.raises(TypeError, match="n, o número de exemplos a gerar, deve ser um inteiro"):
        mlp_vae(4, 1, (3,)).sample(n)


def test_integers_of_numpy_build_models():
    assert mlp_vae(np.int64(D), np.int64(Z), (np.int32(8),)).sample(np.int64(2)).shape == (2, D)
    assert conv_vae((np.int64(8), np.int64(8)), 2).sample(2).shape == (2, 64)
    assert categorical_vae(D, np.int64(2), np.int64(3)).sample(2).shape == (2, D)


def test_a_negative_number_of_samples_is_refused():
    with pytest.raises(ValueError, match="ao menos 1, mas veio -1"):
        mlp_vae(4, 1, (3,)).sample(-1)

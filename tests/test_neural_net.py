"""The basis network: shapes, gradients against finite differences, training against functions it must learn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from utilities.neural_net import LAYERS, WIDTH, Network, train


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def reference(network: Network, member: int, x: np.ndarray) -> np.ndarray:
    """The network written out for one point at a time."""
    rows = []
    for point in x:
        layer = 2.0 * point - 1.0
        for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
            layer = np.tanh(layer @ weight[member] + bias[member, 0])
        rows.append(layer)
    return np.array(rows).reshape(len(x), WIDTH)


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("points", [0, 1, 7])
@pytest.mark.parametrize("columns", [1, 5])
def test_phi_is_the_network_written_out(members: int, points: int, columns: int, rng: np.random.Generator) -> None:
    network = Network.initial(columns, members, rng)
    x = rng.random((points, columns))
    phi = network.phi(x)
    assert phi.shape == (members, points, WIDTH)
    for member in range(members):
        np.testing.assert_allclose(phi[member], reference(network, member, x), rtol=1e-12, atol=1e-14)


def test_it_has_three_hidden_layers_of_fifty_units(rng: np.random.Generator) -> None:
    network = Network.initial(4, 2, rng)
    assert [w.shape for w in network.weights] == [(2, 4, 50), (2, 50, 50), (2, 50, 50), (2, 50, 1)]
    assert [b.shape for b in network.biases] == [(2, 1, 50), (2, 1, 50), (2, 1, 50), (2, 1, 1)]
    assert len(network.layers(rng.random((3, 4)))) == LAYERS


def test_phi_leaves_its_argument_alone(rng: np.random.Generator) -> None:
    x = rng.random((3, 2))
    before = x.copy()
    Network.initial(2, 2, rng).phi(x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("members", [1, 3])
def test_backward_is_the_gradient(members: int, rng: np.random.Generator) -> None:
    """Central differences of step 1e-5 err by 1e-10 in truncation and 1e-11 in rounding."""
    network = Network.initial(3, members, rng)
    x, seed = rng.random((4, 3)), rng.standard_normal((members, 4, WIDTH))
    expected = np.empty_like(x)
    for column in range(3):
        step = np.zeros(3)
        step[column] = 1e-5
        difference = network.phi(x + step) - network.phi(x - step)
        expected[:, column] = (seed * difference).sum(axis=(0, 2)) / 2e-5
    np.testing.assert_allclose(network.backward(network.layers(x), seed), expected, rtol=1e-6, atol=1e-7)


def test_arrays_rebuild_the_network(rng: np.random.Generator) -> None:
    network = Network.initial(3, 2, rng)
    arrays = network.to_arrays()
    assert all(array.dtype == np.float64 for array in arrays.values())
    again = Network.from_arrays({**arrays, "offset": np.array(1.0)})
    x = rng.random((5, 3))
    np.testing.assert_array_equal(again.regress(x), network.regress(x))


def test_rescaled_outputs_are_in_the_new_units(rng: np.random.Generator) -> None:
    network, x = Network.initial(3, 2, rng), rng.random((5, 3))
    rescaled = network.rescale(2.5, -1.0)
    np.testing.assert_allclose(rescaled.regress(x), 2.5 * network.regress(x) - 1.0, rtol=1e-12)
    np.testing.assert_array_equal(rescaled.phi(x), network.phi(x))


# --- training -------------------------------------------------------------------------------------------------------


def fit(x: np.ndarray, y: np.ndarray, steps: int = 300, members: int = 2, seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    return train(x, y, rng, Network.initial(x.shape[1], members, rng), steps)


def test_every_member_learns_a_linear_function(rng: np.random.Generator) -> None:
    x, unseen = rng.random((100, 3)), rng.random((200, 3))
    slope = np.array([1.0, -2.0, 0.5])
    network = fit(x, x @ slope, steps=600)
    error = network.regress(unseen) - unseen @ slope
    assert np.all(np.sqrt(np.mean(error**2, axis=1)) < 0.05)


def test_every_member_learns_from_mini_batches(rng: np.random.Generator) -> None:
    x, unseen = rng.random((1000, 2)), rng.random((200, 2))

    def wave(points: np.ndarray) -> np.ndarray:
        return np.asarray(np.sin(6.0 * points[:, 0]) * points[:, 1])

    error = fit(x, wave(x)).regress(unseen) - wave(unseen)
    assert np.all(np.sqrt(np.mean(error**2, axis=1)) < 0.15 * np.std(wave(unseen)))


def test_members_differ_where_there_are_no_data(rng: np.random.Generator) -> None:
    x = 0.4 * rng.random((30, 2))
    network = fit(x, np.sin(5.0 * x[:, 0]), steps=600, members=3)
    near, far = network.regress(x).std(axis=0).mean(), network.regress(1.0 - x).std(axis=0).mean()
    assert far > 5.0 * near


def test_a_warm_start_begins_where_the_last_training_ended(rng: np.random.Generator) -> None:
    x = rng.random((50, 2))
    y = np.sin(5.0 * x[:, 0])
    network = fit(x, y, steps=600)
    before = np.mean((network.regress(x) - y) ** 2)
    warm = train(x, y, rng, network, 50)
    cold = fit(x, y, steps=50)
    assert np.mean((warm.regress(x) - y) ** 2) < 2.0 * before < 0.1 * np.mean((cold.regress(x) - y) ** 2)


@pytest.mark.parametrize("n", [40, 600])
def test_a_member_learns_only_from_what_it_may_use(n: int, rng: np.random.Generator) -> None:
    """What a member may not use is set to nonsense, which changes nothing; the other member, which may, is spoiled."""
    x, y, used = rng.random((n, 2)), rng.standard_normal(n), np.ones((2, n), dtype=np.bool_)
    used[0, ::3] = False
    nonsense = np.where(used[0], y, 100.0)
    start = Network.initial(2, 2, rng)
    first, spoiled = (train(x, target, np.random.default_rng(0), start, 20, used).phi(x) for target in (y, nonsense))
    np.testing.assert_array_equal(first[0], spoiled[0])
    assert not np.allclose(first[1], spoiled[1])


@pytest.mark.parametrize("n", [20, 400])
def test_training_is_deterministic_given_the_generator(n: int, rng: np.random.Generator) -> None:
    x, y = rng.random((n, 2)), rng.standard_normal(n)
    first, again, other = fit(x, y, 20, seed=1), fit(x, y, 20, seed=1), fit(x, y, 20, seed=2)
    np.testing.assert_array_equal(first.phi(x), again.phi(x))
    assert not np.array_equal(first.phi(x), other.phi(x))


@pytest.mark.parametrize(("n", "used"), [(20, True), (20, False), (400, False)])
def test_training_is_that_of_torch(n: int, used: bool, rng: np.random.Generator) -> None:
    """An oracle: torch's gradients and its Adam, given the same batches, end at the same weights."""
    torch = pytest.importorskip("torch")
    x, y, start = rng.random((n, 3)), rng.standard_normal(n), Network.initial(3, 2, rng)
    mask = rng.random((2, n)) < 0.8 if used else np.ones((2, n), dtype=np.bool_)
    trained = train(x, y, np.random.default_rng(1), start, 30, mask)
    variables = [torch.tensor(a, dtype=torch.float32, requires_grad=True) for a in (*start.weights, *start.biases)]
    weights, biases = variables[: LAYERS + 1], variables[LAYERS + 1 :]
    adam, batches = torch.optim.Adam(variables), np.random.default_rng(1)
    for step in range(30):
        adam.param_groups[0]["lr"] = 1e-4 + 0.5 * 2.9e-3 * (1.0 + np.cos(np.pi * step / 30))
        rows = np.array([batches.choice(np.flatnonzero(m), size=256) if n > 256 else np.arange(n) for m in mask])
        layer = torch.tensor(2.0 * x[rows] - 1.0, dtype=torch.float32)
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            layer = torch.tanh(layer @ weight + bias)
        error = (layer @ weights[-1] + biases[-1])[:, :, 0] - torch.tensor(y[rows], dtype=torch.float32)
        counted = torch.tensor(mask[[[0], [1]], rows], dtype=torch.float32)
        loss = ((counted * error.square()).sum(dim=1) / counted.sum(dim=1)).sum()
        loss = loss + 1e-4 * sum(weight.square().sum() for weight in weights)
        adam.zero_grad()
        loss.backward()
        adam.step()
    for ours, theirs in zip((*trained.weights, *trained.biases), variables, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=2e-3, atol=2e-4)


def test_training_leaves_the_start_alone(rng: np.random.Generator) -> None:
    start = Network.initial(2, 2, rng)
    before = [weight.copy() for weight in start.weights]
    train(rng.random((10, 2)), rng.standard_normal(10), rng, start, 3)
    for weight, copy in zip(start.weights, before, strict=True):
        np.testing.assert_array_equal(weight, copy)


def test_training_does_without_torch() -> None:
    """Its import takes longer than the first dozen fits of a study."""
    code = (
        "import sys, numpy as np; from utilities.neural_net import Network, train;"
        "rng = np.random.default_rng(0);"
        "train(rng.random((5, 2)), rng.random(5), rng, Network.initial(2, 1, rng), 2);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

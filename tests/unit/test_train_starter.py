"""The tool that trains the starter: pictures, loss, schedule, resume, measures, weights file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tools.starter import cards, measuring, pictures, schedule, weights

tf = pytest.importorskip("tensorflow", reason="the starter is trained with TensorFlow; install tensorflow")
keras = pytest.importorskip("keras", reason="the starter is trained with Keras; install keras")

from tools.starter import augment, finishing, network, optimiser, training, warm  # noqa: E402


def some_pictures(n: int = 24, families: int = 3, instances: int = 6, side: int = 10) -> pictures.Pictures:
    random = np.random.default_rng(1)
    instance = np.arange(n) % instances
    names = tuple(f"f{i % families}/i{i}" for i in range(instances))
    pixels = random.integers(0, 256, (n, side, side, 3), np.uint8)
    return pictures.Pictures(pixels, instance % families, instance, tuple(f"f{i}" for i in range(families)), names)


def tiny_backbone() -> Any:
    inputs = keras.Input((8, 8, 3))
    convolved = keras.layers.Conv2D(6, 3, name="conv1_conv")(inputs)
    normal = network.FusedBatchNormalization(name="conv1_bn")(convolved)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(normal)))


def tiny_training(folder: Path, steps: int = 8) -> training.Training:
    keras.utils.set_random_seed(3)
    seen = some_pictures()
    net = network.Network(tiny_backbone(), 3, 6, seed=5)
    plan = training.Plan(schedule.Budget(steps=steps), sides=(8,), grow_at=(), batch=5, average_every=2, log_every=2)
    return training.Training(net, seen, plan, folder)


def render(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 12), (len(name), 40, 90)).save(path)


def softmax(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


# Schedule


def test_rate_warms_up_then_follows_half_a_cosine() -> None:
    assert schedule.rate(0.02, 1.0, warm_up=0.1, floor=0.0) == pytest.approx(0.2)
    assert schedule.rate(0.1, 1.0, warm_up=0.1, floor=0.0) == pytest.approx(1.0)
    assert schedule.rate(0.55, 1.0, warm_up=0.1, floor=0.0) == pytest.approx(0.5)  # half way: cos 90° = 0
    assert schedule.rate(0.4, 1.0, warm_up=0.1, floor=0.0) == pytest.approx(0.75)  # a third: (1 + cos 60°) / 2
    assert schedule.rate(1.0, 1.0, warm_up=0.1, floor=0.0) == pytest.approx(0.0)


def test_a_budget_in_minutes_is_spent_by_time_and_one_in_steps_by_steps() -> None:
    assert schedule.Budget(minutes=10).done(step=7, seconds=150) == pytest.approx(0.25)
    assert schedule.Budget(steps=10).done(step=7, seconds=150) == pytest.approx(0.7)
    assert schedule.Budget(minutes=1).done(step=7, seconds=150) == 1.0


# Pictures


def test_unseen_instances_stay_unseen_while_the_folder_grows(tmp_path: Path) -> None:
    names = [f"mug/mug{i:03d}-{view}.jpg" for i in range(30) for view in range(2)]
    render(tmp_path, *names[:30])
    paths = pictures.listed(tmp_path)
    unseen = {pictures.instance_of(p) for p in pictures.unseen_paths(paths, 3)}
    had = pictures.load([p for p in paths if pictures.instance_of(p) not in unseen], 8)
    known = set(paths)
    render(tmp_path, *names[30:])
    grown = pictures.with_new(had, tmp_path, known, share=3, room=100)
    held = {pictures.instance_of(p) for p in pictures.unseen_paths(pictures.listed(tmp_path), 3)}
    assert unseen <= held
    assert 3 < len(held) < 20  # about one in three of thirty
    assert set(grown.instances).isdisjoint(held)
    assert set(grown.instances) | held == {f"mug/mug{i:03d}" for i in range(30)}
    assert grown.instances[: len(had.instances)] == had.instances  # numbers that the head has learned stay
    assert pictures.with_new(grown, tmp_path, known, share=3, room=100) is grown


def test_instances_beyond_the_room_of_the_head_are_left_out(tmp_path: Path) -> None:
    render(tmp_path, "mug/a-0.jpg")
    had, known = pictures.load(pictures.listed(tmp_path), 8), set(pictures.listed(tmp_path))
    render(tmp_path, "mug/b-0.jpg", "mug/c-0.jpg", "mug/a-1.jpg")
    grown = pictures.with_new(had, tmp_path, known, share=10**9, room=2)
    assert grown.instances == ("mug/a", "mug/b")
    assert sorted(grown.instance.tolist()) == [0, 0, 1]


def test_a_picture_that_is_cut_off_is_passed_over_and_an_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="expected pictures"):
        pictures.listed(tmp_path)
    render(tmp_path, "mug/a-0.jpg")
    (tmp_path / "mug" / "a-1.jpg").write_bytes((tmp_path / "mug" / "a-0.jpg").read_bytes()[:80])
    assert len(pictures.load(pictures.listed(tmp_path), 8)) == 1


def test_half_of_the_views_of_each_instance_are_gallery() -> None:
    gallery = pictures.split_views(some_pictures(n=24, instances=6))
    assert gallery.tolist() == [True] * 12 + [False] * 12  # views come in rounds of six instances


# Augmentation


def test_augmented_pictures_repeat_with_the_seed_and_stay_pictures() -> None:
    pixels = some_pictures().pixels
    first, again, other = (augment.augment(pixels, 8, tf.constant(s)).numpy() for s in ([4, 0], [4, 0], [5, 0]))
    assert first.shape == (24, 8, 8, 3)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 5
    assert first.min() >= 0
    assert first.max() <= 255


def test_preprocessing_is_that_of_keras() -> None:
    rgb = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)
    expected = keras.applications.resnet.preprocess_input(rgb.copy())
    np.testing.assert_allclose(augment.preprocess(tf.constant(rgb)).numpy(), expected, rtol=1e-5, atol=1e-4)


# Network


def test_losses_are_what_a_hand_computation_gives() -> None:
    net = network.Network(tiny_backbone(), families=3, instances=4, seed=0)
    pooled = np.random.default_rng(2).normal(size=(5, 6))
    family, instance = np.array([0, 2, 1, 1, 0]), np.array([3, 0, 1, 2, 3])
    told = net.losses(tf.constant(pooled, tf.float32), tf.constant(family), tf.constant(instance), smoothing=0.3)
    heads = {name: head.numpy().astype(float) for name, head in net.heads.items()}

    probabilities = softmax(pooled @ heads["family/kernel"] + heads["family/bias"])
    target = 0.7 * np.eye(3)[family] + 0.1  # 0.3 over three classes
    by_family = -(target * np.log(probabilities)).sum(axis=1).mean()
    embedding = pooled @ heads["projection/kernel"]
    cosine = np.array(
        [[e @ d / np.linalg.norm(e) / np.linalg.norm(d) for d in heads["instances/kernel"].T] for e in embedding]
    )
    by_instance = -np.log(softmax(16 * cosine)[np.arange(5), instance]).mean()
    right = (probabilities.argmax(axis=1) == family).mean()
    np.testing.assert_allclose([float(t) for t in told], [by_family, by_instance, right], rtol=1e-5)


def test_fused_normalisation_is_kerass_own_and_averages_its_statistics() -> None:
    batches = np.random.default_rng(0).normal(3, 2, (3, 16, 4, 4, 2)).astype(np.float32)
    ours, own = network.FusedBatchNormalization(), keras.layers.BatchNormalization()
    ours.share = share = tf.Variable(1.0)
    for turn, batch in enumerate(batches):
        share.assign(1 / (turn + 1))
        np.testing.assert_allclose(ours(batch, training=True), own(batch, training=True), atol=2e-3)
    np.testing.assert_allclose(ours.moving_mean, batches.mean(axis=(0, 1, 2, 3)), rtol=1e-4)
    unbiased = np.mean([b.reshape(-1, 2).var(axis=0, ddof=1) for b in batches], axis=0)
    np.testing.assert_allclose(ours.moving_variance, unbiased, rtol=1e-4)
    own.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(batches[0]), own(batches[0]), atol=1e-5)


@pytest.mark.parametrize(("side", "kernel", "stride"), [(4, 1, 1), (8, 1, 2), (2, 3, 1), (8, 3, 1)])
def test_a_convolution_on_a_small_map_is_a_convolution(side: int, kernel: int, stride: int) -> None:
    seen = np.random.default_rng(0).normal(size=(3, side, side, 5)).astype(np.float32)
    layer = network.SmallMapConvolution(7, kernel, stride, padding="same" if kernel == 3 else "valid")
    plain = keras.layers.Conv2D(7, kernel, stride, padding="same" if kernel == 3 else "valid")
    layer(seen), plain(seen)
    plain.set_weights([w + 0.1 for w in layer.get_weights()])
    layer.set_weights(plain.get_weights())
    np.testing.assert_allclose(layer(seen), plain(seen), atol=1e-5)


def test_the_backbone_has_the_variables_of_keras_resnet50_and_gives_its_output() -> None:
    ours, plain = network.resnet50("float32"), weights.plain_backbone(seed=1)
    assert [v.path for v in ours.variables] == [v.path for v in plain.variables]
    arrays = {v.path: np.asarray(v) for v in plain.variables}
    for variable in ours.variables:
        variable.assign(arrays[variable.path])
    seen = np.random.default_rng(0).normal(0, 60, (2, 64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(ours(seen), plain(seen), rtol=1e-3, atol=1e-4)
    with pytest.raises(SystemExit, match="conv1_conv/kernel: expected an array of"):
        weights.plain_backbone({})


def test_adamw_moves_as_published_and_spares_biases_from_decay() -> None:
    start, gradients = np.array([1.0, -2.0]), [np.array([0.3, -0.1]), np.array([0.2, 0.4])]
    variables = {"a/kernel": tf.Variable(start, dtype=tf.float32), "a/bias": tf.Variable(start, dtype=tf.float32)}
    mover = optimiser.AdamW(variables, decay=0.1, clip=1e9)
    for step, gradient in enumerate(gradients, 1):
        given = tf.constant(gradient, tf.float32)
        mover.apply([given, given], tf.constant(0.01), tf.constant(float(step)))
    for name, decay in (("a/kernel", 0.1), ("a/bias", 0.0)):
        weight, first, second = start.copy(), np.zeros(2), np.zeros(2)
        for step, gradient in enumerate(gradients, 1):
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            moved = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
            weight = weight - 0.01 * decay * weight - 0.01 * moved
        np.testing.assert_allclose(variables[name].numpy(), weight, rtol=1e-5)


# Training


def test_a_training_that_was_interrupted_ends_as_one_that_was_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    whole = tiny_training(tmp_path / "a")
    whole.run()
    first = tiny_training(tmp_path / "b")
    first.run(until=3)
    second = tiny_training(tmp_path / "b")
    second.restore()
    assert second.step == 3
    second.run()
    assert second.step == whole.step == 8
    for path, variable in whole.network.variables.items():
        np.testing.assert_allclose(second.network.variables[path], variable, rtol=1e-4, atol=1e-6, err_msg=path)
    for path, mean in finishing.averaged(whole).items():
        np.testing.assert_allclose(finishing.averaged(second)[path], mean, rtol=1e-4, atol=1e-6, err_msg=path)
    assert training.learned_instances(tmp_path / "b") == second.pictures.instances


def test_training_learns_and_writes_its_curve(tmp_path: Path) -> None:
    trained = tiny_training(tmp_path, steps=60)
    before = trained.network.heads["family/kernel"].numpy().copy()
    trained.run()
    lines = (tmp_path / "curves.jsonl").read_text().splitlines()
    curve = [json.loads(line) for line in lines]
    assert [point["step"] for point in curve] == list(range(2, 61, 2))
    early, late = (np.mean([p["instance_loss"] for p in part]) for part in (curve[:5], curve[-5:]))
    assert late < early
    assert not np.allclose(before, trained.network.heads["family/kernel"])


def test_every_epoch_sees_every_picture_once_in_another_order(tmp_path: Path) -> None:
    trained = tiny_training(tmp_path)
    epochs = [np.concatenate([trained.next_batch() for _ in range(4)]) for _ in range(2)]  # 4 × 5 of 24
    assert all(len(set(epoch.tolist())) == 20 for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()


def test_a_checkpoint_of_other_pictures_is_refused(tmp_path: Path) -> None:
    tiny_training(tmp_path).run(until=1)
    other = tiny_training(tmp_path)
    grown = network.Network(tiny_backbone(), 3, 7, seed=5)
    with pytest.raises(SystemExit, match=r"expected instances/kernel of \(256, 7\); received \(256, 6\)"):
        training.Training(grown, other.pictures, other.plan, tmp_path).restore()


# Weights and measures


def test_half_precision_survives_the_file_and_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    arrays = {"conv1_conv/kernel": np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)}
    weights.write(tmp_path, arrays, {"name": "starter"})
    read = weights.load_arrays(tmp_path / "resnet50.npz")
    assert read["conv1_conv/kernel"].dtype == np.float16
    np.testing.assert_array_equal(read["conv1_conv/kernel"], arrays["conv1_conv/kernel"].astype(np.float16))
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["sha256"] == hashlib.sha256((tmp_path / "resnet50.npz").read_bytes()).hexdigest()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["card.json", "resnet50.npz"]
    with pytest.raises(SystemExit, match="expected finite values"):
        weights.write(tmp_path, {"conv1_conv/kernel": np.array([7e4])}, {})
    assert weights.load_arrays(tmp_path / "resnet50.npz").keys() == arrays.keys()


def test_retrieval_matches_the_hand_count() -> None:
    pixels = np.zeros((4, 2, 2, 3), np.uint8)
    gallery = pictures.Pictures(pixels, np.array([0, 0, 0, 1]), np.array([0, 0, 1, 2]), ("f", "g"), ("a", "b", "c"))
    queries = pictures.Pictures(pixels[:2], np.array([0, 1]), np.array([0, 1]), ("f", "g"), ("b", "c"))
    axes = np.eye(4, dtype=np.float32)
    near_a, near_c = axes[0] + 0.5 * axes[2], axes[3]
    found = measuring.retrieval(measuring.Trial(gallery, queries), axes, np.stack([near_a, near_c]))
    assert [column.tolist() for column in found] == [[1, 1], [0, 1], [1, 1]]


def test_the_card_keeps_the_last_point_of_a_thinned_curve(tmp_path: Path) -> None:
    learning = [
        {"step": n, "side": 64, "family_loss": 9 / n, "instance_loss": 1, "family_right": 0} for n in range(1, 8)
    ]
    unseen = {"unseen_category_hit": 0.5, "unseen_instance_recall": 0.4, "unseen_instance_hit": 0.3}
    lines = [*learning[:3], {"step": 3, **unseen}, *learning[3:]]
    (tmp_path / "curves.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    told = cards.curve(tmp_path, points=3)
    assert [row[0] for row in told["learning"]["rows"]] == [3, 6, 7]
    assert [row[told["learning"]["columns"].index("family_loss")] for row in told["learning"]["rows"]] == [
        3,
        1.5,
        9 / 7,
    ]
    assert told["unseen"]["rows"] == [[3, 0.5, 0.4, 0.3]]


def test_the_card_keeps_the_command_that_makes_the_pictures_and_what_a_training_began_with(tmp_path: Path) -> None:
    for name in ("mug/mug000-00", "mug/mug000-01", "mug/mug001-00", "mug/mug002-00", "bell/bell000-02"):
        path = tmp_path / "renders" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    counts = "--instances-per-family 3 --views 2 --out RENDERS"
    assert cards.renders(tmp_path / "renders") == {"command": f"tools/render_gallery.py training {counts}"}
    (tmp_path / "renders" / "recipe.json").write_text('{"seed": 2, "side": 96, "samples": 1, "quality": 92}')
    told = cards.renders(tmp_path / "renders")
    assert told == {
        "command": f"tools/render_gallery.py training --seed 2 {counts}",
        "seed": 2,
        "side": 96,
        "samples": 1,
    }
    known = json.loads((Path(__file__).parents[2] / "models/starter/card.json").read_text(encoding="utf-8"))
    start = cards.before(Path(__file__).parents[2] / "models/starter/resnet50.npz")
    assert all(known[key] == value for key, value in start.items())
    assert {"renders", "sha256", "seconds"} < set(start)


def test_histograms_of_the_same_colours_are_equal_wherever_they_are() -> None:
    seen = some_pictures(n=2)
    turned = pictures.Pictures(seen.pixels[:, ::-1], *seen.arrays[1:], seen.families, seen.instances)
    np.testing.assert_array_equal(measuring.histogram(seen), measuring.histogram(turned))
    assert (measuring.histogram(seen) ** 2).sum(axis=1).tolist() == pytest.approx([100, 100])


# Beginning with given weights


def test_a_training_begins_where_the_weights_are_and_instances_at_their_pictures(tmp_path: Path) -> None:
    seen = some_pictures(side=8)
    before = network.Network(tiny_backbone(), 3, 6, seed=1)
    file = tmp_path / "resnet50.npz"
    weights.save_arrays(file, finishing.only_backbone({path: v.numpy() for path, v in before.variables.items()}))
    net = network.Network(tiny_backbone(), 3, 8, seed=2)
    drawn = net.heads["instances/kernel"].numpy()
    warm.begin(net, seen, file, side=8)

    for path, variable in before.variables.items():
        if path.startswith("conv") or path == weights.PROJECTION:
            np.testing.assert_array_equal(net.variables[path].numpy(), variable.numpy())
    ready = augment.preprocess(tf.constant(seen.pixels.astype(np.float32)))
    rows = before.pooled(ready).numpy() @ before.heads[weights.PROJECTION].numpy()
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    directions = net.heads["instances/kernel"].numpy()
    for instance in range(6):
        mean = rows[seen.instance == instance].sum(axis=0)
        np.testing.assert_allclose(directions[:, instance], mean / np.linalg.norm(mean), atol=1e-5)
    np.testing.assert_array_equal(directions[:, 6:], drawn[:, 6:])  # of instances that are still to be rendered
    assert not net.heads["family/kernel"].numpy().any()


def test_weights_of_another_network_are_refused_by_name_and_shape(tmp_path: Path) -> None:
    np.savez(tmp_path / "resnet50.npz", **{weights.PROJECTION: np.zeros((7, 256), np.float32)})
    net = network.Network(tiny_backbone(), 3, 6, seed=2)
    with pytest.raises(SystemExit, match=r"expected conv1_conv/kernel of \(3, 3, 3, 6\); received none"):
        warm.begin(net, some_pictures(side=8), tmp_path / "resnet50.npz", side=8)

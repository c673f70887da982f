"""The YAML: defaults, one sentence for each mistake, secrets that stay secret, paths that are found."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest
import yaml

from visualsearch import secrets
from visualsearch.config import Application, load_settings, parse, settings_from_folder
from visualsearch.config_schema import schema
from visualsearch.errors import ConfigError
from visualsearch.kinds import DEFAULTS
from visualsearch.plugins import Options

ROOT = Path(__file__).parents[2]


def settings(text: str = "", *overrides: str) -> Application:
    return parse(f"gallery: {{folder: photos}}\n{text}", Path("/shop"), "shop.yaml", overrides)


def complaint(text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, Path("/shop"), "shop.yaml", overrides)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_folder_is_enough() -> None:
    made = settings()
    assert (made.name, made.out, made.gallery.folder) == ("photos", Path("/shop/models/photos"), Path("/shop/photos"))
    chosen = (made.crop.name, made.classifier.name, made.extractor.name, made.store.name)
    assert chosen == ("whole", "resnet50", "resnet50", "embedded")
    assert (made.routing.keep, made.routing.widen, made.routing.at_most, made.search.k) == (0.9, ("more", "all"), 1, 20)
    assert (made.queries.folder, made.buckets.column, made.buckets.none) == (None, None, False)


def test_a_folder_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = settings_from_folder(Path("my photos!"))
    assert made.gallery.folder == tmp_path / "my photos!"
    assert made.out == tmp_path / "models/my-photos"


def test_paths_are_meant_from_the_file_and_home_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep/shop.yaml"
    file.write_text(
        "name: s\nout: made/{name}\ngallery: {folder: ../photos, table: ~/t.csv}\n"
        'extractor: {name: resnet50, weights: "file:w.h5"}\n'
    )
    made = load_settings(file)
    assert (made.gallery.folder, made.gallery.table) == (tmp_path / "photos", Path("/home/ada/t.csv"))
    assert made.out == tmp_path / "deep/made/s"
    assert made.extractor.model_dump()["weights"] == f"file:{tmp_path}/deep/w.h5"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gallery: {folder: a}\nrouting:\n  kepp: 0.9", "shop.yaml, line 3: routing.kepp: unknown key. Did you mean 'keep'?"),
        ("galery: {folder: a}\ngallery: {folder: a}", "shop.yaml, line 1: galery: unknown key. Did you mean 'gallery'?"),
        ("gallery: {folder: a}\nrouting: {keep: 2}", "shop.yaml, line 2: routing.keep: expected 1 or less; received 2."),
        ("gallery: {folder: a}\nrouting: {keep: much}", "routing.keep: expected a number; received 'much'."),
        ("gallery: {folder: a}\nrouting: {widen: [moer]}", "expected 'more' or 'all'; received 'moer'. Did you mean 'more'?"),
        ("gallery: {folder: a}\nrouting: {widen: [all, more]}", "[more, all]"),
        ("gallery: {folder: a}\nsearch: {k: 1.5}", "search.k: expected a whole number; received 1.5."),
        ("gallery: {folder: a}\nruntime: {engine: openvivo}", "Did you mean 'openvino'?"),
        ("gallery: {folder: a}\nruntime: {precision: bfloat16}", "only float32 is available for now; received bfloat16"),
        ("gallery: {folder: a}\nbuckets: {clusters: 8, column: label}", "one of column, clusters and none: true"),
        ("gallery: {folder: a}\nbuckets: {column: label, none: true}", "one of column, clusters and none: true"),
        ("gallery: {folder: a}\nextractor: {name: resnet51}", "line 2: extractor.name: expected one of"),
        ("gallery: {folder: a}\nextractor: {name: resnet51}", "Did you mean 'resnet5"),
        ("gallery: {folder: a}\nextractor: {weights: publishd}", "received 'publishd'. Did you mean 'published'?"),
        ("gallery: {folder: a}\nstore: elasticsearch", "received 'elasticsearch'. Write store: {name: elasticsearch}."),
        ("gallery: {folder: a}\nextractor: {wieghts: starter}", "extractor.wieghts: unknown key. Did you mean 'weights'?"),
        ("gallery: {folder: a}\nstore: {name: bruteforce, memory_mib: 5}", "It belongs to embedded"),
        ("gallery: {folder: a}\nstore: {memory_mib: 0}", "store.memory_mib: expected more than 0; received 0."),
        ("gallery: {folder: a}\nextractor: {name: vgg16, weights: starter}", "starter weights exist for resnet50 only"),
        ("gallery: {folder: a}\nclassifier: resnet50", "classifier: expected keys such as `name: resnet50`"),
        ('gallery: {path: "{x}"}', "shop.yaml, line 1: gallery.folder is missing"),
        ("name: x", "gallery is missing"),
        ("", "gallery is missing"),
        ("- a\n- b", "received a list at the top"),
        ("gallery: photos", "gallery: expected keys with values; received 'photos'"),
        ("gallery: {folder: a}\ngallery: {folder: b}", "line 2: gallery stands in line 1 already"),
        ("gallery: {folder: a}\n\tname: b", "line 2: this is no YAML: a tab where YAML wants spaces"),
        ("gallery: {folder: a", "this is no YAML"),
        ("gallery: {folder: a}\nno: 1", "line 2: expected a key of letters; YAML reads 'no' as False"),
        ("gallery: {folder: a, group: off}", "put it in quotes"),
        ("gallery: {folder: no}", "received no, which YAML reads as false. To mean text, put it in quotes: 'no'."),
        ("gallery: {folder: 2024-01-01}", "received 2024-01-01. To mean text, put it in quotes"),
        ("gallery: {folder: ''}", "line 1: gallery.folder: expected a path; received ''."),
        ("gallery:", "shop.yaml, line 1: gallery is missing"),
        ("gallery: {folder: a, path: '{label}{view}'}", "line 1: gallery.path: path template '{label}{view}': two words"),
        ("gallery: &a {folder: a, path: *a}", "received an alias of itself"),
        ("a: " + "[" * 3000, "brackets without end"),
        ("gallery: {folder: a}\nname: a\x01b", "this is no YAML: unacceptable character #x0001"),
        ("gallery: {folder: a}\nname: ../b", "line 2: name: expected letters, digits"),
        ("gallery: {folder: a}\nname: 5\nrouting: {keep: 2}", "line 2: name: expected text; received 5."),
        ("gallery: {folder: a}\nout: ''", "line 2: out: expected a path; received ''."),
        ("gallery: {folder: a}\nout: models/{nmae}", "line 2: out: expected no word in braces but {name}"),
        ("gallery: {folder: a}\nsearch: {k: true}", "search.k: expected a whole number; received true."),
        ("gallery: {folder: a}\nbuckets: label", "Write buckets: {column: label}."),
        ("gallery:\n  folder:a", "received 'folder:a'. Put a space behind the colon."),
        ("gallery:{folder: a}", "unknown key. Put a space behind its colon. (and 1 more)"),
        ("gallery:\n  folder: a\n  path: {label}/{view}", "but found '<scalar>': put a value that begins with { in quotes."),
        ("gallery: {folder: ${HOME}}", 'put "${NAME}" in quotes where it stands within { }.'),
        ("gallery: {folder: a}\nname: ${HO-ME}", "line 2: expected ${NAME}, an environment variable; received '${HO-ME}'."),
        ("gallery: {folder: a}\nextractor:\n  name: vgg16\n  weights: mine", "line 4: extractor.weights: expected starter"),
        ("gallery: {folder: a}\nstore: {name: 'json:JSONDecoder'}", "line 2: store.name: expected a class with `Options`"),
        ("galery: {folder: a}", "line 1: galery: unknown key. Did you mean 'gallery'? Known here"),
        ("gallery: {folder: a}\nname: ${VISUALSEARCH_NOWHERE}", "environment variable VISUALSEARCH_NOWHERE; it is not set"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_its_place(text: str, says: str) -> None:
    assert says in complaint(text)


def test_the_first_of_several_mistakes_is_told_and_the_others_counted() -> None:
    said = complaint("gallery: {folder: a}\nsearch: {k: 0}\nstore: {memory_mib: 0}\nrouting: {keep: 0, at_most: 0}")
    assert said.startswith("shop.yaml, line 2: search.k")
    assert said.endswith("(and 3 more)")


def test_a_section_with_nothing_below_it_has_its_defaults() -> None:
    assert settings("routing:\n  # keep: 0.5\nstore:\nqueries:").model_dump() == settings().model_dump()


def test_aliases_that_multiply_are_refused() -> None:
    text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    text += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 8))
    assert "through aliases" in complaint(text)


def test_merged_keys_are_kept_apart_from_keys_given_twice() -> None:
    made = settings("routing:\n  <<: {keep: 0.5, at_most: 0.7}\n  keep: 0.6")
    assert (made.routing.keep, made.routing.at_most) == (0.6, 0.7)


def test_overrides() -> None:
    made = settings("routing: {keep: 0.5}", "routing.widen=[all]", "search.k=7", "extractor.name=vgg16", "name=other")
    assert (made.routing.keep, made.routing.widen, made.search.k) == (0.5, ("all",), 7)
    assert (made.extractor.name, made.name) == ("vgg16", "other")
    assert "--set routing.kepp: unknown key. Did you mean 'keep'?" in complaint(
        "gallery: {folder: a}", "routing.kepp=1"
    )
    assert "expected key=value" in complaint("gallery: {folder: a}", "routing.keep")
    assert "--set routing.widen: expected a list" in complaint("gallery: {folder: a}", "routing.widen=[more")
    hosts = "gallery: {folder: a}\nstore: {name: elasticsearch, hosts: ['http://a:9200']}"
    assert complaint("gallery: {folder: a}\nextractor: {weights: starte}").endswith("Did you mean 'starter'?")
    assert complaint(hosts, "store.hosts=[nowhere]").startswith("--set store.hosts: store.hosts.0: expected scheme")
    assert "--set stor.name: stor: unknown key" in complaint("gallery: {folder: a}", "stor.name=x")
    assert settings("", "gallery.path={label}/{view}").gallery.path == "{label}/{view}"
    assert settings("", "gallery.table=null").gallery.table is None


def test_files_that_are_no_yaml(tmp_path: Path) -> None:
    for file, says in ((tmp_path / "none.yaml", "there is no such file"), (tmp_path, "cannot be read")):
        with pytest.raises(ConfigError, match=says):
            load_settings(file)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(ConfigError, match="expected UTF-8; received the byte 0xe9"):
        load_settings(tmp_path / "latin.yaml")


def test_secrets_are_put_in_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_written", {})
    monkeypatch.setenv("SHOP_TOKEN", "tiger-42-moon")
    made = settings("name: a-${SHOP_TOKEN}\nqueries: {path: '$${label}'}")
    assert made.name == "a-tiger-42-moon"
    assert made.queries.path == "${label}"
    shown = [
        repr(made),
        str(made),
        str(made.public_dict()),
        complaint("gallery: {folder: a}\nsearch: {k: '${SHOP_TOKEN}'}"),
    ]
    assert all("tiger" not in text for text in shown)
    assert made.public_dict()["name"] == "a-${SHOP_TOKEN}"
    assert made.model_dump()["name"] == "a-${SHOP_TOKEN}"


@pytest.mark.parametrize("secret", ['it\'s "quoted" \\ and wörd', "x" * 200, "tab\there"])
@pytest.mark.parametrize(
    "section",
    [
        "runtime:\n  seed: {}",
        "runtime:\n  engine: {}",
        "extractor:\n  weights: {}",
        "store:\n  name: {}",
        "store:\n  name: 'a:{}'",
    ],
)
def test_no_mistake_shows_a_secret_whatever_is_in_it(
    secret: str, section: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "_written", {})
    monkeypatch.setenv("SHOP_TOKEN", secret)
    with pytest.raises(ConfigError) as caught:
        settings(section.format("${SHOP_TOKEN}"))
    shown = "".join(traceback.format_exception(caught.value))
    assert "${SHOP_TOKEN}" in str(caught.value)
    assert not any(part in shown for part in ("wörd", "xxxxxx", "there"))


def test_numbers_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_written", {})
    monkeypatch.setenv("SHOP_MEMORY", "64")
    assert settings("store:\n  memory_mib: ${SHOP_MEMORY}").store.model_dump()["memory_mib"] == 64


class Headers(Options):
    """Options of a third party that nests its secrets."""

    name: str = "headers"
    headers: dict[str, tuple[str, ...]]


def test_secrets_in_lists_and_tables_are_hidden_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_written", {})
    secrets.remember("tiger-42-moon", "${TOKEN}")
    made = Headers(headers={"auth": ("basic", "tiger-42-moon")})
    assert made.headers["auth"][1] == "tiger-42-moon"
    for shown in (repr(made), str(made), str(made.model_dump()), made.model_dump_json()):
        assert "${TOKEN}" in shown
        assert "tiger" not in shown


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings().routing.keep = 0.5  # type: ignore[misc]


def walk(node: dict[str, Any], made: dict[str, Any]) -> list[str]:
    """Return every key below a node of the schema, as dotted paths."""
    keys: list[str] = []
    for name, inner in node.get("properties", {}).items():
        target = made["$defs"].get(str(inner.get("$ref", "")).rpartition("/")[2], inner)
        branches = [target, *target.get("oneOf", [])]
        keys += [name, *(f"{name}.{key}" for branch in branches for key in walk(branch, made))]
    return list(dict.fromkeys(keys))


def test_the_schema_knows_every_key_and_describes_it() -> None:
    made = schema()
    keys = walk(made, made)
    assert {"gallery.folder", "routing.keep", "extractor.weights", "store.memory_mib", "classifier.train"} <= set(keys)
    for section in made["$defs"].values():
        assert all(inner.get("description") or inner.get("$ref") for inner in section.get("properties", {}).values())
    names = [row["properties"]["name"] for row in made["properties"]["extractor"]["oneOf"]]
    assert any("vgg16" in name.get("enum", ()) for name in names)
    assert made["additionalProperties"] is False
    assert all(made["properties"][kind]["oneOf"][-1]["properties"]["name"]["pattern"] == ":" for kind in DEFAULTS)


def test_the_sample_file_has_every_key_with_its_default() -> None:
    text = (ROOT / "application.yaml").read_text()
    made = load_settings(ROOT / "application.yaml")
    bare = parse("gallery: {folder: data/sample/gallery}\nname: sample", ROOT)
    for section in ("routing", "match", "search", "runtime", "store", "classifier", "extractor", "crop"):
        changed = {"discriminant": 64} if section == "extractor" else {}
        assert getattr(made, section).model_dump() == getattr(bare, section).model_dump() | changed, section
    written = yaml.safe_load(text)
    for section in ("gallery", "queries", "routing", "match", "search", "runtime"):
        known = schema()["$defs"][f"{section.title()}Settings"]["properties"]
        assert set(written[section]) == set(known), section


@pytest.mark.parametrize("file", sorted((ROOT / "resources/configs").rglob("*.yaml")), ids=lambda file: file.stem)
def test_the_other_configurations_load(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_written", {})
    for name in ("CALTECH101", "LFW"):
        monkeypatch.setenv(name, "/data/pictures")
    assert load_settings(file).gallery.folder.is_absolute()

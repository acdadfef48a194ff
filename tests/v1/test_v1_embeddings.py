"""Embeddings by the SDK: passed on to the endpoint, with an analysis in the books underneath."""

import openai
import pytest
import requests

MODEL = "text-embedding-3-small"
INPUTS = ["a red mug", ["a red mug", "ein blauer Krug", "빨간 컵"], [1, 2, 3], [[1, 2], [3]]]


@pytest.mark.parametrize("given", INPUTS, ids=str)
@pytest.mark.parametrize("options", [{}, {"dimensions": 8}, {"encoding_format": "float"}], ids=str)
def test_vectors_are_those_of_the_endpoint(quick, sdk, given, options):
    asked = {"model": MODEL, "input": given, **options}
    direct = quick.analyst.client.embeddings.create(**asked)
    assert sdk.embeddings.create(**asked).to_dict() == direct.to_dict()


def test_its_tokens_and_its_cost_are_in_the_books(quick, sdk):
    used = sdk.embeddings.create(model=MODEL, input="a red mug " * 100).usage
    headers = {"Authorization": f"Bearer {sdk.api_key}"}
    [row] = requests.get(f"{quick.url}/api/v1/analyses", headers=headers, timeout=20).json()["data"]
    assert (row["status"], row["preset"], row["model"]) == ("completed", "embeddings", MODEL)
    assert row["usage"]["prompt_tokens"] == used.prompt_tokens > 0
    assert row["usage"]["completion_tokens"] == 0
    assert row["cost"]["total_cost"] == pytest.approx(used.prompt_tokens * 0.02 / 1_000_000)


def test_the_first_embedding_model_is_asked_where_none_is_named_and_all_are_listed(quick, sdk):
    headers = {"Authorization": f"Bearer {sdk.api_key}"}
    answer = requests.post(f"{quick.url}/v1/embeddings", json={"input": "x"}, headers=headers, timeout=20)
    assert len(answer.json()["data"]) == 1
    assert MODEL in {model.id for model in sdk.models.list()}


@pytest.mark.parametrize(
    ("error", "code", "param", "options"),
    [
        (openai.BadRequestError, "invalid_request", "input", {"input": []}),
        (openai.BadRequestError, "invalid_request", "input", {"input": ""}),
        (openai.BadRequestError, "invalid_request", "input", {"input": {"text": "x"}}),
        (openai.BadRequestError, None, "dimensions", {"dimensions": -1}),
        (openai.NotFoundError, "model_not_found", "model", {"model": "pixel-analyst"}),
    ],
)
def test_what_is_wrong_is_the_sdks_own_exception(quick, sdk, error, code, param, options):
    with pytest.raises(error) as refused:
        sdk.embeddings.create(**{"model": MODEL, "input": "x", **options})
    assert (refused.value.code, refused.value.param) == (code, param)


def test_more_than_models_take_is_refused_before_it_is_kept(sdk):
    with pytest.raises(openai.APIStatusError) as refused:
        sdk.embeddings.create(model=MODEL, input=["x" * 1_000_000] * 5)
    assert refused.value.status_code == 413

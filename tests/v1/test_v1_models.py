"""/v1/models: what may be asked, and for how much."""

import json

import openai
import pytest
import requests
from line_client import line


def test_the_models_of_the_endpoint_and_the_presets_are_listed_with_price_and_limits(sdk):
    models = {model.id: model for model in sdk.models.list()}
    assert next(iter(models)) == "pixel-analyst"
    assert {name for name, model in models.items() if model.owned_by == "vitrine"} == {
        "vitrine/describe",
        "vitrine/product",
        "vitrine/question",
    }
    product = models["vitrine/product"].to_dict()
    assert product["price"]["currency"] == "USD"
    assert product["limits"]["max_images"] == 16


@pytest.mark.parametrize("name", ["pixel-analyst", "vitrine/product"])
def test_one_of_them_is_found_by_its_name_also_with_a_slash_in_it(sdk, name):
    assert sdk.models.retrieve(name).id == name


def test_an_unknown_model_is_not_found(sdk):
    with pytest.raises(openai.NotFoundError) as refused:
        sdk.models.retrieve("gpt-0")
    assert refused.value.code == "model_not_found"


def test_a_chat_with_a_preset_as_its_model_is_answered_by_its_schema(quick, sdk, photo):
    messages = line("a", image=photo("teal"))["body"]["messages"]
    answer = sdk.chat.completions.create(model="vitrine/product", messages=messages)
    assert {"category", "dominant_colors"} <= json.loads(answer.choices[0].message.content).keys()
    assert answer.model == "pixel-analyst"
    with pytest.raises(openai.NotFoundError):
        sdk.chat.completions.create(model="vitrine/nothing", messages=messages)


def test_an_accounts_own_presets_are_models_of_that_account_alone(quick, sdk, new_sdk, photo):
    pack = {"title": "Kinds", "prompt": "You name kinds.", "question": "Which kind?"}
    headers = {"Authorization": f"Bearer {sdk.api_key}"}
    made = requests.post(
        f"{quick.url}/api/v1/presets", json={"name": "kinds", **pack}, headers=headers, timeout=30
    )
    assert made.status_code == 201, made.text
    assert sdk.models.retrieve("vitrine/kinds").to_dict()["title"] == "Kinds"
    messages = line("a", image=photo("teal"))["body"]["messages"]
    assert sdk.chat.completions.create(model="vitrine/kinds", messages=messages).choices[0].message.content
    stranger = new_sdk()
    with pytest.raises(openai.NotFoundError):
        stranger.models.retrieve("vitrine/kinds")
    with pytest.raises(openai.NotFoundError):
        stranger.chat.completions.create(model="vitrine/kinds", messages=messages)


@pytest.mark.parametrize("name", ["quality", "classify", "logo", ""])
def test_presets_that_do_more_than_ask_cannot_be_named_as_models(quick, sdk, name):
    with pytest.raises(openai.NotFoundError) as refused:
        sdk.chat.completions.create(model=f"vitrine/{name}", messages=[{"role": "user", "content": "?"}])
    assert refused.value.code == "model_not_found"

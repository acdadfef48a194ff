"""What is the same for every item of a batch begins its prompt, so that endpoints can cache it."""

from types import SimpleNamespace

from core.presets import Presets
from core.presets.brief import brief
from core.presets.messages import build


def said(context, detail="auto"):
    preset = Presets().latest("product")
    claimed = SimpleNamespace(question="What is it?", context=context, detail=detail, views=[None])
    made = brief(preset, {"confidence": True})
    return build(made, claimed, ["Brands: A; B."], ["data:image/jpeg;base64,/9j/" + (context or "")])


def test_the_prompt_is_the_same_up_to_what_only_this_item_has():
    system, user = said("listed as: navy")
    other_system, other_user = said("listed as: red")
    assert system == other_system
    texts = [part.get("text", part["type"]) for part in user["content"]]
    assert [text[:10] for text in texts] == [
        "What is it",
        "Options, a",
        "Brands: A;",
        "Background",
        "image_url",
    ]
    assert user["content"][:3] == other_user["content"][:3]
    assert user["content"][3:] != other_user["content"][3:]


def test_an_endpoint_is_told_a_detail_that_it_knows():
    sent = {detail: said(None, detail)[1]["content"][-1]["image_url"]["detail"] for detail in ("low", "max")}
    assert sent == {"low": "low", "max": "high"}

"""Sorting into a shop's own tree: an id off the list is never an answer."""

import json

import pytest
from endpoint import completion

from core.errors import InvalidRequest
from core.presets.messages import text_of
from core.pricing import text_tokens
from core.services import estimates, taxonomies
from core.services.items import Items
from core.taxonomies import DEEPEST, MOST_OPTIONS, Node, Tree, problems

SMALL = [
    Node("1", "Clothes", None),
    Node("1-1", "Shirts", "1"),
    Node("1-2", "Shoes", "1"),
    Node("2", "책", None),
]


def large():
    """20 branches of 20 twigs of 10 leaves: 4,420 categories."""
    for branch in range(20):
        yield Node(f"b{branch}", f"Branch {branch}", None)
        for twig in range(20):
            yield Node(f"b{branch}t{twig}", f"Twig {twig}", f"b{branch}")
            for leaf in range(10):
                yield Node(f"b{branch}t{twig}l{leaf}", f"Leaf {leaf}", f"b{branch}t{twig}")


def ask(shop, script, *said, nodes=SMALL):
    taxonomies.put(shop.desk, shop.key.account_id, "shop", list(nodes))
    for each in said:
        script.say(completion(json.dumps({"category_id": each, "confidence": 0.8})))
    return shop.ask(preset="classify", question=None, preset_options={"taxonomy": "shop"})


def offered(call):
    enum = call["body"]["response_format"]["json_schema"]["schema"]["properties"]["category_id"]["enum"]
    return [option for option in enum if option is not None]


def test_a_small_tree_is_one_question_about_the_ends_of_its_branches(shop, script):
    row = ask(shop, script, "1-2")
    assert (row.state, row.data["category_id"], row.confidence) == ("completed", "1-2", 0.8)
    assert row.data["category"] == {"id": "1-2", "label": "Shoes", "path": ["Clothes", "Shoes"]}
    [call] = script.calls
    assert offered(call) == ["1-1", "1-2", "2"]
    assert "1-2: Clothes > Shoes" in json.dumps(call["body"]["messages"], ensure_ascii=False)


def test_a_large_tree_is_asked_in_two_steps_and_neither_shows_more_than_fits(shop, script):
    row = ask(shop, script, "b7", "b7t3l9", nodes=large())
    assert (row.state, row.data["category_id"], row.data["steps"]) == ("completed", "b7t3l9", 2)
    assert row.data["category"]["path"] == ["Branch 7", "Twig 3", "Leaf 9"]
    assert [call.state for call in shop.calls(row.id)] == ["settled", "settled"]
    assert row.prompt_tokens == 200
    first, second = map(offered, script.calls)
    assert first == [f"b{number}" for number in range(20)]
    assert len(second) == 200
    assert all(option.startswith("b7t") for option in second)


def test_an_estimate_counts_what_is_said_in_each_step(shop, script):
    ask(shop, script, "b7", "b7t3l9", nodes=large())
    said = [
        text_of(call["body"]["messages"]) + json.dumps(call["body"]["response_format"])
        for call in script.calls
    ]
    asked = {"preset": "classify", "preset_options": {"taxonomy": "shop"}, "model": "gpt-4.1-mini"}
    items = Items(shop.desk, shop.key.account_id, asked, None, measured=True)
    found = estimates.estimate(
        shop.desk, shop.key.account_id, items.read([(1, {"image": {"width": 320, "height": 240}})])
    )
    assert (found.assumed.steps, found.calls) == (2, 2)
    text = found.usage.prompt_tokens - found.usage.image_tokens
    assert text == pytest.approx(sum(map(text_tokens, said)), rel=0.1)


@pytest.mark.parametrize("label", ["Shoes", "1", "3", "SHOES", ""])
def test_an_id_that_is_not_offered_is_asked_for_again_and_then_fails(shop, script, label):
    row = ask(shop, script, label, label)
    assert (row.state, row.error_code, row.data) == ("failed", "invalid_output", None)
    assert len(script.calls) == 2


def test_none_of_them_is_an_answer(shop, script):
    row = ask(shop, script, None, nodes=large())
    assert (row.state, row.data["category"], row.data["steps"]) == ("completed", None, 1)


def test_a_taxonomy_of_somebody_else_is_none(shop, new_key):
    taxonomies.put(shop.desk, new_key().key.account_id, "theirs", SMALL)
    with pytest.raises(InvalidRequest, match="no taxonomy 'theirs'"):
        shop.submit(preset="classify", question=None, preset_options={"taxonomy": "theirs"})
    with pytest.raises(InvalidRequest, match="taxonomy"):
        shop.submit(preset="classify", question=None)


def test_a_taxonomy_that_is_gone_by_then_fails_the_analysis(shop, script):
    taxonomies.put(shop.desk, shop.key.account_id, "shop", SMALL)
    analysis_id = shop.submit(preset="classify", question=None, preset_options={"taxonomy": "shop"})
    taxonomies.delete(shop.desk, shop.key.account_id, "shop")
    row = shop.run(analysis_id)
    assert (row.state, row.error_code, script.calls) == ("failed", "not_found", [])


def test_a_change_of_the_tree_counts_at_once(shop, script):
    assert ask(shop, script, "2").data["category"]["label"] == "책"
    assert ask(shop, script, "2", nodes=[Node("2", "Books", None)]).data["category"]["label"] == "Books"


UNSEEN = "characters that can be seen"
NO_TREE = {
    "an id twice": ([Node("1", "a", None), Node("1", "b", None)], [(2, "id", "twice")]),
    "no such parent": ([Node("1", "a", "9")], [(1, "parent", "no category '9'")]),
    "below itself": (
        [Node("0", "z", None), Node("1", "a", "2"), Node("2", "b", "1"), Node("3", "c", "2")],
        [(2, "parent", "below itself"), (3, "parent", "below itself")],
    ),
    "its own parent": ([Node("1", "a", "1")], [(1, "parent", "below itself")]),
    "too deep": (
        [Node(str(n), "a", str(n - 1) if n else None) for n in range(DEEPEST + 1)],
        [(DEEPEST + 1, "parent", f"more than {DEEPEST} levels")],
    ),
    "too wide": (
        [Node(str(n), "a", None) for n in range(MOST_OPTIONS + 2)],
        [(MOST_OPTIONS + 1, "parent", "the top")],
    ),
    "an empty id": ([Node("", "a", None)], [(1, "id", UNSEEN)]),
    "an id that cannot be seen": ([Node("a\nb", "a", None)], [(1, "id", UNSEEN)]),
    "an empty label": ([Node("a", "", None)], [(1, "label", UNSEEN)]),
    "a label that is too long": ([Node("a", "a" * 201, None)], [(1, "label", UNSEEN)]),
}


@pytest.mark.parametrize("what", NO_TREE)
def test_what_is_no_tree_is_told_with_its_lines(what):
    nodes, wanted = NO_TREE[what]
    found = problems(list(enumerate(nodes, 1)))
    assert [problem[:2] for problem in found] == [problem[:2] for problem in wanted]
    assert all(part in why for (_, _, why), (_, _, part) in zip(found, wanted, strict=True))


def test_every_end_of_every_tree_can_be_reached():
    tree = Tree(large())
    for wanted in (node for node in tree.nodes if tree.is_end(node.id)):
        below = None
        while below is None or not tree.is_end(below):
            options = tree.choice(below)
            assert len(options) <= MOST_OPTIONS
            below = next(
                node.id for node in options if wanted.id.startswith(node.id) and _is_above(tree, node, wanted)
            )
        assert below == wanted.id


def _is_above(tree, node, wanted):
    return tree.path(wanted.id)[: len(tree.path(node.id))] == tree.path(node.id)

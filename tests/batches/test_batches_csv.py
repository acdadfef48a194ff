"""Items out of CSV: what is read, and what is told of a file that is none."""

import pytest
from batch_inputs import results, stored, submit, submit_lines, told, upload


def test_csv_is_read_with_its_quoted_cells_and_its_numbers(client, file_id):
    text = f'custom_id,image,question,max_tokens,metadata\r\nA,{file_id},"One,\ntwo?",7,"{{""sku"": 1}}"\r\n'
    [row] = results(client, submit_lines(client, text.encode("utf-8-sig")))
    assert (row["custom_id"], row["question"], row["metadata"]) == ("A", "One,\ntwo?", {"sku": 1})


@pytest.mark.parametrize("begin", ["", "\n", "\ufeff \r\n\n"])
def test_blank_lines_before_the_header_are_passed_over_and_counted(client, file_id, begin):
    text = f"{begin}image,question\n{file_id},?!\n\n{file_id},?!\n"
    rows = results(client, submit_lines(client, text.encode()))
    header = begin.count("\n") + 1
    assert [row["custom_id"] for row in rows] == [f"item-{header + 1}", f"item-{header + 3}"]


def test_cells_that_are_no_numbers_or_objects_are_told_with_field_and_custom_id(client, file_id):
    cells = [
        "a,many,0.5,",
        "b,5,warm,",
        "c,5,nan,",
        "d,5,0.5,{sku",
        "e,,,",
        "f,1.5,hot,[]",
    ]
    rows = "".join(f"{file_id},?!,{row}\n" for row in cells)
    text = f"image,question,custom_id,max_tokens,temperature,metadata\n{rows}"
    found = told(submit_lines(client, text.encode()))
    assert [(number, name, field) for number, name, field, _ in found] == [
        (2, "a", "max_tokens"),
        (3, "b", "temperature"),
        (4, "c", "temperature"),
        (5, "d", "metadata"),
        (7, "f", "max_tokens"),
        (7, "f", "temperature"),
        (7, "f", "metadata"),
    ]
    assert found[0][3] == "Must be a whole number from 1 to 128000."
    assert found[3][3] == "Must be a JSON object."


HEADERS = {
    "semicolons": ("image;question", 1, "line", "separated by semicolons: separate them by commas"),
    "tabs": ("image\tquestion", 1, "line", "separated by tabs: separate them by commas"),
    "quoted names and semicolons": ('"image";"question"', 1, "line", "separated by semicolons"),
    "a column twice": ("image,question,image", 1, "line", "names its columns, each once"),
    "a column without a name": ("image,,question", 1, "line", "names its columns, each once"),
    "a column of another name": (
        "image,question,colour",
        1,
        "colour",
        "no such column; there are: cache,",
    ),
    "no column of images": ("custom_id,question", 1, "images", "There must be a column"),
    "a blank line before it": ("\n\nimage;question", 3, "line", "separated by semicolons"),
    "broken UTF-8 in its second line": ('image,"que\n\udcff"', 1, "line", "not UTF-8"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_fault_of_the_header_is_told_once_and_not_for_every_row(client, key, desk, case):
    header, number, field, says = HEADERS[case]
    content = (header + "\n" + "x,y\n" * 5).encode(errors="surrogateescape")
    [found] = told(submit_lines(client, content))
    assert found[:3] == (number, None, field)
    assert says in found[3]
    assert stored(desk, key.key.account_id) == (0, 0)


def test_every_column_that_there_is_not_is_told(client, file_id):
    found = told(submit_lines(client, f"image,quesiton,colour\n{file_id},?!,red\n".encode()))
    assert [(number, field) for number, _, field, _ in found] == [(1, "quesiton"), (1, "colour")]


BAD = {
    "a row too long": ("image,question\n{id},?!,c\n{id},?!\n", 2, "3 columns where the first line names 2"),
    "an open quote": ('image,question\n{id},?!\n"a,b\n', 3, "not CSV: unexpected end of data."),
    "a quote within a cell": ('image,question\n{id},?!\n"a"b,c\n', 3, "not CSV: "),
    "line ends of old": ("image,question\n{id},a\rb,c\n", 2, "new-line character seen in unquoted field."),
    "a cell too large": ("image,question\n{id}," + "x" * 140_000 + "\n", 2, "field larger than field limit"),
    "broken UTF-8": ("image,question\n{id},Gr\udcf6\udcdfe\n{id},?!\n", 2, "not UTF-8"),
    "a character that never ends": ("image,question\n{id},\udcc3", 2, "not UTF-8"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_fault_of_a_row_is_told_with_its_line(client, key, desk, file_id, case):
    text, number, says = BAD[case]
    content = text.replace("{id}", file_id).encode(errors="surrogateescape")
    [found] = told(submit_lines(client, content))
    assert found[0] == number
    assert says in found[3]
    assert stored(desk, key.key.account_id) == (0, 0)


def test_a_header_alone_is_refused(client):
    answer = submit(client, input_file_id=upload(client, b"image,question\n", "in.csv"))
    assert (answer.status_code, answer.json["error"]) == (400, "A batch needs at least one item.")

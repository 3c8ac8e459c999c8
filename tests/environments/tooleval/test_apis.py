"""Functions made of APIs are those that ToolBench's recorded answers show; files that are none are named in errors."""

import json

import pytest

from xlam_lib.environments.tooleval.apis import (
    Api,
    Parameter,
    ToolEvalError,
    category_name,
    read_tools,
    safe_name,
    standard_name,
)
from xlam_lib.environments.tooleval.queries import FINISH, Query, read_queries

CITY = Parameter("city", "STRING", "Name of the city", "Oslo")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("QR Code Generator_v14", "qr_code_generator_v14"),
        ("Números a Letras", "n_meros_a_letras"),
        ("/solat/list", "solat_list"),
        ("7timer", "get_7timer"),
        ("  a -- b  ", "a_b"),
        ("中文 API", "中文_api"),
        ("???", ""),
    ],
)
def test_standard_names(text, name):
    assert standard_name(text) == name


def test_reserved_words_and_categories():
    assert [safe_name(word) for word in ("From", "class", "ID", "and", "city")] == [
        *("is_from", "is_class", "is_id", "is_and", "city")
    ]
    assert [category_name(name) for name in ("News, Media", "Health and Fitness", "Food")] == [
        *("News_Media", "Health_and_Fitness", "Food")
    ]


def recorded_functions(real_data):
    """Every function of the recorded answers: {name: function}."""
    found = {}
    for path in real_data.glob("tooleval_default/*/*.json"):
        for record in json.loads(path.read_text()).values():
            found |= {tool["name"]: tool for tool in record["available_tools"]}
    for path in real_data.glob("toolbench/*answer*/**/*.json"):
        found |= {tool["name"]: tool for tool in json.loads(path.read_text())["answer_generation"]["function"]}
    return found


def test_functions_equal_those_of_recorded_answers(real_data):
    """The same APIs lie in the queries of one repository and as functions in the answers of another."""
    recorded = recorded_functions(real_data)
    queries = [
        query
        for folder in ("stabletoolbench/test_instruction", "toolbench/instruction")
        for query in read_queries(real_data / folder)
    ]
    assert len(queries) == 56
    ours = {api.function.name: api.function for query in queries for api in query.apis}
    both = sorted(ours.keys() & recorded.keys())
    assert len(both) == 34
    for name in both:
        function = {"name": name, "description": ours[name].description, "parameters": ours[name].parameters}
        assert function == recorded[name]
    assert FINISH.parameters["required"] == recorded["Finish"]["parameters"]["required"]
    kinds = [tool.parameters["properties"]["return_type"]["enum"] for tool in (FINISH,)]
    assert kinds == [recorded["Finish"]["parameters"]["properties"]["return_type"]["enum"]]


def test_long_names_keep_their_end_and_long_descriptions_their_begin():
    api = Api("Food", "t" * 40, "a" * 60, "Says " + "x" * 400, (Parameter("city", "DATE", "y" * 400),))
    assert len(api.function.name) == 64 and api.function.name.endswith("a_for_" + "t" * 40)
    assert api.function.description.endswith('"Says ' + "x" * 251 + '"')
    assert api.function.parameters["properties"]["city"] == {"type": "string", "description": "y" * 256}


def test_a_query_with_two_functions_of_one_name_keeps_the_first():
    first, second = Api("Food", "Cafe", "List", "One"), Api("Travel", "cafe", "list", "Two")
    query = Query("1", "Hi", (first, second))
    assert query.by_function == {"list_for_cafe": first} and query.functions[-1] == FINISH


def test_a_folder_of_tools_is_read_and_apis_found_however_spelt(tmp_path):
    raw = {"name": "Current weather", "description": "", "required_parameters": [{"name": "City", "default": 1}]}
    (tmp_path / "Weather").mkdir()
    tool = {"tool_name": "Sky Report", "tool_description": "Weather.", "api_list": [raw]}
    (tmp_path / "Weather/sky_report.json").write_text(json.dumps(tool))
    tree = read_tools(tmp_path)
    assert len(tree) == 1 and tree.descriptions == {"sky_report": "Weather."}
    for names in (("Weather", "Sky Report", "Current weather"), ("Weather", "sky_report", "current_weather")):
        assert tree.find(*names).function.parameters["required"] == ["city"]
    assert tree.find("Weather", "Sky Report", "Tomorrow") is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not a JSON file"),
        ("[" * 9999, "not a JSON file"),
        ("[]", "no 'api_list'"),
        ('{"api_list": [{}]}', "expected three names"),
        ('{"api_list": [{"name": "a", "required_parameters": [{}]}]}', "not as in ToolBench's files"),
        ('{"api_list": [7]}', "not as in ToolBench's files"),
    ],
)
def test_files_that_are_no_tools_are_named(tmp_path, content, words):
    (tmp_path / "Weather").mkdir()
    (tmp_path / "Weather/t.json").write_text(content)
    with pytest.raises(ToolEvalError, match=rf"t\.json.*{words}"):
        read_tools(tmp_path)


@pytest.mark.parametrize("content", ["{}", "[7]", '[{"query": "Hi"}]', '[{"query": "Hi", "api_list": [{}]}]', "[]"])
def test_files_that_are_no_queries_are_named(tmp_path, content):
    (tmp_path / "G1_tool.json").write_text(content)
    with pytest.raises(ToolEvalError, match="expected"):
        read_queries(tmp_path / "G1_tool.json")


def test_groups_are_the_published_columns(real_data):
    groups = {query.subset: query.group for query in read_queries(real_data / "stabletoolbench/test_instruction")}
    assert groups == {
        "G1_instruction": "Unseen Insts & Same Set",
        "G1_tool": "Unseen Tools & Seen Cat",
        "G1_category": "Unseen Tools & Unseen Cat",
        "G2_instruction": "Unseen Insts & Same Set",
        "G2_category": "Unseen Tools & Unseen Cat",
        "G3_instruction": "Unseen Insts & Same Set",
    }

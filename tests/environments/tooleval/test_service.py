"""The virtual server over HTTP: requests as the original's, on this machine only."""

import json

import pytest
from starlette.testclient import TestClient

from xlam_lib.environments.tooleval import embedded, service
from xlam_lib.environments.tooleval.server import Recorded

REQUEST = {
    "category": "Weather",
    "tool_name": "sky_report_for_Weather",
    "api_name": "current_weather",
    "tool_input": {"city": "Oslo"},
    "strip": "",
    "toolbench_key": "",
}


def test_requests_as_the_originals(tmp_path):
    with TestClient(service.application(embedded.server(), tmp_path / "cache")) as client:
        for given in ({"city": "Oslo"}, '{"city": "Oslo"}'):
            reply = client.post("/virtual", json={**REQUEST, "tool_input": given})
            assert reply.status_code == 200 and reply.json()["response"]["sky"] == "light snow"
        assert (
            client.post("/virtual", json={**REQUEST, "tool_input": "{"}).json()["error"].startswith("Tool input parse")
        )
    saved = json.loads((tmp_path / "cache/Weather/sky_report_for_Weather/current_weather.json").read_text())
    assert list(saved) == ["{'city': 'Oslo'}"] and len(Recorded.read(tmp_path / "cache")) == 1


@pytest.mark.parametrize("body", ["", "{", "[]", '{"category": "Weather"}', "[" * 100_000, '{"tool_input": 7}'])
def test_what_is_no_request(body):
    with TestClient(service.application(embedded.server())) as client:
        assert client.post("/virtual", content=body).status_code == 422
        assert client.get("/virtual").status_code == 405


def test_a_body_that_is_too_large():
    with TestClient(service.application(embedded.server())) as client:
        assert client.post("/virtual", content=b" " * (service.MAX_BODY + 1)).status_code == 413


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert service.main(["--tools", str(tmp_path)]) == 2
    assert "no tools; expected files like" in capsys.readouterr().err
    assert service.HOST == "127.0.0.1"

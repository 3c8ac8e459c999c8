import json

import pytest

from xlam_lib.train.loop.log import FILE, LogError, append, curve, read_log, truncate_after


def test_entries_come_back_in_order(tmp_path):
    for step, loss in ((10, 3.0), (20, 2.0), (30, 1.0)):
        append(tmp_path / FILE, {"step": step, "loss": loss})
    assert curve(read_log(tmp_path), "loss") == ([10, 20, 30], [3.0, 2.0, 1.0])
    assert curve(read_log(tmp_path / FILE), "loss", window=2)[1] == [3.0, 2.5, 1.5]
    assert curve(read_log(tmp_path), "rewards/margins") == ([], [])


def test_a_last_line_half_written_is_not_counted(tmp_path):
    (tmp_path / FILE).write_text('{"step": 1, "loss": 2}\n{"step": 2, "lo')
    assert [entry["step"] for entry in read_log(tmp_path)] == [1]


@pytest.mark.parametrize("line", ["{", "[1]", '{"loss": 1}', '{"step": "1"}'])
def test_a_broken_line_is_named(tmp_path, line):
    (tmp_path / FILE).write_text(f'{{"step": 1}}\n{line}\n')
    with pytest.raises(LogError, match=r"log\.jsonl:2: "):
        read_log(tmp_path)


def test_no_log_is_an_error(tmp_path):
    with pytest.raises(LogError, match="no log there"):
        read_log(tmp_path / "nowhere")


def test_what_came_after_the_checkpoint_is_forgotten(tmp_path):
    path = tmp_path / FILE
    truncate_after(path, 5)
    assert not path.exists()
    path.write_text("".join(json.dumps({"step": step}) + "\n" for step in (5, 10, 15)) + '{"st')
    truncate_after(path, 10)
    assert path.read_text() == '{"step": 5}\n{"step": 10}\n'


def test_numbers_that_json_has_not_are_refused(tmp_path):
    with pytest.raises(ValueError):
        append(tmp_path / FILE, {"step": 1, "loss": float("nan")})
    assert not (tmp_path / FILE).exists()

"""Which checkpoints count, which one is chosen, which ones go, and who may write."""

import pytest

from stylejax.train import checkpoint_files as files
from stylejax.train import manifest


def _make(directory, step, *, metric=None, finished=True):
    path = directory / str(step)
    path.mkdir(parents=True)
    (path / "data").write_bytes(bytes([step % 256]) * 100)
    if finished:
        manifest.write_manifest(path, step=step, metric=metric)
    return path


def test_only_directories_named_by_a_step_count(tmp_path):
    for name in ("7", "30", "030", "x", "8.orbax-checkpoint-tmp", "-1", "²"):
        (tmp_path / name).mkdir()
    (tmp_path / "9").write_text("a file")
    assert files.step_directories(tmp_path) == [7, 30]
    assert files.step_directories(tmp_path / "nowhere") == []


def test_finished_steps_have_a_readable_manifest(tmp_path):
    _make(tmp_path, 20, metric=0.5)
    _make(tmp_path, 10)
    _make(tmp_path, 30, finished=False)
    (_make(tmp_path, 40) / manifest.MANIFEST_NAME).write_text("broken")
    assert files.finished_steps(tmp_path) == {10: None, 20: 0.5}


def test_best_step_by_mode_and_the_earliest_of_equals():
    metrics = {10: 2.0, 20: 1.0, 30: None, 40: 1.0, 50: 2.0}
    assert files.best_step(metrics) == (20, 1.0)
    assert files.best_step(metrics, mode="max") == (10, 2.0)
    assert files.best_step({1: None}) is None


def test_damaged_newest_is_reported_and_the_one_before_it_used(tmp_path):
    _make(tmp_path, 10)
    _make(tmp_path, 20)
    (_make(tmp_path, 30) / "data").unlink()
    _make(tmp_path, 40, finished=False)
    reports = []
    assert files.newest_whole_step(tmp_path, on_report=reports.append) == 20
    assert len(reports) == 2
    assert "/40 passed over" in reports[0] and "no manifest" in reports[0]
    assert "/30 passed over" in reports[1] and "data is missing" in reports[1]


def test_unfinished_saves_alone_are_no_checkpoint(tmp_path):
    _make(tmp_path, 10, finished=False)
    assert files.newest_whole_step(tmp_path, on_report=lambda _: None) is None
    assert files.newest_whole_step(tmp_path / "nowhere") is None


def test_damaged_checkpoints_alone_are_an_error(tmp_path):
    (_make(tmp_path, 10) / "data").write_bytes(b"short")
    with pytest.raises(files.CheckpointError, match="no whole checkpoint is left"):
        files.newest_whole_step(tmp_path, on_report=lambda _: None)


def test_asking_for_a_step_says_what_is_there(tmp_path):
    _make(tmp_path, 10)
    _make(tmp_path, 20, finished=False)
    assert files.whole_step(tmp_path, 10) == 10
    with pytest.raises(files.CheckpointError, match="not exist; steps here: 10, 20"):
        files.whole_step(tmp_path, 15)
    with pytest.raises(files.CheckpointError, match="no manifest"):
        files.whole_step(tmp_path, 20)


def test_choosing_by_number_best_or_latest(tmp_path):
    for step, metric in ((10, 1.0), (20, 2.0), (30, None)):
        _make(tmp_path, step, metric=metric)
    assert files.choose_step(tmp_path, step=20) == 20
    assert files.choose_step(tmp_path, step="best") == 10
    assert files.choose_step(tmp_path, step="best", best_mode="max") == 20
    assert files.choose_step(tmp_path) == files.choose_step(tmp_path, step=None) == 30
    _make(tmp_path / "plain", 5)
    assert files.choose_step(tmp_path / "plain", step="best") == 5


@pytest.mark.parametrize("where", [".", "checkpoints", "checkpoints/10"])
def test_locate_accepts_workdir_folder_and_step(tmp_path, where):
    _make(tmp_path / "checkpoints", 10, metric=1.0)
    _make(tmp_path / "checkpoints", 20, metric=2.0)
    expected = 10 if where.endswith("10") else 20
    folder = tmp_path / "checkpoints"
    assert files.locate(tmp_path / where) == (folder, expected)
    assert files.locate(tmp_path / where, step=10) == (folder, 10)
    if expected == 20:
        assert files.locate(tmp_path / where, step="best") == (folder, 10)


def test_locate_without_checkpoint_says_what_to_give(tmp_path):
    with pytest.raises(FileNotFoundError, match="found none; give the working"):
        files.locate(tmp_path)


def test_retention_keeps_the_newest_and_the_best(tmp_path):
    for step, metric in ((10, 0.5), (20, 0.1), (30, 0.4), (40, None), (50, 0.3)):
        _make(tmp_path, step, metric=metric)
    _make(tmp_path, 35, finished=False)
    files.retain(tmp_path, newest=50, max_to_keep=2)
    assert files.step_directories(tmp_path) == [20, 40, 50]
    files.retain(tmp_path, newest=50, max_to_keep=1, best_mode=None)
    assert files.step_directories(tmp_path) == [50]


def test_retention_prefers_the_newest_to_a_damaged_future(tmp_path):
    _make(tmp_path, 100)
    (_make(tmp_path, 200, metric=0.0) / "data").unlink()
    _make(tmp_path, 150, metric=0.5)
    files.retain(tmp_path, newest=150, max_to_keep=1)
    assert files.step_directories(tmp_path) == [150]


def test_undeletable_checkpoint_is_reported(tmp_path, monkeypatch):
    _make(tmp_path, 10)
    _make(tmp_path, 20)

    def refuse(*_):
        raise PermissionError("no")

    monkeypatch.setattr(files, "delete_step", refuse)
    reports = []
    files.retain(tmp_path, newest=20, max_to_keep=1, on_report=reports.append)
    assert reports == ["checkpoint 10 could not be removed: no"]


def test_interrupted_deletion_leaves_no_half_step(tmp_path, monkeypatch):
    _make(tmp_path, 10)
    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "rmtree", lambda *_, **__: None)
        files.delete_step(tmp_path, 10)
    assert files.step_directories(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 1
    files.delete_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_leftovers_go_and_checkpoints_stay(tmp_path):
    _make(tmp_path, 10)
    (tmp_path / "20.orbax-checkpoint-tmp-1" / "state").mkdir(parents=True)
    (tmp_path / "30.orbax-checkpoint-tmp").write_text("a file")
    files.delete_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["10"]


def test_second_writer_is_refused_until_the_first_lets_go(tmp_path):
    first = files.lock_directory(tmp_path)
    with pytest.raises(files.CheckpointError, match="another training is writing"):
        files.lock_directory(tmp_path)
    first.release()
    files.lock_directory(tmp_path).release()


def test_file_in_the_way_of_the_directory_is_named(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(files.CheckpointError, match="cannot create .*Not a directory"):
        files.lock_directory(tmp_path / "run" / "checkpoints")


def test_reports_go_to_standard_error(capsys):
    files.print_report("hello")
    assert capsys.readouterr() == ("", "hello\n")

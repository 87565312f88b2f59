"""Records that lie in the data folder are used only for the source folder that was given."""

import pytest

from ast_net import config, errors
from ast_net.records import store


def settings_of(manual_dir, data_dir):
    return config.Preparation(
        dataset="recola",
        manual_dir=manual_dir and str(manual_dir),
        data_dir=str(data_dir),
        train_recordings=("P16",),
        dev_recordings=("P19",),
        clip=config.Clip(4, 2),
    )


def test_records_of_another_folder_are_not_used(planted_recola, tmp_path):
    folder = planted_recola("study", {"P16": 0.0, "P19": 0.0})
    data_dir = tmp_path / "data"
    made = store.prepare(settings_of(folder, data_dir))
    with pytest.raises(errors.InputError, match="stduy"):
        store.prepare(settings_of(tmp_path / "stduy", data_dir))
    folder.rename(tmp_path / "away")
    for manual_dir in (folder, None):
        assert store.prepare(settings_of(manual_dir, data_dir)).folder == made.folder

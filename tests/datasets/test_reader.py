"""A new data set needs two methods: the example in the notes, from preparation to evaluation."""

import functools
import shutil
from unittest import mock

import layouts
import pytest

from ast_net import config, errors
from ast_net.datasets import reader, recording_list
from ast_net.records import catalogue


class Pairs(reader.Reader):
    """Pairs of files: FOLDER/NAME.mp4, and FOLDER/NAME.csv with columns time, valence, arousal."""

    def partitions(self, folder):
        names = sorted(path.stem for path in folder.glob("*.csv"))
        return {"train": tuple(names[:-1]), "dev": tuple(names[-1:])}

    def source(self, folder, name):
        ratings = folder / f"{name}.csv"
        read = functools.partial(recording_list.read_targets, ratings, self.settings.targets)
        return reader.Source(name, folder / f"{name}.mp4", [ratings], read)


def test_a_new_data_set_goes_the_whole_way(tmp_path, face_video, other_face_video, whole_way):
    folder = tmp_path / "source"
    folder.mkdir()
    for name, film in (("anna", face_video), ("ben", other_face_video)):
        shutil.copy(film, folder / f"{name}.mp4")
        values = [layouts.gold_standard(name, target) for target in layouts.TARGETS]
        rows = [f"{time:.2f},{v},{a}" for time, v, a in zip(layouts.TIMES, *values)]
        (folder / f"{name}.csv").write_text("\n".join(["time,valence,arousal", *rows]))
    with (
        mock.patch.dict(config.DATASETS, {"pairs": "pairs of files"}),
        mock.patch.dict(catalogue.DATA_SETS, {"pairs": catalogue.DataSet(Pairs)}),
    ):
        whole_way("pairs", folder, {})
    assert "FOLDER/NAME.mp4" in Pairs.instructions()


def test_a_folder_without_recordings_is_refused(tmp_path):
    pairs = Pairs(layouts.preparation("recordings", manual_dir=str(tmp_path)))
    with pytest.raises(errors.InputError, match="no recordings; expected at least one"):
        pairs.sources(tmp_path, needed=())

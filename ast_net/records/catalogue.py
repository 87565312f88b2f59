"""Lists the data sets, each with its reader and the maker of its records."""

from typing import NamedTuple

from ast_net import config, errors
from ast_net.datasets import (
    afew_va,
    avec2012,
    demo_recordings,
    reader,
    recola,
    recording_list,
    semaine,
)
from ast_net.records import making, trajectories


class DataSet(NamedTuple):
    """The classes that read the folder of a data set and make the records of its recordings."""

    reader: type[reader.Reader]
    maker: type = making.VideoMaker


DATA_SETS = {
    "demo": DataSet(demo_recordings.Demo),
    "recola": DataSet(recola.Recola),
    "avec2012": DataSet(avec2012.Avec2012),
    "semaine": DataSet(semaine.Semaine),
    "afew_va": DataSet(afew_va.AfewVa),
    "recordings": DataSet(recording_list.RecordingList),
    "ferplus_trajectories": DataSet(trajectories.TrajectoryReader, trajectories.TrajectoryMaker),
}


def data_set(settings: config.DataSource) -> DataSet:
    """Returns the data set that the settings name.

    Raises:
      InputError: the setting `dataset` is missing.
    """
    if settings.dataset is None:
        raise errors.InputError(
            "no data set: give `dataset=demo`, or another of " + ", ".join(DATA_SETS)
        )
    return DATA_SETS[settings.dataset]

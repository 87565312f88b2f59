"""The page of faces: which frames it shows, and that its faces are the input of the CNN."""

import numpy as np
import pytest

from ast_net import config
from ast_net.faces import alignment, face_track, video
from ast_net.reports import contact_sheet, figures


@pytest.mark.parametrize(
    ("valid", "count", "with_face", "without"),
    [
        (100, 24, 24, 0),
        (60, 24, 18, 6),
        (98, 24, 22, 2),
        (5, 24, 5, 19),
        (0, 24, 0, 24),
        (60, 1, 1, 0),
    ],
)
def test_frames_are_evenly_spaced_and_some_have_no_face(valid, count, with_face, without):
    track = np.zeros(100, bool)
    track[:valid] = True
    chosen = contact_sheet.choose(track, count)
    assert (np.diff(chosen) > 0).all()
    assert (track[chosen].sum(), (~track[chosen]).sum()) == (with_face, without)
    steps = np.diff(chosen[track[chosen]])
    assert len(steps) == 0 or steps.max() - steps.min() <= 1


def test_a_short_recording_is_shown_completely():
    np.testing.assert_array_equal(
        contact_sheet.choose(np.array([True, False, True]), 24), [0, 1, 2]
    )


def test_the_page_has_aligned_faces_with_their_times(face_video, tmp_path):
    source = video.Video(face_video)
    frames = list(source.frames())
    valid = np.arange(len(frames)) != 10
    # The landmarks of the portrait, which moves from frame to frame (see drifting_face).
    eyes = 0.8 * np.array([[123, 101], [166.5, 103.3], [145, 125], [128, 145], [160, 145]])
    shift = np.array([[20 + 2 * k, -10 + k] for k in range(len(frames))])
    landmarks = (eyes + shift[:, np.newaxis]).astype(np.float32)
    times = np.array([frame.timestamp for frame in frames])
    ones = np.ones(len(frames), np.float32)
    track = face_track.Track(times, valid, ones, np.zeros((len(frames), 4), np.float32), landmarks)
    settings = config.Alignment()
    page = contact_sheet.make("P1", source, track, faces=4)
    titles = [axes.get_title() for axes in page.axes]
    assert titles == ["0.12 s", "0.36 s", "0.40 s, no face", "0.64 s"]
    for axes, index in zip(page.axes, (3, 9, 10, 16)):
        shown = np.asarray(axes.images[0].get_array())
        if valid[index]:
            face = alignment.align_face(frames[index].image, landmarks[index], settings)
            np.testing.assert_array_equal(shown, face)
        else:
            np.testing.assert_array_equal(shown, frames[index].image)
    assert page.axes[0].get_xticks().tolist() == [settings.left_eye[0], settings.right_eye[0]]
    assert "19 of 20 frames have a face (95.0%)" in page.get_suptitle()
    figures.save(page, tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000

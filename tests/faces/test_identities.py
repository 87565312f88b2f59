"""Tests the numbers of several faces over time, and the recognition of returning faces."""

import cv2
import numpy as np
import pytest

from ast_net import config
from ast_net.faces import appearances, detection, identities, tracking, video, video_writer

FRAME_RATE = 10


@pytest.fixture(scope="module")
def people(portrait) -> dict[str, np.ndarray]:
    """Two faces, uint8 RGB [144, 144, 3]: the portrait, and a mirrored one with lighter skin."""
    face = cv2.resize(portrait, (144, 144), interpolation=cv2.INTER_AREA)
    other = (255 * (face[:, ::-1] / 255.0) ** [0.4, 0.6, 0.8]).astype(np.uint8)
    other[90:] = other[90:] // 3
    return {"a": face, "b": other}


def scene(people, places, shape=(200, 480, 3)) -> np.ndarray:
    """Draws faces, {name: (x, y)}, on a grey picture; later ones cover earlier ones."""
    image = np.full(shape, 90, np.uint8)
    for name, (x, y) in places.items():
        # An ellipse cuts the head out of the photograph's background.
        mask = cv2.ellipse(np.zeros((144, 144), np.uint8), (72, 62), (34, 44), 0, 0, 360, 255, -1)
        region = image[y : y + 144, x : x + 144]
        region[mask > 0] = people[name][mask > 0]
    return image


def ids_at(tracker, people, frames, start=0.0) -> list[dict[str, int]]:
    """Returns the number of each face in each frame, {name: id}; there must be no other faces."""
    ids_of_frames = []
    for k, places in enumerate(frames):
        faces = tracker.update(scene(people, places), start + k / FRAME_RATE)
        assert [face.face_id for face in faces] == sorted({face.face_id for face in faces})
        names = {}
        for face_id, face in faces:
            centre = face.box[:2] + face.box[2:] / 2
            distances = {
                name: np.hypot(*(centre - [x + 72, y + 62])) for name, (x, y) in places.items()
            }
            name = min(distances, key=distances.__getitem__)
            assert distances[name] < 20 and name not in names
            names[name] = face_id
        ids_of_frames.append(names)
    return ids_of_frames


def test_one_of_two_faces_leaves_and_returns(detector, people):
    settings = config.Tracking(redetect_every=0.6, search_every=0.2)
    tracker = tracking.FaceTracker(detector, settings, max_faces=None, identity_seconds=1.0)
    both = [{"a": (20 + 3 * k, 20), "b": (300 - 3 * k, 30)} for k in range(8)]
    first, *others = ids_at(tracker, people, both)
    assert sorted(first.values()) == [0, 1]
    assert others == [first] * 7

    alone, both = [{"b": (276, 30)}], [{"a": (50, 26), "b": (276, 30)}]
    soon = ids_at(tracker, people, alone * 8 + both * 4, 0.8)
    assert soon[:8] == [{"b": first["b"]}] * 8
    assert soon[9:] == [first] * 3, "within a second the face keeps its number"

    late = ids_at(tracker, people, alone * 12 + both * 8, 2.0)
    assert late[:12] == [{"b": first["b"]}] * 12
    assert late[-1] == {"a": 2, "b": first["b"]}, "after a second the face gets a new number"


@pytest.mark.parametrize(("behind", "older"), [("a", "b"), ("b", "b"), ("a", "a")])
def test_crossing_paths(detector, people, behind, older):
    """One face passes in front of the other; both keep their numbers, whichever is older."""
    before = "b" if behind == "a" else "a"
    left = 60 if older == behind else 20  # the face nearer to the middle gets number 0
    frames = [{behind: (left + 9 * k, 24), before: (left + 270 - 9 * k, 28)} for k in range(31)]
    tracker = tracking.FaceTracker(detector, config.Tracking(), max_faces=None)
    tracked = [
        dict(tracker.update(scene(people, places), k / FRAME_RATE))
        for k, places in enumerate(frames)
    ]
    in_front = max(tracked[0], key=lambda face_id: tracked[0][face_id].box[0])
    assert sorted(tracked[0]) == sorted(tracked[-1]) == [0, 1]
    assert in_front == (older == behind)
    assert tracked[-1][1 - in_front].box[0] > 250 > tracked[-1][in_front].box[0]
    for faces, places in zip(tracked, frames, strict=True):
        centre = faces[in_front].box[:2] + faces[in_front].box[2:] / 2
        np.testing.assert_allclose(centre, np.add(places[before], [72, 62]), atol=15)
    hidden = [len(faces) == 1 for faces in tracked]
    assert 2 <= sum(hidden) <= 14, "one face is hidden for a while"


def test_faces_that_change_places_are_recognised_by_appearance(detector, people):
    tracker = tracking.FaceTracker(detector, config.Tracking(), max_faces=None)
    (first,) = ids_at(tracker, people, [{"a": (100, 20), "b": (170, 20)}])
    gone, *_, swapped = ids_at(
        tracker, people, [{}] * 8 + [{"a": (170, 20), "b": (100, 20)}] * 4, 0.1
    )
    assert gone == {}
    assert swapped == first


def test_returning_single_face_gets_its_old_number(detector, people):
    tracker = tracking.FaceTracker(detector, config.Tracking(search_every=0.1))
    near, far = {"a": (20, 20)}, {"b": (330, 30)}
    numbers = ids_at(tracker, people, [near] * 3 + [{}] * 3 + [near] * 2 + [far] * 3 + [near] * 2)
    assert numbers == ([{"a": 0}] * 3 + [{}] * 3 + [{"a": 0}] * 2 + [{"b": 1}] * 3 + [{"a": 0}] * 2)


def grid(portrait, side, rows=3, columns=4) -> np.ndarray:
    face = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
    return np.tile(face, (rows, columns, 1))


def test_twelve_faces(detector, portrait):
    image = grid(portrait, 144)
    settings = config.Tracking(redetect_every=0.16)
    tracker = tracking.FaceTracker(detector, settings, max_faces=None)
    tracked = [tracker.update(np.roll(image, 2 * k, axis=1)[:, 8:], k / 25) for k in range(6)]
    assert [[face.face_id for face in faces] for faces in tracked] == [list(range(12))] * 6
    shifts = [
        last.face.landmarks - first.face.landmarks for first, last in zip(tracked[0], tracked[5])
    ]
    np.testing.assert_allclose(np.mean(shifts, axis=(0, 1)), [10, 0], atol=0.5)

    tracker_of_five = tracking.FaceTracker(detector, settings, max_faces=5)
    tracked = [tracker_of_five.update(image, k / 25) for k in range(6)]
    assert [[face.face_id for face in faces] for faces in tracked] == [list(range(5))] * 6
    places = [[face.face.box[:2].round() // 144 for face in faces] for faces in tracked]
    np.testing.assert_array_equal(places, [places[0]] * 6)


def test_two_faces_of_a_video(detector, people, tmp_path):
    path = tmp_path / "a.mp4"
    images = [scene(people, {"a": (20 + k, 20), "b": (300, 20 + k)}) for k in range(12)]
    video_writer.write_video(path, images, 25)
    tracker = tracking.FaceTracker(detector, config.Tracking(), max_faces=None)
    tracked = [tracker.update(frame.image, frame.timestamp) for frame in video.Video(path).frames()]
    assert [[face.face_id for face in faces] for faces in tracked] == [[0, 1]] * 12
    shifts = [
        last.face.box[:2] - first.face.box[:2] for first, last in zip(tracked[0], tracked[11])
    ]
    left = int(tracked[0][1].face.box[0] < 200)
    np.testing.assert_allclose(shifts[left], [11, 0], atol=4)
    np.testing.assert_allclose(shifts[1 - left], [0, 11], atol=4)


@pytest.mark.parametrize("max_faces", [1, None])
def test_grey_large_and_tiny_pictures(detector, portrait, max_faces):
    def faces_in(image):
        tracker = tracking.FaceTracker(detector, config.Tracking(), max_faces)
        return [tracker.update(image, k / 25) for k in range(2)]

    grey = np.repeat(cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)[..., np.newaxis], 3, axis=2)
    tall = np.full((3840, 2160, 3), 128, np.uint8)
    tall[1200:2640, 360:1800] = cv2.resize(portrait, (1440, 1440))
    for image, pupil in ((grey, (123, 101)), (tall, (360 + 5 * 123, 1200 + 5 * 101))):
        for faces in faces_in(image):
            ((face_id, face),) = faces
            assert face_id == 0
            np.testing.assert_allclose(face.landmarks[0], pupil, atol=0.01 * len(image))
    for shape in ((10, 16, 3), (1, 1, 3), (120, 160, 3)):
        assert faces_in(np.full(shape, 128, np.uint8)) == [[], []]


class Script:
    """A detector that finds the boxes, by name, that a test sets."""

    def __init__(self) -> None:
        self.shown: dict[str, tuple[float, float, float, float]] = {}
        self.hidden_from_search: set[str] = set()
        self.searches = 0

    def _face(self, box) -> detection.Face:
        return detection.Face(np.array(box, np.float32), 1.0, np.zeros((5, 2), np.float32))

    def detect(self, image, min_face_fraction):
        self.searches += 1
        hidden = self.hidden_from_search
        return [self._face(box) for name, box in self.shown.items() if name not in hidden]

    def detect_near(self, image, box, min_face_fraction):
        return self.detect(image, min_face_fraction)

    def refine(self, image, boxes):
        """Returns the face with the largest overlap with each box, if there is any overlap."""
        no_face = detection.Face(np.zeros(4, np.float32), 0.0, np.zeros((5, 2), np.float32))
        faces = []
        for box in boxes:
            shown = [self._face(other) for other in self.shown.values()]
            shown.sort(key=lambda face: identities.overlap(face, self._face(box)))
            near = shown and identities.overlap(shown[-1], self._face(box)) > 0
            faces.append(shown[-1] if near else no_face)
        return faces


IMAGE = np.zeros((300, 400, 3), np.uint8)


def ids(tracker, timestamp) -> list[int]:
    return [face.face_id for face in tracker.update(IMAGE, timestamp)]


def test_face_is_dropped_after_two_misses():
    script = Script()
    settings = config.Tracking(redetect_every=0.4, search_every=0.12)
    tracker = tracking.FaceTracker(script, settings, max_faces=None)
    script.shown = {"a": (180, 100, 50, 50), "b": (0, 0, 40, 40)}
    assert [ids(tracker, k / 25) for k in range(10)] == [[0, 1]] * 10
    script.hidden_from_search = {"a"}
    assert [ids(tracker, (10 + k) / 25) for k in range(4)] == [[0, 1]] * 3 + [[1]]
    assert script.searches == 3

    script.hidden_from_search = set()
    assert ids(tracker, 14 / 25) == ids(tracker, 15 / 25) == [1]
    assert ids(tracker, 16 / 25) == [0, 1], "the next search finds the face again"


def test_face_is_kept_after_one_miss():
    script = Script()
    settings = config.Tracking(redetect_every=0.16, search_every=0.08)
    tracker = tracking.FaceTracker(script, settings, max_faces=2)
    script.shown = {"a": (0, 0, 50, 50), "b": (200, 0, 40, 40)}
    for k in range(40):
        before = script.searches
        assert ids(tracker, k / 25) == [0, 1]
        if script.searches > before:  # The next search misses the face, or finds it again.
            script.hidden_from_search = {"b"} - script.hidden_from_search
    assert script.searches > 10


def test_absence_is_measured_in_seconds():
    for step, expected in ((0.9, 0), (1.1, 1)):
        script = Script()
        tracker = tracking.FaceTracker(script, config.Tracking(search_every=0.01), 1, 1.0)
        script.shown = {"a": (100, 100, 50, 50)}
        assert ids(tracker, 5.0) == [0]
        script.shown = {}
        assert ids(tracker, 5.0 + step / 2) == []
        script.shown = {"a": (110, 100, 50, 50)}
        assert ids(tracker, 5.0 + step) == [expected]


def searches(times, shown):
    """Returns the numbers of the frames in which the whole picture is searched.

    Args:
      times: seconds, [T].
      shown: whether each frame shows a face, [T].
    """
    script, searched = Script(), []
    tracker = tracking.FaceTracker(script, config.Tracking())
    for number, (time, has_face) in enumerate(zip(times, shown, strict=True)):
        script.shown = {"a": (100, 100, 50, 50)} if has_face else {}
        before = script.searches
        tracker.update(IMAGE, time)
        searched += [number] * (script.searches - before)
    return searched


@pytest.mark.parametrize("shift", [0, 7.0004, -0.0004])
def test_searches_at_25_frames_per_second(shift):
    # Times as in containers: shifted, and rounded to milliseconds.
    times = np.round(np.arange(120) / 25 + shift, 3)
    searched = searches(times, [not 60 <= frame < 70 for frame in range(120)])
    assert searched == [0, 25, 50, 60, 63, 66, 69, 72, 97]


@pytest.mark.parametrize("rate", [12.5, 24, 30000 / 1001, 60, 100])
def test_search_intervals_do_not_depend_on_the_frame_rate(rate):
    times = np.round(np.arange(round(4 * rate)) / rate, 3)
    searched = times[searches(times, times < 2.5)]
    gaps = np.diff(searched)
    with_face, without = gaps[searched[1:] < 2.4], gaps[searched[:-1] > 2.5]
    assert len(with_face) == 2 and len(without) > 5
    assert (with_face > 0.998).all() and (with_face < 1.002 + 1 / rate).all()
    assert (without > 0.118).all() and (without < 0.122 + 1 / rate).all()


def look(grey, timestamp=0.0) -> appearances.Appearance:
    """An appearance with grey values; all have the same texture."""
    return appearances.Appearance(timestamp, np.zeros((56, 56), np.uint8), np.array(grey), 0j)


def followed(face_id, box, grey=(1.0, 0.0)) -> identities.FollowedFace:
    return identities.FollowedFace(face_id, face(box), look(grey))


def face(box) -> detection.Face:
    return detection.Face(np.array(box, np.float32), 1.0, np.zeros((5, 2), np.float32))


@pytest.mark.parametrize(
    ("box", "timestamp", "same"),
    [
        ((100, 100, 40, 40), 0.0, True),
        ((139, 100, 40, 40), 0.0, True),  # as far away as it is wide
        ((142, 100, 40, 40), 0.0, False),
        ((142, 100, 40, 40), 0.1, True),  # the distance may grow with time
        ((217, 100, 40, 40), 2.0, True),
        ((223, 100, 40, 40), 2.0, False),
        ((90, 90, 59, 59), 0.0, True),
        ((90, 90, 62, 62), 0.0, False),  # too large
        ((107, 107, 26, 26), 0.0, False),  # too small
        ((105, 105, 26, 26), 2.0, True),
    ],
)
def test_returning_face_is_near_and_as_large(box, timestamp, same):
    before = followed(7, (100, 100, 40, 40))
    matches = identities.recognise([before], [face(box)], [look([0.0, 1.0], timestamp)])
    assert matches == [before if same else None]


def test_all_faces_are_assigned_together():
    """If each face took the nearest lost face, the second face would be left without one."""
    left, right = followed(0, (100, 0, 40, 40)), followed(1, (130, 0, 40, 40))
    faces = [face((112, 0, 40, 40)), face((75, 0, 40, 40))]
    same = [look([1.0, 0.0])] * 2
    assert identities.recognise([left, right], faces, same) == [right, left]
    assert identities.recognise([], faces, same) == [None, None]
    assert identities.recognise([left], [], []) == []


def test_appearance_decides_between_faces_at_the_same_position():
    light, dark = followed(0, (100, 0, 40, 40)), followed(1, (104, 0, 40, 40), (0.0, 1.0))
    faces = [face((101, 0, 40, 40)), face((105, 0, 40, 40))]
    of_faces = [look([0.1, 0.9], 0.5), look([0.9, 0.1], 0.5)]
    assert identities.recognise([light, dark], faces, of_faces) == [dark, light]


def test_a_cut_to_another_person_and_back(detector, people):
    tracker = tracking.FaceTracker(detector, config.Tracking())
    a, b = {"a": (150, 24)}, {"b": (150, 24)}
    numbers = ids_at(tracker, people, [a] * 4 + [b] * 4 + [a] * 4 + [{**a, "b": (320, 20)}] * 2)
    assert numbers[:12] == [{"a": 0}] * 4 + [{"b": 1}] * 4 + [{"a": 0}] * 4

    alone = tracking.FaceTracker(detector, config.Tracking())
    (expected,) = alone.update(scene(people, b), 0.0)
    after_cut = tracking.FaceTracker(detector, config.Tracking())
    after_cut.update(scene(people, a), 0.0)
    (face,) = after_cut.update(scene(people, b), 0.1)
    np.testing.assert_array_equal(face.face.landmarks, expected.face.landmarks)


def test_a_cut_to_another_person_beside_a_third_one(detector, people):
    tracker = tracking.FaceTracker(detector, config.Tracking(), max_faces=None)
    third = cv2.flip(people["a"], 1)
    faces = {**people, "c": third}
    before, after = {"a": (20, 24), "c": (300, 24)}, {"b": (20, 24), "c": (300, 24)}
    first, *_, last = ids_at(tracker, faces, [before] * 4 + [after] * 4)
    assert sorted(first.values()) == [0, 1]
    assert last == {"b": 2, "c": first["c"]}


def dissolve(people, places) -> list[np.ndarray]:
    """Shows one scene for 1.5 s, dissolves in a second, and shows another one for a second."""
    pictures = [scene(people, place) for place in places]
    weights = np.clip(np.arange(35) / FRAME_RATE - 1.5, 0, 1)
    return [cv2.addWeighted(pictures[0], 1 - w, pictures[1], w, 0) for w in weights]


def test_a_dissolve_to_another_person(detector, people):
    tracker = tracking.FaceTracker(detector, config.Tracking())
    images = dissolve(people, [{"a": (150, 24)}, {"b": (150, 24)}])
    numbers = [
        [face.face_id for face in tracker.update(image, k / FRAME_RATE)]
        for k, image in enumerate(images)
    ]
    change = numbers.index([1])
    assert numbers == [[0]] * change + [[1]] * (len(numbers) - change)
    assert 2.4 < change / FRAME_RATE < 3.1, "shortly after its end, which is at 2.5 s"


def test_light_and_a_dissolve_to_oneself_change_no_number(detector, people):
    tracker = tracking.FaceTracker(detector, config.Tracking())
    images = dissolve(people, [{"a": (150, 24)}, {"a": (152, 25)}])
    images += [image // 3 for image in images[::-4]]
    for k, image in enumerate(images):
        (face,) = tracker.update(image, k / FRAME_RATE)
        assert face.face_id == 0

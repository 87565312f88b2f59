"""What several callers ask for goes into few requests, and each gets its own answer or error."""

import concurrent.futures
import threading

import numpy as np
import pytest

from ast_net import errors
from ast_net.serving import joint_requests, transports

# Seconds until a thread that hangs fails its test.
_PATIENCE = 20


class Network:
    """Doubles x; notes the rows of each request, and refuses those with a negative number."""

    def __init__(self):
        self.rows = []

    def __call__(self, inputs):
        self.rows.append(len(inputs["x"]))
        if (inputs["x"] < 0).any():
            raise transports.Refused(f"found {inputs['x'].min():g}")
        return {"y": 2 * inputs["x"], "row": inputs["x"][:, 0]}


class Slow(Network):
    """Answers when `answer` is set."""

    def __init__(self):
        super().__init__()
        self.asked, self.answer = threading.Semaphore(0), threading.Event()

    def __call__(self, inputs):
        self.asked.release()
        assert self.answer.wait(_PATIENCE)
        return super().__call__(inputs)


def part(*numbers):
    return {"x": np.array(numbers, np.float32)[:, np.newaxis]}


def wait_for_parts(joint, count):
    with joint._changed:
        assert joint._changed.wait_for(lambda: len(joint._waiting) == count, _PATIENCE)


@pytest.fixture
def threads():
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        yield executor


def test_the_parts_of_a_caller_go_together_up_to_a_limit():
    network = Network()
    joint = joint_requests.JointRequests(network, 16, 1)
    parts = [part(*range(n)) for n in (10, 6, 1, 40, 2, 3)]
    answers = joint.predict(parts)
    assert network.rows == [16, 1, 40, 5]
    for inputs, outputs in zip(parts, answers, strict=True):
        np.testing.assert_array_equal(outputs["y"], 2 * inputs["x"])
        np.testing.assert_array_equal(outputs["row"], inputs["x"][:, 0])
    assert joint.predict([]) == []


def test_callers_that_wait_go_together(threads):
    network = Slow()
    joint = joint_requests.JointRequests(network, 16, 1)
    first = threads.submit(joint.predict, [part(0)])
    assert network.asked.acquire(timeout=_PATIENCE)
    others = [threads.submit(joint.predict, [part(k, k + 0.5)]) for k in range(1, 6)]
    wait_for_parts(joint, 5)
    network.answer.set()
    for k, other in enumerate(others, 1):
        (outputs,) = other.result(_PATIENCE)
        np.testing.assert_array_equal(outputs["y"], [[2 * k], [2 * k + 1]])
    assert first.result(_PATIENCE)[0]["row"] == [0] and network.rows == [1, 10]


def test_a_request_waits_for_as_many_parts_as_the_one_before(threads, monkeypatch):
    network = Network()
    joint = joint_requests.JointRequests(network, 16, 1)
    joint.predict([part(1), part(2)])
    monkeypatch.setattr(joint_requests, "_GATHERING", _PATIENCE)
    first = threads.submit(joint.predict, [part(3)])
    wait_for_parts(joint, 1)
    assert joint.predict([part(4)])[0]["y"] == 8 and first.result(_PATIENCE)[0]["y"] == 6
    assert network.rows == [2, 2]


def test_a_number_of_requests_are_on_their_way_at_once(threads):
    network = Slow()
    joint = joint_requests.JointRequests(network, 1, 2)
    callers = [threads.submit(joint.predict, [part(k)]) for k in range(5)]
    assert all(network.asked.acquire(timeout=_PATIENCE) for _ in range(2))
    wait_for_parts(joint, 3)
    assert not network.asked.acquire(timeout=0.05)
    network.answer.set()
    assert [caller.result(_PATIENCE)[0]["row"].item() for caller in callers] == [*range(5)]


def test_only_the_caller_of_a_refused_part_gets_the_error(threads):
    network = Slow()
    joint = joint_requests.JointRequests(network, 16, 1)
    threads.submit(joint.predict, [part(0)])
    assert network.asked.acquire(timeout=_PATIENCE)
    callers = [threads.submit(joint.predict, [part(number)]) for number in (1, -2, 3)]
    wait_for_parts(joint, 3)
    network.answer.set()
    assert callers[0].result(_PATIENCE)[0]["y"] == 2 and callers[2].result(_PATIENCE)[0]["y"] == 6
    with pytest.raises(transports.Refused, match="found -2"):
        callers[1].result(_PATIENCE)
    assert network.rows == [1, 3, 1, 1, 1]
    with pytest.raises(transports.Refused, match="found -5"):
        joint.predict([part(4), part(-5), part(-6)])
    assert joint.predict([part(7)])[0]["y"] == 14


def test_parts_of_another_type_or_shape_go_alone():
    network = Network()
    joint = joint_requests.JointRequests(network, 16, 1)
    wide, exact = {"x": np.ones((2, 5), np.float32)}, {"x": np.ones((1, 1))}
    answers = joint.predict([part(1), part(2), wide, part(3), exact])
    assert network.rows == [2, 2, 1, 1] and answers[2]["y"].shape == (2, 5)
    assert answers[4]["y"].dtype == np.float64 and answers[3]["y"] == 6
    with pytest.raises(ValueError, match=r"same number of rows, found {'x': 1, 'y': 2}"):
        joint.predict([part(1), part(1) | {"y": np.ones(2)}])
    assert network.rows == [2, 2, 1, 1]


@pytest.mark.parametrize("error", [errors.InputError("away"), KeyboardInterrupt("Ctrl-C")])
def test_any_other_error_is_everybodys_and_the_next_request_goes_on(error):
    asked = []

    def fail_once(inputs):
        asked.append(len(inputs["x"]))
        if len(asked) == 1:
            raise error
        return inputs

    joint = joint_requests.JointRequests(fail_once, 16, 1)
    with pytest.raises(type(error), match=str(error)):
        joint.predict([part(1), part(2)])
    assert joint.predict([part(3)])[0]["x"] == 3 and asked == [2, 1]


def test_everybody_hears_that_the_server_is_away(threads):
    class Away(Slow):
        def __call__(self, inputs):
            super().__call__(inputs)
            raise errors.InputError("no answer in 60 s")

    network = Away()
    joint = joint_requests.JointRequests(network, 2, 1)
    callers = [threads.submit(joint.predict, [part(k)]) for k in range(6)]
    assert network.asked.acquire(timeout=_PATIENCE)
    wait_for_parts(joint, 5)
    network.answer.set()
    for caller in callers:
        with pytest.raises(errors.InputError, match="no answer in 60 s"):
            caller.result(_PATIENCE)
    assert network.rows == [1]


def test_a_server_that_goes_away_while_parts_are_sent_alone():
    answers = iter([transports.Refused("1"), transports.Refused("2"), errors.InputError("away")])

    def fail(inputs):
        raise next(answers)

    joint = joint_requests.JointRequests(fail, 16, 1)
    with pytest.raises(transports.Refused, match="2"):
        joint.predict([part(1), part(2), part(3), part(4)])
    assert not [*answers]


def test_an_answer_with_too_few_rows_has_parts_of_other_shapes():
    joint = joint_requests.JointRequests(lambda inputs: {"y": inputs["x"][1:]}, 16, 1)
    assert [len(outputs["y"]) for outputs in joint.predict([part(1, 2), part(3)])] == [2, 0]
    joint = joint_requests.JointRequests(lambda inputs: {"y": np.float32(1)}, 16, 1)
    assert [len(outputs["y"]) for outputs in joint.predict([part(1), part(3)])] == [1, 0]

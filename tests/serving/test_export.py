"""The command export, with the weights that come with the package."""

import calls
import numpy as np
import tensorflow as tf

from ast_net.temporal import temporal_model


def call(*flags: str) -> tuple[int | str, str]:
    """Calls export; returns its exit code or final message, and all that it showed."""
    done = calls.call("export", *flags)
    return done.ended, done.printed + done.said


def test_it_works_without_any_run(tmp_path, monkeypatch, features):
    monkeypatch.chdir(tmp_path)
    code, printed = call("--nocnn")
    assert not code
    assert (
        "serving_default: features float32[batch, time, 512] -> valence float32[batch, time], "
        "arousal float32[batch, time]\n" in printed
    )
    assert printed.endswith("wrote models/ast_net/1\n")
    served = tf.saved_model.load("models/ast_net/1").signatures["serving_default"]
    arousal = served(features=tf.constant(features))["arousal"]
    expected = temporal_model.load().network(features)[..., 1]
    np.testing.assert_allclose(arousal, expected, rtol=0, atol=1e-5)
    code, _ = call("--nocnn")
    assert "models/ast_net/1: this version exists" in code and "models/ast_net/2" in code


def test_errors_are_reported_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "found 'ast_net'" in call("--export_dir=models/ast_net")[0]
    assert "no such model; train first" in call("--workdir=none", "--model=last")[0]
    assert "precision=bfloat16" in call("--format=litert", "--precision=bfloat16")[0]
    assert not list(tmp_path.iterdir())


def test_a_model_without_its_run_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("best.weights.h5", "model.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    assert "run.flags: no such file; an exported model says" in call("--workdir=.", "--nocnn")[0]
    assert not (tmp_path / "models").exists()

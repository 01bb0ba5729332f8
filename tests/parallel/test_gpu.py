"""On a real GPU: it is chosen and recorded, repeats its bits, learns in every precision, and goes on where it stopped.

Needs PyTorch with CUDA, pydantic, onnx, onnxscript and onnxruntime, and nothing of the other tests:
`PYTHONPATH=src:tests python -m pytest -c /dev/null --noconftest tests/parallel/test_gpu.py`
"""

from types import SimpleNamespace

import numpy as np
import pytest

pytestmark = pytest.mark.gpu

torch = pytest.importorskip("torch", reason="needs PyTorch with CUDA")

from parallel.launching import launch  # noqa: E402
from parallel.learning import Paused, Stops, data, digest, learn, options  # noqa: E402
from project import device as devices  # noqa: E402
from project import export, fitting  # noqa: E402
from wattline.task import Processes, Run  # noqa: E402

PRECISIONS = ("float32", "bfloat16", "float16")


@pytest.fixture(scope="module", autouse=True)
def gpu():
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU: torch.cuda.is_available() is False")
    return SimpleNamespace(name=torch.cuda.get_device_name(0))


@pytest.fixture(scope="module")
def undisturbed():
    """Digest of an undisturbed training in each precision."""
    return {precision: digest(on_gpu(precision=precision)) for precision in PRECISIONS}


def on_gpu(**changes):
    checkpoints = changes.pop("checkpoints", None)
    return learn(options(**{"device": "cuda", "shards": 2} | changes), checkpoints=checkpoints)


def test_auto_takes_the_gpu_and_says_which(gpu):
    chosen = options(device="auto")
    assert devices.choose(chosen.convolution, Processes()).type == "cuda"
    fitted = fitting.fit("convolution", data(), chosen, Run(seed=7, report=lambda *_: None))
    assert fitted.notes == {"device": f"cuda: {gpu.name}", "precision": "float32"}
    assert {tensor.device.type for tensor in fitted.detector.state_dict().values()} == {"cpu"}


def test_the_gpu_is_really_used():
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    on_gpu()
    assert torch.cuda.max_memory_allocated() > before


@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_gives_the_same_bits_again(undisturbed, precision):
    assert digest(on_gpu(precision=precision)) == undisturbed[precision]


def test_float32_is_no_less_exact_than_that():
    """TF32, which is the default of convolutions, would be off by 1e-4 and more."""
    chosen = {"epochs": 1, "learning_rate": 1e-4}
    there, here = on_gpu(**chosen), on_gpu(**chosen, device="cpu")
    for name, values in here.items():
        np.testing.assert_allclose(there[name], values, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_learns_in_every_precision_and_the_graph_agrees_with_the_model(precision):
    import onnxruntime

    chosen = options(device="cuda", precision=precision, epochs=4)
    fitted = fitting.fit("convolution", data(), chosen, Run(seed=7, report=lambda *_: None))
    losses = [row["validation_loss"] for row in fitted.curves]
    assert losses[-1] < 0.95 * losses[0]
    windows = np.random.default_rng(3).normal(size=(64, chosen.steps, 4)).astype(np.float32)
    units = np.arange(64) % 3 - 1
    graph = export.to_onnx(fitted.detector, steps=chosen.steps, columns=4)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    answers = dict(zip(names, session.run(names, {"window": windows, "unit": units}), strict=True))
    for name, expected in fitted.detector.judge(windows, units).items():
        np.testing.assert_allclose(answers[name], expected, atol=1e-5)


def test_precisions_differ(undisturbed):
    assert len(set(undisturbed.values())) == len(PRECISIONS)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("step", [1, 4, 7])
def test_it_goes_on_where_it_was_stopped(undisturbed, precision, step):
    stops = Stops(step)
    with pytest.raises(Paused):
        on_gpu(precision=precision, checkpoints=stops)
    stops.at = None
    assert digest(on_gpu(precision=precision, checkpoints=stops)) == undisturbed[precision]


def test_without_determinism_it_learns_too():
    losses = on_gpu(deterministic=False, epochs=4)["curve.validation_loss"]
    assert losses[-1] < 0.95 * losses[0]
    on_gpu(epochs=1)
    assert torch.are_deterministic_algorithms_enabled(), "the next training is exact again"
    assert not torch.backends.cudnn.benchmark


def test_two_processes_with_one_gpu_are_refused(tmp_path):
    if torch.cuda.device_count() > 1:
        pytest.skip("this machine has a GPU for each")
    for ended in launch(tmp_path, 2, OPTIONS='{"device": "cuda"}'):
        assert ended.code == 1
        assert "InputError: processes 0 and 1 were given the same GPU" in ended.output


def test_two_processes_over_nccl_end_in_the_weights_of_one(tmp_path):
    """On one GPU, too: NCCL refuses that on one machine, so each is told that its machine is another one."""
    alone = digest(learn(options(device="cuda")))
    share = {"SHARE_GPU": "1"} if torch.cuda.device_count() == 1 else {}
    ended = launch(tmp_path, 2, OPTIONS='{"device": "cuda"}', **share)
    assert [(one.code, one.output.split()[-2]) for one in ended] == [(0, alone)] * 2, ended


def test_a_process_that_is_lost_over_nccl_is_named(tmp_path):
    if torch.cuda.device_count() == 1:
        pytest.skip("needs a GPU for each process: on a shared one NCCL did not give up a lost process in time")
    lost, left = launch(tmp_path, 2, OPTIONS='{"device": "cuda"}', DIE="3", PATIENCE="10")
    assert lost.code == -9
    assert left.code == 1, left.output
    assert "WattlineError: process 1 of 2 lost process 0" in left.output

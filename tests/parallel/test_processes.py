"""One process, two or four end in the same weights, wherever they were stopped; one that is lost is named."""

import json
import socket
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from parallel.launching import LEARNING, SECONDS, free_port, launch
from parallel.learning import STEPS, Paused, Stops, data, digest, learn, options
from project import device as devices
from project import export, fitting, gradient, parallel, rendezvous
from project.forecasters import ConvolutionalForecaster
from wattline.task import Due, InputError, Processes, Run, WattlineError

PRECISIONS = ("float32", "bfloat16", "float16")


@pytest.fixture(scope="module")
def alone() -> str:
    return digest(learn(options()))


def test_four_processes_end_in_the_weights_of_one_and_each_draws_its_own_rows_alone(tmp_path, alone):
    ended = launch(tmp_path, 4)
    assert [(one.code, one.output.split()[0]) for one in ended] == [(0, alone)] * 4, ended
    drawn = [int(one.output.split()[1]) for one in ended]
    # Two epochs of 150 windows, and those of the validation.
    assert sum(drawn) == 2 * 150 + fitting.VALIDATION_WINDOWS
    assert max(drawn) - min(drawn) < 0.05 * max(drawn)


def test_processes_of_torchrun_do_the_same(tmp_path, alone):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, LEARNING, tmp_path / "learned"], text=True, capture_output=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [alone] * 2


def test_what_one_process_is_told_holds_for_all_and_one_goes_on_where_two_stopped(tmp_path, alone):
    checkpoint = tmp_path / "checkpoint.npz"
    ended = launch(tmp_path, 2, STOP="3", STOP_RANK="1", CHECKPOINT=str(checkpoint))
    assert [(one.code, one.output) for one in ended] == [(75, "paused\n")] * 2
    found = Stops(path=checkpoint).newest()
    assert found is not None
    assert found.step == 3
    assert digest(learn(options(), checkpoints=Stops(path=checkpoint))) == alone


@settings(max_examples=12)
@given(step=st.integers(1, STEPS), precision=st.sampled_from(PRECISIONS))
def test_a_training_that_was_stopped_at_any_step_ends_as_an_undisturbed_one(step, precision):
    chosen = options(precision=precision, shards=2)
    stops, reported = Stops(step), []
    with pytest.raises(Paused):
        learn(chosen, checkpoints=stops)
    stops.at = None
    again = learn(chosen, checkpoints=stops, report=lambda what, *_: reported.append(what))
    assert digest(again) == undisturbed(precision)
    assert len(again["curve.train_loss"]) == 2, "the curves are whole"
    assert reported == ["epoch 1", "epoch 2"][(step - 1) // 4 :]


def undisturbed(precision: str, known: dict[str, str] = {}) -> str:  # noqa: B006
    if precision not in known:
        known[precision] = digest(learn(options(precision=precision, shards=2)))
    return known[precision]


@pytest.mark.parametrize("what", ["device", "torch"])
def test_a_checkpoint_that_was_computed_with_something_else_is_refused(what):
    stops = Stops(3)
    with pytest.raises(Paused):
        learn(options(), checkpoints=stops)
    assert stops.last is not None
    stops.last.notes["computed_by"][what] = "another"
    with pytest.raises(InputError, match=f"of step 3 was computed with {what} another, and here it is "):
        learn(options(), checkpoints=stops)


def test_stopping_again_and_again_changes_nothing(alone):
    stops, stopped = Stops(1), 0
    while True:
        stops.asked = 0
        try:
            learned = learn(options(), checkpoints=stops)
            break
        except Paused:
            stopped += 1
    assert stopped == STEPS
    assert digest(learned) == alone


def descent(shards: int, *, group: Any = None) -> gradient.Descent:
    torch.manual_seed(1)
    model, chosen = ConvolutionalForecaster(4, channels=6, kernel=3, history=6), options(shards=shards).convolution
    return gradient.Descent(
        model, torch.optim.SGD(model.parameters(), lr=0.0), devices.scaler(devices.CPU, chosen), chosen,
        group or parallel.Group(Processes(), devices.CPU),
    )  # fmt: skip


@pytest.mark.parametrize("windows", [1, 5, 48])
@pytest.mark.parametrize("shards", [1, 4, 16])
def test_the_gradients_of_all_shards_add_up_to_that_of_the_batch(windows, shards):
    rows = torch.randn(windows, 10, 4, generator=torch.Generator().manual_seed(windows))
    one = descent(shards)
    samples = gradient.Samples(lambda _, places: rows[places], lambda places: rows[places], windows)
    loss, due = gradient.step(one, samples, 0, slice(0, windows), due=Due.KEEP)
    expected = one.model(rows, torch.zeros(windows, dtype=torch.int64)).square().mean()
    gradients = torch.autograd.grad(expected, one.parameters)
    assert due is Due.KEEP
    torch.testing.assert_close(loss, expected.detach())
    for parameter, right in zip(one.parameters, gradients, strict=True):
        torch.testing.assert_close(parameter.grad, right)


@given(st.integers(0, 5), st.data())
def test_every_process_finishes_a_part_of_the_same_tree(power, data):
    values = data.draw(st.lists(st.floats(width=32, allow_nan=False), min_size=2**power, max_size=2**power))
    shards = [torch.tensor([value]) for value in values]
    whole = parallel.tree(shards)
    for count in (2**part for part in range(power + 1)):
        groups = [parallel.Group(Processes(rank, count), devices.CPU) for rank in range(count)]
        subtotals = [parallel.tree([shards[place] for place in group.own(len(shards))]) for group in groups]
        assert parallel.tree(subtotals).numpy().tobytes() == whole.numpy().tobytes()


@given(parts=st.integers(0, 50), count=st.integers(1, 9))
def test_every_part_belongs_to_one_process(parts, count):
    groups = [parallel.Group(Processes(rank, count), devices.CPU) for rank in range(count)]
    assert [place for group in groups for place in group.own(parts)] == list(range(parts))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_whatever_the_precision_it_learns_and_the_graph_agrees_with_the_model(tmp_path, precision):
    chosen = options(precision=precision, epochs=4)
    fitted = fitting.fit("convolution", data(), chosen, Run(seed=7, report=lambda *_: None))
    losses = [row["validation_loss"] for row in fitted.curves]
    assert losses[-1] < 0.95 * losses[0]
    assert fitted.notes == {"device": "cpu", "precision": precision}
    assert all(tensor.dtype == torch.float32 for tensor in fitted.detector.state_dict().values())
    windows = np.random.default_rng(3).normal(size=(64, chosen.steps, 4)).astype(np.float32)
    units = np.arange(64) % 3 - 1
    graph = export.to_onnx(fitted.detector, steps=chosen.steps, columns=4)
    answers = run_graph(graph, windows, units)
    for name, expected in fitted.detector.judge(windows, units).items():
        np.testing.assert_allclose(answers[name], expected, atol=1e-5)


def run_graph(graph: bytes, windows: Any, units: Any) -> dict[str, Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"window": windows, "unit": units}), strict=True))


def test_a_training_that_diverges_ends_at_once_with_figures_that_say_so():
    learned = learn(options(learning_rate=1e30, epochs=50, patience=50))
    assert len(learned["curve.validation_loss"]) < 50
    assert not np.isfinite(learned["curve.validation_loss"][-1])


def test_processes_that_cannot_share_a_batch_evenly_are_refused():
    with pytest.raises(InputError, match=r"shards is 4, and 3 processes cannot share them evenly; start 1, 2, 4 of"):
        learn(options(), processes=Processes(0, 3, rendezvous="tcp://127.0.0.1:1"))
    with pytest.raises(ValidationError, match="must be a power of two"):
        options(shards=6)
    with pytest.raises(InputError, match=r"batch must be >= train.convolution.shards, 64, got 48"):
        learn(options(shards=64))


def test_a_model_that_is_solved_by_one_process_is_refused_to_several():
    with pytest.raises(InputError, match=r"train\.model linear is solved in one go by one process, and 2 were started"):
        fitting.fit("linear", data(), options(), Run(seed=7, report=lambda *_: None, processes=Processes(0, 2)))


def test_a_gpu_that_is_not_there_is_asked_for_in_vain_and_auto_does_without(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.choose(options(device="auto").convolution, Processes()) == devices.CPU
    with pytest.raises(InputError, match=r"device is cuda, and PyTorch sees no GPU here"):
        devices.choose(options(device="cuda").convolution, Processes())


@pytest.mark.parametrize(("visible", "local_rank", "place"), [(4, 3, 3), (1, 3, 0), (2, 2, None)])
def test_each_process_takes_the_gpu_of_its_place_or_the_only_one_that_it_sees(monkeypatch, visible, local_rank, place):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
    processes = Processes(7, 8, local_rank)
    if place is None:
        with pytest.raises(InputError, match=r"process 7 is the 3\. on its node, which has 2 GPUs"):
            devices.choose(options(device="auto").convolution, processes)
    else:
        assert devices.choose(options(device="auto").convolution, processes) == torch.device("cuda", place)


SAID = {"host": "n1", "device": "cuda", "gpu": "GPU-1", "torch": "2.13.0"}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({}, "processes 0 and 1 were given the same GPU of n1"),
        ({"device": "cpu", "gpu": ""}, "process 1 on n1 has device cpu, process 0 has cuda; use nodes of one kind"),
        ({"torch": "2.12.0", "gpu": "GPU-2"}, "has torch 2.12.0, process 0 has 2.13.0; give all nodes the same"),
    ],
)
def test_processes_that_do_not_fit_together_are_refused(other, message):
    rendezvous.check_alike([SAID, SAID | {"gpu": "GPU-2"}])
    with pytest.raises(InputError, match=message):
        rendezvous.check_alike([SAID, SAID | other])


def test_processes_whose_weights_have_come_apart_are_told():
    class Two(parallel.Group):
        def gather(self, own: torch.Tensor) -> torch.Tensor:
            other = own.clone()
            other[-1] += 1
            return torch.stack([own, other])

    rows = [torch.zeros(12, 10, 4)]
    with pytest.raises(WattlineError, match=r"processes 0 and 1 hold different weights after epoch 3: .* of one kind"):
        gradient.evaluate(descent(4, group=Two(Processes(0, 2), devices.CPU)), rows, 24, epoch=2)


def test_a_process_that_is_lost_is_named_and_nobody_waits_for_ever(tmp_path):
    lost, left = launch(tmp_path, 2, DIE="3")
    assert lost.code == -9
    assert left.code == 1
    assert f"WattlineError: process 1 of 2 lost process 0 on {socket.gethostname()}" in left.output
    assert "they go on from the last checkpoint" in left.output


def test_a_process_that_lives_is_not_called_lost_however_often_others_look():
    with rendezvous.lifeline_at("127.0.0.1") as own, rendezvous.lifeline_at("127.0.0.1") as other:
        said = [{"host": "n1", "address": "127.0.0.1", "port": one.getsockname()[1]} for one in (own, other)]
        peers = rendezvous.Peers(Processes(0, 2), said)
        assert not any(peers.gone() for _ in range(200))


@pytest.mark.parametrize(
    ("rank", "message"),
    [(0, "process 0 of 2 waited 1 s for process 1"), (1, "process 1 of 2 did not reach process 0 at 127.0.0.1:")],
)
def test_a_process_that_does_not_come_is_named(rank, message):
    where = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(WattlineError, match=message):
        learn(options(), processes=Processes(rank, 2, rendezvous=where, patience_seconds=1.0))


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=rf"process 0 cannot listen on {where} .*; set MASTER_PORT to a free port"):
            learn(options(), processes=Processes(0, 2, rendezvous=f"tcp://{where}"))


@pytest.mark.parametrize("place", ["", "tcp://127.0.0.1", "127.0.0.1:4711", "tcp://127.0.0.1:99999"])
def test_a_place_to_meet_that_is_none_is_refused(place):
    with pytest.raises(InputError, match=r"set MASTER_ADDR to the first node and MASTER_PORT"):
        learn(options(), processes=Processes(1, 2, rendezvous=place))


def test_a_node_that_cannot_be_found_is_named():
    where = f"tcp://no-such-node.invalid:{free_port()}"
    with pytest.raises(InputError, match=r"process 1 of 2 knows no way to no-such-node\.invalid"):
        learn(options(), processes=Processes(1, 2, rendezvous=where))


def test_a_checkpoint_is_json_and_arrays_from_the_first_step_on():
    stops = Stops(1)
    with pytest.raises(Paused):
        learn(options(precision="float16"), checkpoints=stops)
    assert stops.last is not None
    assert json.loads(json.dumps(stops.last.notes, allow_nan=False)) == stops.last.notes
    assert all(isinstance(values, np.ndarray) for values in stops.last.tensors.values())

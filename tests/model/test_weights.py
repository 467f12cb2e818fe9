"""Backbones from files in the layouts that they are published in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from edge_passd.errors import BadInput
from quant.model.backbone import MobileNet
from quant.model.weights import TF_SLIM_INPUT, TORCHVISION_INPUT, Normalisation, load_backbone

# Howard et al. 2017, table 1: outputs and stride of the 13 blocks after the stem.
OUTPUTS = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
STRIDES = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]


def flat_block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """features.N.{0,1,3,4}: the layout of most PyTorch ports."""
    return nn.Sequential(*depthwise(inputs, stride), *pointwise(inputs, outputs))


def nested_block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """features.N.{0,1}.{0,1}: the layout of blocks made of conv-norm-activation units."""
    return nn.Sequential(
        nn.Sequential(*depthwise(inputs, stride)), nn.Sequential(*pointwise(inputs, outputs))
    )


def depthwise(channels: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
    return [conv, nn.BatchNorm2d(channels), nn.ReLU6()]


def pointwise(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6()]


Block = Callable[[int, int, int], nn.Sequential]


class Reference(nn.Module):
    """MobileNet-v1 as PyTorch ports write it: norms with an epsilon of 1e-5, and a classifier."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        stem = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
        blocks = [nn.Sequential(*stem)]
        for inputs, outputs, stride in zip([32, *OUTPUTS], OUTPUTS, STRIDES, strict=False):
            blocks.append(block(inputs, outputs, stride))
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Linear(1024, 10)
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d):
                with torch.no_grad():
                    module.weight.mul_(0.1)
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
                module.momentum = 1.0

    def taps(self, x: Tensor) -> list[Tensor]:
        maps = []
        for number, block in enumerate(self.features):
            x = block(x)
            if number in (5, 11, 13):
                maps.append(x)
        return maps


def reference(block: Block) -> Reference:
    """With statistics of noise: variances around the two epsilons, so that these matter."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = Reference(block)
        network.taps(torch.randn(4, 3, 64, 64))
        return network.eval()


@pytest.mark.parametrize("block", [flat_block, nested_block])
@pytest.mark.parametrize("root", ["features", "model"])
@torch.no_grad()
def test_a_torchvision_file_computes_the_same(block: Block, root: str, tmp_path: Path) -> None:
    theirs = reference(block)
    path = tmp_path / "weights.safetensors"
    state = {k.replace("features.", f"{root}."): v for k, v in theirs.state_dict().items()}
    save_file(state, path)
    backbone = MobileNet()
    assert load_backbone(backbone, path) == TORCHVISION_INPUT
    picture = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).double()
    found = backbone.double().eval()(picture)
    for mine, wanted in zip(found, theirs.double().taps(picture), strict=True):
        assert wanted.std() > 0.1  # the comparison is of something
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-4)


def tf_slim_state(backbone: MobileNet) -> dict[str, Tensor]:
    """A backbone under TF-slim's names, with the classifier that such files carry."""
    theirs = {"conv.weight": "weight", "norm.weight": "bn.gamma", "norm.bias": "bn.beta"}
    theirs |= {"norm.running_mean": "bn.moving_mean", "norm.running_var": "bn.moving_variance"}
    units = {"Conv2d_0": backbone.stem}
    for number, block in enumerate(backbone.blocks, start=1):
        units[f"Conv2d_{number}_depthwise"] = block.depthwise  # type: ignore[assignment]
        units[f"Conv2d_{number}_pointwise"] = block.pointwise  # type: ignore[assignment]
    state = {"Logits.weight": torch.zeros(1001, 1024), "Logits.bias": torch.zeros(1001)}
    for unit, layer in units.items():
        values = layer.state_dict()
        state |= {f"{unit}.{name}": values[ours].clone() for ours, name in theirs.items()}
    return state


def random_backbone(seed: int) -> MobileNet:
    generator = torch.Generator().manual_seed(seed)
    backbone = MobileNet()
    with torch.no_grad():
        for value in backbone.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator))
    return backbone


@pytest.fixture(scope="module")
def slim() -> dict[str, Tensor]:
    return tf_slim_state(random_backbone(1))


def test_a_tf_slim_file_is_taken_as_it_is(slim: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(slim, path)
    backbone = MobileNet()
    expected = load_backbone(backbone, path)
    assert expected == TF_SLIM_INPUT == Normalisation((127.5,) * 3, (127.5,) * 3)
    for name, value in random_backbone(1).state_dict().items():
        torch.testing.assert_close(backbone.state_dict()[name], value, rtol=0, atol=0)


DEPTHWISE = "Conv2d_7_depthwise.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({DEPTHWISE: None}, rf"{DEPTHWISE}.* is missing"),
        ({"Conv2d_0.bn.gamma": None}, r"Conv2d_0\.bn\.gamma.* is missing"),
        ({"Conv2d_14_depthwise.weight": torch.zeros(1)}, r"Conv2d_14_depthwise.* has no place"),
        ({DEPTHWISE: torch.zeros(256, 1, 3, 3)}, rf"{DEPTHWISE}.*\(256, .*\(512, 1, 3, 3\)"),
        ({DEPTHWISE: torch.zeros(512, 1, 3)}, rf"{DEPTHWISE}.*\(512, 1, 3\)"),
    ],
    ids=["missing", "missing norm", "unknown", "narrower", "fewer axes"],
)
def test_a_tensor_that_does_not_fit_is_named(
    change: dict[str, Tensor | None], message: str, slim: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    state = {**slim, **change}
    save_file({k: v for k, v in state.items() if v is not None}, path)
    backbone = random_backbone(2)
    with pytest.raises(BadInput, match=rf"weights\.safetensors: tensor .*{message}"):
        load_backbone(backbone, path)
    for name, value in random_backbone(2).state_dict().items():  # nothing was half loaded
        torch.testing.assert_close(backbone.state_dict()[name], value, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "not a readable safetensors file"),
        (b"no weights at all", "not a readable safetensors file"),
        ("cut", "not a readable safetensors file"),
        ("other", "'features.0.0.weight' is missing"),
    ],
    ids=["absent", "empty", "text", "cut short", "another model"],
)
def test_a_broken_file_is_named(
    content: bytes | str | None, message: str, slim: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    if content == "cut":
        save_file(slim, path)
        path.write_bytes(path.read_bytes()[:100_000])
    elif content == "other":
        save_file({"layer1.0.conv1.weight": torch.zeros(1)}, path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(BadInput, match=rf"weights\.safetensors: .*{message}") as caught:
        load_backbone(MobileNet(), path)
    assert "\n" not in str(caught.value)

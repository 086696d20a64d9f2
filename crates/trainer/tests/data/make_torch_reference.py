"""Writes what PyTorch itself saves of a small network, and what it answers.

    python3 make_torch_reference.py

Needs torch and safetensors; made with torch 2.15.0. The files:

    torch_reference.pt           torch.save(net.state_dict())
    torch_reference.safetensors  safetensors.torch.save_file of the same
    torch_reference.json         inputs and the answers of net.eval()

The network has been trained for a few steps, so that its running statistics
are not those of a new one.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = Path(__file__).parent


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        )
        self.fc = nn.Linear(4 * 3 * 3, 3)

    def forward(self, x):
        return self.fc(self.features(x).flatten(1))


torch.manual_seed(0)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(5):
    x, y = torch.randn(8, 2, 6, 6) * 2 + 1, torch.randint(3, (8,))
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()

net.eval()
x = torch.randn(2, 2, 6, 6)
with torch.no_grad():
    y = net(x)
torch.save(net.state_dict(), FOLDER / "torch_reference.pt")
save_file(net.state_dict(), FOLDER / "torch_reference.safetensors")
reference = {
    "torch": torch.__version__,
    "shape": list(x.shape),
    "input": x.flatten().tolist(),
    "output": y.tolist(),
}
(FOLDER / "torch_reference.json").write_text(json.dumps(reference) + "\n")

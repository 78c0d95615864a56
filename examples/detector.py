"""Features for a detector: a small feature pyramid on the last three stages of any network."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from search_spaces import Network, build, reference


class Pyramid(nn.Module):
    """Lin et al. 2017, "Feature Pyramid Networks for Object Detection"."""

    def __init__(self, backbone: Network, width: int = 64, levels: int = 3) -> None:
        super().__init__()
        self.backbone, self.levels = backbone, levels
        channels = [stage.channels for stage in backbone.feature_info[-levels:]]
        self.lateral = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.smooth = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1) for _ in channels
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        features = self.backbone.features(images)[-self.levels :]
        maps = [conv(x) for conv, x in zip(self.lateral, features, strict=True)]
        for level in range(self.levels - 2, -1, -1):
            maps[level] = maps[level] + interpolate(
                maps[level + 1], maps[level].shape[2:]
            )
        return [conv(x) for conv, x in zip(self.smooth, maps, strict=True)]


if __name__ == "__main__":
    pyramid = Pyramid(build(reference("resnest14d"))).eval()
    for features in pyramid(torch.randn(1, 3, 160, 224)):
        print(tuple(features.shape))

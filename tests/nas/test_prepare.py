import pytest

from evaluators import Recipe
from nas.config.schema import SearchConfig
from nas.prepare import prepare


def test_a_precision_the_device_cannot_train_in_is_refused_before_anything_starts() -> (
    None
):
    config = SearchConfig(device="cpu", training=Recipe(precision="float16"))
    with pytest.raises(ValueError, match="precision float16 needs a GPU"):
        prepare(config)

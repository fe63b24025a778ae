"""The section `train` of a run file: the settings of each arm, checked before any work starts.

Enters: what the section says for all arms, and of each. Leaves: a mapping an arm, with the keys of
`model.train_config.TrainConfig` and the model's own keys read in. Limit: a vocabulary that a model
states is compared with the dataset's when training starts.
"""

from collections.abc import Mapping
from typing import Any

from loopdata.errors import ConfigError
from model.config import load_model_config
from model.parsing import parse, read_yaml
from model.train_config import TrainConfig

PLACES = {"data": "", "out": ""}


def read_arms(section: Mapping[str, Any] | None, seed: int, length: int) -> dict[str, dict[str, Any]]:
    """The settings of each arm, checked: what `train` says for all, then what the arm says. Model files are read in.

    `length` is that of the mixture's sequences, in tokens. ConfigError names the arm and the key.
    """
    if section is None:
        return {}
    arms = section.get("arms")
    if not isinstance(arms, Mapping) or not arms:
        raise ConfigError("train: names no arms", "as in `train: {arms: {two_loops: {model: configs/model/1m.yaml}}}`")
    common = {key: value for key, value in section.items() if key != "arms"}
    return {str(name): _arm(common | dict(arm or {}), f"train.arms.{name}", seed, length) for name, arm in arms.items()}


def _arm(settings: dict[str, Any], where: str, seed: int, length: int) -> dict[str, Any]:
    for key in PLACES:
        if key in settings:
            raise ConfigError(f"unknown key '{where}.{key}'", "the run decides where its data and results lie")
    if "model" not in settings:
        raise ConfigError(f"{where}: the key 'model' is missing", "as in `model: configs/model/1m.yaml`")
    if isinstance(settings["model"], str):
        settings["model"] = read_yaml(settings["model"])
    settings.setdefault("seed", {"init": seed})
    try:
        config = parse(TrainConfig, settings | PLACES)
        model = load_model_config(settings["model"], int(settings["model"].get("vocab_size", 1)), config.loops)
        if model.max_length < length:
            raise ConfigError(
                f"'model.max_length' is {model.max_length}, the sequences of the mixture have {length} tokens",
                "raise it, or pack shorter sequences",
            )
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", error.remedy) from None
    return settings

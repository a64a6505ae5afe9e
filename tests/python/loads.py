"""A state that ranks load together, and what comes of a load."""
import torch

import cairn


def a_state():
    generator = torch.Generator().manual_seed(3)

    def made(*shape):
        return torch.randn(*shape, generator=generator)

    return {"model": {"w": made(600, 500), "turned": made(90, 70), "half": made(70001).bfloat16()},
            "none": torch.empty(0, 3), "step": torch.tensor(3.0), "lr": 0.5, "list": [made(5)]}


def flat(state, name=""):
    if isinstance(state, (dict, list)):
        pairs = state.items() if isinstance(state, dict) else enumerate(state)
        return {key: value for child, part in pairs
                for key, value in flat(part, f"{name}.{child}").items()}
    return {name: state}


def same(one, other):
    one, other = flat(one), flat(other)
    return list(one) == list(other) and all(
        torch.equal(one[name].cpu(), value) and one[name].dtype == value.dtype
        if isinstance(value, torch.Tensor) else one[name] == value for name, value in other.items())


def empty_like(state):
    if isinstance(state, dict):
        return {key: empty_like(value) for key, value in state.items()}
    if isinstance(state, list):
        return [empty_like(value) for value in state]
    return torch.full_like(state, 9) if isinstance(state, torch.Tensor) else state


def raised(call):
    try:
        call()
    except cairn.Error as error:
        return type(error).__name__, str(error)
    return None

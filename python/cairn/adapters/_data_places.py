"""Where a rank of Accelerate is in its data: the epoch, the seed of its order, and what data
loaders that keep their place tell."""

from accelerate.data_loader import SeedableRandomSampler, get_sampler


def places_of(accelerator):
    """Where this rank is in its data."""
    under_way = accelerator.gradient_state.active_dataloader
    places = {f"dataloader_{number}": _place_of(loader, loader is under_way)
              for number, loader in enumerate(accelerator._dataloaders)}
    places["is_within_epoch"] = under_way is not None and not under_way.end_of_dataloader
    return places


def _place_of(loader, is_under_way):
    """is_under_way: an epoch of it was begun and not left; after its last batch the next one is
    meant."""
    place = {"iteration": loader.iteration + (is_under_way and loader.end_of_dataloader)}
    sampler = get_sampler(loader)
    if isinstance(sampler, SeedableRandomSampler):
        place |= {"seed": sampler.initial_seed}
    if getattr(loader, "use_stateful_dataloader", False):
        place["loader"] = loader.state_dict()
    return place


def take_places(accelerator, own):
    """own: what places_of() told of as many loaders."""
    for number, loader in enumerate(accelerator._dataloaders):
        place, sampler = own[f"dataloader_{number}"], get_sampler(loader)
        if "seed" in place and isinstance(sampler, SeedableRandomSampler):
            sampler.initial_seed = place["seed"]
        loader.set_epoch(place["iteration"])
        if "loader" in place and getattr(loader, "use_stateful_dataloader", False):
            loader.load_state_dict(place["loader"])
            loader.base_dataloader.state_dict()  # makes its iterator now, which draws a number

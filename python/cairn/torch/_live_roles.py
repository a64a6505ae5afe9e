"""What tensors are to an optimizer, from the optimizer itself.

A state dict numbers parameters, leaves out how gradients were clipped, and holds the learning rate
that the scheduler has set for the next step. The model knows the names, and a hook sees the numbers
of the step that led here.
"""

import weakref

from .. import _optimizers, _roles
from .._latest import Latest

# What wrappers put into the names of parameters; torch.distributed.checkpoint takes it out.
_WRAPPERS = ("_orig_mod.", "_checkpoint_wrapped_module.", "_fsdp_wrapped_module.", "module.")


def roles_of(model=None, optimizer=None, *, clip=None):
    """Roles for the saves of a run, to be made once, when the optimizer is there:

        roles = cairn.torch.roles_of(model, optimizer)
        store.save(tag, {"model": model.state_dict(), "optimizer": optimizer.state_dict()},
                   roles=roles)

    A hook on optimizer.step() notes the numbers of each step; roles.end() takes it off.

    optimizer: of torch.optim, or one that looks like those; or a list of several. Those that Cairn
    does not predict are no error: their tensors are stored as differences.
    clip: the factor that the gradients of the step were multiplied with, if it is known; a save is
    told another by setting `roles.clip`. Without, a save looks for it where it helps.
    Threads: describe() and the optimizer's steps exclude each other. Pickles, as what is known of the
    latest step.
    """
    several = optimizer if isinstance(optimizer, (list, tuple)) else [optimizer]
    return LiveRoles(model, several, clip)


class LiveRoles:
    """Takes the place of `roles=` in saves."""

    def __init__(self, model, optimizers, clip=None):
        names = {} if model is None else {id(parameter): name for name, parameter
                                          in reversed(list(model.named_parameters()))}
        self.clip = clip
        self._lives = [_Live(each, names) for each in optimizers]
        self._plans = Latest()

    def __getstate__(self):
        return self.__dict__ | {"_plans": Latest()}

    def describe(self, tensors, values, metadata=None):
        """As _roles.describe."""
        plan = self._plans.find(_roles.key_of(tensors, values),
                                lambda: self._plan(tensors, values))
        told = metadata or {}
        if self.clip is not None:
            told = {"clip": self.clip, **told}
        return plan.rules(values, tensors, told), plan.given

    def end(self):
        """Takes the hooks off the optimizers."""
        for live in self._lives:
            live.end()

    def _plan(self, tensors, values):
        places = {place: name for name, tensor in tensors.items()
                  if (place := _place(tensor)) is not None}
        saved = _optimizers.find(tensors, values)
        left = list(saved)
        for live in self._lives:
            match = live.find_itself(left, places)
            if match is None:
                match = _optimizers.Optimizer("", [])
                saved.append(match)
            left = [each for each in left if each is not match]
            live.tell(match, tensors, places)
        return _roles.assemble(saved, tensors)


class _Known:
    """An optimizer of another process, as far as that has told.

    sizes: how many parameters each group has; namings: lists of what they may be called in a state;
    used: the settings that each group was last stepped with.
    """

    def __init__(self, sizes, namings, used):
        self._sizes, self._namings, self._used = sizes, namings, used

    def sizes(self):
        return self._sizes

    def namings(self):
        return self._namings

    def used(self, number):
        return self._used[number]

    def parameters(self):
        """(parameter, what is kept of it), in the order of the groups; none where they are not in
        this process."""
        return []

    def end(self):
        """Lets go of the optimizer."""

    def find_itself(self, saved, places):
        """Which of the saved optimizers this is: the one that holds its memory, else one with as
        many parameters of these names; None where it is none of them."""
        inside = [name for _, kept in self.parameters() for value in kept.values()
                  if (name := places.get(_place(value))) is not None]
        for each in saved:
            if inside and each.owns(inside[0]):
                return each
        return next((each for each in saved if not inside and self._words(each)), None)

    def _words(self, saved):
        """What each parameter is called in a saved optimizer; None where it is another one."""
        theirs = {param for group in saved.groups for param in group.params}
        return next((words for words in self.namings() if theirs == set(words)), None)

    def tell(self, saved, tensors, places):
        """Gives a saved optimizer this one's groups, and the names of the tensors that are its
        parameters and what it keeps of them. places: memory -> tensor's name."""
        numbers, *names = self.namings()
        words = self._words(saved) or numbers
        for word, (parameter, kept) in zip(words, self.parameters()):
            known = saved.state.setdefault(word, {})
            for key, value in kept.items():
                if (name := places.get(_place(value))) is not None:
                    known.setdefault(key, name)
            if (weight := places.get(_place(parameter))) is not None:
                saved.weights[word] = weight
        # Copies, gathered or on another device, are known by their names.
        theirs = next((each for each in names if all(each) and any(
            name.endswith(each[0]) for name in tensors)), [])
        saved.groups = self._groups(words, [] if saved.weights else theirs)

    def _groups(self, words, names):
        groups, at = [], 0
        for number, size in enumerate(self.sizes()):
            end = at + size
            groups.append(_LiveGroup(self, number, words[at:end], names[at:end]))
            at = end
        return groups


class _Live(_Known):
    """An optimizer of this process."""

    def __init__(self, optimizer, names):
        super().__init__(None, None, None)
        self._optimizer = optimizer
        self._names = names  # id of a parameter -> its name in the model
        itself = weakref.ref(self)  # the optimizer outlives this

        def note(stepped, *_):
            live = itself()
            if live is not None:
                live.note(stepped)

        self._hook = optimizer.register_step_post_hook(note)

    def __reduce__(self):
        used = [{key: _plain(value) for key, value in self.used(number).items()
                 if key in _optimizers.SETTINGS} for number in range(len(self.sizes()))]
        return _Known, (self.sizes(), self.namings(), used)

    def end(self):
        self._hook.remove()

    def note(self, stepped):
        """Called after each step: schedulers change the groups afterwards."""
        self._used = [{key: _kept(value) for key, value in group.items() if key != "params"}
                      for group in stepped.param_groups]

    def used(self, number):
        """Before any step, the settings that the group has."""
        groups = self._optimizer.param_groups
        return (self._used if self._used and len(self._used) == len(groups) else groups)[number]

    def sizes(self):
        return [len(group["params"]) for group in self._optimizer.param_groups]

    def parameters(self):
        return [(parameter, self._optimizer.state.get(parameter, {}))
                for group in self._optimizer.param_groups for parameter in group["params"]]

    def namings(self):
        """By number, and by either name."""
        names = [self._names.get(id(parameter)) for parameter, _ in self.parameters()]
        clean_names = [_clean(name) for name in names]
        return [str(number) for number in range(len(names))], names, clean_names


class _LiveGroup:
    """As _optimizers.Group."""

    def __init__(self, live, number, params, names):
        self._live, self._number = live, number
        self.params, self.names = params, names

    def options(self, _values, _tensors):
        return self._live.used(self._number)


def _clean(name):
    for word in _WRAPPERS if name is not None else ():
        name = name.replace(word, "")
    return name


def _plain(value):
    return value.item() if hasattr(value, "item") and value.numel() == 1 else value


def _kept(value):
    """A setting as it is now: some are tensors that schedulers change in place."""
    return value.detach().clone() if hasattr(value, "detach") else value


def _place(tensor):
    """Where a tensor lies; None for what lies nowhere, as an empty shard."""
    local = getattr(tensor, "_local_tensor", tensor)
    if not hasattr(local, "data_ptr") or local.is_meta or local.numel() == 0:
        return None
    return (local.data_ptr(), local.dtype, tuple(local.shape), local.device)

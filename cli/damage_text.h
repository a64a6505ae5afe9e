// What a check found, in words.
#pragma once

#include <string>
#include <vector>

#include "lib/check.h"

namespace cairn {

/// A line for each thing that is damaged, in the order of the findings: the tags that share it are
/// named together, the first few of them, and a pack that is missing or cut short has one line for
/// all tensors in it. Control bytes are made visible.
std::vector<std::string> damage_lines(const std::vector<Damage>& damage);

/// Whether all of it is tables of packs, which loads do without.
bool loses_nothing(const std::vector<Damage>& damage);

/// The arguments of `cairn` that mend it: `repair tags`, which must read data where only reading
/// shows the damage; `gc` where no tag lost anything; empty for damage that nothing mends.
std::string repair_words(const std::vector<Damage>& damage);

}  // namespace cairn

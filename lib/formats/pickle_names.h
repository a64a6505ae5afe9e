// Which names a pickle may hold: what is known to be data. A pickle with others may do anything in
// a program that unpickles it, so it is refused, or kept unread where the caller wants it kept.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "lib/formats/pickle.h"

namespace cairn {

/// Whether torch.load(weights_only=True) takes it without being told to
/// (torch/_weights_only_unpickler.py, PyTorch 2.13), but for tensors that Cairn has not; and
/// frozenset.
bool is_plain_name(std::string_view name);

/// Whether it belongs to the metadata of torch.distributed.checkpoint.
bool is_metadata_name(std::string_view name);

/// Errors: kUsage naming the first of a graph's names that `is_known` does not know. `what`:
/// "'model.pt'".
Status check_names(const PickleGraph& graph, bool (*is_known)(std::string_view),
                   const std::string& what);
/// The same of is_plain_name(), saying how such objects are kept all the same.
Status check_plain(const PickleGraph& graph, const std::string& what);

}  // namespace cairn

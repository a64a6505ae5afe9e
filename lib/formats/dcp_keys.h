// The keys that torch.distributed.checkpoint gives the leaves of a nested state: the rules of
// python/cairn/torch/_keys.py, which says where they come from.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "lib/formats/dcp_metadata.h"
#include "lib/formats/state.h"

namespace cairn {

struct DcpLeaf {
  std::string key;
  DcpPath path;
  const StateNode* node = nullptr;  ///< of the state
};

/// The leaves as DCP sees them, in order: a tuple, and a list that holds neither a tensor nor a
/// dict, is one.
std::vector<DcpLeaf> dcp_leaves(const StateNode& root);

/// The state whose dcp_leaves() these are: nodes by key, in order, and the way to each; a key
/// without a way is its own. Where the ways make no tree: a flat dict of the keys.
StateNode state_of_dcp(std::vector<std::pair<std::string, StateNode>> nodes,
                       const std::map<std::string, DcpPath>& paths);

}  // namespace cairn

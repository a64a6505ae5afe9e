// How a job of many ranks cut its tensors among the files that it wrote, one file a rank: as
// NeuronX Distributed and SageMaker's model parallel library (partial checkpoints) write them.
//
//   {"format": "nxd",
//    "cuts": [{"match": "*.qkv_proj.weight", "dim": 0, "stride": 3}, {"match": "*.down.weight",
//    "dim": 1}]}
//
// `files` names the files where they are called otherwise than by the format, with {tp}, {pp}, {dp}
// and {ep} in the places of the ranks. A cut's `axis` is the kind of rank that it goes over
// (default "tp"). `stride`: the axis is so many parts, each of which is cut by itself (fused
// weights). What no cut matches is whole in every file that has it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fs.h"
#include "lib/tensor.h"

namespace cairn {

struct RankCut {
  std::vector<std::string> match;  ///< globs of tensor names
  size_t dim = 0;
  std::string axis = "tp";
  uint64_t stride = 1;
};

struct RankLayout {
  std::string files;  ///< a pattern of paths in the folder
  std::vector<RankCut> cuts;
  std::map<std::string, uint64_t> ranks;  ///< how many there were, of the axes that it says so of

  /// The first that matches; null: the tensor is not cut.
  const RankCut* cut_of(const std::string& name) const;
};

/// Errors: kNotFound, kUsage saying what is not understood.
Result<RankLayout> read_rank_layout(Fs& fs, const std::string& path);

/// The ranks in a path that fits the pattern: {"tp": 3, ...}; nullopt for other paths.
std::optional<std::map<std::string, uint64_t>> ranks_of_path(const std::string& pattern,
                                                             const std::string& path);

/// The parts of the whole tensor that rank `rank` of `ranks` holds of it, each with where it begins
/// in the rank's own tensor of this shape. Errors: kUsage when the shape cannot be cut so.
struct RankPiece {
  Box box;           ///< of the whole
  uint64_t own = 0;  ///< offset in the rank's tensor along the cut
};
Result<std::vector<RankPiece>> pieces_of_rank(const RankCut& cut, const Shape& own, uint64_t rank,
                                              uint64_t ranks, Shape& whole);

}  // namespace cairn

// What the tags of a store need and what lies there beyond it.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>

#include "store/checkpoint.h"
#include "store/encoding_usage.h"

namespace cairn {

struct ClassUsage {
  uint64_t logical_bytes = 0;  ///< of all tags; attachments and metadata: 0
  uint64_t stored_bytes = 0;   ///< a copy that several classes share counts for the first
};

struct TagUsage {
  /// What no tag that was committed before has. The sum over all tags is all that is stored of them
  /// but metadata.
  UsageByEncoding added;
  /// What a load reads, a copy for each place in the tag and once as a base. Empty for a tag that
  /// is made from no other tag's copies.
  UsageByEncoding read;
};

struct StoreUsage {
  uint64_t tags = 0;
  uint64_t tensors = 0;        ///< of all tags
  uint64_t packs = 0;          ///< data packs there are
  uint64_t chunks = 0;         ///< distinct by their bytes
  uint64_t logical_bytes = 0;  ///< tensor bytes of all tags
  uint64_t unique_bytes = 0;   ///< decoded bytes of distinct chunks
  uint64_t stored_bytes = 0;   ///< what tags need: copies and the metadata packs they use
  uint64_t disk_bytes = 0;     ///< the sizes of all files under the store's folder
  uint64_t dead_bytes = 0;     ///< in data packs: copies that no tag needs
  /// "history": copies of forgotten tags that standing ones are made from.
  std::map<std::string, ClassUsage> by_class;
  UsageByClass by_class_and_encoding;  ///< copies; a class has what by_class says
  std::map<std::string, TagUsage> by_tag;
};

/// What a caller that knows tensors adds to the picture.
struct TensorFacts {
  std::string tensor_class;
  uint64_t bytes = 0;
};
using DescribeTensor =
    std::function<Result<TensorFacts>(const Checkpoint&, const Layout&, size_t tensor)>;

/// Reads all metadata and the tables of all packs, no data. Errors: kCorrupt, kCancelled.
Result<StoreUsage> measure_usage(const Store& store, const TagList& tags,
                                 const DescribeTensor& describe, const std::atomic<bool>* stop);

/// The sizes of all files below a folder; 0 when it is not there.
Result<uint64_t> folder_bytes(Fs& fs, const std::string& folder);

}  // namespace cairn

#include "cli/store_usage.h"

#include <fmt/format.h>

#include "lib/describe.h"
#include "lib/tensor.h"
#include "store/index/index.h"
#include "store/writable.h"

namespace cairn {

static Result<TensorFacts> describe(const Checkpoint& checkpoint, const Layout& layout,
                                    size_t number) {
  const TensorInfo& tensor = checkpoint.schema().tensors[number];
  CAIRN_TRY(const uint64_t bytes, checked_bytes(static_cast<Dtype>(tensor.dtype), tensor.shape));
  return TensorFacts{tensor_class(layout, number), bytes};
}

/// Of packs and metadata that no tag needs only a listing tells.
static Status check_lists_files(const Store& store) {
  if (check_place_is_written(store.fs(), store.path())) return {};
  return fail(Code::kUsage,
              fmt::format("'{}' lies on a web server, which does not list the files to be counted",
                          store.path()),
              "'cairn ls' and 'cairn show TAG' tell the sizes of its tags");
}

Result<StoreUsage> store_usage(const Store& store, const TagList& tags,
                               const std::atomic<bool>* stop) {
  CAIRN_CHECK(check_lists_files(store));
  CAIRN_TRY(StoreUsage usage, measure_usage(store, tags, describe, stop));
  const std::string index = index_path(store);
  if (!index.starts_with(store.path() + "/")) {
    CAIRN_TRY(const uint64_t bytes, folder_bytes(store.fs(), index));
    usage.disk_bytes += bytes;
  }
  return usage;
}

}  // namespace cairn

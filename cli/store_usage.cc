#include "cli/store_usage.h"

#include "lib/describe.h"
#include "lib/tensor.h"
#include "store/index/index.h"

namespace cairn {

static Result<TensorFacts> describe(const Checkpoint& checkpoint, const Layout& layout,
                                    size_t number) {
  const TensorInfo& tensor = checkpoint.schema().tensors[number];
  CAIRN_TRY(const uint64_t bytes, checked_bytes(static_cast<Dtype>(tensor.dtype), tensor.shape));
  return TensorFacts{tensor_class(layout, number), bytes};
}

Result<StoreUsage> store_usage(const Store& store, const TagList& tags,
                               const std::atomic<bool>* stop) {
  CAIRN_TRY(StoreUsage usage, measure_usage(store, tags, describe, stop));
  const std::string index = index_path(store);
  if (!index.starts_with(store.path() + "/")) {
    CAIRN_TRY(const uint64_t bytes, folder_bytes(store.fs(), index));
    usage.disk_bytes += bytes;
  }
  return usage;
}

}  // namespace cairn

#include "lib/describe.h"

#include "lib/tensor.h"

namespace cairn {

Result<TensorDescription> describe_tensor(Checkpoint& checkpoint, size_t number) {
  const TensorInfo& tensor = checkpoint.schema().tensors[number];
  TensorDescription description{
      tensor.name, tensor.dtype, tensor.shape, 0, tensor.chunk_count, 0, 0, {}};
  CAIRN_TRY(description.bytes, checked_bytes(static_cast<Dtype>(tensor.dtype), tensor.shape));
  const SessionId& session = checkpoint.tag().session;
  CAIRN_CHECK(visit_chunks(
      checkpoint, number,
      [&](uint64_t chunk, const ChunkEntry& entry, std::span<const Copy> copies) -> Status {
        for (const Copy& copy : copies) {
          description.encodings[copy.encoding] += EncodingUsage::of(copy);
          description.stored_bytes += copy.stored_bytes;
          if (copy.pack.session == session) description.new_bytes += copy.decoded_bytes;
        }
        if (const auto* bytes = std::get_if<Bytes>(&entry)) {
          description.encodings[std::nullopt] += EncodingUsage::of_inline(bytes->size());
          description.stored_bytes += bytes->size();
          // Inline chunks are as new as their page.
          const PagePlan::Place place = checkpoint.plan().place(number, chunk);
          const bool is_new = checkpoint.table().pages[place.page].page.file.session == session;
          if (is_new) description.new_bytes += bytes->size();
        }
        return {};
      }));
  return description;
}

std::string tensor_class(const Layout& layout, size_t tensor) {
  const Role role = tensor < layout.tensors.size() ? layout.tensors[tensor].role : Role::kNone;
  return role == Role::kNone ? "other" : std::string(role_name(role));
}

}  // namespace cairn

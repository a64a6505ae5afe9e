#include "store/layout.h"

#include "store/wire.h"

namespace cairn {

static constexpr uint32_t kVersion = 1;

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kNone:
      return "none";
    case Role::kWeight:
      return "weight";
    case Role::kMaster:
      return "master";
    case Role::kExpAvg:
      return "exp_avg";
    case Role::kExpAvgSq:
      return "exp_avg_sq";
    case Role::kStep:
      return "step";
    case Role::kOther:
      return "other";
    case Role::kMaxExpAvgSq:
      return "max_exp_avg_sq";
  }
  return "other";
}

/// A tensor that writer 0 held whole is written without boxes.
static bool is_whole(const TensorLayout& tensor, const TensorInfo& info) {
  if (tensor.boxes.size() != 1 || tensor.boxes[0].writer != 0) return false;
  const LayoutBox& box = tensor.boxes[0];
  return box.lengths == info.shape && box.offsets == std::vector<uint64_t>(info.shape.size(), 0);
}

Bytes encode_layout(const Layout& layout, const Schema& schema) {
  Bytes bytes;
  append_bytes(bytes, as_bytes("LAYO"));
  append_le(bytes, kVersion);
  append_le(bytes, layout.writers);
  append_le(bytes, static_cast<uint32_t>(layout.tensors.size()));
  for (size_t i = 0; i < layout.tensors.size(); ++i) {
    const TensorLayout& tensor = layout.tensors[i];
    append_le(bytes, static_cast<uint8_t>(tensor.role));
    append_le<uint8_t>(bytes, 0);
    append_string16(bytes, tensor.parameter);
    if (is_whole(tensor, schema.tensors[i])) {
      append_le<uint32_t>(bytes, 0);
      continue;
    }
    append_le(bytes, static_cast<uint32_t>(tensor.boxes.size()));
    for (const LayoutBox& box : tensor.boxes) {
      append_le(bytes, box.writer);
      for (const uint64_t offset : box.offsets) append_le(bytes, offset);
      for (const uint64_t length : box.lengths) append_le(bytes, length);
    }
  }
  return bytes;
}

static LayoutBox take_box(WireReader& reader, size_t rank) {
  LayoutBox box;
  box.writer = reader.take<uint32_t>();
  for (size_t axis = 0; axis < rank; ++axis) box.offsets.push_back(reader.take<uint64_t>());
  for (size_t axis = 0; axis < rank; ++axis) box.lengths.push_back(reader.take<uint64_t>());
  return box;
}

Result<Layout> decode_layout(ByteSpan bytes, const Schema& schema) {
  WireReader reader(bytes, "a layout");
  reader.expect("LAYO");
  reader.expect_version(kVersion);
  Layout layout;
  layout.writers = reader.take<uint32_t>();
  const auto count = reader.take<uint32_t>();
  if (count != schema.tensors.size()) reader.reject("lists other tensors than its schema");
  layout.tensors.resize(reader.take_count(count, 8));
  for (size_t i = 0; i < layout.tensors.size() && reader.ok(); ++i) {
    TensorLayout& tensor = layout.tensors[i];
    const size_t rank = schema.tensors[i].shape.size();
    tensor.role = static_cast<Role>(reader.take<uint8_t>());
    reader.take<uint8_t>();
    tensor.parameter = reader.take_string16();
    tensor.boxes.resize(reader.take_count(reader.take<uint32_t>(), 4 + 16 * rank));
    for (LayoutBox& box : tensor.boxes) box = take_box(reader, rank);
    if (tensor.boxes.empty()) {
      tensor.boxes.push_back({0, std::vector<uint64_t>(rank, 0), schema.tensors[i].shape});
    }
  }
  CAIRN_CHECK(reader.finish());
  return layout;
}

}  // namespace cairn

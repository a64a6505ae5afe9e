#include "store/schema.h"

#include <bit>

#include "store/config.h"
#include "store/wire.h"

namespace cairn {

static constexpr uint32_t kVersion = 1;

Bytes encode_schema(const Schema& schema) {
  Bytes bytes;
  append_bytes(bytes, as_bytes("SCHM"));
  append_le(bytes, kVersion);
  append_le(bytes, static_cast<uint32_t>(std::countr_zero(schema.chunk_elements)));
  append_le<uint32_t>(bytes, 0);
  append_le(bytes, static_cast<uint64_t>(schema.tensors.size()));
  for (const TensorInfo& tensor : schema.tensors) {
    append_string16(bytes, tensor.name);
    append_le(bytes, tensor.dtype);
    append_le(bytes, static_cast<uint8_t>(tensor.shape.size()));
    for (const uint64_t length : tensor.shape) append_le(bytes, length);
    append_le(bytes, tensor.chunk_count);
  }
  return bytes;
}

static TensorInfo take_tensor(WireReader& reader) {
  TensorInfo tensor;
  tensor.name = reader.take_string16();
  tensor.dtype = reader.take<uint8_t>();
  const auto rank = reader.take<uint8_t>();
  if (rank > kRankMax) reader.reject("holds a tensor of more than 16 axes");
  tensor.shape.resize(reader.take_count(rank, 8));
  for (uint64_t& length : tensor.shape) length = reader.take<uint64_t>();
  tensor.chunk_count = reader.take<uint64_t>();
  return tensor;
}

Result<Schema> decode_schema(ByteSpan bytes) {
  WireReader reader(bytes, "a schema");
  reader.expect("SCHM");
  reader.expect_version(kVersion);
  const auto log2 = reader.take<uint32_t>();
  if (log2 >= 64 || uint64_t{1} << log2 > kChunkElementsMax)
    reader.reject("has an impossible chunk size");
  reader.take<uint32_t>();
  Schema schema;
  schema.chunk_elements = uint64_t{1} << (log2 % 64);
  schema.tensors.resize(reader.take_count(reader.take<uint64_t>(), 12));
  for (size_t i = 0; i < schema.tensors.size() && reader.ok(); ++i) {
    schema.tensors[i] = take_tensor(reader);
    if (i > 0 && schema.tensors[i].name <= schema.tensors[i - 1].name) {
      reader.reject("does not list its tensors in order");
    }
  }
  CAIRN_CHECK(reader.finish());
  return schema;
}

}  // namespace cairn

// safetensors files, read strictly and written so that every reader takes them. The format: 8 bytes
// of header length, a JSON header, then the tensors' bytes without holes or overlaps
// (https://github.com/huggingface/safetensors, README "Format").
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fs.h"
#include "lib/tensor.h"
#include "store/manifest.h"

namespace cairn {

/// Of the length at the beginning of a file.
inline constexpr uint64_t kSafetensorsLengthBytes = 8;

struct SafetensorsEntry {
  std::string name;
  Dtype dtype = Dtype::kU8;
  Shape shape;
  uint64_t begin = 0;  ///< in the file
  uint64_t bytes = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> tensors;  ///< in the order of their bytes
  Metadata metadata;                      ///< `__metadata__`
};

/// Errors: kUsage saying what is malformed and where.
/// `header` is the JSON, `data_bytes` what follows it in the file.
Result<SafetensorsHeader> parse_safetensors_header(ByteSpan header, uint64_t data_bytes,
                                                   const std::string& path);

/// Checks the header of a whole file in memory; no tensor byte is read. Errors: as above.
Result<SafetensorsHeader> parse_safetensors(ByteSpan file, const std::string& path);

/// The 8 bytes of length and the header for tensors whose bytes will follow in this order.
/// `begin` and `bytes` of the entries are set.
Bytes encode_safetensors_header(std::vector<SafetensorsEntry>& tensors, const Metadata& metadata);

/// The order in which bytes are laid out: wide elements first, so that all stay aligned, then
/// names.
void sort_for_safetensors(std::vector<SafetensorsEntry>& tensors);

}  // namespace cairn

#include "lib/formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace cairn {

/// The limit of the reference implementation.
static constexpr uint64_t kHeaderBytesMax = 100'000'000;

/// What else a file may be, by its first bytes, and what to do with it; "" when they say nothing.
static std::string_view other_format(ByteSpan file) {
  struct Format {
    std::string_view magic, advice;
  };
  static constexpr std::array<Format, 7> kFormats = {{
      {"PK\x03\x04", "it is a zip archive: 'cairn import' takes those that torch.save wrote"},
      {"\x80",
       "it looks like a pickle that torch.save did not write: load it where it was made, and save "
       "its tensors with torch.save or safetensors"},
      {"GGUF", "it is a GGUF file: import the safetensors files that it was made from"},
      {"\x89HDF", "it is an HDF5 file: save its tensors as safetensors first"},
      {"\x93NUMPY", "it is a NumPy array: save it with safetensors.numpy.save_file"},
      {"version https://git-lfs", "it is a pointer of Git LFS: fetch the file with 'git lfs pull'"},
      {"{", "it is JSON: keep it beside the tensors with '--attach NAME=FILE'"},
  }};
  for (const Format& format : kFormats) {
    if (as_text(file).starts_with(format.magic)) return format.advice;
  }
  return "";
}

Result<SafetensorsHeader> parse_safetensors(ByteSpan file, const std::string& path) {
  const auto malformed = [&](std::string_view why) {
    return fail(Code::kUsage, fmt::format("'{}' is no valid safetensors file: {}", path, why),
                std::string(other_format(file)));
  };
  if (file.size() < kSafetensorsLengthBytes) return malformed("it has fewer than 8 bytes");
  const auto header_bytes = load_le<uint64_t>(file);
  const ByteSpan rest = file.subspan(kSafetensorsLengthBytes);
  if (header_bytes > kHeaderBytesMax) {
    return malformed(fmt::format("its header would have {} bytes, more than the {} allowed",
                                 header_bytes, kHeaderBytesMax));
  }
  if (header_bytes > rest.size()) {
    return malformed(fmt::format("its header of {} bytes does not fit into its {} bytes",
                                 header_bytes, file.size()));
  }
  // A copy: the file's writer may not be done, and what was checked must be what is used.
  const Bytes header(rest.begin(), rest.begin() + static_cast<ptrdiff_t>(header_bytes));
  return parse_safetensors_header(header, rest.size() - header_bytes, path);
}

void sort_for_safetensors(std::vector<SafetensorsEntry>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    const uint32_t a_bits = bits_per_element(a.dtype), b_bits = bits_per_element(b.dtype);
    return a_bits != b_bits ? a_bits > b_bits : a.name < b.name;
  });
}

Bytes encode_safetensors_header(std::vector<SafetensorsEntry>& tensors, const Metadata& metadata) {
  // Text by text: an ordered JSON object would look through all its keys for each new one.
  const auto text = [](const nlohmann::ordered_json& value) {
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  std::string header = "{";
  if (!metadata.empty()) header += fmt::format("\"__metadata__\":{},", text(metadata));
  uint64_t position = 0;
  for (SafetensorsEntry& tensor : tensors) {
    tensor.begin = position;
    position += tensor.bytes;
    header += fmt::format("{}:{},", text(tensor.name),
                          text({{"dtype", dtype_name(tensor.dtype)},
                                {"shape", tensor.shape},
                                {"data_offsets", {tensor.begin, position}}}));
  }
  if (header.back() == ',') header.pop_back();
  header += '}';
  header.resize(round_up(header.size(), 8), ' ');
  for (SafetensorsEntry& tensor : tensors) tensor.begin += kSafetensorsLengthBytes + header.size();
  Bytes bytes;
  append_le(bytes, static_cast<uint64_t>(header.size()));
  append_bytes(bytes, as_bytes(header));
  return bytes;
}

}  // namespace cairn

#include "lib/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace cairn {

using nlohmann::json;

static constexpr uint64_t kLengthBytes = 8;
/// The limit of the reference implementation.
static constexpr uint64_t kHeaderBytesMax = 100'000'000;

namespace {

/// Parses and remembers a key that an object holds twice, which the JSON library would hide.
class HeaderParser {
 public:
  json parse(ByteSpan header) {
    const auto watch = [this](int depth, json::parse_event_t event, json& value) {
      if (event == json::parse_event_t::object_start) {
        keys_.resize(static_cast<size_t>(depth) + 1);
        keys_.back().clear();
      } else if (event == json::parse_event_t::key) {
        // Within the object at depth d, keys are reported at depth d + 1.
        const auto text = value.get<std::string>();
        if (!keys_[static_cast<size_t>(depth) - 1].insert(text).second) duplicate_ = text;
      }
      return true;
    };
    return json::parse(header.begin(), header.end(), watch, false);
  }
  const std::string* duplicate() const { return duplicate_ ? &*duplicate_ : nullptr; }

 private:
  std::vector<std::set<std::string>> keys_;
  std::optional<std::string> duplicate_;
};

/// Everything that can be wrong, said with the file and the tensor.
class Checker {
 public:
  Checker(const std::string& path, uint64_t data_begin, uint64_t data_bytes)
      : path_(path), data_begin_(data_begin), data_bytes_(data_bytes) {}

  tl::unexpected<Error> malformed(std::string_view why) const {
    return fail(Code::kUsage, fmt::format("'{}' is no valid safetensors file: {}", path_, why));
  }

  Result<Metadata> metadata(const json& object) const {
    if (!object.is_object()) return malformed("__metadata__ is not an object");
    Metadata metadata;
    for (const auto& [key, value] : object.items()) {
      if (!value.is_string()) {
        return malformed(fmt::format("__metadata__ '{}' is not a string", key));
      }
      metadata[key] = value.get<std::string>();
    }
    return metadata;
  }

  Result<SafetensorsEntry> entry(const std::string& name, const json& object) const {
    const auto bad = [&](std::string_view why) {
      return malformed(fmt::format("tensor '{}' {}", name, why));
    };
    if (!object.is_object()) return bad("is not an object");
    for (const auto& [key, value] : object.items()) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") {
        return bad(fmt::format("has an unknown field '{}'", key));
      }
    }
    if (!object.contains("dtype") || !object.contains("shape") ||
        !object.contains("data_offsets")) {
      return bad("lacks dtype, shape or data_offsets");
    }
    SafetensorsEntry entry;
    entry.name = name;
    const json& dtype = object["dtype"];
    const auto known = dtype.is_string() ? dtype_of_name(dtype.get<std::string>()) : std::nullopt;
    if (!known) return bad(fmt::format("has the unknown dtype {}", dtype.dump()));
    entry.dtype = *known;
    if (!take_numbers(object["shape"], entry.shape)) {
      return bad("has a shape that is not a list of whole numbers");
    }
    std::vector<uint64_t> offsets;
    if (!take_numbers(object["data_offsets"], offsets) || offsets.size() != 2) {
      return bad("has data_offsets that are not two whole numbers");
    }
    if (offsets[0] > offsets[1]) return bad("has data_offsets that run backwards");
    if (offsets[1] > data_bytes_) {
      return bad(fmt::format("ends at byte {} of {} bytes of data: the file is cut short",
                             offsets[1], data_bytes_));
    }
    const auto bytes = checked_bytes(entry.dtype, entry.shape);
    if (!bytes) return bad(fmt::format("is impossible: {}", bytes.error().message));
    if (*bytes != offsets[1] - offsets[0]) {
      return bad(
          fmt::format("has {} bytes where its shape needs {}", offsets[1] - offsets[0], *bytes));
    }
    entry.begin = data_begin_ + offsets[0];
    entry.bytes = *bytes;
    return entry;
  }

  /// The tensors must fill the data exactly.
  Status layout(const std::vector<SafetensorsEntry>& tensors) const {
    uint64_t position = data_begin_;
    for (const SafetensorsEntry& tensor : tensors) {
      if (tensor.begin != position) {
        return malformed(fmt::format("there is {} before tensor '{}'",
                                     tensor.begin > position ? "a hole" : "an overlap",
                                     tensor.name));
      }
      position += tensor.bytes;
    }
    if (position != data_begin_ + data_bytes_) {
      return malformed(
          fmt::format("{} bytes follow the last tensor", data_begin_ + data_bytes_ - position));
    }
    return {};
  }

 private:
  static bool take_numbers(const json& list, std::vector<uint64_t>& numbers) {
    if (!list.is_array()) return false;
    for (const json& number : list) {
      if (!number.is_number_unsigned()) return false;
      numbers.push_back(number.get<uint64_t>());
    }
    return true;
  }

  const std::string& path_;
  const uint64_t data_begin_;
  const uint64_t data_bytes_;
};

}  // namespace

Result<SafetensorsHeader> parse_safetensors_header(ByteSpan header, uint64_t data_bytes,
                                                   const std::string& path) {
  const Checker checker(path, kLengthBytes + header.size(), data_bytes);
  if (header.empty() || header[0] != '{') {
    return checker.malformed("its header does not begin with '{'");
  }
  HeaderParser parser;
  const json object = parser.parse(header);
  if (!object.is_object()) return checker.malformed("its header is not valid JSON in UTF-8");
  if (parser.duplicate() != nullptr) {
    return checker.malformed(fmt::format("the key '{}' is there twice", *parser.duplicate()));
  }
  SafetensorsHeader parsed;
  for (const auto& [name, value] : object.items()) {
    if (name == "__metadata__") {
      CAIRN_TRY(parsed.metadata, checker.metadata(value));
      continue;
    }
    CAIRN_TRY(SafetensorsEntry entry, checker.entry(name, value));
    parsed.tensors.push_back(std::move(entry));
  }
  std::sort(parsed.tensors.begin(), parsed.tensors.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.bytes, a.name) < std::tie(b.begin, b.bytes, b.name);
  });
  CAIRN_CHECK(checker.layout(parsed.tensors));
  return parsed;
}

Result<SafetensorsHeader> read_safetensors_header(File& file) {
  const auto malformed = [&](std::string_view why) {
    return fail(Code::kUsage,
                fmt::format("'{}' is no valid safetensors file: {}", file.path(), why));
  };
  CAIRN_TRY(const uint64_t file_bytes, file.size());
  if (file_bytes < kLengthBytes) return malformed("it has fewer than 8 bytes");
  Bytes length(kLengthBytes);
  CAIRN_CHECK(file.read_at(0, length));
  const auto header_bytes = load_le<uint64_t>(length);
  if (header_bytes > kHeaderBytesMax) {
    return malformed(fmt::format("its header would have {} bytes, more than the {} allowed",
                                 header_bytes, kHeaderBytesMax));
  }
  if (header_bytes > file_bytes - kLengthBytes) {
    return malformed(fmt::format("its header of {} bytes does not fit into its {} bytes",
                                 header_bytes, file_bytes));
  }
  Bytes header(header_bytes);
  CAIRN_TRY(const size_t count, file.read_at(kLengthBytes, header));
  if (count != header.size()) return malformed("it ends inside its header");
  return parse_safetensors_header(header, file_bytes - kLengthBytes - header_bytes, file.path());
}

void sort_for_safetensors(std::vector<SafetensorsEntry>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    const uint32_t a_bits = bits_per_element(a.dtype), b_bits = bits_per_element(b.dtype);
    return a_bits != b_bits ? a_bits > b_bits : a.name < b.name;
  });
}

Bytes encode_safetensors_header(std::vector<SafetensorsEntry>& tensors, const Metadata& metadata) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  if (!metadata.empty()) object["__metadata__"] = metadata;
  uint64_t position = 0;
  for (SafetensorsEntry& tensor : tensors) {
    tensor.begin = position;
    position += tensor.bytes;
    object[tensor.name] = {{"dtype", dtype_name(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {tensor.begin, position}}};
  }
  std::string header = object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  header.resize(round_up(header.size(), 8), ' ');
  for (SafetensorsEntry& tensor : tensors) tensor.begin += kLengthBytes + header.size();
  Bytes bytes;
  append_le(bytes, static_cast<uint64_t>(header.size()));
  append_bytes(bytes, as_bytes(header));
  return bytes;
}

}  // namespace cairn

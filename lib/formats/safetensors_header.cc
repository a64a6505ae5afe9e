// The JSON of a safetensors header, read event by event: its entries are checked where they stand,
// nothing is kept but they, and what does not belong there ends the reading.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "lib/formats/safetensors.h"

namespace cairn {
namespace {

using nlohmann::json;

/// Follows the JSON. Every event returns whether to go on; why() says why not.
class HeaderReader final : public nlohmann::json_sax<json> {
 public:
  HeaderReader(uint64_t data_begin, uint64_t data_bytes)
      : data_begin_(data_begin), data_bytes_(data_bytes) {}

  const std::string& why() const { return why_; }
  SafetensorsHeader take() { return std::move(header_); }

  bool start_object(std::size_t) override {
    if (place_ == Place::kOutside) return go_to(Place::kHeader);
    if (place_ != Place::kHeader) return misplaced();
    if (name_ == "__metadata__") return go_to(Place::kMetadata);
    entry_ = {};
    entry_.name = name_;
    fields_.clear();
    offsets_.clear();
    return go_to(Place::kTensor);
  }
  bool end_object() override {
    if (place_ == Place::kHeader) return go_to(Place::kOutside);
    if (place_ == Place::kTensor && !finish_tensor()) return false;
    return go_to(Place::kHeader);
  }
  bool key(std::string& key) override {
    if (place_ == Place::kHeader) {
      name_ = key;
      return names_.insert(key).second || twice(key);
    }
    field_ = key;
    if (place_ == Place::kMetadata) return !header_.metadata.contains(key) || twice(key);
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      return refuse_tensor(fmt::format("has an unknown field '{}'", key));
    }
    return fields_.insert(key).second || twice(key);
  }
  bool start_array(std::size_t) override {
    const bool is_list = place_ == Place::kTensor && field_ != "dtype";
    return is_list ? go_to(Place::kList) : misplaced();
  }
  bool end_array() override { return go_to(Place::kTensor); }
  bool string(std::string& text) override {
    if (place_ == Place::kMetadata) {
      header_.metadata[field_] = text;
      return true;
    }
    if (place_ != Place::kTensor || field_ != "dtype") return misplaced();
    const auto dtype = dtype_of_name(text);
    if (!dtype) return refuse_tensor(fmt::format("has the unknown dtype '{}'", text));
    entry_.dtype = *dtype;
    return true;
  }
  bool number_unsigned(uint64_t number) override {
    if (place_ != Place::kList) return misplaced();
    (field_ == "shape" ? entry_.shape : offsets_).push_back(number);
    return true;
  }
  bool null() override { return misplaced(); }
  bool boolean(bool) override { return misplaced(); }
  bool number_integer(int64_t) override { return misplaced(); }
  bool number_float(double, const std::string&) override { return misplaced(); }
  bool binary(json::binary_t&) override { return misplaced(); }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override {
    return refuse("its header is not valid JSON in UTF-8");
  }

 private:
  enum class Place { kOutside, kHeader, kMetadata, kTensor, kList };

  bool go_to(Place place) {
    place_ = place;
    return true;
  }
  bool refuse(std::string why) {
    why_ = std::move(why);
    return false;
  }
  bool refuse_tensor(std::string_view why) {
    return refuse(fmt::format("tensor '{}' {}", name_, why));
  }
  bool twice(const std::string& key) {
    return refuse(fmt::format("the key '{}' is there twice", key));
  }

  /// Says what should have been in the place of a value.
  bool misplaced() {
    if (place_ == Place::kMetadata) {
      return refuse(fmt::format("__metadata__ '{}' is not a string", field_));
    }
    if (place_ == Place::kHeader && name_ == "__metadata__") {
      return refuse("__metadata__ is not an object");
    }
    if (place_ == Place::kHeader) return refuse_tensor("is not an object");
    if (field_ == "dtype") return refuse_tensor("has a dtype that is not a string");
    if (field_ == "shape") return refuse_tensor("has a shape that is not a list of whole numbers");
    return refuse_tensor("has data_offsets that are not two whole numbers");
  }

  bool finish_tensor() {
    if (fields_.size() < 3) return refuse_tensor("lacks dtype, shape or data_offsets");
    if (offsets_.size() != 2) {
      return refuse_tensor("has data_offsets that are not two whole numbers");
    }
    const uint64_t begin = offsets_[0], end = offsets_[1];
    if (begin > end) return refuse_tensor("has data_offsets that run backwards");
    if (end > data_bytes_) {
      return refuse_tensor(fmt::format("ends at byte {} of {} bytes of data: the file is cut short",
                                       end, data_bytes_));
    }
    const auto bytes = checked_bytes(entry_.dtype, entry_.shape);
    if (!bytes) return refuse_tensor(fmt::format("is impossible: {}", bytes.error().message));
    if (*bytes != end - begin) {
      return refuse_tensor(
          fmt::format("has {} bytes where its shape needs {}", end - begin, *bytes));
    }
    entry_.begin = data_begin_ + begin;
    entry_.bytes = *bytes;
    header_.tensors.push_back(std::move(entry_));
    return true;
  }

  const uint64_t data_begin_, data_bytes_;
  SafetensorsHeader header_;
  std::string why_;
  Place place_ = Place::kOutside;
  std::set<std::string> names_, fields_;  // keys met in the header, in its tensor
  std::string name_, field_;              // the latest keys
  SafetensorsEntry entry_;
  std::vector<uint64_t> offsets_;
};

/// The tensors must fill the data exactly. Returns what is wrong.
std::string find_gap(const std::vector<SafetensorsEntry>& tensors, uint64_t begin, uint64_t end) {
  uint64_t position = begin;
  for (const SafetensorsEntry& tensor : tensors) {
    if (tensor.begin != position) {
      return fmt::format("there is {} before tensor '{}'",
                         tensor.begin > position ? "a hole" : "an overlap", tensor.name);
    }
    position += tensor.bytes;
  }
  return position == end ? "" : fmt::format("{} bytes follow the last tensor", end - position);
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors_header(ByteSpan header, uint64_t data_bytes,
                                                   const std::string& path) {
  const auto malformed = [&](std::string_view why) {
    return fail(Code::kUsage, fmt::format("'{}' is no valid safetensors file: {}", path, why));
  };
  if (header.empty() || header[0] != '{') return malformed("its header does not begin with '{'");
  // The JSON library takes a NUL for the end.
  if (std::find(header.begin(), header.end(), 0) != header.end()) {
    return malformed("its header is not valid JSON in UTF-8");
  }
  const uint64_t data_begin = kSafetensorsLengthBytes + header.size();
  HeaderReader reader(data_begin, data_bytes);
  if (!json::sax_parse(header.begin(), header.end(), &reader)) return malformed(reader.why());
  SafetensorsHeader parsed = reader.take();
  std::sort(parsed.tensors.begin(), parsed.tensors.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.bytes, a.name) < std::tie(b.begin, b.bytes, b.name);
  });
  const std::string gap = find_gap(parsed.tensors, data_begin, data_begin + data_bytes);
  if (!gap.empty()) return malformed(gap);
  return parsed;
}

}  // namespace cairn

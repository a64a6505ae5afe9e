#include "lib/formats/zip_layout.h"

#include <algorithm>

#include "lib/formats/zip_format.h"

namespace cairn {

static constexpr uint64_t kAlignment = 64;
/// "FB", the extra field that PyTorch pads with.
static constexpr uint16_t kPadding = 0x4246;
/// A descriptor follows; names are UTF-8.
static constexpr uint16_t kFlags = 0x0808;
static constexpr uint32_t kDescriptor = 0x08074b50;

/// Of the header before its padding.
uint64_t ZipLayout::fields_bytes(const Entry& entry) {
  return zip::kLocalBytes + entry.name.size() + (is_wide(entry) ? 20 : 0);
}

size_t ZipLayout::add(std::string name, uint64_t bytes) {
  Entry entry{std::move(name), bytes, end_, 0};
  entry.data_at = round_up(end_ + fields_bytes(entry) + 4, kAlignment);
  end_ = entry.data_at + bytes + (is_wide(entry) ? 24 : 16);
  entries_.push_back(std::move(entry));
  return entries_.size() - 1;
}

/// What is fixed in a header and in the directory; sizes of 64 bits go into an extra field.
static void append_facts(Bytes& out, uint32_t checksum, uint64_t bytes, size_t name_bytes,
                         size_t extra_bytes) {
  append_le(out, kFlags);
  append_le(out, uint16_t{0});  // as it is
  append_le(out, uint32_t{0});  // when: no time, so that the same state makes the same file
  append_le(out, checksum);
  const auto narrow = static_cast<uint32_t>(std::min<uint64_t>(bytes, UINT32_MAX));
  append_le(out, narrow);
  append_le(out, narrow);
  append_le(out, static_cast<uint16_t>(name_bytes));
  append_le(out, static_cast<uint16_t>(extra_bytes));
}

static void append_wide(Bytes& out, const std::vector<uint64_t>& numbers) {
  append_le(out, zip::kExtra64);
  append_le(out, static_cast<uint16_t>(8 * numbers.size()));
  for (const uint64_t number : numbers) append_le(out, number);
}

Bytes ZipLayout::header(size_t number) const {
  const Entry& entry = entries_[number];
  const uint64_t padding = entry.data_at - entry.header_at - fields_bytes(entry);
  Bytes out;
  append_le(out, zip::kLocal);
  append_le(out, is_wide(entry) ? zip::kVersion64 : uint16_t{0});
  append_facts(out, 0, entry.bytes, entry.name.size(), padding + (is_wide(entry) ? 20 : 0));
  append_bytes(out, as_bytes(entry.name));
  if (is_wide(entry)) append_wide(out, {entry.bytes, entry.bytes});
  append_le(out, kPadding);
  append_le(out, static_cast<uint16_t>(padding - 4));
  out.resize(entry.data_at - entry.header_at, 'Z');
  return out;
}

Bytes ZipLayout::descriptor(size_t number, uint32_t checksum) const {
  const Entry& entry = entries_[number];
  Bytes out;
  append_le(out, kDescriptor);
  append_le(out, checksum);
  for (int i = 0; i < 2; ++i) {
    is_wide(entry) ? append_le(out, entry.bytes)
                   : append_le(out, static_cast<uint32_t>(entry.bytes));
  }
  return out;
}

static void append_end(Bytes& out, uint64_t entries, uint64_t directory_at) {
  const uint64_t bytes = out.size(), end_at = directory_at + bytes;
  append_le(out, zip::kEnd64);
  append_le(out, zip::kEnd64Bytes - 12);
  append_le(out, zip::kVersion64);
  append_le(out, zip::kVersion64);
  append_le(out, uint64_t{0});  // this and the first disk
  append_le(out, entries);
  append_le(out, entries);
  append_le(out, bytes);
  append_le(out, directory_at);
  append_le(out, zip::kLocator64);
  append_le(out, uint32_t{0});
  append_le(out, end_at);
  append_le(out, uint32_t{1});
  append_le(out, zip::kEnd);
  append_le(out, uint32_t{0});
  const auto narrow = static_cast<uint16_t>(std::min<uint64_t>(entries, UINT16_MAX));
  append_le(out, narrow);
  append_le(out, narrow);
  append_le(out, static_cast<uint32_t>(std::min<uint64_t>(bytes, UINT32_MAX)));
  append_le(out, static_cast<uint32_t>(std::min<uint64_t>(directory_at, UINT32_MAX)));
  append_le(out, uint16_t{0});
}

Bytes ZipLayout::directory(const std::vector<uint32_t>& checksums) const {
  Bytes out;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    std::vector<uint64_t> wide;
    if (is_wide(entry)) wide = {entry.bytes, entry.bytes};
    if (entry.header_at >= UINT32_MAX) wide.push_back(entry.header_at);
    append_le(out, zip::kDirectory);
    append_le(out, uint16_t{0});
    append_le(out, wide.empty() ? uint16_t{0} : zip::kVersion64);
    append_facts(out, checksums[i], entry.bytes, entry.name.size(),
                 wide.empty() ? 0 : 4 + 8 * wide.size());
    append_le(out, uint16_t{0});  // comment
    append_le(out, uint16_t{0});  // disk
    append_le(out, uint16_t{0});  // attributes
    append_le(out, uint32_t{0});
    append_le(out, static_cast<uint32_t>(std::min<uint64_t>(entry.header_at, UINT32_MAX)));
    append_bytes(out, as_bytes(entry.name));
    if (!wide.empty()) append_wide(out, wide);
  }
  append_end(out, entries_.size(), end_);
  return out;
}

uint64_t ZipLayout::total_bytes() const {
  return end_ + directory(std::vector<uint32_t>(entries_.size())).size();
}

}  // namespace cairn

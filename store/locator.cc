#include "store/locator.h"

#include <map>

#include "store/wire.h"

namespace cairn {

static constexpr uint32_t kVersion = 1;
static constexpr size_t kCopyBytes = 32;

namespace {

/// Numbers keys in the order of their first mention.
template <class Key>
class Numbers {
 public:
  uint32_t of(const Key& key) {
    const auto [at, fresh] = numbers_.try_emplace(key, static_cast<uint32_t>(numbers_.size()));
    if (fresh) keys_.push_back(key);
    return at->second;
  }
  const std::vector<Key>& keys() const { return keys_; }

 private:
  std::map<Key, uint32_t> numbers_;
  std::vector<Key> keys_;
};

}  // namespace

static void append_copy(Bytes& bytes, Bytes& aux, const Copy& copy, uint32_t pack,
                        Numbers<Digest>& base_pages) {
  append_le(bytes, pack);
  append_le(bytes, static_cast<uint8_t>(copy.encoding));
  append_le(bytes, static_cast<uint8_t>(copy.bases.size()));
  append_le(bytes, static_cast<uint16_t>(copy.parameters.size()));
  append_le(bytes, copy.offset);
  append_le(bytes, copy.stored_bytes);
  append_le(bytes, copy.decoded_bytes);
  append_le(bytes, static_cast<uint32_t>(aux.size()));
  append_le<uint32_t>(bytes, 0);
  for (const BaseRef& base : copy.bases) {
    append_le(aux, base_pages.of(base.page));
    append_le(aux, base.slot);
  }
  append_bytes(aux, copy.parameters);
}

Bytes encode_locator(const Locator& locator) {
  Numbers<FileId> packs;
  Numbers<Digest> base_pages;
  Bytes copies, aux;
  copies.reserve(locator.copies.size() * kCopyBytes);
  for (const Copy& copy : locator.copies) {
    append_copy(copies, aux, copy, packs.of(copy.pack), base_pages);
  }
  Bytes bytes;
  append_bytes(bytes, as_bytes("LOCA"));
  append_le(bytes, kVersion);
  append_le(bytes, static_cast<uint32_t>(packs.keys().size()));
  append_le(bytes, static_cast<uint32_t>(locator.copies.size()));
  append_le(bytes, static_cast<uint32_t>(aux.size()));
  append_le(bytes, static_cast<uint32_t>(base_pages.keys().size()));
  for (const FileId& pack : packs.keys()) append_file_id(bytes, pack);
  for (const Digest& page : base_pages.keys()) append_digest(bytes, page);
  append_bytes(bytes, copies);
  append_bytes(bytes, aux);
  return bytes;
}

/// No file has a byte beyond.
static constexpr uint64_t kOffsetMax = uint64_t{1} << 62;

static Copy decode_copy(WireReader& reader, ByteSpan record, const std::vector<FileId>& packs,
                        const std::vector<Digest>& base_pages, AuxiliaryBytes& aux) {
  Copy copy;
  const auto pack = load_le<uint32_t>(record, 0);
  const size_t base_count = record[5];
  const size_t parameter_bytes = load_le<uint16_t>(record, 6);
  const auto own = aux.take(load_le<uint32_t>(record, 24), base_count * 8 + parameter_bytes);
  copy.encoding = static_cast<Encoding>(record[4]);
  copy.offset = load_le<uint64_t>(record, 8);
  copy.stored_bytes = load_le<uint32_t>(record, 16);
  copy.decoded_bytes = load_le<uint32_t>(record, 20);
  if (pack >= packs.size() || base_count > kBasesMax || copy.offset > kOffsetMax || !own) {
    reader.reject("has a malformed copy");
    return copy;
  }
  copy.pack = packs[pack];
  WireReader cursor(*own, "");
  for (size_t i = 0; i < base_count; ++i) {
    const auto page = cursor.take<uint32_t>();
    const auto slot = cursor.take<uint32_t>();
    if (page < base_pages.size()) {
      copy.bases.push_back({base_pages[page], slot});
    } else {
      reader.reject("has a base in a page it does not list");
    }
  }
  const ByteSpan parameters = cursor.take_bytes(parameter_bytes);
  copy.parameters.assign(parameters.begin(), parameters.end());
  return copy;
}

Result<Locator> decode_locator(ByteSpan bytes) {
  WireReader reader(bytes, "a locator");
  reader.expect("LOCA");
  reader.expect_version(kVersion);
  const auto pack_count = reader.take<uint32_t>();
  const auto copies_in_page = reader.take<uint32_t>();
  const auto aux_bytes = reader.take<uint32_t>();
  const auto base_page_count = reader.take<uint32_t>();
  std::vector<FileId> packs(reader.take_count(pack_count, kFileIdBytes));
  for (FileId& pack : packs) pack = take_file_id(reader);
  std::vector<Digest> base_pages(reader.take_count(base_page_count, sizeof(Digest)));
  for (Digest& page : base_pages) page = reader.take_digest();
  const uint64_t count = reader.take_count(copies_in_page, kCopyBytes);
  const ByteSpan records = reader.take_bytes(count * kCopyBytes);
  AuxiliaryBytes aux(reader.take_bytes(aux_bytes));
  CAIRN_CHECK(reader.finish());
  Locator locator;
  locator.copies.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    locator.copies.push_back(
        decode_copy(reader, records.subspan(i * kCopyBytes, kCopyBytes), packs, base_pages, aux));
  }
  CAIRN_CHECK(reader.status());
  return locator;
}

}  // namespace cairn

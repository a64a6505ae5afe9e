#include "store/locator_table.h"

#include <unordered_map>

#include "store/wire.h"

namespace cairn {

static constexpr uint32_t kVersion = 1;
static constexpr size_t kPageBytes = 72;
static constexpr size_t kClosureBytes = kPageBytes + 32;
static constexpr size_t kPackBytes = 32;

namespace {

/// Numbers the metadata packs in the order of their first mention.
class FileNumbers {
 public:
  uint32_t of(const FileId& file) {
    const auto [at, fresh] = numbers_.try_emplace(file, static_cast<uint32_t>(numbers_.size()));
    if (fresh) append_file_id(encoded_, file);
    return at->second;
  }
  const Bytes& encoded() const { return encoded_; }
  uint32_t count() const { return static_cast<uint32_t>(numbers_.size()); }

 private:
  std::unordered_map<FileId, uint32_t> numbers_;
  Bytes encoded_;
};

}  // namespace

static void append_place(Bytes& bytes, FileNumbers& files, const PagePlace& place) {
  append_le(bytes, files.of(place.page.file));
  append_le(bytes, files.of(place.locator.file));
  append_le(bytes, place.page.offset);
  append_le(bytes, place.locator.offset);
  append_le(bytes, static_cast<uint32_t>(place.page.bytes));
  append_le(bytes, static_cast<uint32_t>(place.locator.bytes));
  append_le<uint64_t>(bytes, 0);
  append_digest(bytes, place.locator.digest);
}

Bytes encode_locator_table(const LocatorTable& table) {
  FileNumbers files;
  Bytes places;
  for (const PagePlace& place : table.pages) append_place(places, files, place);
  for (const PagePlace& place : table.closure) {
    append_place(places, files, place);
    append_digest(places, place.page.digest);
  }
  Bytes bytes;
  append_bytes(bytes, as_bytes("LTAB"));
  append_le(bytes, kVersion);
  append_le(bytes, files.count());
  for (const size_t count : {table.pages.size(), table.closure.size(), table.packs.size()}) {
    append_le(bytes, static_cast<uint32_t>(count));
  }
  append_digest(bytes, table.manifest);
  append_bytes(bytes, files.encoded());
  append_bytes(bytes, places);
  for (const PackUse& use : table.packs) {
    append_file_id(bytes, use.pack);
    append_le(bytes, use.stored_bytes);
  }
  return bytes;
}

static PagePlace take_place(WireReader& reader, const std::vector<FileId>& files) {
  PagePlace place;
  const auto page_file = reader.take<uint32_t>();
  const auto locator_file = reader.take<uint32_t>();
  if (page_file >= files.size() || locator_file >= files.size()) {
    reader.reject("names a file it does not list");
    return place;
  }
  place.page.file = files[page_file];
  place.locator.file = files[locator_file];
  place.page.offset = reader.take<uint64_t>();
  place.locator.offset = reader.take<uint64_t>();
  place.page.bytes = reader.take<uint32_t>();
  place.locator.bytes = reader.take<uint32_t>();
  reader.take<uint64_t>();
  place.locator.digest = reader.take_digest();
  return place;
}

Result<LocatorTable> decode_locator_table(ByteSpan bytes, const std::vector<Digest>& page_digests) {
  WireReader reader(bytes, "a locator table");
  reader.expect("LTAB");
  reader.expect_version(kVersion);
  const auto file_count = reader.take<uint32_t>();
  const auto page_count = reader.take<uint32_t>();
  const auto closure_count = reader.take<uint32_t>();
  const auto pack_count = reader.take<uint32_t>();
  LocatorTable table;
  table.manifest = reader.take_digest();
  if (page_count != page_digests.size()) reader.reject("has other pages than its manifest");
  std::vector<FileId> files(reader.take_count(file_count, kFileIdBytes));
  for (FileId& file : files) file = take_file_id(reader);
  table.pages.resize(reader.take_count(page_count, kPageBytes));
  for (size_t i = 0; i < table.pages.size() && reader.ok(); ++i) {
    table.pages[i] = take_place(reader, files);
    table.pages[i].page.digest = page_digests[i];
  }
  table.closure.resize(reader.take_count(closure_count, kClosureBytes));
  for (PagePlace& place : table.closure) {
    if (!reader.ok()) break;
    place = take_place(reader, files);
    place.page.digest = reader.take_digest();
  }
  table.packs.resize(reader.take_count(pack_count, kPackBytes));
  for (PackUse& use : table.packs) {
    use.pack = take_file_id(reader);
    use.stored_bytes = reader.take<uint64_t>();
  }
  CAIRN_CHECK(reader.finish());
  return table;
}

}  // namespace cairn

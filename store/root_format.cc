#include "store/root_format.h"

#include <fmt/format.h>

#include "store/config.h"

namespace cairn {

static constexpr std::string_view kRootMagic = "CAIRNRT1";
static constexpr uint32_t kRemoved = 1, kPinned = 2, kHasStep = 4, kHasLayout = 8;
/// Length, fixed members and an empty name: a count is believed only as far as such entries fit.
static constexpr uint64_t kListedEntryBytesMin = 4 + 400 + 2;
/// As much for the tag tables: reference, two numbers and an empty name.
static constexpr uint64_t kListedTableBytesMin = 72 + 8 + 8 + 2;

Bytes encode_tag_entry(const TagEntry& entry) {
  Bytes bytes;
  append_le<uint32_t>(bytes, (entry.removed ? kRemoved : 0) | (entry.pinned ? kPinned : 0) |
                                 (entry.step ? kHasStep : 0) | (entry.layout ? kHasLayout : 0));
  append_le(bytes, entry.facts.weights_age);
  append_le(bytes, entry.commit);
  append_le(bytes, entry.created_ns);
  append_le(bytes, entry.step.value_or(0));
  append_bytes(bytes, entry.session.bytes);
  const TagFacts& facts = entry.facts;
  for (const uint64_t fact :
       {facts.logical_bytes, facts.new_bytes, facts.stored_bytes, facts.attachment_bytes,
        facts.tensors, facts.chunks, facts.new_chunks, facts.dropped_tensors}) {
    append_le(bytes, fact);
  }
  for (const Reference& reference :
       {entry.manifest, entry.schema, entry.table, entry.layout.value_or(Reference{})}) {
    append_reference(bytes, reference);
  }
  append_string16(bytes, entry.name);
  return bytes;
}

Result<TagEntry> decode_tag_entry(ByteSpan bytes) {
  WireReader reader(bytes, "a tag entry");
  TagEntry entry;
  const auto flags = reader.take<uint32_t>();
  entry.facts.weights_age = reader.take<uint32_t>();
  entry.removed = flags & kRemoved;
  entry.pinned = flags & kPinned;
  entry.commit = reader.take<uint64_t>();
  entry.created_ns = reader.take<int64_t>();
  const auto step = reader.take<int64_t>();
  if (flags & kHasStep) entry.step = step;
  const ByteSpan session = reader.take_bytes(entry.session.bytes.size());
  if (!session.empty()) std::memcpy(entry.session.bytes.data(), session.data(), session.size());
  TagFacts& facts = entry.facts;
  for (uint64_t* fact :
       {&facts.logical_bytes, &facts.new_bytes, &facts.stored_bytes, &facts.attachment_bytes,
        &facts.tensors, &facts.chunks, &facts.new_chunks, &facts.dropped_tensors}) {
    *fact = reader.take<uint64_t>();
  }
  entry.manifest = take_reference(reader);
  entry.schema = take_reference(reader);
  entry.table = take_reference(reader);
  const Reference layout = take_reference(reader);
  if (flags & kHasLayout) entry.layout = layout;
  entry.name = reader.take_string16();
  CAIRN_CHECK(reader.status());
  return entry;
}

static void append_entries(Bytes& bytes, const std::vector<TagEntry>& entries) {
  for (const TagEntry& entry : entries) {
    const Bytes encoded = encode_tag_entry(entry);
    append_le(bytes, static_cast<uint32_t>(encoded.size()));
    append_bytes(bytes, encoded);
  }
}

static Result<std::vector<TagEntry>> take_entries(WireReader& reader, uint64_t count) {
  std::vector<TagEntry> entries;
  entries.reserve(count);
  for (uint64_t i = 0; i < count && reader.ok(); ++i) {
    const ByteSpan record = reader.take_bytes(reader.take<uint32_t>());
    if (!reader.ok()) break;
    CAIRN_TRY(TagEntry entry, decode_tag_entry(record));
    entries.push_back(std::move(entry));
  }
  return entries;
}

Bytes encode_tag_table(const std::vector<TagEntry>& entries) {
  Bytes bytes;
  append_le(bytes, static_cast<uint32_t>(entries.size()));
  append_le<uint32_t>(bytes, 0);
  append_entries(bytes, entries);
  return bytes;
}

Result<std::vector<TagEntry>> decode_tag_table(ByteSpan bytes) {
  WireReader reader(bytes, "a tag table");
  const auto count = reader.take<uint32_t>();
  reader.take<uint32_t>();
  CAIRN_TRY(auto entries, take_entries(reader, reader.take_count(count, kListedEntryBytesMin)));
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].removed) reader.reject("lists a removed tag");
    if (i != 0 && entries[i].name <= entries[i - 1].name) {
      reader.reject("lists its tags out of order");
    }
  }
  CAIRN_CHECK(reader.finish());
  return entries;
}

Bytes encode_root(const Root& root) {
  Bytes bytes;
  append_bytes(bytes, as_bytes(kRootMagic));
  append_le(bytes, static_cast<uint32_t>(kFormatNumber));
  append_le<uint32_t>(bytes, 0);
  append_bytes(bytes, root.store_id.bytes);
  append_le(bytes, root.commit);
  append_le(bytes, root.epoch);
  for (const size_t count :
       {root.condemned.size(), root.revoked.size(), root.tables.size(), root.entries.size()}) {
    append_le(bytes, static_cast<uint32_t>(count));
  }
  for (const Condemned& condemned : root.condemned) {
    append_file_id(bytes, condemned.file);
    append_le(bytes, static_cast<uint32_t>(condemned.kind));
    append_le<uint32_t>(bytes, 0);
    append_le(bytes, condemned.epoch);
  }
  for (const SessionId& session : root.revoked) append_bytes(bytes, session.bytes);
  for (const TagTableRef& table : root.tables) {
    append_reference(bytes, table.table);
    append_le(bytes, table.entries);
    append_le(bytes, table.newest_commit);
    append_string16(bytes, table.first_name);
  }
  append_entries(bytes, root.entries);
  append_digest(bytes, blake3(bytes));
  return bytes;
}

static void take_lists(WireReader& reader, Root& root, const std::array<uint32_t, 4>& counts) {
  root.condemned.resize(reader.take_count(counts[0], 40));
  for (Condemned& condemned : root.condemned) {
    condemned.file = take_file_id(reader);
    condemned.kind = static_cast<FileKind>(reader.take<uint32_t>());
    reader.take<uint32_t>();
    condemned.epoch = reader.take<uint64_t>();
  }
  root.revoked.resize(reader.take_count(counts[1], 16));
  for (SessionId& session : root.revoked) {
    const ByteSpan bytes = reader.take_bytes(session.bytes.size());
    if (!bytes.empty()) std::memcpy(session.bytes.data(), bytes.data(), bytes.size());
  }
  root.tables.resize(reader.take_count(counts[2], kListedTableBytesMin));
  for (size_t i = 0; i < root.tables.size(); ++i) {
    TagTableRef& table = root.tables[i];
    table.table = take_reference(reader);
    table.entries = reader.take<uint64_t>();
    table.newest_commit = reader.take<uint64_t>();
    table.first_name = reader.take_string16();
    if (i != 0 && table.first_name <= root.tables[i - 1].first_name) {
      reader.reject("lists its tag tables out of order");
    }
  }
}

Result<Root> decode_root(ByteSpan bytes, std::string_view path) {
  const std::string what = fmt::format("'{}'", path);
  constexpr size_t kDigestBytes = 32;
  WireReader head(bytes, what);
  head.expect(kRootMagic);
  const auto format = head.take<uint32_t>();
  CAIRN_CHECK(head.status());
  if (bytes.size() < 64 + kDigestBytes) {
    return fail(Code::kCorrupt, fmt::format("{} is damaged: it ends too early", what));
  }
  const ByteSpan body = bytes.first(bytes.size() - kDigestBytes);
  if (as_text(blake3(body).bytes) != as_text(bytes.last(kDigestBytes))) {
    return fail(Code::kCorrupt,
                fmt::format("{} is damaged: its bytes do not match its digest", what));
  }
  if (format > kFormatNumber) {
    return fail(Code::kNewerFormat, fmt::format("{} is of format {}", what, format),
                "use a newer cairn");
  }
  WireReader reader(body, what);
  reader.take_bytes(16);
  Root root;
  const ByteSpan store_id = reader.take_bytes(16);
  std::memcpy(root.store_id.bytes.data(), store_id.data(), store_id.size());
  root.commit = reader.take<uint64_t>();
  root.epoch = reader.take<uint64_t>();
  std::array<uint32_t, 4> counts{};
  for (uint32_t& count : counts) count = reader.take<uint32_t>();
  take_lists(reader, root, counts);
  CAIRN_TRY(root.entries, take_entries(reader, reader.take_count(counts[3], kListedEntryBytesMin)));
  CAIRN_CHECK(reader.finish());
  return root;
}

}  // namespace cairn

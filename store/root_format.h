// Bytes of `root` and of tag entries (docs/FORMAT.md, section 3). Pure: no file is touched here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/file_id.h"

namespace cairn {

struct TagFacts {
  uint64_t logical_bytes = 0;  ///< all tensor bytes
  uint64_t new_bytes = 0;      ///< decoded bytes of chunks the store did not have
  uint64_t stored_bytes = 0;   ///< bytes the save added to the disk
  uint64_t attachment_bytes = 0;
  uint64_t tensors = 0;
  uint64_t chunks = 0;
  uint64_t new_chunks = 0;
  uint64_t dropped_tensors = 0;  ///< that the save had and thinning took away
  uint32_t weights_age = 0;      ///< saves since weights last needed nothing but weights
};

struct TagEntry {
  std::string name;
  bool removed = false;
  bool pinned = false;
  uint64_t commit = 0;  ///< the newest tag has the largest
  int64_t created_ns = 0;
  std::optional<int64_t> step;
  SessionId session;  ///< that made the checkpoint
  TagFacts facts;
  Reference manifest, schema, table;
  std::optional<Reference> layout;
};

struct Condemned {
  FileKind kind = FileKind::kPack;
  FileId file;
  uint64_t epoch = 0;
};

struct TagTableRef {
  Reference table;
  uint64_t entries = 0;
  uint64_t newest_commit = 0;  ///< the largest in it
  std::string first_name;      ///< in it; the next table's first name is larger than all of its
};

struct Root {
  SessionId store_id;
  uint64_t commit = 0;
  uint64_t epoch = 0;
  std::vector<Condemned> condemned;
  std::vector<SessionId> revoked;
  std::vector<TagTableRef> tables;  ///< in name order
  std::vector<TagEntry> entries;    ///< override those of the tables, and earlier ones
};

Bytes encode_root(const Root& root);
/// Errors: kCorrupt; kNewerFormat. `path` names the file in messages.
Result<Root> decode_root(ByteSpan bytes, std::string_view path);

Bytes encode_tag_entry(const TagEntry& entry);
Result<TagEntry> decode_tag_entry(ByteSpan bytes);

/// A tag table: the entries of a metadata object of kind 8, in name order, none of them removed.
Bytes encode_tag_table(const std::vector<TagEntry>& entries);
Result<std::vector<TagEntry>> decode_tag_table(ByteSpan bytes);

}  // namespace cairn

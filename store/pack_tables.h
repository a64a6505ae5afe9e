// What packs themselves say they hold. A save takes a copy over from its base or from the index
// only when the copy's own pack confirms it: a lost, cut or foreign pack and an index gone wrong
// then cost bytes, not the tag.
#pragma once

#include <compare>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "store/locator.h"
#include "store/store.h"

namespace cairn {

/// Reads each pack's table once, when it is first asked for, and keeps it: about 90 bytes a copy.
/// Threads: any.
class PackTables {
 public:
  explicit PackTables(const Store& store) : store_(store) {}

  /// Whether the copy's pack is there with an undamaged table that names this copy of the chunk,
  /// and no check found bad bytes in it (store/distrust.h). The bytes of the copy are not read.
  /// False says nothing where reached() fails.
  bool holds(const Copy& copy, const Digest& digest);
  /// A copy of which only the place is known, with the parameters that its pack's table has for it.
  /// nullopt when the pack does not hold it or it is made from other copies.
  std::optional<Copy> complete(const Copy& copy, const Digest& digest);
  /// Whether all that was asked for could be looked at: a place that is not reached may hold it all
  /// the same. Errors: kUnreachable, kAuth.
  Status reached() const;

 private:
  struct Row {
    uint64_t offset = 0;
    uint32_t stored_bytes = 0, decoded_bytes = 0;
    Encoding encoding = Encoding::kRaw;
    Digest digest;

    bool has_bases = false;
    Bytes parameters;

    std::strong_ordering operator<=>(const Row& other) const {
      return std::tie(offset, stored_bytes, decoded_bytes, encoding, digest) <=>
             std::tie(other.offset, other.stored_bytes, other.decoded_bytes, other.encoding,
                      other.digest);
    }
  };

  const Row* find(const Copy& copy, const Digest& digest);
  bool is_trusted(const FileId& pack);
  std::vector<Row> read_rows(const FileId& pack);
  void note_failure(const Error& error);

  const Store& store_;
  mutable std::mutex mutex_;
  Status reached_;                              // the first error of a place that was not reached
  std::optional<std::set<FileId>> distrusted_;  // once read
  bool trusts_none_ = false;                    // they could not be read
  std::map<FileId, std::vector<Row>> packs_;    // none for a pack that cannot be read
};

}  // namespace cairn

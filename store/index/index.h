// The RocksDB index of a store: tags -> schemas -> pages -> chunks, and where each digest is
// stored. A function of the other files: it follows `root`, may lag behind it, and may be deleted
// at any time. No promise of the store depends on it. Only programs of their own open it, never a
// library inside someone else's process: RocksDB may abort on I/O errors.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/locator.h"
#include "store/store.h"

namespace cairn {

/// `$CAIRN_INDEX`, or `index` in the store.
std::string index_path(const Store& store);

struct IndexState {
  uint64_t commit = 0;  ///< of the root it has seen
  uint64_t tags = 0;
  uint64_t chunks = 0;  ///< records, copies of one digest counted each
};

/// Threads: one at a time.
class Index {
 public:
  /// kShared: to write, or, beside a process that writes it, to read.
  enum class Access : uint8_t { kWrite, kRead, kShared };

  /// Opens the index; makes it when it is missing, but not with kRead. With kShared one that
  /// another process makes just now is waited for. Errors: kBusy (kWrite) when another process
  /// writes it, kNotFound (kRead), kCorrupt when it is damaged or of another store.
  static Result<std::unique_ptr<Index>> open(const Store& store, Access access);
  /// Removes the index, damaged or not: what RocksDB has made is deleted, and what it cannot delete
  /// is renamed. Errors: kBusy; kCorrupt when it is another store's.
  static Status destroy(const Store& store);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  /// Applies what the root has and the index lacks, drops what the root no longer has. Opened to
  /// read it stays as it is: the process that writes it has caught up.
  Status catch_up();

  /// Some upkeep, for the end of a program that was quick: no more than some tenths of a second.
  Status tidy();

  /// No look-up finds a copy in these packs any more. Errors: kBusy when opened with kRead.
  Status drop_packs(std::span<const FileId> packs);

  /// found[i] becomes where wanted[i] is stored, as far as the index knows. Copies that need bases
  /// are not given.
  Status look_up(std::span<const Digest> wanted, std::span<std::optional<Copy>> found);

  /// In name order. Entries as of state().commit.
  Result<std::vector<TagEntry>> tags();
  /// The bytes of a manifest or schema by digest; nullopt when the index has none.
  std::optional<Bytes> object(const Digest& digest);

  Result<IndexState> state();

 private:
  class Tables;
  Index(const Store& store, std::unique_ptr<Tables> tables);

  const Store& store_;
  std::unique_ptr<Tables> tables_;
};

}  // namespace cairn

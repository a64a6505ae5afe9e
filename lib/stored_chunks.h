// The chunks of a save, or of a part of one, on their way into packs.
#pragma once

#include "lib/chunk_saver.h"
#include "lib/save_session.h"

namespace cairn {

/// Threads: one at a time.
class StoredChunks {
 public:
  /// `staged`: brings what is on devices; null where nothing is. REQUIRES: all outlive this.
  StoredChunks(const Store& store, const SaveRequest& request, const SavePlan& plan,
               SaveSession& session, StagedSave* staged);

  /// Fills in the pages with all chunks whose bytes are here; stores what is new of them.
  Status store() { return saver_.run(); }
  /// Makes the packs durable, unless what was read has changed meanwhile.
  Status finish();

  SavedPages& pages() { return pages_; }
  const ChunkWriter& writer() const { return writer_; }

 private:
  const SaveRequest& request_;
  PackWriter& packs_;
  PackTables tables_;
  ChunkWriter writer_;
  SavedPages pages_;
  ChunkSaver saver_;
};

}  // namespace cairn

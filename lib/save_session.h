// What a save works with from its second step on: the tag it compares with, the session whose lease
// protects that, and the writers of the session's files.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/base_tag.h"
#include "lib/cairn.hpp"
#include "store/meta_pack.h"
#include "store/pack_writer.h"
#include "store/session.h"

namespace cairn {

/// Threads: one at a time; packs() any.
class SaveSession {
 public:
  /// Chooses the base, takes the lease, and looks again whether the base still stands. A tag of the
  /// request's name is refused where it may not be: before the work; the commit decides for good.
  /// `base`: as SaveRequest::base, in place of that.
  static Result<std::unique_ptr<SaveSession>> begin(const Store& store, const SaveRequest& request,
                                                    const std::optional<std::string>& base);

  BaseTag* base() const { return base_.get(); }  ///< may be null
  const SessionId& id() const { return session_->id(); }
  PackWriter& packs() { return *packs_; }
  MetaWriter& metas() { return metas_; }

  /// The tag to compare with of which something could not be read; empty: nothing.
  std::string damaged_base() const;
  /// How many saves ago weights were stored such that they need nothing else; 0: by this one.
  uint32_t weights_age(const SaveRequest& request) const;

  /// Gives the lease back. The files stay.
  void end();
  /// Closes the packs as far as they came, and leaves them: nothing more may be appended.
  void close_packs();
  /// Removes the session's files, and gives the lease back: of a save that has surely failed.
  void remove_files();
  /// Removes the metadata packs alone.
  void remove_metas();

 private:
  SaveSession(const Store& store, std::unique_ptr<Session> session);

  std::unique_ptr<BaseTag> base_;
  std::string damaged_base_;  // that could not even be opened
  std::unique_ptr<Session> session_;
  std::optional<PackWriter> packs_;
  MetaWriter metas_;
};

}  // namespace cairn

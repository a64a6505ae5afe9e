#include "store/tag_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "store/meta_pack.h"
#include "store/session.h"
#include "store/writable.h"

namespace cairn {

/// Touched, not looked at: a client of a network file system may remember a file that is gone, but
/// asks its server to change one. Not opened: closing it would end the mark that this process
/// lives.
static Result<bool> has_lease(Fs& fs, const std::string& path) {
  const Status touched = fs.touch(path);
  if (!touched && touched.error().code != Code::kNotFound) return tl::unexpected(touched.error());
  return touched.has_value();
}

Status check_may_commit(const Store& store, const Root& root, const SessionId& session) {
  if (std::find(root.revoked.begin(), root.revoked.end(), session) != root.revoked.end()) {
    return fail(Code::kBusy, fmt::format("session {} was declared dead by a gc", session.hex()),
                "do it again");
  }
  const std::string path = lease_path(store.path(), session);
  CAIRN_TRY(const bool is_there, has_lease(store.fs(), path));
  if (is_there) {
    // Out of a backup, say: collectors may have read something else in it, or nothing.
    CAIRN_TRY(const bool is_own, store.fs().is_marked_here(path));
    if (is_own) return {};
    return fail(Code::kBusy, fmt::format("'{}' is not the lease that was put there", path),
                "do it again, and leave files in 'sessions' to cairn");
  }
  return fail(
      Code::kBusy,
      fmt::format("the lease of session {} is gone: a gc, or a transfer, took the session for dead",
                  session.hex()),
      "do it again; hosts that share the store need different names");
}

namespace {

/// Tables that were written for a root which may not come to name them.
class TableWriter {
 public:
  TableWriter(const Store& store, const SessionId& session)
      : store_(store), session_(session), writer_(store.fs(), store.path(), session) {}

  Status fold(TagBook& book) {
    CAIRN_CHECK(book.fold(writer_));
    return writer_.finish();
  }

  uint64_t stored_bytes() const { return writer_.stored_bytes(); }

  void remove_files() const {
    for (uint32_t number = 0; number < writer_.metas_begun(); ++number) {
      const std::string file = relative_path(FileKind::kMeta, {session_, number});
      const std::string path = join_path(store_.path(), file);
      if (file_exists(store_.fs(), path)) (void)store_.fs().remove(path).has_value();
    }
  }

 private:
  const Store& store_;
  const SessionId session_;
  MetaWriter writer_;
};

}  // namespace

Status change_tags(const Store& store, const SessionId& writer, const Wait& wait,
                   const std::function<Result<RootChange>(Root&, TagBook&)>& edit,
                   ChangeOutcome& outcome) {
  CAIRN_CHECK(check_may_write(store));
  std::optional<TableWriter> tables;
  const auto change = [&](Root& root) -> Result<RootChange> {
    // Called again where another was first: nobody will name what was written for the last attempt.
    // Nor is it removed if that attempt may have been seen.
    if (tables && !outcome.may_be_visible) tables->remove_files();
    tables.reset();
    outcome.table_bytes = 0;
    TagBook book(store.meta_files(), root);
    CAIRN_TRY(const RootChange wanted, edit(root, book));
    root.tables = book.tables();
    root.entries = book.entries();
    if (wanted == RootChange::kKeep || !book.wants_fold()) return wanted;
    // A session of its own: two commits of one session must not share a file name.
    CAIRN_TRY(const SessionId session, SessionId::fresh());
    tables.emplace(store, session);
    const Status folded = tables->fold(book);
    // On a full disk a longer root is the lesser evil: what frees space must not need much of it.
    if (!folded && folded.error().code == Code::kNoSpace) {
      tables->remove_files();
      return wanted;
    }
    CAIRN_CHECK(folded);
    outcome.table_bytes = tables->stored_bytes();
    root.tables = book.tables();
    root.entries = book.entries();
    return wanted;
  };
  const Status changed =
      change_root(store.fs(), store.path(), writer, wait, change, outcome.may_be_visible);
  if (!changed && !outcome.may_be_visible && tables) tables->remove_files();
  return changed;
}

}  // namespace cairn
